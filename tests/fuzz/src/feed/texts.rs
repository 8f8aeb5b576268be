//! Texts that a configuration, a password file, a command line or a visitor of the control socket may well hold. How they go wrong is in `mutate`.

use whimbrel_broker::config::{Key, Kind, keys};

use super::{Dice, Input};

const HASHES: &[&str] = &[
    "$argon2id$v=19$m=8,t=1,p=1$YSB0aW55IHRlc3Qgc2FsdA$OdwmiDkOf7gqKOUoKTEOHniv7XLlNaJmeCLmZjysAPo",
    "$7$101$UWcdaga1Wq91wxLZ$AjDlRtBHeJjN6TnkUcpp8XzpM9moaI4bxDskO1OovV2Ox6xymyg8OARTDhXzT7LhTC7Y2Bk8n6uNXQZmtyO0cA==",
    "$6$short",
    "plain",
];

/// Lines of keys with values, some wrong; some as variables or flags.
pub(super) fn configuration(dice: &mut Dice) -> Input {
    let keys: Vec<&'static Key> = keys().collect();
    let mut text = String::new();
    for _ in 0..1 + dice.below(8) {
        let key = keys[dice.below(keys.len())];
        let value = value(dice, key);
        let word = value.trim_matches('"');
        match dice.below(10) {
            0 => text.push_str(&format!("--{}={word}\n", key.path())),
            1 => text.push_str(&format!("{}={word}\n", key.environment(1 + dice.below(2)))),
            2 if key.section != "listener" => text.push_str(&format!("{} = {value}\n", key.path())),
            3 => text.push_str(&format!("# {}\n\n", key.name)),
            4 => text.push_str(&format!("{} = {{ {} = {value} }}\n", key.section, key.name)),
            _ if key.section == "listener" => {
                text.push_str(&format!("[[listener]]\n{} = {value}\n", key.name))
            }
            _ => text.push_str(&format!("[{}]\n{} = {value}\n", key.section, key.name)),
        }
    }
    text.into_bytes()
}

fn value(dice: &mut Dice, key: &Key) -> String {
    let wrong = [
        "-1",
        "1e3",
        "nan",
        "1979-05-27",
        "[]",
        "{}",
        "0x1F",
        "18_446_744_073_709_551_616",
        "\"\\u00e9\"",
        "''",
    ];
    if dice.one_in(8) {
        return dice.pick(&wrong).to_owned();
    }
    let kind = if let Kind::OrAuto(kind) = key.kind { *kind } else { key.kind };
    match kind {
        Kind::Switch => dice.pick(&["true", "false"]).to_owned(),
        Kind::Whole => {
            let (min, max) = key.bounds;
            dice.pick(&[min, max, min.saturating_sub(1), max.saturating_add(1), min / 2 + max / 2])
                .to_string()
        }
        Kind::Choice(words) => format!("\"{}\"", dice.pick(words)),
        Kind::Choices(words) => {
            let (one, other) = (dice.pick(words), dice.pick(words));
            dice.pick(&[&format!("[\"{one}\", \"{other}\"]"), &format!("\"{one}\""), "[]", "[1]"]).to_string()
        }
        Kind::Address => {
            let addresses = ["127.0.0.1:0", "[::1]:1883", "localhost:1884", "0.0.0.0:1883", "::1", ":99999"];
            format!("\"{}\"", dice.pick(&addresses))
        }
        Kind::Levels => {
            format!("\"{}\"", dice.pick(&["info", "off", "info,whimbrel_broker=debug", "loud", ",,="]))
        }
        Kind::Paths => dice.pick(&["\"a.pem\"", "[\"a.pem\", \"b.pem\"]", "[]", "[1]", "\"\""]).to_owned(),
        Kind::Form { example, .. } => {
            dice.pick(&[&format!("\"{example}\""), "\"/\"", "\"\"", "[]"]).to_string()
        }
        Kind::Forms { example, .. } => {
            dice.pick(&[&format!("\"{example}\""), "[]", "[\"*\", \"::/0\"]", "[1]", "\"\""]).to_string()
        }
        Kind::Text | Kind::Path | Kind::OrAuto(_) => {
            format!("\"{}\"", dice.pick(&["auto", "file", "../a b", "\\n", "'"]))
        }
    }
}

/// A message of SCRAM behind the byte that says who reads it.
pub(super) fn scram(dice: &mut Dice) -> Input {
    const KEY: &str = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    let nonce = dice.pick(&["client", "clientserver", "x", "a b", ""]);
    let name = dice.pick(&["user", "a=2Cb", "a=b", "", "Zoë", "\u{ad}"]);
    let header = dice.pick(&["n,,", "y,,", "p=tls-exporter,,", "n,a=user,", "n"]);
    let iterations = dice.pick(&["4096", "1", "1000001", "04096", ""]);
    let extension = dice.pick(&["", "", ",z=x", ",m=x", ","]);
    let (turn, message) = match dice.pick(&[0_u8, 1, 2, 3, 4]) {
        0 => (0, format!("{header}n={name},r={nonce}{extension}")),
        1 => (1, format!("c=biws,r={nonce}{extension},p={KEY}")),
        2 => (2, format!("r={nonce},s=ZnV6ei1zYWx0,i={iterations}{extension}")),
        3 => (3, format!("v={KEY}{extension}")),
        _ => (4, format!("SCRAM-SHA-256${iterations}:ZnV6ei1zYWx0${KEY}:{KEY}")),
    };
    [&[turn], message.as_bytes()].concat()
}

/// Lines of users, comments and mistakes.
pub(super) fn password_file(dice: &mut Dice) -> Input {
    let names = ["alice", "bob", " two words ", "#", "Zoë", "", "\u{feff}alice", "al\u{7}ice"];
    let mut text = String::new();
    for _ in 0..dice.below(8) {
        text.push_str(dice.pick(&names));
        text.push_str(dice.pick(&[":", ":", ":", " : ", "", "::"]));
        text.push_str(dice.pick(HASHES));
        text.push_str(dice.pick(&["\n", "\n", "\r\n", "\n\n", "", " \n"]));
    }
    text.into_bytes()
}

/// Addresses, URLs and networks in lines.
pub(super) fn addresses(dice: &mut Dice) -> Input {
    let mut text = String::new();
    for _ in 0..1 + dice.below(4) {
        let host = dice.pick(&[
            "h",
            "127.0.0.1",
            "[::1]",
            "::1",
            "fe80::1%eth0",
            "[fe80::1%eth0]",
            "",
            "Zoë",
            "a.b",
        ]);
        let port = dice.pick(&["", ":1883", ":0", ":99999", ":x", ":"]);
        match dice.below(4) {
            0 => {
                let address =
                    dice.pick(&["10.0.0.0", "192.0.2.7", "2001:db8::", "::ffff:10.0.0.0", "::", "0.0.0.0"]);
                let prefix = dice.pick(&["", "/8", "/32", "/+8", "/128", "/104", "/0", "/129", "/", "/08"]);
                text += &format!("{address}{prefix}");
            }
            1 => {
                text += dice.pick(&["unix:/run/b.sock", "unix:///run/b.sock", "unix:", "unix:a b", "UNIX:/x"])
            }
            _ => {
                let scheme = dice.pick(&[
                    "mqtt://", "mqtts://", "ws://", "WSS://", "", "tls://", "quic://", "http://", "://",
                ]);
                let user = dice.pick(&["", "", "u@", "u:p@", "u%40:%zz@", ":@", "%ff@"]);
                let path = dice.pick(&["", "/", "/a/b", "/mqtt?x=%20", "/ü", "//", "#"]);
                text += &format!("{scheme}{user}{host}{port}{path}");
            }
        }
        text.push('\n');
    }
    text.into_bytes()
}

/// Requests to the control door in lines.
pub(super) fn requests(dice: &mut Dice) -> Input {
    let mut text = String::new();
    for _ in 0..1 + dice.below(3) {
        text += dice.pick(&[
            r#"{"ask":"status"}"#,
            r#"{"ask":"clients"}"#,
            r#"{"ask":"clients","query":{"pattern":"*a?*","connected":true,"after":"b","limit":0}}"#,
            r#"{"ask":"client","client_id":"pump"}"#,
            r#"{"ask":"subscriptions","client_id":"pump","after":"a/#"}"#,
            r#"{"ask":"kick","client_id":"pump","session":true}"#,
            r#"{"ask":"why","client_id":"pump","action":"publish","topic":"a/b","qos":1,"retain":true}"#,
            r##"{"ask":"why","client_id":"\u0000","action":"subscribe","topic":"$share/s/#"}"##,
            r#"{"ask":"reload"}"#,
            r#"{"ask":"log","level":"info,whimbrel_broker=debug"}"#,
            r#"{"ask":"log"}"#,
            r#"{"ask":"nothing"}"#,
            r#"{"ask":["status"]}"#,
            "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
            "null",
        ]);
        text.push('\n');
    }
    text.into_bytes()
}
