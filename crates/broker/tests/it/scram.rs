//! SCRAM through a real broker: who gets in, who does not, and what they can tell from each other.

use std::{fs, io::Write};

use tempfile::NamedTempFile;
use whimbrel_broker::{
    auth::{
        Argon2id, SALT_BYTES,
        scram::{Hash, Verifier},
    },
    config::{Auto, Config, Listener, Method},
};
use whimbrel_engine::Count;
use whimbrel_testkit::{
    ConnAck, Connect, Disconnect, Packet, Property, Prover, QoS0, SCRAM, Version, auth_data, v5, v311,
};

use super::{
    client::Client,
    running::{Running, loopback, start_with},
};

struct Scram {
    running: Running,
    file: NamedTempFile,
}

/// anna has a verifier for SCRAM-SHA-256, ben one for SCRAM-SHA-512, carl only a password; a refusal comes at once.
fn scram(change: impl FnOnce(&mut Config)) -> Scram {
    let mut file = NamedTempFile::new().unwrap();
    let verifier = |hash| Verifier::create(hash, b"right", &[7; 16], 4_096);
    let (anna, ben) = (verifier(Hash::Sha256), verifier(Hash::Sha512));
    writeln!(file, "anna:{anna}\nben:{ben}\ncarl:{}", Argon2id::create(b"right", [7; SALT_BYTES])).unwrap();
    let running = start_with(|config| {
        config.worker.threads = Auto::Set(1);
        config.authentication.password_file = Some(file.path().into());
        config.guard.refusal_millis = 0;
        config.listeners =
            vec![loopback(), Listener { authentication: Auto::Set(Method::Anonymous.into()), ..loopback() }];
        change(config);
    });
    Scram { running, file }
}

impl Scram {
    /// A client that was asked, and what it was asked.
    #[track_caller]
    fn asked(&self, prover: &Prover) -> (Client, Disconnect) {
        let mut client = self.running.open(Version::V5);
        client.send(connect(prover, v5("c")));
        let question = auth(&mut client);
        assert_eq!(question.code, 0x18);
        (client, question)
    }

    /// What becomes of this user with this password.
    #[track_caller]
    fn login(&self, user: &str, password: &str) -> (Client, Prover, ConnAck) {
        let mut prover = Prover::new(user, password, "client");
        let (mut client, question) = self.asked(&prover);
        client.send(prover.prove(&question));
        let ack = client.connack();
        (client, prover, ack)
    }
}

fn connect(prover: &Prover, connect: Connect) -> Packet {
    Packet::Connect(Box::new(prover.connect(connect)))
}

#[track_caller]
fn auth(client: &mut Client) -> Disconnect {
    client.expect("AUTH", |packet| if let Packet::Auth(auth) = packet { Some(auth.clone()) } else { None })
}

fn with_method(method: &str, data: Option<&[u8]>) -> Connect {
    let connect = v5("c").with(Property::AuthenticationMethod(method.into()));
    match data {
        Some(data) => connect.with(Property::AuthenticationData(data.to_vec())),
        None => connect,
    }
}

/// What the server asks, without what is new each time.
fn shape(question: &Disconnect) -> String {
    let text = String::from_utf8(auth_data(&question.properties).unwrap()).unwrap();
    text.split_once(',').unwrap().1.to_owned()
}

#[test]
fn the_right_proof_lets_in_and_the_server_proves_itself() {
    let scram = scram(|_| {});
    let (mut client, prover, ack) = scram.login("anna", "right");
    assert_eq!((ack.code, auth_data(&ack.properties)), (0, Some(prover.expected())));
    client.ping();
    for (user, password) in [("anna", "wrong"), ("nobody", "right"), ("ben", "right"), ("carl", "right")] {
        let (mut client, _, ack) = scram.login(user, password);
        assert_eq!(ack.code, 0x86, "{user} {password}");
        assert!(client.is_closed());
    }
}

#[test]
fn a_verifier_is_good_for_a_password_too() {
    let scram = scram(|_| {});
    for (user, password, code) in [("anna", "right", 0), ("ben", "right", 0), ("anna", "wrong", 4)] {
        let answer = scram.running.open(Version::V311).connect(v311("c").user_name(user).password(password));
        assert_eq!(answer.code, code, "{user} {password}");
    }
}

#[test]
fn what_is_not_offered_is_refused_by_its_name() {
    let scram = scram(|_| {});
    for method in ["SCRAM-SHA-1", "scram-sha-256", "PLAIN", ""] {
        let ack = scram.running.open(Version::V5).connect(with_method(method, Some(b"n,,n=anna,r=x")));
        assert_eq!(ack.code, 0x8C, "{method}");
    }
    // A listener that asks nobody for anything knows no method.
    let mut client = Client::open(scram.running.addresses[1], Version::V5);
    assert_eq!(client.connect(with_method(SCRAM, Some(b"n,,n=anna,r=x"))).code, 0x8C);
}

#[test]
fn an_unknown_user_is_asked_like_a_known_one_and_the_same_each_time() {
    let scram = scram(|_| {});
    let question = |user: &str| shape(&scram.asked(&Prover::new(user, "", "client")).1);
    let (anna, carl, nobody) = (question("anna"), question("carl"), question("nobody"));
    assert_eq!([&anna, &carl, &nobody].map(|text| text.len()), [anna.len(); 3]);
    for text in [&anna, &carl, &nobody] {
        assert!(text.starts_with("s=") && text.ends_with(",i=4096"), "{text}");
    }
    assert_eq!((question("carl"), question("nobody")), (carl.clone(), nobody.clone()));
    assert!(carl != nobody, "each has a salt of its own");
    let other = |user: &str| {
        let mut client = scram.running.open(Version::V5);
        let first = format!("n,,n={user},r=client");
        client.send(Packet::Connect(Box::new(with_method("SCRAM-SHA-512", Some(first.as_bytes())))));
        shape(&auth(&mut client))
    };
    assert_eq!(
        other("anna").len(),
        other("ben").len(),
        "whose verifier is of the other hash is like an unknown one"
    );
}

#[test]
fn garbage_and_wrong_order_let_nobody_in() {
    let scram = scram(|_| {});
    let long = vec![b'x'; 60_000];
    for first in
        [&b"n,,n=,r=x"[..], b"p=tls-exporter,,n=anna,r=x", b"n,a=root,n=anna,r=x", b"\xff", b"", &long]
    {
        let ack = scram.running.open(Version::V5).connect(with_method(SCRAM, Some(first)));
        assert_eq!(ack.code, 0x87, "{:?}", String::from_utf8_lossy(first));
    }
    for last in [&b""[..], b"c=biws,r=client,p=AAAA", b"n,,n=anna,r=x", b"\xff", &long] {
        let (mut client, _) = scram.asked(&Prover::new("anna", "right", "client"));
        let method = Property::AuthenticationMethod(SCRAM.into());
        let answer = Disconnect::new(0x18).with(method).with(Property::AuthenticationData(last.to_vec()));
        client.send(Packet::Auth(answer));
        assert!(client.connack().code >= 0x80, "{:?}", String::from_utf8_lossy(last));
        assert!(client.is_closed());
    }
}

#[test]
fn a_recorded_answer_is_good_for_its_exchange_alone() {
    let scram = scram(|_| {});
    let mut prover = Prover::new("anna", "right", "client");
    let (mut client, question) = scram.asked(&prover);
    let answer = prover.prove(&question);
    client.send(answer.clone());
    assert_eq!(client.connack().code, 0);
    let (mut thief, _) = scram.asked(&prover);
    thief.send(answer);
    assert_eq!(thief.connack().code, 0x87);
}

#[test]
fn a_client_without_first_data_is_asked_to_begin() {
    let scram = scram(|_| {});
    let mut client = scram.running.open(Version::V5);
    client.send(Packet::Connect(Box::new(with_method(SCRAM, None))));
    assert_eq!(auth_data(&auth(&mut client).properties), Some(Vec::new()));
    let mut prover = Prover::new("anna", "right", "client");
    let method = Property::AuthenticationMethod(SCRAM.into());
    let first = Disconnect::new(0x18).with(method).with(Property::AuthenticationData(prover.first()));
    client.send(Packet::Auth(first));
    let question = auth(&mut client);
    client.send(prover.prove(&question));
    assert_eq!(client.connack().code, 0);
}

#[test]
fn the_user_name_of_connect_is_the_one_that_was_proved_or_none() {
    let scram = scram(|_| {});
    for (named, code) in [("anna", 0), ("ben", 0x87)] {
        let mut prover = Prover::new("anna", "right", "client");
        let mut client = scram.running.open(Version::V5);
        client.send(connect(&prover, v5("c").user_name(named).password("not looked at")));
        let question = auth(&mut client);
        client.send(prover.prove(&question));
        assert_eq!(client.connack().code, code, "{named}");
    }
}

#[test]
fn a_client_authenticates_again_as_the_same_user_and_as_no_other() {
    let mut carla = Vec::new();
    let scram = scram(|_| {});
    carla.extend_from_slice(&fs::read(scram.file.path()).unwrap());
    let verifier = Verifier::create(Hash::Sha256, b"other", &[8; 16], 4_096);
    writeln!(carla, "dora:{verifier}").unwrap();
    fs::write(scram.file.path(), carla).unwrap();
    super::control::ask(scram.running.broker().control().reload("the test"));

    let (mut client, mut prover, _) = scram.login("anna", "right");
    client.subscribe("t", QoS0);
    for _ in 0..3 {
        client.send(prover.again());
        let question = auth(&mut client);
        client.say("t", "meanwhile");
        assert_eq!(client.message().payload, b"meanwhile");
        client.send(prover.prove(&question));
        let done = auth(&mut client);
        assert_eq!((done.code, auth_data(&done.properties)), (0, Some(prover.expected())));
    }
    let mut other = Prover::new("dora", "other", "client");
    client.send(other.again());
    let question = auth(&mut client);
    client.send(other.prove(&question));
    assert_eq!(client.farewell(), Some(0x87));
}

#[test]
fn a_flood_of_auth_costs_one_answer_each_and_ends_with_the_first_that_is_out_of_turn() {
    let scram = scram(|_| {});
    let (mut client, prover, _) = scram.login("anna", "right");
    let mut flood = Vec::new();
    for _ in 0..1_000 {
        flood.extend(prover.again().encode(Version::V5));
    }
    client.send_bytes(&flood);
    assert_eq!(client.farewell(), Some(0x82));
}

#[test]
fn guesses_by_scram_are_counted_like_guesses_of_passwords() {
    let scram = scram(|config| config.guard.tries_user_at_address = 3);
    for _ in 0..3 {
        assert_eq!(scram.login("anna", "wrong").2.code, 0x86);
    }
    assert_eq!(scram.login("anna", "right").2.code, 0x86, "nobody looks at it any more");
    assert_eq!(scram.running.count(Count::LoginsUserAtAddress), 1);
    assert_eq!(scram.running.count(Count::LoginsWrong), 3);
}
