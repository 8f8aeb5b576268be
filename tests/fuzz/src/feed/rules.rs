//! Files of rules as somebody might write them: Whimbrel's, and Mosquitto's two. How they go wrong is in `mutate`.

use super::{Dice, Input};

const NAMES: &[&str] = &["alice", "bob", "pump", "a/b", "x+", "", "$SYS", "Zoë", "*", "pu*"];
const LEVELS: &[&str] = &[
    "a",
    "b",
    "%c",
    "%u",
    "dev-%c",
    "%u%c",
    "+",
    "$SYS",
    "",
    "%",
    "$share",
    "pump",
    "a level longer than many",
];

fn filter(dice: &mut Dice) -> String {
    let count = 1 + dice.below(4);
    let mut levels: Vec<&str> = (0..count).map(|_| dice.pick(LEVELS)).collect();
    if dice.one_in(3) {
        levels.push("#");
    }
    levels.join("/")
}

fn texts(dice: &mut Dice, one: fn(&mut Dice) -> String) -> String {
    let count = dice.below(3);
    let texts: Vec<String> = (0..=count).map(|_| format!("\"{}\"", one(dice))).collect();
    if texts.len() == 1 { texts.concat() } else { format!("[{}]", texts.join(", ")) }
}

fn name(dice: &mut Dice) -> String {
    dice.pick(NAMES).to_owned()
}

/// Groups, rules, comments, and now and then what does not belong there.
pub(super) fn rule_file(dice: &mut Dice) -> Input {
    let mut text = String::new();
    if dice.one_in(2) {
        text.push_str("[groups]\n");
        for group in ["ops", "all", "odd group"].iter().take(dice.below(4)) {
            text += &format!("\"{group}\" = {}\n", texts(dice, name));
        }
    }
    for _ in 0..dice.below(8) {
        text.push_str(dice.pick(&[
            "[[rule]]\n",
            "[[rule]]\n",
            "[[rule]]\n",
            "\n# why\n[[rule]]\n",
            "[rule]\n",
            "",
        ]));
        let says = dice.pick(&["allow", "allow", "deny"]);
        let what =
            dice.pick(&["\"publish\"", "\"subscribe\"", "[\"publish\", \"subscribe\"]", "\"read\"", "[]"]);
        text += &format!("{says} = {what}\ntopics = {}\n", texts(dice, filter));
        for _ in 0..dice.below(4) {
            let line = match dice.below(9) {
                0 => format!("users = {}", texts(dice, name)),
                1 => format!("groups = \"{}\"", dice.pick(&["ops", "all", "nobody"])),
                2 => "anonymous = true".to_owned(),
                3 => format!("clients = {}", texts(dice, name)),
                4 => format!(
                    "addresses = \"{}\"",
                    dice.pick(&["10.0.0.0/8", "::1", "10.1.1.1/8", "::ffff:0:0/96", "x"])
                ),
                5 => format!("listeners = \"{}\"", dice.pick(&["house", "field"])),
                6 => format!("qos = {}", dice.pick(&["0", "[1, 2]", "3", "0x1", "[]"])),
                7 => format!("retain = {}", dice.pick(&["true", "false", "1"])),
                _ => dice
                    .pick(&[
                        "topic = \"a\"",
                        "= ",
                        "\"quoted key\" = 1",
                        "users.a = \"b\"",
                        "deny = \"publish\"",
                    ])
                    .to_owned(),
            };
            text.push_str(&line);
            text.push('\n');
        }
    }
    text.into_bytes()
}

/// Lines of an `acl_file`.
pub(super) fn acl_file(dice: &mut Dice) -> Input {
    let mut text = String::new();
    for _ in 0..dice.below(12) {
        match dice.below(8) {
            0 | 1 => text += &format!("user {}", dice.pick(NAMES)),
            2 => text.push_str(dice.pick(&["# a comment", "", "  ", "topics a", "\tuser x"])),
            number => {
                text.push_str(if number % 2 == 0 { "topic" } else { "pattern" });
                text.push_str(dice.pick(&[" ", " ", "  ", "\t"]));
                text.push_str(dice.pick(&["read ", "write ", "readwrite ", "deny ", "", "rw "]));
                text += &filter(dice);
            }
        }
        text.push_str(dice.pick(&["\n", "\n", "\r\n", " \n", ""]));
    }
    text.into_bytes()
}

/// A `dynamic-security.json`.
pub(super) fn dynamic_security(dice: &mut Dice) -> Input {
    let mut roles = Vec::new();
    for role in ["admin", "user", "odd"].iter().take(dice.below(4)) {
        let count = dice.below(5);
        let acls: Vec<String> = (0..count).map(|_| acl(dice)).collect();
        roles.push(format!("{{\"rolename\":\"{role}\",\"acls\":[{}]}}", acls.join(",")));
    }
    let mut clients = Vec::new();
    for client in ["alice", "bob", "x+"].iter().take(dice.below(4)) {
        clients.push(format!("{{\"username\":\"{client}\",{}}}", given(dice)));
    }
    let mut groups = Vec::new();
    for group in ["all", "nobody"].iter().take(dice.below(3)) {
        let member = dice.pick(&[
            "{\"username\":\"alice\",\"priority\":2}",
            "{\"username\":\"bob\"}",
            "{\"username\":\"eve\"}",
            "",
        ]);
        groups.push(format!("{{\"groupname\":\"{group}\",\"clients\":[{member}],{}}}", given(dice)));
    }
    let access = dice.pick(&[
        "{\"publishClientSend\":true,\"publishClientReceive\":false,\"subscribe\":true,\"unsubscribe\":true}",
        "{}",
        "null",
        "[]",
    ]);
    let anonymous = dice.pick(&["\"nobody\"", "\"all\"", "null", "7"]);
    let text = format!(
        "{{\"defaultACLAccess\":{access},\"anonymousGroup\":{anonymous},\n\"clients\":[{}],\n\"groups\":[{}],\n\"roles\":[{}]}}",
        clients.join(","),
        groups.join(","),
        roles.join(",")
    );
    text.into_bytes()
}

fn given(dice: &mut Dice) -> String {
    let role = dice.pick(&["admin", "user", "odd", "nowhere"]);
    match dice.below(3) {
        0 => "\"roles\":[]".to_owned(),
        1 => format!("\"roles\":[{{\"rolename\":\"{role}\"}}]"),
        _ => format!(
            "\"roles\":[{{\"rolename\":\"{role}\",\"priority\":{}}},{{\"rolename\":\"user\"}}]",
            dice.below(5)
        ),
    }
}

fn acl(dice: &mut Dice) -> String {
    let kind = dice.pick(&[
        "publishClientSend",
        "publishClientReceive",
        "subscribeLiteral",
        "subscribePattern",
        "unsubscribePattern",
        "unsubscribeLiteral",
        "publish",
    ]);
    let priority = dice.pick(&["", ",\"priority\":3", ",\"priority\":-9", ",\"priority\":\"high\""]);
    let allow = dice.pick(&["true", "false", "1"]);
    format!("{{\"acltype\":\"{kind}\",\"topic\":\"{}\",\"allow\":{allow}{priority}}}", filter(dice))
}
