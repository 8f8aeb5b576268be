//! The default file and the reference page: complete, current, and true.

use super::{file, load};
use crate::config::{Config, default_file, keys, reference};

#[test]
fn the_default_file_parses_back_to_the_defaults() {
    assert_eq!(load(file(&default_file())), Ok(Config::default()));
}

#[test]
fn the_default_file_has_every_key_once_and_only_those_without_a_default_are_commented_out() {
    let text = default_file();
    for key in keys() {
        let beginning = format!("{} = ", key.name);
        let section = match key.section {
            "listener" => "\n[[listener]]\n".to_owned(),
            "token" => "\n# [[token]]\n".to_owned(),
            name => format!("\n[{name}]\n"),
        };
        let (_, of_section) = text.split_once(&section).expect("the section is there");
        let of_section = of_section.split("\n[").next().expect("there is a first part");
        let lines = of_section.lines().filter(|line| line.trim_start_matches("# ").starts_with(&beginning));
        let commented: Vec<bool> = lines.map(|line| line.starts_with('#')).collect();
        // Where there is no table, none of its keys counts.
        let is_comment = key.default().is_none() || key.section == "token";
        assert_eq!(commented, [is_comment], "{}", key.path());
    }
}

#[test]
fn the_examples_of_keys_without_a_default_are_allowed() {
    for key in keys().filter(|key| key.default().is_none()) {
        // The keys of TLS need each other.
        let of_tls = ["certificate", "key", "client_ca", "crl"];
        let is_of_tls = key.section == "listener" && of_tls.contains(&key.name);
        let mut text = default_file();
        if is_of_tls {
            text = text.replace("\nprotocol = \"mqtt\"", "\nprotocol = \"mqtts\"");
            text = text.replace("\nclient_certificates = \"none\"", "\nclient_certificates = \"optional\"");
        }
        if ["origins", "proxy_trusted"].contains(&key.name) {
            text = text.replace("\nprotocol = \"mqtt\"", "\nprotocol = \"ws\"");
        }
        if key.section == "token" {
            text = text.replace("\n# [[token]]", "\n[[token]]");
            let (url, file) = ("\n# jwks_url = ", "\n# keys_file = ");
            let keys = match key.name {
                "jwks_url" | "keys_file" | "secret_file" => "",
                "jwks_ca" => url,
                _ => file,
            };
            text = text.replace(keys, &keys.replace("# ", ""));
        }
        let names = if is_of_tls { &of_tls[..] } else { &[key.name] };
        for name in names {
            text = text.replace(&format!("# {name} = "), &format!("{name} = "));
        }
        assert_ne!(load(file(&text)).expect("the example is allowed"), Config::default(), "{}", key.path());
    }
}

#[test]
fn every_key_is_explained_in_sentences() {
    for key in keys() {
        let doc: Vec<&str> = key.doc().collect();
        assert!(doc.last().is_some_and(|line| line.ends_with('.')), "{}", key.path());
    }
}

/// `cargo run -- config reference > docs/configuration.md` writes it anew.
#[test]
fn the_reference_in_the_repository_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let committed = std::fs::read_to_string(path).expect("docs/configuration.md can be read");
    let difference = committed.lines().zip(reference().lines()).position(|(one, other)| one != other);
    assert!(
        committed == reference(),
        "docs/configuration.md is not current (first difference after line {difference:?}): \
         cargo run -- config reference > docs/configuration.md"
    );
}
