//! One of Mosquitto's sequences as its file has it: what is sent, what is expected, and whether the connection outlives
//! it. Not the sockets.

use super::message;
use crate::json::{self, Value};

/// A sequence on a connection of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sequence {
    /// The group's name and its own.
    pub(super) name: String,
    /// The level of the protocol: 3, 4 or 5.
    pub(super) level: u8,
    /// A plain CONNECT is sent first and accepted.
    pub(super) connects: bool,
    /// The server ends the connection.
    pub(super) is_ended: bool,
    pub(super) steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Send(Vec<u8>),
    Expect(Vec<u8>),
    /// Another client publishes.
    Publish {
        topic: String,
        payload: String,
        qos: u8,
        retain: bool,
    },
}

/// Reads a file: groups with sequences, of which each can say what the group says.
pub(super) fn read(text: &str) -> Result<Vec<Sequence>, String> {
    let document = json::parse(text)?;
    let groups = document.items().iter().filter(|group| !group.member("disable").is_true());
    groups.flat_map(|group| group.member("tests").items().iter().map(|test| sequence(group, test))).collect()
}

fn sequence(group: &Value, test: &Value) -> Result<Sequence, String> {
    let name = |value: &Value, key: &str| value.member(key).text().unwrap_or_default().to_owned();
    let name = format!("{} / {}", name(group, "group"), name(test, "name"));
    let said = |key: &str| {
        [test, group].into_iter().map(|value| value.member(key)).find(|value| **value != Value::Null)
    };
    let level = said("ver").and_then(Value::number).unwrap_or(4.0);
    let steps = test.member("msgs").items().iter().map(step).collect::<Result<_, _>>();
    Ok(Sequence {
        level: [3, 4, 5].into_iter().find(|known| f64::from(*known) == level).ok_or("no such version")?,
        connects: said("connect").is_none_or(Value::is_true),
        is_ended: said("expect_disconnect").is_none_or(Value::is_true),
        steps: steps.map_err(|error: String| format!("{name}: {error}"))?,
        // Runs of spaces are there to align the names.
        name: name.split_whitespace().collect::<Vec<_>>().join(" "),
    })
}

fn step(value: &Value) -> Result<Step, String> {
    let text = |key: &str| value.member(key).text().unwrap_or_default();
    match text("type") {
        "send" => message::parse(text("payload")).map(Step::Send),
        "recv" => message::parse(text("payload")).map(Step::Expect),
        "external_publish" => Ok(Step::Publish {
            topic: text("topic").to_owned(),
            payload: text("payload").to_owned(),
            qos: match value.member("qos").number() {
                Some(1.0) => 1,
                Some(2.0) => 2,
                _ => 0,
            },
            retain: value.member("retain").is_true(),
        }),
        other => Err(format!("there is no step `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_says_what_its_group_does_not() {
        let text = r#"[{"group": "v5.0   X", "ver": 5, "connect": false, "tests": [
            {"name": "a ", "expect_disconnect": false, "msgs": [{"type": "send", "payload": "c0 r0"}]},
            {"name": "b", "ver": 3, "connect": true, "msgs": [{"type": "recv", "payload": "d0 00"}]}]},
            {"group": "off", "disable": true, "tests": [{"name": "c", "msgs": []}]}]"#;
        let one = |name: &str, level, connects, is_ended, step| Sequence {
            name: name.to_owned(),
            level,
            connects,
            is_ended,
            steps: vec![step],
        };
        let expect = [
            one("v5.0 X / a", 5, false, false, Step::Send(vec![0xc0, 0])),
            one("v5.0 X / b", 3, true, true, Step::Expect(vec![0xd0, 0])),
        ];
        assert_eq!(read(text).unwrap(), expect);
        assert!(read(r#"[{"group": "g", "tests": [{"name": "n", "msgs": [{"type": "wait"}]}]}]"#).is_err());
    }
}
