//! The default file: every key with its explanation and its default. Not the reference, which is a page to
//! read.

use std::fmt::Write as _;

use super::{Key, LISTENER, TOKEN, sections};

const HEAD: &str = "\
# The configuration of Whimbrel, with every key at its default.
#
# A key that is left out has its default, so a file needs only the keys that it changes. A flag of
# `whimbrel serve` counts more than the environment, the environment more than this file. `whimbrel config
# check FILE` tells everything that is wrong with a file.
";

/// The text of a configuration file that changes nothing and explains everything.
pub fn default_file() -> String {
    let mut out = HEAD.to_owned();
    for section in sections() {
        out.push('\n');
        comment(&mut out, section.doc());
        let _ = match section.name {
            LISTENER => writeln!(out, "[[{LISTENER}]]"),
            TOKEN => writeln!(out, "# [[{TOKEN}]]"),
            name => writeln!(out, "[{name}]"),
        };
        for key in section.keys {
            out.push('\n');
            write_key(&mut out, key);
        }
    }
    out
}

fn write_key(out: &mut String, key: &Key) {
    comment(out, key.doc());
    comment(out, std::iter::once(format!("Allowed is {}.", key.allowed()).as_str()));
    let _ = match (key.default(), key.example) {
        // Without a table of this kind there is none; with one that says nothing, a broken one.
        (Some(default), _) if key.section == TOKEN => writeln!(out, "# {} = {default}", key.name),
        (Some(default), _) => writeln!(out, "{} = {default}", key.name),
        (None, example) => writeln!(out, "# {} = \"{}\"", key.name, example.unwrap_or_default()),
    };
}

fn comment<'a>(out: &mut String, lines: impl Iterator<Item = &'a str>) {
    for line in lines {
        let _ = match line {
            "" => writeln!(out, "#"),
            line => writeln!(out, "# {line}"),
        };
    }
}
