//! Both sides against values that others have made: RFC 7677's exchange, the same with SHA-512 as Python's `hashlib` computes
//! it, and the examples of RFC 4013.

use whimbrel_scram::{Client, Hash, Keys, Opening, Unprepared, Verifier, prepare};

const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

/// Of one hash: the verifier, the last message of the client, and that of the server.
const KNOWN: [(Hash, &str, &str, &str); 2] = [
    (
        Hash::Sha256,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
    (
        Hash::Sha512,
        "SCRAM-SHA-512$4096:W22ZaJ0SNY7soEsUEjb6gQ==$6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8QaCXNc1FwpnX9NhH2hK/60dzj9DoO5DvVkOHbvg==:jZHbYjC1aHh0/hKbxyBuGFjDrgjgKTT1esA7awWiKcRZ0o/0b1yWEebBeSVkkCFewf91nLDfKF24mvD5nmE6rA==",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
        "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
    ),
];

#[test]
fn a_client_says_what_the_rfc_has_it_say() {
    for (hash, _, client_final, server_final) in KNOWN {
        let (client, first) = Client::new(hash, "user", CLIENT_NONCE).unwrap();
        assert_eq!(first, CLIENT_FIRST);
        let question = client.question(SERVER_FIRST.as_bytes()).unwrap();
        let keys = Keys::derive(hash, b"pencil", &question.salt, question.iterations);
        let (proof, last) = question.answer(&keys);
        assert_eq!(last, client_final);
        assert_eq!(proof.confirm(server_final.as_bytes()), Ok(()));
    }
}

#[test]
fn a_server_says_what_the_rfc_has_it_say() {
    for (_, verifier, client_final, server_final) in KNOWN {
        let verifier = Verifier::parse(verifier).unwrap();
        let opening = Opening::read(CLIENT_FIRST.as_bytes()).unwrap();
        assert_eq!(opening.user_name(), "user");
        let (challenge, asked) = opening.challenge(verifier, SERVER_NONCE);
        assert_eq!(asked, SERVER_FIRST);
        assert_eq!(challenge.judge(client_final.as_bytes()).as_deref(), Ok(server_final));
    }
}

#[test]
fn a_verifier_is_made_of_a_password_and_read_back() {
    let salt: Vec<u8> =
        vec![0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81];
    for (hash, text, ..) in KNOWN {
        let made = Verifier::create(hash, b"pencil", &salt, 4_096);
        assert_eq!(made.to_string(), text);
        let read = Verifier::parse(text).unwrap();
        assert_eq!(read, made);
        assert!(read.verify(b"pencil"));
        assert!(!read.verify(b"pencils"));
    }
}

#[test]
fn the_examples_of_rfc_4013() {
    for (text, prepared) in [
        ("I\u{ad}X", Ok("IX")),
        ("user", Ok("user")),
        ("USER", Ok("USER")),
        ("\u{aa}", Ok("a")),
        ("\u{2168}", Ok("IX")),
        ("\u{7}", Err(Unprepared)),
        ("\u{627}\u{31}", Err(Unprepared)),
    ] {
        assert_eq!(prepare(text).as_deref(), prepared.as_deref(), "{text:?}");
    }
}

#[test]
fn a_password_is_the_same_however_it_is_typed() {
    let verifier = Verifier::create(Hash::Sha256, "I\u{ad}X".as_bytes(), &[7; 16], 4_096);
    assert!(verifier.verify(b"IX") && verifier.verify("\u{2168}".as_bytes()));
    // What has no prepared form, or is no text, is taken as it is.
    for bytes in [&b"\x07"[..], b"\xff\xfe"] {
        assert!(Verifier::create(Hash::Sha256, bytes, &[7; 16], 4_096).verify(bytes));
    }
}

#[test]
fn a_name_with_a_comma_and_an_equals_sign_arrives() {
    let (_, first) = Client::new(Hash::Sha256, "a,b=c", CLIENT_NONCE).unwrap();
    assert_eq!(first, "n,,n=a=2Cb=3Dc,r=rOprNGfwEbeRWgbNEkqO");
    assert_eq!(Opening::read(first.as_bytes()).unwrap().user_name(), "a,b=c");
}
