//! Who may connect by a token; what it lets its client do, and until when.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;
use whimbrel_broker::{
    Broker,
    auth::Argon2id,
    config::{Auto, Config, Levels, Listener, Method, Problems, Token},
    control::{Host, Reloaded},
};
use whimbrel_engine::Count;
use whimbrel_testkit::{Packet, QoS0, QoS1, Subscribe, Version, publish, v5, v311};

use super::{
    client::Client,
    control::ask,
    running::{Running, config, loopback, start_with},
};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const OTHER: &[u8] = b"fedcba9876543210fedcba9876543210";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token that ends in an hour, unless the claims say otherwise.
fn token(secret: &[u8], claims: &Value) -> String {
    let mut all = json!({"sub": "alice", "exp": now() + 3_600});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    encode(&Header::new(Algorithm::HS256), &all, &EncodingKey::from_secret(secret)).unwrap()
}

/// A table for tokens that a secret signs, in a file of the folder.
fn table(folder: &Path) -> Token {
    let path = folder.join("secret");
    fs::write(&path, SECRET).unwrap();
    Token { secret_file: Some(path), clock_skew_secs: 0, ..Token::default() }
}

fn start(folder: &TempDir, change: impl FnOnce(&mut Config)) -> Running {
    start_with(|config| {
        config.worker.threads = Auto::Set(1);
        config.tokens = vec![table(folder.path())];
        change(config);
    })
}

fn code(running: &Running, at: usize, version: Version, user_name: &str, password: &str) -> u8 {
    let connect = match version {
        Version::V5 => v5("c"),
        _ => v311("c"),
    };
    Client::open(running.addresses[at], version).connect(connect.user_name(user_name).password(password)).code
}

#[test]
fn a_good_token_lets_in_and_every_other_one_is_refused() {
    let folder = TempDir::new().unwrap();
    let running = start(&folder, |_| {});
    let good = token(SECRET, &json!({}));
    assert_eq!(code(&running, 0, Version::V5, "whoever", &good), 0);
    assert_eq!(code(&running, 0, Version::V311, "", &good), 0);
    let mut bare = running.open(Version::V5);
    assert_eq!(bare.connect(v5("c").password(&good)).code, 0, "5.0 needs no user name beside it");
    bare.ping();
    for (what, bad) in [
        ("another's", token(OTHER, &json!({}))),
        ("too late", token(SECRET, &json!({"exp": now() - 1}))),
        ("too early", token(SECRET, &json!({"nbf": now() + 3_600}))),
        ("for somebody else", token(SECRET, &json!({"aud": "other"}))),
        ("without a name", token(SECRET, &json!({"sub": 7}))),
        ("no token", "open sesame".to_owned()),
        ("too long", token(SECRET, &json!({"x": "y".repeat(13_000)}))),
    ] {
        assert_eq!(code(&running, 0, Version::V5, "alice", &bad), 0x86, "{what}");
        assert_eq!(code(&running, 0, Version::V311, "alice", &bad), 4, "{what}");
    }
    assert_eq!(running.open(Version::V5).connect(v5("c")).code, 0x87);
    assert_eq!(running.count(Count::LoginsWrong), 0, "what is signed is nobody's guess");
}

#[test]
fn in_a_chain_a_wrong_token_is_refused_and_what_is_none_passes_on() {
    let folder = TempDir::new().unwrap();
    let passwords = folder.path().join("passwords");
    let hash = Argon2id::create(b"right", [7; whimbrel_broker::auth::SALT_BYTES]);
    fs::write(&passwords, format!("anna:{hash}\n")).unwrap();
    let running = start(&folder, |config| {
        config.authentication.password_file = Some(passwords);
        let open = [Method::Token, Method::Anonymous].into_iter().collect();
        config.listeners = vec![loopback(), Listener { authentication: Auto::Set(open), ..loopback() }];
    });
    let (good, bad) = (token(SECRET, &json!({})), token(OTHER, &json!({})));
    for (at, user_name, password, expected) in [
        (0, "anna", good.as_str(), 0),
        (0, "anna", &bad, 0x86),
        (0, "anna", "right", 0),
        (0, "anna", "wrong", 0x86),
        (1, "anna", &good, 0),
        (1, "anna", &bad, 0x86),
        (1, "anna", "wrong", 0),
    ] {
        assert_eq!(
            code(&running, at, Version::V5, user_name, password),
            expected,
            "{at} {user_name} {password}"
        );
    }
}

#[test]
fn the_connection_ends_when_its_token_ends() {
    let folder = TempDir::new().unwrap();
    let running = start(&folder, |_| {});
    let short = token(SECRET, &json!({"exp": now() + 2}));
    let mut five = running.connect(v5("five").keep_alive(0).password(&short));
    let mut three = running.connect(v311("three").keep_alive(0).user_name("").password(&short));
    let mut forever = running.connect(v5("forever").keep_alive(0).password(token(SECRET, &json!({}))));
    assert_eq!(five.farewell(), Some(0x87));
    assert!(three.is_closed());
    forever.ping();
    assert_eq!(running.count(Count::ProofEnded), 2);
    assert_eq!(code(&running, 0, Version::V5, "", &short), 0x86, "it lets nobody in any more");
}

#[test]
fn a_token_says_which_client_it_is_for() {
    let folder = TempDir::new().unwrap();
    let running = start(&folder, |config| config.tokens[0].client_id_claim = Some("client".to_owned()));
    let own = token(SECRET, &json!({"client": "pump"}));
    for (client_id, password, expected) in [
        ("pump", &own, 0),
        ("lamp", &own, 0x85),
        ("", &own, 0x85),
        ("pump", &token(SECRET, &json!({})), 0x86),
    ] {
        let connect = v5(client_id).password(password);
        assert_eq!(running.open(Version::V5).connect(connect).code, expected, "{client_id:?}");
    }
}

#[test]
fn rules_see_what_the_token_says() {
    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("access.toml");
    let text = "[groups]\noperators = []\n\
                [[rule]]\nallow = ['publish', 'subscribe']\ntopics = 'tenants/${tenant}/#'\n\
                [[rule]]\nallow = 'subscribe'\ntopics = 'alarms'\ngroups = 'operators'\n\
                [[rule]]\nallow = 'publish'\ntopics = 'users/%u'\n";
    fs::write(&rules, text).unwrap();
    let running = start(&folder, |config| {
        config.access.file = Some(rules);
        config.tokens[0].groups_claim = Some("roles".to_owned());
        config.tokens[0].subscribe_claim = Some("sub_topics".to_owned());
    });
    let connect =
        |client_id: &str, claims: Value| running.connect(v5(client_id).password(token(SECRET, &claims)));
    let mut acme = connect("a", json!({"tenant": "acme", "roles": ["operators"], "sub_topics": ["extra/+"]}));
    let mut evil = connect("b", json!({"tenant": "+", "roles": "guests operator"}));
    let puback = |client: &mut Client, topic: &str| {
        client.publish(publish(topic, "x").at(QoS1, 7));
        client.puback(7)
    };
    assert_eq!(puback(&mut acme, "tenants/acme/x"), 0x10, "nobody listens, and it may");
    assert_eq!(puback(&mut acme, "tenants/other/x"), 0x87);
    assert_eq!(puback(&mut acme, "users/alice"), 0x10);
    assert_eq!(puback(&mut evil, "tenants/acme/x"), 0x87);
}

#[test]
fn subscriptions_follow_from_rules_then_from_the_token() {
    let folder = TempDir::new().unwrap();
    let running = start(&folder, |config| {
        config.tokens[0].subscribe_claim = Some("subscribe".to_owned());
        config.tokens[0].publish_claim = Some("/mqtt/publish".to_owned());
    });
    // Without a file of rules those are bound whose token has a say in it: here everybody with a token.
    let claims = json!({"subscribe": ["news/#"], "mqtt": {"publish": "news/own"}});
    let mut client = running.connect(v5("c").password(token(SECRET, &claims)));
    client.subscribe("news/#", QoS0);
    client.say("news/own", "hello");
    assert_eq!(client.message().payload, b"hello");
    client.publish(publish("news/other", "x").at(QoS1, 9));
    assert_eq!(client.puback(9), 0x87);
    client.send(Packet::Subscribe(Subscribe::one(4, "#", QoS0)));
    let code = client.expect("SUBACK", |packet| match packet {
        Packet::SubAck(ack) => Some(ack.codes.clone()),
        _ => None,
    });
    assert_eq!(code, [0x87]);
}

/// A program whose configuration the test changes.
struct Program(Mutex<Config>);

impl Host for Program {
    fn config(&self) -> Result<Config, Problems> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn config_file(&self) -> Option<PathBuf> {
        Some("/etc/whimbrel.toml".into())
    }

    fn reopen_log(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_log_levels(&self, _: &Levels) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn issuers_come_and_change_and_go_at_a_reload_and_wrong_ones_change_nothing() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path());
    let path = table.secret_file.clone().unwrap();
    let program = Arc::new(Program(Mutex::new(config())));
    let broker = Broker::start_in(&program.config().unwrap(), program.clone()).unwrap();
    let reload = |change: &dyn Fn(&mut Config)| -> Reloaded {
        change(&mut program.0.lock().unwrap());
        ask(broker.control().reload("the test"))
    };
    let code = |secret: &[u8]| {
        let connect = v5("c").password(token(secret, &json!({})));
        Client::open(broker.addresses()[0], Version::V5).connect(connect).code
    };
    assert_eq!(code(OTHER), 0, "nobody is asked for anything");
    let taken = reload(&|config| config.tokens = vec![table.clone()]);
    assert_eq!((taken.tokens, taken.faults.len()), (Some(1), 0), "{:?}", taken.faults);
    assert!(taken.changed.iter().any(|change| change.key == "token[1].secret_file"), "{:?}", taken.changed);
    assert_eq!((code(SECRET), code(OTHER)), (0, 0x86));

    fs::write(&path, OTHER).unwrap();
    assert_eq!(reload(&|_| {}).tokens, Some(1));
    assert_eq!((code(SECRET), code(OTHER)), (0x86, 0));

    fs::write(&path, "short").unwrap();
    let refused = reload(&|_| {});
    let [fault] = &refused.faults[..] else { panic!("{:?}", refused.faults) };
    assert_eq!(fault.file.as_deref(), Some(path.as_path()));
    assert_eq!(fault.key.as_deref(), Some("token[1].secret_file"));
    assert!(fault.message.starts_with("the secret has 5 bytes"), "{fault}");
    assert_eq!(code(OTHER), 0);

    fs::write(&path, SECRET).unwrap();
    let granting = reload(&|config| config.tokens[0].publish_claim = Some("publish".to_owned()));
    assert!(granting.faults[0].message.contains("counts after a restart"), "{:?}", granting.faults);
    assert_eq!(code(OTHER), 0, "all of it stays as it was");
    broker.stop();
}

#[test]
fn a_broker_whose_keys_cannot_be_used_does_not_start() {
    let folder = TempDir::new().unwrap();
    let mut config = config();
    config.tokens = vec![table(folder.path())];
    fs::write(folder.path().join("secret"), "short").unwrap();
    let error = Broker::start(&config).err().unwrap().to_string();
    assert!(
        error.contains("secret: token[1].secret_file: the secret has 5 bytes; HS256 needs 32"),
        "{error}"
    );
}
