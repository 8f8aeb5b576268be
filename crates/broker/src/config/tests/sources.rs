//! Every key reaches its field from every source, and the sources count in their order.

use std::path::Path;

use super::{environment, file, flag, key, load};
use crate::config::{
    Address, Auto, Config, File, Format, Key, Kind, Level, Listener, Method, QueueFull, SharedStrategy,
    Sources, keys,
};

/// A value that the key allows and that is not its default, as a word.
fn another(key: &Key) -> String {
    let default = key.default().unwrap_or_default();
    let candidates: Vec<String> = match &inner(key.kind) {
        Kind::Switch => vec!["true".to_owned(), "false".to_owned()],
        Kind::Whole => vec![key.bounds.0.to_string(), key.bounds.1.to_string()],
        Kind::Choice(words) | Kind::Choices(words) => words.iter().map(|word| (*word).to_owned()).collect(),
        Kind::Text | Kind::Path | Kind::Paths => vec!["another".to_owned()],
        Kind::Form { example, .. } | Kind::Forms { example, .. } => vec![(*example).to_owned()],
        Kind::Address => vec!["127.0.0.1:1884".to_owned()],
        Kind::Levels => vec!["debug,whimbrel=trace".to_owned()],
        Kind::OrAuto(_) => panic!("no key is of this kind"),
    };
    let bare = default.replace(['"', '_'], "");
    candidates.into_iter().find(|word| word.replace('_', "") != bare).expect("something else is allowed")
}

/// What the key allows beside the word `auto`.
fn inner(kind: Kind) -> Kind {
    match kind {
        Kind::OrAuto(kind) => *kind,
        kind => kind,
    }
}

/// The word as it stands in a file.
fn in_file(key: &Key, word: &str) -> String {
    let word = match key.kind {
        Kind::Switch | Kind::Whole | Kind::OrAuto(Kind::Whole) => word.to_owned(),
        _ => format!("\"{word}\""),
    };
    match key.section {
        "listener" | "token" => format!("[[{}]]\n{} = {word}\n", key.section, key.name),
        section => format!("[{section}]\n{} = {word}\n", key.name),
    }
}

/// Keys of a listener that mean something only beside others.
const TLS: [(&str, &str); 5] = [
    ("protocol", "mqtts"),
    ("certificate", "first.pem"),
    ("key", "first.key"),
    ("client_certificates", "optional"),
    ("client_ca", "ca.pem"),
];

/// Without a password file nobody can ask for passwords, a soft limit stays below the hard one, and TLS needs most of
/// its keys at once: variables that stand beside the key.
fn beside(key: &Key) -> Vec<(String, &'static str)> {
    let of_listener = |(name, word): &(&str, &'static str)| {
        (format!("WHIMBREL_LISTENER_1_{}", name.to_ascii_uppercase()), *word)
    };
    let others = || TLS.iter().filter(|(name, _)| *name != key.name).map(of_listener);
    match key.path().as_str() {
        "listener.authentication" | "authentication.method" => {
            vec![("WHIMBREL_AUTHENTICATION_PASSWORD_FILE".to_owned(), "1024")]
        }
        "limits.link_hard_bytes" => vec![("WHIMBREL_LIMITS_LINK_SOFT_BYTES".to_owned(), "1024")],
        "listener.identity_as" => {
            others().chain([("WHIMBREL_LISTENER_1_IDENTITY".to_owned(), "subject")]).collect()
        }
        "listener.protocol"
        | "listener.certificate"
        | "listener.key"
        | "listener.client_certificates"
        | "listener.client_ca"
        | "listener.crl"
        | "listener.identity"
        | "listener.tls_version_min"
        | "listener.handshake_timeout_secs" => others().collect(),
        "listener.path" | "listener.origins" | "listener.upgrade_bytes_max" | "listener.proxy_trusted" => {
            vec![("WHIMBREL_LISTENER_1_PROTOCOL".to_owned(), "ws")]
        }
        "token.jwks_url" | "token.keys_file" | "token.secret_file" => Vec::new(),
        "token.jwks_ca" | "token.jwks_refresh_secs" | "token.jwks_pause_secs" | "token.jwks_keep_secs" => {
            vec![("WHIMBREL_TOKEN_1_JWKS_URL".to_owned(), "https://id.example/")]
        }
        path if path.starts_with("token.") => {
            vec![("WHIMBREL_TOKEN_1_KEYS_FILE".to_owned(), "issuer.pem")]
        }
        "listener.proxy_protocol" => vec![("WHIMBREL_LISTENER_1_PROXY_TRUSTED".to_owned(), "10.0.0.1")],
        "listener.source_burst_max" => vec![("WHIMBREL_LISTENER_1_SOURCE_RATE_MAX".to_owned(), "7")],
        "listener.unix_mode" => vec![("WHIMBREL_LISTENER_1_ADDRESS".to_owned(), "unix:/run/w.sock")],
        _ => Vec::new(),
    }
}

#[test]
fn every_key_of_the_table_changes_the_configuration_from_every_source() {
    for key in keys() {
        let word = another(key);
        let beside = beside(key);
        let variables: Vec<(&str, &str)> = beside.iter().map(|(name, word)| (name.as_str(), *word)).collect();
        let variables = &variables[..];
        let own = key.environment(1);
        // What stands beside a key may need it: then it has another value before.
        let with_own = || load(environment(&[variables, &[(own.as_str(), "first")]].concat()));
        let base = load(environment(variables)).or_else(|_| with_own());
        let only_key = base.is_ok();
        let base = base.unwrap_or_default();

        let by_file =
            Sources { environment: environment(variables).environment, ..file(&in_file(key, &word)) };
        let by_file = load(by_file).expect("the value is allowed in the file");
        assert_ne!(by_file, base, "{} in the file is not ignored", key.path());

        let variable = key.environment(1);
        let both: Vec<(&str, &str)> =
            variables.iter().copied().chain([(variable.as_str(), word.as_str())]).collect();
        let by_environment = load(environment(&both)).expect("the value is allowed in the environment");
        assert_eq!(by_environment, by_file, "{variable} is what {} is in the file", key.path());

        let differences = base.differences(&by_file);
        let paths: Vec<&str> = differences.iter().map(|one| one.path.as_str()).collect();
        let path = key.path().replace("listener.", "listener[1].").replace("token.", "token[1].");
        assert!(paths.contains(&path.as_str()), "{path} differs: {paths:?}");
        assert!(!only_key || paths.len() == 1, "and nothing else differs: {paths:?}");

        if key.flag.is_some() {
            let mut sources = environment(variables);
            sources.flags.push(flag(&key.path(), &word));
            let by_flag = load(sources).expect("the value is allowed as a flag");
            assert_eq!(by_flag, by_file, "the flag is what {} is in the file", key.path());
        }
    }
}

#[test]
fn both_bounds_of_every_number_are_allowed_and_nothing_beyond() {
    for key in keys().filter(|key| key.kind.is_whole()) {
        let (min, max) = key.bounds;
        let beside = match key.name {
            "link_soft_bytes" => "\nlink_hard_bytes = 1073741824",
            "link_hard_bytes" => "\nlink_soft_bytes = 1024",
            name if name.starts_with("jwks_") => "\njwks_url = 'https://id.example'",
            "clock_skew_secs" => "\nkeys_file = 'issuer.pem'",
            "source_burst_max" => "\nsource_rate_max = 7",
            "upgrade_bytes_max" => "\nprotocol = 'ws'",
            "handshake_timeout_secs" => "\nprotocol = 'mqtts'\ncertificate = 'a'\nkey = 'b'",
            _ => "",
        };
        let check = |number: u64, expect: bool| {
            let text = format!("{}{beside}", in_file(key, &number.to_string()));
            assert_eq!(load(file(&text)).is_ok(), expect, "{} = {number}", key.path());
        };
        check(min, true);
        check(max, true);
        check(max + 1, false);
        if let Some(below) = min.checked_sub(1) {
            check(below, false);
        }
    }
}

#[test]
fn every_number_says_what_it_counts() {
    for key in keys().filter(|key| key.kind.is_whole()) {
        assert!(key.unit.is_some(), "{}", key.path());
        for (end, unit) in
            [("bytes_max", "bytes"), ("_bytes", "bytes"), ("_secs", "seconds"), ("secs_max", "seconds")]
        {
            assert!(!key.name.ends_with(end) || key.unit == Some(unit), "{} is in {unit}", key.path());
        }
    }
}

#[test]
fn without_any_source_the_configuration_is_the_default() {
    let config = load(Sources::default()).expect("the defaults are allowed");
    assert_eq!(config, Config::default());
    let [listener] = &config.listeners[..] else { panic!("there is one listener: {config:?}") };
    let sockets: Vec<String> = listener.address.sockets().iter().map(ToString::to_string).collect();
    assert_eq!(sockets, ["127.0.0.1:1883", "[::1]:1883"]);
    assert_eq!(config.methods(listener), Method::Anonymous.into());
}

#[test]
fn a_flag_beats_the_environment_the_environment_the_file_and_the_file_the_default() {
    let mut sources = file("[limits]\nconnections_max = 1\n");
    let connections_max =
        |sources: &Sources| Config::load(sources).expect("it is allowed").limits.connections_max;
    assert_eq!(connections_max(&Sources::default()), Auto::Auto);
    assert_eq!(connections_max(&sources), Auto::Set(1));
    sources.environment = environment(&[("WHIMBREL_LIMITS_CONNECTIONS_MAX", "2")]).environment;
    assert_eq!(connections_max(&sources), Auto::Set(2));
    sources.flags.push(flag("limits.connections_max", "3"));
    assert_eq!(connections_max(&sources), Auto::Set(3));
    sources.flags.push(flag("limits.connections_max", "auto"));
    assert_eq!(connections_max(&sources), Auto::Auto, "a later flag beats an earlier one");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let sources = environment(&[("WHIMBREL_LIMITS_CONNECTIONS_MAX", ""), ("WHIMBREL_LISTENER_2_NAME", "")]);
    assert_eq!(load(sources), Ok(Config::default()));
}

#[test]
fn numbers_in_the_environment_are_written_as_in_the_file() {
    let config =
        load(environment(&[("WHIMBREL_LIMITS_PACKET_BYTES_MAX", "0x1_0000")])).expect("it is allowed");
    assert_eq!(config.limits.packet_bytes_max, 65_536);
}

#[test]
fn the_log_level_has_a_short_variable_and_parts_with_levels_of_their_own() {
    let levels = |variables: &[(&str, &str)]| load(environment(variables)).expect("it is allowed").log.level;
    let short = levels(&[("WHIMBREL_LOG", "warn, whimbrel_broker::worker = debug")]);
    assert_eq!((short.base, short.most()), (Level::Warn, Level::Debug));
    assert_eq!(short.parts, [("whimbrel_broker::worker".to_owned(), Level::Debug)]);
    assert_eq!(levels(&[("WHIMBREL_LOG", "whimbrel=trace")]).base, Level::Info);
    assert_eq!(levels(&[("WHIMBREL_LOG", "warn"), ("WHIMBREL_LOG_LEVEL", "error")]).base, Level::Error);
}

#[test]
fn variables_change_listeners_by_number_and_add_the_next() {
    let mut sources = file("[[listener]]\nname = \"one\"\n[[listener]]\naddress = \"127.0.0.1:2\"\n");
    sources.environment = environment(&[
        ("WHIMBREL_LISTENER_1_ADDRESS", "127.0.0.1:1"),
        ("WHIMBREL_LISTENER_3_ADDRESS", "[::1]:3"),
        ("WHIMBREL_LISTENER_4_ADDRESS", "localhost:4"),
    ])
    .environment;
    let config = load(sources).expect("it is allowed");
    let listeners: Vec<(String, String)> =
        config.listeners.iter().map(|listener| (listener.label(), listener.address.to_string())).collect();
    let expected = [("one", "127.0.0.1:1"), ("127.0.0.1:2", "127.0.0.1:2"), ("[::1]:3", "[::1]:3")];
    let expected = expected.into_iter().chain([("localhost:4", "localhost:4")]);
    assert_eq!(
        listeners,
        expected.map(|(one, other)| (one.to_owned(), other.to_owned())).collect::<Vec<_>>()
    );
}

#[test]
fn the_listen_flag_replaces_every_other_listener() {
    let mut sources =
        file("[[listener]]\nname = \"one\"\naddress = \"127.0.0.1:1\"\nauthentication = \"anonymous\"\n");
    sources.environment = environment(&[("WHIMBREL_LISTENER_2_ADDRESS", "127.0.0.1:2")]).environment;
    sources.flags = vec![flag("listener.address", "0.0.0.0:3"), flag("listener.address", "[::1]:4")];
    sources.flags.push(flag("authentication.password_file", "passwords"));
    let config = load(sources).expect("it is allowed");
    let expected = ["0.0.0.0:3", "[::1]:4"].map(|text| Listener::on(text.parse().expect("an address")));
    assert_eq!(config.listeners, expected);
    assert!(config.listeners.iter().all(|listener| config.methods(listener) == Method::PasswordFile.into()));
}

#[test]
fn a_flag_of_a_listener_counts_for_every_listener() {
    let mut sources = file("[[listener]]\naddress = \"0.0.0.0:1\"\n[[listener]]\naddress = \"[::]:2\"\n");
    sources.flags.push(flag("listener.danger_allow_anonymous_on_network", "true"));
    let config = load(sources).expect("it is allowed");
    assert!(config.listeners.iter().all(|listener| listener.danger_allow_anonymous_on_network));
}

#[test]
fn a_relative_path_in_the_file_counts_from_its_folder_and_nowhere_else() {
    let text = "[authentication]\npassword_file = \"passwords\"\n[log]\nfile = \"/var/log/whimbrel.log\"\n"
        .to_owned();
    let mut sources =
        Sources { file: Some(File { path: "etc/whimbrel.toml".into(), text }), ..Sources::default() };
    let config = Config::load(&sources).expect("it is allowed");
    assert_eq!(config.authentication.password_file.as_deref(), Some(Path::new("etc/passwords")));
    assert_eq!(config.log.file.as_deref(), Some(Path::new("/var/log/whimbrel.log")));
    sources.flags.push(flag("authentication.password_file", "passwords"));
    let config = Config::load(&sources).expect("it is allowed");
    assert_eq!(config.authentication.password_file.as_deref(), Some(Path::new("passwords")));
}

#[test]
fn a_password_file_alone_asks_every_listener_for_passwords() {
    let mut sources = environment(&[("WHIMBREL_AUTHENTICATION_PASSWORD_FILE", "passwords")]);
    let method = |sources: &Sources| {
        let config = Config::load(sources).expect("it is allowed");
        config.methods(&config.listeners[0])
    };
    assert_eq!(method(&sources), Method::PasswordFile.into());
    sources.environment.insert("WHIMBREL_AUTHENTICATION_METHOD".to_owned(), "anonymous".to_owned());
    assert_eq!(method(&sources), Method::Anonymous.into());
    sources.environment.insert("WHIMBREL_LISTENER_1_AUTHENTICATION".to_owned(), "password_file".to_owned());
    assert_eq!(method(&sources), Method::PasswordFile.into());
}

#[test]
fn several_ways_to_find_out_who_may_connect_keep_their_order() {
    let methods = |sources: &Sources| {
        let config = Config::load(sources).expect("it is allowed");
        config.methods(&config.listeners[0]).to_string()
    };
    let mut sources =
        file("authentication = { method = ['password_file', 'anonymous'], password_file = 'p' }\n");
    assert_eq!(methods(&sources), "password_file, anonymous");
    sources
        .environment
        .insert("WHIMBREL_LISTENER_1_AUTHENTICATION".to_owned(), "password_file, anonymous".to_owned());
    assert_eq!(methods(&sources), "password_file, anonymous");
    // A certificate that says who somebody is comes first where nobody says otherwise.
    let with_names = |authentication: &str| {
        let text = format!(
            "[[listener]]\nprotocol = 'mqtts'\ncertificate = 'c'\nkey = 'k'\nclient_certificates = 'optional'\n\
             client_ca = 'ca'\nidentity = 'common_name'\n{authentication}\n[authentication]\npassword_file = 'p'\n"
        );
        methods(&file(&text))
    };
    assert_eq!(with_names(""), "certificate, password_file");
    assert_eq!(with_names("authentication = 'password_file'"), "certificate, password_file");
    assert_eq!(with_names("authentication = 'certificate'"), "certificate");
    let last = "authentication = ['password_file', 'certificate', 'anonymous']";
    assert_eq!(with_names(last), "password_file, certificate, anonymous");
    assert_eq!(
        with_names(&format!("{last}\nidentity_as = 'user_name'")),
        "password_file, certificate, anonymous"
    );
}

#[test]
fn tokens_are_asked_before_passwords_where_nobody_says_otherwise() {
    let methods = |text: &str| {
        let config = load(file(text)).expect("it is allowed");
        config.methods(&config.listeners[0]).to_string()
    };
    assert_eq!(methods("[[token]]\nkeys_file = 'a'\n"), "token");
    let both = "[authentication]\npassword_file = 'p'\n[[token]]\nkeys_file = 'a'\n";
    assert_eq!(methods(both), "token, password_file");
    assert_eq!(methods(&format!("[[listener]]\nauthentication = 'password_file'\n{both}")), "password_file");
}

#[test]
fn every_word_of_a_choice_is_the_value_of_its_name() {
    let config = |text: &str| load(file(text)).expect("it is allowed");
    let queue_full = |word: &str| config(&format!("session.queue_full = \"{word}\"")).session.queue_full;
    assert_eq!(queue_full("drop_oldest"), QueueFull::DropOldest);
    assert_eq!(queue_full("drop_newest"), QueueFull::DropNewest);
    assert_eq!(queue_full("refuse"), QueueFull::Refuse);
    let strategy =
        |word: &str| config(&format!("session.shared_strategy = \"{word}\"")).session.shared_strategy;
    assert_eq!(strategy("round_robin"), SharedStrategy::RoundRobin);
    assert_eq!(strategy("least_backlog"), SharedStrategy::LeastBacklog);
    assert_eq!(strategy("sticky"), SharedStrategy::Sticky);
    let format = |word: &str| config(&format!("log.format = \"{word}\"")).log.format;
    assert_eq!((format("human"), format("json")), (Format::Human, Format::Json));
}

#[test]
fn only_loopback_addresses_count_as_loopback() {
    let check = |text: &str, expect: bool| {
        assert_eq!(text.parse::<Address>().expect("an address").is_loopback(), expect, "{text}");
    };
    check("127.0.0.1:1883", true);
    check("127.8.9.10:1883", true);
    check("[::1]:1883", true);
    check("[::ffff:127.0.0.1]:1883", true);
    check("localhost:1883", true);
    check("0.0.0.0:1883", false);
    check("[::]:1883", false);
    check("192.168.1.2:1883", false);
    check("[::ffff:192.168.1.2]:1883", false);
    check("[fe80::1]:1883", false);
}

#[test]
fn no_two_keys_share_a_flag_or_a_variable() {
    let mut flags: Vec<&str> = keys().filter_map(|key| key.flag).collect();
    let mut variables: Vec<String> = keys().map(|key| key.environment(1)).collect();
    variables.extend(keys().filter_map(|key| key.environment_short.map(str::to_owned)));
    let (flags_before, variables_before) = (flags.len(), variables.len());
    flags.sort_unstable();
    flags.dedup();
    variables.sort_unstable();
    variables.dedup();
    assert_eq!((flags.len(), variables.len()), (flags_before, variables_before));
    assert_eq!(key("limits.packet_bytes_max").environment(1), "WHIMBREL_LIMITS_PACKET_BYTES_MAX");
}
