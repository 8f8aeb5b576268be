//! What an attacker says: malformed, too large, of another exchange, replayed, downgraded. Nobody gets in by it, and nothing
//! panics.

use std::sync::LazyLock;

use proptest::prelude::*;
use whimbrel_scram::{
    Challenge, Client, Fault, Hash, Keys, MESSAGE_BYTES_MAX, Opening, Proof, Verifier, VerifierFault,
};

const HASH: Hash = Hash::Sha256;

fn verifier() -> Verifier {
    static MADE: LazyLock<Verifier> = LazyLock::new(|| Verifier::create(HASH, b"pencil", &[7; 16], 4_096));
    MADE.clone()
}

/// What the server waits for, what it has asked, and the client that is asked.
fn asked(server_nonce: &str) -> (Challenge, String, Client) {
    let (client, first) = Client::new(HASH, "user", "client").unwrap();
    let (challenge, question) = Opening::read(first.as_bytes()).unwrap().challenge(verifier(), server_nonce);
    (challenge, question, client)
}

/// The right answer.
fn answer(client: Client, question: &str, password: &[u8]) -> (Proof, String) {
    let question = client.question(question.as_bytes()).unwrap();
    let keys = Keys::derive(HASH, password, &question.salt, question.iterations);
    question.answer(&keys)
}

fn check_first(message: &str, fault: Fault) {
    assert_eq!(Opening::read(message.as_bytes()).err(), Some(fault), "{message:?}");
}

#[test]
fn a_first_message_is_read_strictly() {
    for good in
        ["n,,n=u,r=x", "y,,n=u,r=x", "n,a=u,n=u,r=x", "n,,n=u,r=x,z=extension", "n,a=a=2Cb,n=a=2Cb,r=x"]
    {
        assert!(Opening::read(good.as_bytes()).is_ok(), "{good}");
    }
    for malformed in [
        "",
        "n",
        "n,",
        "n,,",
        ",,n=u,r=x",
        "x,,n=u,r=x",
        "nn,,n=u,r=x",
        "N,,n=u,r=x",
        "p=,,n=u,r=x",
        "n,,r=x,n=u",
        "n,,n=u",
        "n,,n=u,",
        "n,,n=,r=x",
        "n,,n=u,r=",
        "n,,n=u,r=a b",
        "n,,n=u,r=ä",
        "n,,u,r=x",
        "n,,n=a=b,r=x",
        "n,,n=a=2c,r=x",
        "n,,n=a=,r=x",
        "n,,n=u,r=x,",
        "n,,n=u,r=x,z",
        "n,,n=u,r=x,zz=1",
        "n,b=u,n=u,r=x",
        "n,a=,n=u,r=x",
        "n,,n=u\0,r=x",
        "n,,n=\u{7},r=x",
        "n,,n=\u{ad},r=x",
        " n,,n=u,r=x",
    ] {
        check_first(malformed, Fault::Malformed);
    }
    assert_eq!(Opening::read(b"n,,n=\xff,r=x").err(), Some(Fault::Malformed));
    check_first("p=tls-exporter,,n=u,r=x", Fault::ChannelBinding);
    check_first("p=tls-unique,,n=u,r=x", Fault::ChannelBinding);
    check_first("n,a=root,n=u,r=x", Fault::OtherIdentity);
    check_first("n,,m=x,n=u,r=x", Fault::Extension);
    check_first("n,,n=u,r=x,m=x", Fault::Extension);
    check_first(&format!("n,,n=u,r={}", "x".repeat(MESSAGE_BYTES_MAX)), Fault::TooLong);
}

#[test]
fn only_the_right_password_is_a_proof() {
    for password in [&b""[..], b"Pencil", b"pencil ", b"penci"] {
        let (challenge, question, client) = asked("server");
        let (_, last) = answer(client, &question, password);
        assert_eq!(challenge.judge(last.as_bytes()), Err(Fault::Proof), "{password:?}");
    }
}

#[test]
fn every_flipped_character_of_an_answer_makes_it_wrong() {
    let (challenge, question, client) = asked("server");
    let (_, last) = answer(client, &question, b"pencil");
    assert!(challenge.judge(last.as_bytes()).is_ok());
    for at in 0..last.len() {
        let mut bytes = last.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(challenge.judge(&bytes).is_err(), "at {at}");
    }
    for len in 0..last.len() {
        assert!(challenge.judge(&last.as_bytes()[..len]).is_err(), "{len} bytes of it");
    }
}

#[test]
fn an_answer_of_another_exchange_is_none() {
    let (first, question, client) = asked("server-1");
    let (_, recorded) = answer(client, &question, b"pencil");
    assert!(first.judge(recorded.as_bytes()).is_ok());
    let (second, ..) = asked("server-2");
    assert_eq!(second.judge(recorded.as_bytes()), Err(Fault::OtherExchange), "replayed");
    let moved = recorded.replace("server-1", "server-2");
    assert_eq!(second.judge(moved.as_bytes()), Err(Fault::Proof), "with the nonce of this one");
}

#[test]
fn the_header_of_the_first_message_cannot_be_changed_afterwards() {
    let (challenge, question, client) = asked("server");
    let (_, last) = answer(client, &question, b"pencil");
    // `y,,` in base64 instead of `n,,`.
    let other = last.replacen("c=biws", "c=eSws", 1);
    assert_eq!(challenge.judge(other.as_bytes()), Err(Fault::OtherExchange));
}

#[test]
fn a_last_message_is_read_strictly() {
    let (challenge, ..) = asked("server");
    for message in [
        "",
        "p=",
        "c=biws,r=clientserver",
        "c=biws,r=clientserver,p=",
        "c=biws,r=clientserver,p=####",
        "c=biws,r=clientserver,p=AAAA",
        "r=clientserver,c=biws,p=AAAA",
        "c=,r=clientserver,p=AAAA",
        "c=biws,p=AAAA",
        "c=biws,r=clientserver,p=AAAA,z=1",
    ] {
        assert_eq!(challenge.judge(message.as_bytes()), Err(Fault::Malformed), "{message}");
    }
    let long = format!("c=biws,r=clientserver,z={},p=AAAA", "x".repeat(MESSAGE_BYTES_MAX));
    assert_eq!(challenge.judge(long.as_bytes()), Err(Fault::TooLong));
    assert_eq!(challenge.judge(b"c=biws,r=clientserver,m=x,p=AAAA"), Err(Fault::Extension));
}

#[test]
fn a_client_answers_neither_too_few_iterations_nor_too_many() {
    for (iterations, fault) in [
        ("1", Some(Fault::Iterations(1))),
        ("4095", Some(Fault::Iterations(4_095))),
        ("4096", None),
        ("1000000", None),
        ("1000001", Some(Fault::Iterations(1_000_001))),
        ("99999999999999999999", Some(Fault::Iterations(u32::MAX))),
        ("0", Some(Fault::Malformed)),
        ("04096", Some(Fault::Malformed)),
        ("+4096", Some(Fault::Malformed)),
        ("", Some(Fault::Malformed)),
    ] {
        let (client, _) = Client::new(HASH, "user", "client").unwrap();
        let question = format!("r=clientserver,s=AAAAAAAAAAA=,i={iterations}");
        assert_eq!(client.question(question.as_bytes()).err(), fault, "{iterations}");
    }
}

#[test]
fn a_client_answers_no_question_of_another_exchange() {
    for (question, fault) in [
        ("r=server,s=AAAAAAAAAAA=,i=4096", Fault::OtherExchange),
        ("r=client,s=AAAAAAAAAAA=,i=4096", Fault::OtherExchange),
        ("r=clien,s=AAAAAAAAAAA=,i=4096", Fault::OtherExchange),
        ("s=AAAAAAAAAAA=,r=clientserver,i=4096", Fault::Malformed),
        ("r=clientserver,s=,i=4096", Fault::Malformed),
        ("r=clientserver,s=AAAA", Fault::Malformed),
        ("m=x,r=clientserver,s=AAAAAAAAAAA=,i=4096", Fault::Extension),
        ("e=other-error", Fault::Malformed),
        ("", Fault::Malformed),
    ] {
        let (client, _) = Client::new(HASH, "user", "client").unwrap();
        assert_eq!(client.question(question.as_bytes()).err(), Some(fault), "{question}");
    }
}

#[test]
fn a_server_that_knows_no_verifier_proves_nothing() {
    let (challenge, question, client) = asked("server");
    let (proof, last) = answer(client, &question, b"pencil");
    let right = challenge.judge(last.as_bytes()).unwrap();
    assert_eq!(proof.confirm(right.as_bytes()), Ok(()));
    for (wrong, fault) in [
        ("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", Fault::Server),
        ("v=AAAA", Fault::Server),
        ("e=invalid-proof", Fault::Proof),
        ("v=", Fault::Malformed),
        ("", Fault::Malformed),
    ] {
        assert_eq!(proof.confirm(wrong.as_bytes()), Err(fault), "{wrong}");
    }
}

#[test]
fn a_user_that_is_not_there_is_asked_the_same_each_time_and_never_let_in() {
    let made_up = |secret: &[u8], name: &str| Verifier::made_up(HASH, secret, name, 16, 4_096);
    assert_eq!(made_up(b"s", "nobody"), made_up(b"s", "nobody"));
    for other in [made_up(b"s", "somebody"), made_up(b"t", "nobody")] {
        assert_ne!(made_up(b"s", "nobody").to_string(), other.to_string());
    }
    let (client, first) = Client::new(HASH, "nobody", "client").unwrap();
    let verifier = made_up(b"s", "nobody");
    let (challenge, question) = Opening::read(first.as_bytes()).unwrap().challenge(verifier, "server");
    assert_eq!(question.len(), asked("server").1.len(), "its question looks like any other");
    let (_, last) = answer(client, &question, b"pencil");
    assert_eq!(challenge.judge(last.as_bytes()), Err(Fault::Proof));
}

#[test]
fn a_verifier_is_read_strictly() {
    let key = "A".repeat(43) + "=";
    let with = |rest: &str| format!("SCRAM-SHA-256${rest}");
    assert!(Verifier::parse(&with(&format!("4096:AAAAAAAAAAA=${key}:{key}"))).is_ok());
    for (text, fault) in [
        (String::new(), VerifierFault::Shape),
        ("SCRAM-SHA-256".into(), VerifierFault::Shape),
        ("SCRAM-SHA-1$4096:AAAA$A:A".into(), VerifierFault::Method),
        ("scram-sha-256$4096:AAAA$A:A".into(), VerifierFault::Method),
        (with("4096:AAAAAAAAAAA="), VerifierFault::Shape),
        (with(&format!("4096${key}:{key}")), VerifierFault::Shape),
        (with(&format!("4096:AAAAAAAAAAA=${key}")), VerifierFault::Shape),
        (with(&format!("4095:AAAAAAAAAAA=${key}:{key}")), VerifierFault::Iterations),
        (with(&format!("1000001:AAAAAAAAAAA=${key}:{key}")), VerifierFault::Iterations),
        (with(&format!("+5000:AAAAAAAAAAA=${key}:{key}")), VerifierFault::Iterations),
        (with(&format!(":AAAAAAAAAAA=${key}:{key}")), VerifierFault::Iterations),
        (with(&format!("4096:AAAA${key}:{key}")), VerifierFault::Salt),
        (with(&format!("4096:????${key}:{key}")), VerifierFault::Base64),
        (with(&format!("4096:AAAAAAAAAAA=$AAAA:{key}")), VerifierFault::Key),
        (with(&format!("4096:AAAAAAAAAAA=${key}:{key}:{key}")), VerifierFault::Base64),
    ] {
        assert_eq!(Verifier::parse(&text), Err(fault), "{text}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let (challenge, ..) = asked("server");
    let keys = Keys::derive(HASH, b"pencil", &[7; 16], 4_096);
    for printed in [format!("{challenge:?}"), format!("{:?}", verifier()), format!("{keys:?}")] {
        assert!(!printed.contains("key: ") && !printed.contains('['), "{printed}");
    }
}

proptest! {
    /// Whatever comes: a fault or a message, and nobody is let in.
    #[test]
    fn bytes_of_any_kind_let_nobody_in(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Opening::read(&bytes);
        let (challenge, _, client) = asked("server");
        prop_assert!(challenge.judge(&bytes).is_err());
        let _ = client.question(&bytes);
    }

    /// Near misses of the form find more than bytes at random.
    #[test]
    fn text_of_attributes_lets_nobody_in(text in "([ncrpsiavezmy]=?[A-Za-z0-9+/=,]{0,8},?){0,8}") {
        let (challenge, _, client) = asked("server");
        prop_assert!(challenge.judge(text.as_bytes()).is_err());
        let _ = client.question(text.as_bytes());
        let _ = (Opening::read(text.as_bytes()), Verifier::parse(&text));
    }
}
