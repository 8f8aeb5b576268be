//! The file of rules at a running broker: read at the start, at a reload and when it changes; never half.

use std::{fs, io::Write as _, path::PathBuf};

use tempfile::TempDir;
use whimbrel_broker::{
    Broker,
    access::{Kind, RulesError, RulesFile},
    auth::Argon2id,
    config::{Auto, Listener, Method},
    control::{Action, Refusal},
};
use whimbrel_engine::Count;
use whimbrel_testkit::{Packet, QoS, Subscribe, publish, v5, v311};

use super::{
    control::ask,
    running::{self, Running, loopback, start_with},
};

const READ_A: &str = "[[rule]]\nallow = [\"publish\", \"subscribe\"]\ntopics = \"a/#\"\n";
const READ_B: &str = "[[rule]]\nallow = [\"publish\", \"subscribe\"]\ntopics = \"b/#\"\n";

struct Site {
    folder: TempDir,
    running: Option<Running>,
}

impl Site {
    fn new(rules: &str) -> Site {
        let folder = TempDir::new().unwrap();
        let mut site = Site { folder, running: None };
        fs::write(site.rules(), rules).unwrap();
        let path = site.rules();
        site.running = Some(start_with(|config| config.access.file = Some(path)));
        site
    }

    fn rules(&self) -> PathBuf {
        self.folder.path().join("access.toml")
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }
}

/// The codes of SUBACK.
fn asked(client: &mut super::client::Client, filter: &str) -> Vec<u8> {
    client.send(Packet::Subscribe(Subscribe::one(7, filter, QoS::QoS0)));
    client.expect("SUBACK", |packet| match packet {
        Packet::SubAck(ack) => Some(ack.codes.clone()),
        _ => None,
    })
}

#[test]
fn what_no_rule_allows_is_denied_and_counted() {
    let site = Site::new(READ_A);
    let running = site.running();
    let mut client = running.connect(v5("c"));
    assert_eq!(asked(&mut client, "a/#"), [0]);
    assert_eq!(asked(&mut client, "b"), [0x87]);
    client.say("b", "1");
    client.say("a/1", "2");
    assert_eq!(&client.message().payload[..], b"2");
    assert_eq!((running.count(Count::DeniedPublish), running.count(Count::DeniedSubscribe)), (1, 1));
    let drops = ask(running.broker().control().client("c")).unwrap().dropped_messages;
    assert_eq!(drops.get("denied_publish"), Some(&1));
}

#[test]
fn the_door_tells_the_line_that_decides_for_a_client_that_is_here() {
    let site = Site::new(READ_A);
    let control = site.running().broker().control();
    let _client = site.running().connect(v5("c"));
    let allowed = ask(control.why("c", Action::Publish, "a/1", (1, false))).unwrap();
    assert_eq!((allowed.allowed, allowed.line, allowed.user.as_deref()), (true, Some(1), None));
    assert_eq!(allowed.address.as_deref(), Some("127.0.0.1"));
    let denied = ask(control.why("c", Action::Subscribe, "#", (0, false))).unwrap();
    assert_eq!((denied.allowed, denied.partly, denied.line), (false, true, Some(1)));
    let refused = ask(control.why("nobody", Action::Publish, "a", (0, false))).unwrap_err();
    assert_eq!(refused, Refusal::NoSuchClient { client_id: "nobody".to_owned() });
    let refused = ask(control.why("c", Action::Publish, "a/#", (0, false))).unwrap_err();
    assert!(matches!(refused, Refusal::NoRequest { .. }));
    let open = running::start();
    let refused = ask(open.broker().control().why("c", Action::Publish, "a", (0, false))).unwrap_err();
    assert_eq!(refused, Refusal::NoRules);
}

#[test]
fn a_reload_puts_new_rules_in_force_for_those_who_are_connected() {
    let site = Site::new(READ_A);
    let running = site.running();
    let mut client = running.connect(v5("c"));
    assert_eq!(asked(&mut client, "a/#"), [0]);
    fs::write(site.rules(), READ_B).unwrap();
    let reloaded = ask(running.broker().control().reload("a test"));
    // The watch may have been first.
    assert_eq!((reloaded.rules, reloaded.faults), (Some(1), vec![]));
    running.wait_until("the subscription ends", |engine| engine.subscriptions() == 0);
    assert_eq!(asked(&mut client, "a/#"), [0x87]);
    assert_eq!(asked(&mut client, "b/#"), [0]);
    client.say("b/1", "1");
    assert_eq!(&client.message().payload[..], b"1");
}

/// To open a pipe or to read a device could take for ever.
#[test]
fn what_is_no_regular_file_is_not_opened() {
    let site = Site::new(READ_A);
    let kind = Kind::Rules;
    for path in [site.folder.path().to_owned(), PathBuf::from("/dev/zero")] {
        let error = RulesFile { path, kind }.read().unwrap_err();
        assert!(matches!(error, RulesError::NotAFile { .. }), "{error}");
    }
    fs::remove_file(site.rules()).unwrap();
    std::os::unix::fs::symlink("/dev/zero", site.rules()).unwrap();
    let reloaded = ask(site.running().broker().control().reload("a test"));
    assert_eq!(reloaded.rules, None);
    let told = |fault: &whimbrel_broker::control::Fault| fault.message.contains("is not a regular file");
    assert!(reloaded.faults.iter().any(told), "{:?}", reloaded.faults);
    let mut client = site.running().connect(v5("c"));
    assert_eq!((asked(&mut client, "a"), asked(&mut client, "b")), (vec![0], vec![0x87]));
}

#[test]
fn a_file_that_is_half_written_changes_nothing_and_is_told_with_its_line() {
    let site = Site::new(READ_A);
    let running = site.running();
    let mut client = running.connect(v5("c"));
    assert_eq!(asked(&mut client, "a/#"), [0]);
    for (half, line) in [("[[rule]]\nallow = \"publish\ntopics", 2), ("[[rule]]\ndeny = \"publish\"\n", 1)] {
        fs::write(site.rules(), half).unwrap();
        let reloaded = ask(running.broker().control().reload("a test"));
        assert_eq!(reloaded.rules, None);
        assert!(reloaded.faults.iter().any(|fault| fault.line == Some(line)), "{:?}", reloaded.faults);
        assert!(reloaded.faults.iter().all(|fault| fault.file.as_deref() == Some(&site.rules())));
        client.say("a/1", half);
        assert_eq!(&client.message().payload[..], half.as_bytes());
    }
    fs::remove_file(site.rules()).unwrap();
    let reloaded = ask(running.broker().control().reload("a test"));
    assert_eq!((reloaded.rules, reloaded.faults.len()), (None, 1));
    client.say("a/1", "as before");
    assert_eq!(&client.message().payload[..], b"as before");
}

#[test]
fn a_file_that_changes_is_read_without_a_word() {
    let site = Site::new(READ_A);
    let running = site.running();
    let mut client = running.connect(v5("c"));
    assert_eq!(asked(&mut client, "a/#"), [0]);
    // As an editor does it: another file under the same name.
    let other = site.folder.path().join("new");
    fs::write(&other, READ_B).unwrap();
    fs::rename(&other, site.rules()).unwrap();
    running.wait_until("the subscription ends", |engine| engine.subscriptions() == 0);
    assert_eq!(asked(&mut client, "b/#"), [0]);
}

#[test]
fn a_broker_whose_rules_are_wrong_does_not_start() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("access.toml");
    let error = |text: Option<&str>| {
        text.iter().for_each(|text| fs::write(&path, text).unwrap());
        let mut config = running::config();
        config.access.file = Some(path.clone());
        Broker::start(&config).err().unwrap().to_string()
    };
    assert!(error(None).contains("cannot be read"), "{}", error(None));
    let told = error(Some("[[rule]]\nallow = \"write\"\ntopics = \"a\"\n"));
    assert!(told.ends_with("access.toml:2:9: rule.allow: \"write\" is not allowed here; allowed is \"publish\" or \"subscribe\""), "{told}");
}

#[test]
fn a_rule_is_about_the_user_that_was_proved_and_the_listener() {
    let folder = TempDir::new().unwrap();
    let (rules, passwords) = (folder.path().join("access.toml"), folder.path().join("passwords"));
    let hash = Argon2id::create(b"right", [7; whimbrel_broker::auth::SALT_BYTES]);
    writeln!(fs::File::create(&passwords).unwrap(), "anna:{hash}").unwrap();
    let text = "\
[groups]
house = \"anna\"

[[rule]]
allow = [\"publish\", \"subscribe\"]
topics = \"home/%u/#\"
groups = \"house\"

[[rule]]
allow = \"subscribe\"
topics = \"news\"
anonymous = true
listeners = \"open\"
addresses = \"127.0.0.0/8\"
";
    fs::write(&rules, text).unwrap();
    let running = start_with(|config| {
        config.access.file = Some(rules);
        config.authentication.password_file = Some(passwords);
        let open = Listener {
            name: Some("open".to_owned()),
            authentication: Auto::Set(Method::Anonymous.into()),
            ..loopback()
        };
        config.listeners = vec![loopback(), open];
    });
    let mut anna = running.connect(v5("c").user_name("anna").password("right"));
    assert_eq!(
        ["home/anna/#", "home/bob/#", "news"].map(|filter| asked(&mut anna, filter)[0]),
        [0, 0x87, 0x87]
    );
    // Where nobody proves a name, none counts.
    let mut open = super::client::Client::open(running.addresses[1], whimbrel_testkit::Version::V311);
    assert_eq!(open.connect(v311("d").user_name("anna").password("wrong")).code, 0);
    assert_eq!(["home/anna/#", "news"].map(|filter| asked(&mut open, filter)[0]), [0x80, 0]);
    let mut thief = super::client::Client::open(running.addresses[1], whimbrel_testkit::Version::V5);
    assert_eq!(thief.connect(v5("c")).code, 0x87, "the session is anna's");
}

#[test]
fn mosquittos_files_are_read_as_they_are() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("acl");
    fs::write(&path, "topic read news/#\npattern readwrite devices/%c/#\n").unwrap();
    let acl = path.clone();
    let running = start_with(|config| config.access.mosquitto_acl_file = Some(acl));
    let mut client = running.connect(v5("c"));
    assert_eq!(asked(&mut client, "#"), [0], "as with Mosquitto; each message is looked at");
    for topic in ["news/1", "devices/d/1", "devices/c/1"] {
        client.say(topic, topic);
    }
    assert_eq!(client.message().topic, "devices/c/1");
    assert_eq!(running.count(Count::DeniedPublish), 2);
    drop(running);

    let json = r#"{"defaultACLAccess":{"publishClientSend":false,"publishClientReceive":true,"subscribe":true},
        "roles":[{"rolename":"r","acls":[{"acltype":"publishClientSend","topic":"a/#","allow":true,"priority":0}]}],
        "groups":[{"groupname":"guests","roles":[{"rolename":"r"}],"clients":[]}],"anonymousGroup":"guests"}"#;
    fs::write(&path, json).unwrap();
    let running = start_with(|config| config.access.mosquitto_dynamic_security_file = Some(path));
    let mut client = running.connect(v5("c"));
    assert_eq!(asked(&mut client, "#"), [0]);
    client.say("b", "1");
    client.say("a/1", "2");
    assert_eq!(client.message().topic, "a/1");
}

#[test]
fn a_denied_client_of_five_is_told_and_one_of_three_goes_where_it_is_configured() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("access.toml");
    fs::write(&path, READ_A).unwrap();
    let running = start_with(|config| {
        config.access.file = Some(path);
        config.access.denied_publish = whimbrel_broker::config::DeniedPublish::Disconnect;
    });
    let mut five = running.connect(v5("five"));
    five.publish(publish("b", "1").at(QoS::QoS1, 1));
    assert_eq!(five.puback(1), 0x87);
    five.say("b", "at QoS 0");
    assert_eq!(five.farewell(), Some(0x87));
    let mut three = running.connect(v311("three"));
    three.publish(publish("b", "1").at(QoS::QoS1, 1));
    assert!(three.is_closed());
}
