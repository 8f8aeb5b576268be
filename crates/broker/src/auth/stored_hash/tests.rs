//! The three formats against values that other programs made, and every way for a hash to be malformed.

use super::{Argon2id, HashFault, Scratch, StoredHash};

/// A password and its stored hash, by `mosquitto_passwd` 2.0.11, by Python's `hashlib` (salts of 64 bytes) and by Python's
/// `cryptography` (Argon2id).
const KNOWN: [(&[u8], &str); 13] = [
    (
        b"open sesame",
        "$7$101$UWcdaga1Wq91wxLZ$AjDlRtBHeJjN6TnkUcpp8XzpM9moaI4bxDskO1OovV2Ox6xymyg8OARTDhXzT7LhTC7Y2Bk8n6uNXQZmtyO0cA==",
    ),
    (
        b"open sesame",
        "$7$1$Cr5/At6by/DuF9Wh$/yO5+ENtwEV9MyJnTmb0MCfIdmkLzSV1TdyyOzxJKHSi2mffr+FBQH7MfoRaG/d4U88LbaJj3yR98aepTlzc3A==",
    ),
    (
        "ünï cødé".as_bytes(),
        "$7$1000$U+y2HmeRtL79nTOK$9Z5rXM7COnrtfCmi/XEx1OwXGsjHl4nly2Rs9Wkv7VI+f59oFuDAkN3O9vCeXfux15FWy9+U17uxgIQCbgPs1w==",
    ),
    (
        b"open sesame",
        "$6$Uzd/uJy2pHJGirAA$/pOF/IZTPcpFzGjRU0+7yhOh0wi5/+Q8hv6neCg6/npbWTO+TRY2LjRE4s2DQiR51Ac8AU5Eq4tw8a1p1D6QCw==",
    ),
    (
        "ünï cødé".as_bytes(),
        "$6$dgnZ/fDQ/0crKCKy$qM9ZWsqfQFPA566hR+iMHN2f9NGXJ1A2wGIrHdMC1J5SH+4g30sknxBKt+6VqHuluMEo1cm5jPn9CD5+D2TtGA==",
    ),
    (
        b"",
        "$6$diYB6BfiBP/R1cI+$Dr7eg5Q0Z5lLcxLG/arjwrtdVMOAXhsqN0BW2Spo4BmnkgpnKSD5/JyDWa8o+2TFNy1HJ0pQ8qm6GnudUwhnAA==",
    ),
    (
        b"open sesame",
        "$argon2id$v=19$m=19456,t=2,p=1$d2hpbWJyZWwtc2FsdC0wMQ$teABUc2TLgGDeLTPKNaRPHwkcuZFc4znhhbZ0KtWmBc",
    ),
    // What Mosquitto 2.1 writes has these parameters and lengths.
    (
        b"open sesame",
        "$argon2id$v=19$m=47104,t=1,p=1$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw$ot8p2GVhtlq+3+5kZ3XVWO6sR/Hb1b40RpHtei9ojQV9VAjKBsJ/DFyC+V9GddhbmetjfpYq0ID7wyfA1STyxw",
    ),
    ("ünï cødé".as_bytes(), "$argon2id$v=19$m=64,t=3,p=4$OGJ5dGVzISE$CrBhrADzeoijAVJVE59azNk9QZVldWNF"),
    (
        b"open sesame",
        "$argon2id$v=19$m=8,t=1,p=1$YSB0aW55IHRlc3Qgc2FsdA$OdwmiDkOf7gqKOUoKTEOHniv7XLlNaJmeCLmZjysAPo",
    ),
    (b"\0\xff:\n", "$argon2id$v=19$m=8,t=1,p=1$YSB0aW55IHRlc3Qgc2FsdA$otu8EiTv1NocL5pOtmeQ8A"),
    // Salts as long as those of the files that FlashMQ is tested with; its format is Mosquitto's.
    (
        b"open sesame",
        "$7$101$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==$1REUSdwk6JXV1LOu8dJuOoG/AiQsDFBnf4SCJjKywHKOozQavKTTDdzxZspM++AscS6qYNMqjhrGGakj2HIzzw==",
    ),
    (
        b"open sesame",
        "$6$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==$/dp3vr4c3wRylf4joBRMKtevGV18BpUW+zAkmYApRG7Pg8JdRZiq+xxoYAZP5fB3OTko6+sGABH4yD1R/GdNOQ==",
    ),
];

#[test]
fn hashes_made_by_other_programs_verify_with_their_password_alone() {
    // One memory for all of them: what one verification leaves in it must not reach the next.
    let mut scratch = Scratch::default();
    for (password, text) in KNOWN {
        let hash = StoredHash::parse(text).unwrap();
        assert!(hash.verify(password, &mut scratch), "{text}");
        let longer = [password, b"x"].concat();
        for wrong in [&b"Open sesame"[..], b"open sesame ", b"x", &longer] {
            assert!(!hash.verify(wrong, &mut scratch), "{text} {wrong:?}");
        }
    }
}

#[test]
fn a_new_hash_is_read_back_and_verifies() {
    let created = Argon2id::create(b"open sesame", *b"whimbrel-salt-01");
    let text = created.to_string();
    assert_eq!(Some(text.as_str()), KNOWN.get(6).map(|(_, text)| *text));
    let read = StoredHash::parse(&text).unwrap();
    assert_eq!(read, StoredHash::Argon2id(created));
    assert!(!read.verify(b"open sesam", &mut Scratch::default()));
}

#[test]
fn another_salt_makes_another_hash() {
    let made = [[1; 16], [2; 16]].map(|salt| Argon2id::create(b"open sesame", salt).to_string());
    assert_ne!(made[0], made[1]);
}

#[test]
fn one_flipped_bit_of_a_hash_is_another_hash() {
    for (password, text) in KNOWN {
        // The last `$` ends the salt; the character behind it carries six bits of the hash.
        let at = text.rfind('$').unwrap() + 1;
        let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
        let mut changed = text.to_owned();
        changed.replace_range(at..=at, other);
        let hash = StoredHash::parse(&changed).unwrap();
        assert!(!hash.verify(password, &mut Scratch::default()), "{changed}");
    }
}

fn check(text: &str, expected: HashFault) {
    assert_eq!(StoredHash::parse(text), Err(expected), "{text:?}");
}

#[test]
fn what_is_no_hash_is_told_apart_from_a_hash_that_is_not_read() {
    for plain in ["hunter2", "", "6$a$b", " $6$a$b", "hunter2$"] {
        check(plain, HashFault::PlainText);
    }
    let foreign = [
        "$",
        "$$",
        "$6",
        "$1$salt$hash",
        "$5$salt$hash",
        "$2b$12$abcdefgh",
        "$argon2i$v=19$m=8,t=1,p=1$a$b",
        "$argon2d$v=19$m=8,t=1,p=1$a$b",
        "$ARGON2ID$v=19$m=8,t=1,p=1$a$b",
        "$pbkdf2-sha512$101$a$b",
        "$07$1$a$b",
    ];
    for foreign in foreign {
        check(foreign, HashFault::UnknownFormat);
    }
}

/// Parts of well-formed hashes, to be put together wrongly.
const SALT: &str = "UWcdaga1Wq91wxLZ";
const SHA512: &str =
    "AjDlRtBHeJjN6TnkUcpp8XzpM9moaI4bxDskO1OovV2Ox6xymyg8OARTDhXzT7LhTC7Y2Bk8n6uNXQZmtyO0cA==";
const ARGON2: &str = "OdwmiDkOf7gqKOUoKTEOHniv7XLlNaJmeCLmZjysAPo";

#[test]
fn mosquittos_hashes_are_read_strictly() {
    let iterations = |text: &str| format!("$7${text}${SALT}${SHA512}");
    let out_of_bounds = HashFault::OutOfBounds { name: "number of iterations", min: 1, max: 1_000_000 };
    assert!(StoredHash::parse(&iterations("1000000")).is_ok());
    for text in ["0", "1000001", "4294967296", "99999999999999999999"] {
        check(&iterations(text), out_of_bounds);
    }
    for text in ["", "-1", "+1", " 1", "01", "1e3", "x", "١"] {
        check(&iterations(text), HashFault::Number { name: "number of iterations" });
    }

    let shape = HashFault::Shape { expected: "$7$iterations$salt$hash" };
    for text in [format!("$7$101${SALT}"), format!("$7$101${SALT}${SHA512}$"), "$7$".into()] {
        check(&text, shape);
    }
    let shape =
        HashFault::Shape { expected: "Mosquitto's $6$salt$hash, which is not the $6$ of /etc/shadow" };
    check(&format!("$6$rounds=5000${SALT}${SHA512}"), shape);
    check(&format!("$6${SHA512}"), shape);

    for format in ["6", "7$101"] {
        let with = |salt: &str, hash: &str| format!("${format}${salt}${hash}");
        check(&with("not*base64", SHA512), HashFault::Base64 { part: "salt" });
        check(&with(SALT, SHA512.trim_end_matches('=')), HashFault::Base64 { part: "value" });
        check(
            &with(SALT, &SHA512.replace('+', "-").replacen('A', "_", 1)),
            HashFault::Base64 { part: "value" },
        );
        check(&with("c2FsdA==", SHA512), HashFault::Length { part: "salt", min: 8, max: 64 });
        check(&with("", SHA512), HashFault::Length { part: "salt", min: 8, max: 64 });
        check(&with(&"AAAA".repeat(22), SHA512), HashFault::Length { part: "salt", min: 8, max: 64 });
        check(&with(SALT, "AAAA"), HashFault::Length { part: "value", min: 64, max: 64 });
        check(&with(SALT, ""), HashFault::Length { part: "value", min: 64, max: 64 });
    }
}

#[test]
fn argon2id_is_read_strictly() {
    let with = |parameters: &str| format!("$argon2id$v=19${parameters}${SALT}${ARGON2}");
    assert!(StoredHash::parse(&with("m=262144,t=4,p=1")).is_ok());

    let memory = |min| HashFault::OutOfBounds { name: "memory (m, in KiB)", min, max: 262_144 };
    let passes = HashFault::OutOfBounds { name: "number of passes (t)", min: 1, max: 1_000 };
    let lanes = HashFault::OutOfBounds { name: "parallelism (p)", min: 1, max: 64 };
    for (parameters, expected) in [
        ("m=7,t=1,p=1", memory(8)),
        ("m=262145,t=1,p=1", memory(8)),
        ("m=4294967295,t=1,p=1", memory(8)),
        ("m=4294967296,t=1,p=1", memory(8)),
        ("m=31,t=1,p=4", memory(32)),
        ("m=19456,t=0,p=1", passes),
        ("m=8,t=1001,p=1", passes),
        ("m=19456,t=2,p=0", lanes),
        ("m=19456,t=2,p=65", lanes),
        ("m=262144,t=5,p=1", HashFault::Work { max: 1_048_576 }),
        ("m=19456,t=1000,p=1", HashFault::Work { max: 1_048_576 }),
        ("m=,t=2,p=1", HashFault::Number { name: "memory (m, in KiB)" }),
        ("m=8,t=+2,p=1", HashFault::Number { name: "number of passes (t)" }),
        ("m=8,t=2,p=1 ", HashFault::Number { name: "parallelism (p)" }),
    ] {
        check(&with(parameters), expected);
    }

    let shape = HashFault::Shape { expected: "$argon2id$v=19$m=…,t=…,p=…$salt$hash" };
    for parameters in
        ["", "m=8,t=1", "t=1,m=8,p=1", "m=8,t=1,p=1,keyid=AA", "m=8,t=1,p=1,data=AA", "m8,t1,p1"]
    {
        check(&with(parameters), shape);
    }
    check(&format!("$argon2id$m=8,t=1,p=1${SALT}${ARGON2}"), shape);
    check(&format!("$argon2id$v=19$m=8,t=1,p=1${SALT}"), shape);
    check(&format!("$argon2id$19$m=8,t=1,p=1${SALT}${ARGON2}"), shape);
    check(
        &format!("$argon2id$v=16$m=8,t=1,p=1${SALT}${ARGON2}"),
        HashFault::OutOfBounds { name: "version (v)", min: 19, max: 19 },
    );

    let with = |salt: &str, hash: &str| format!("$argon2id$v=19$m=8,t=1,p=1${salt}${hash}");
    check(&with("c2FsdHNhbHQ=", ARGON2), HashFault::Base64 { part: "salt" });
    check(&with("c2FsdA", ARGON2), HashFault::Length { part: "salt", min: 8, max: 64 });
    check(&with(SALT, "AAAA"), HashFault::Length { part: "value", min: 16, max: 64 });
    check(&with(SALT, &"AAAA".repeat(22)), HashFault::Length { part: "value", min: 16, max: 64 });
}
