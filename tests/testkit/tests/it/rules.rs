//! The rules that the peer checks on every connection, against a server that says what a table tells it to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use whimbrel_testkit::{
    Demand, Driver, Link, Property, QoS1, Quiet, Received, Version, World, hex, publish, v5,
};

/// A server that answers each packet of the client with the next line of its script.
struct Scripted {
    lines: VecDeque<Vec<u8>>,
    pending: Rc<RefCell<Vec<u8>>>,
}

impl Driver for Scripted {
    fn open(&mut self) -> Link {
        Link(0)
    }

    fn send(&mut self, _link: Link, _bytes: &[u8]) {
        if let Some(line) = self.lines.pop_front() {
            self.pending.borrow_mut().extend(line);
        }
    }

    fn receive(&mut self, _link: Link) -> Received {
        let bytes = std::mem::take(&mut *self.pending.borrow_mut());
        if bytes.is_empty() { Received::Nothing } else { Received::Bytes(bytes) }
    }

    fn close(&mut self, _link: Link) {}

    fn advance(&mut self, _time: Duration) {}

    fn quiet(&mut self, _link: Link) -> Quiet {
        Quiet::Proven
    }
}

fn world(lines: &[&str]) -> World {
    let lines = lines.iter().map(|line| hex(line)).collect();
    World::new(Box::new(Scripted { lines, pending: Rc::default() }), Version::V5, Demand::Text)
}

const CONNACK: &str = "20 03 00 00 00";

/// What the peer says of this script after CONNECT and a SUBSCRIBE.
fn complaint(connect: whimbrel_testkit::Connect, lines: &[&str]) -> Option<String> {
    let mut world = world(lines);
    let talk = || {
        let mut client = world.connect(connect);
        client.subscribe(1, "a", QoS1).expect_suback(&[1]);
        client.publish(publish("a", "x").at(QoS1, 2));
        client.expect_puback(2);
        client.drain_settled();
    };
    let failure = catch_unwind(AssertUnwindSafe(talk)).err()?;
    Some(failure.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn a_server_that_keeps_the_rules_passes() {
    let messages = "40 02 00 02 32 06 00 01 61 00 01 00 32 06 00 01 61 00 02 00";
    assert_eq!(complaint(v5("c"), &[CONNACK, "90 04 00 01 00 01", messages]), None);
}

#[test]
fn a_server_that_breaks_a_rule_does_not() {
    let suback = "90 04 00 01 00 01";
    let puback = "40 02 00 02 ";
    let after = |bytes: &str| format!("{puback}{bytes}");
    let connect = || v5("c");
    let table = [
        (connect(), vec!["d0 00".into()], "3.2.0-1"),
        (connect(), vec![format!("{CONNACK} {CONNACK}")], "3.2.0-2"),
        (connect(), vec![CONNACK.into(), "90 04 00 09 00 01".into()], "2.2.1-5"),
        (connect(), vec![CONNACK.into(), "90 05 00 01 00 01 01".into()], "3.8.4-6"),
        (connect(), vec![CONNACK.into(), suback.into(), "40 02 00 07".into()], "2.2.1-5"),
        (
            connect(),
            vec![CONNACK.into(), suback.into(), after("32 06 00 01 61 00 01 00 32 06 00 01 61 00 01 00")],
            "2.2.1-4",
        ),
        (connect(), vec![CONNACK.into(), suback.into(), after("3a 06 00 01 61 00 01 00")], "3.3.1-3"),
        (connect(), vec![CONNACK.into(), suback.into(), after("e0 01 8e d0 00")], "3.14.4-1"),
        (connect(), vec![CONNACK.into(), suback.into(), after("30 07 00 01 61 03 23 00 01")], "3.1.2-27"),
        (
            connect().alias_max(1),
            vec![CONNACK.into(), suback.into(), after("30 07 00 01 61 03 23 00 02")],
            "3.1.2-26",
        ),
        (
            connect().alias_max(1),
            vec![CONNACK.into(), suback.into(), after("30 06 00 00 03 23 00 01")],
            "3.3.2-7",
        ),
        (
            connect().receive_maximum(1),
            vec![CONNACK.into(), suback.into(), after("32 06 00 01 61 00 01 00 32 06 00 01 61 00 02 00")],
            "3.3.4-9",
        ),
        (
            connect().packet_size_max(9),
            vec![CONNACK.into(), suback.into(), after("30 08 00 01 61 00 31 32 33 34")],
            "3.1.2-24",
        ),
        (
            connect().with(Property::RequestProblemInformation(0)),
            vec![CONNACK.into(), suback.into(), "40 08 00 02 00 04 1f 00 01 61".into()],
            "3.1.2-29",
        ),
        (connect(), vec!["20 07 00 00 04 15 00 01 6d".into()], "4.12.0-6"),
        (connect(), vec!["20 07 00 00 04 1a 00 01 6d".into()], "3.1.2-28"),
        (connect(), vec!["f0 06 18 04 15 00 01 6d".into()], "4.12.0-6"),
    ];
    for (connect, lines, statement) in table {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let said = complaint(connect, &lines).unwrap_or_default();
        assert!(said.contains(statement), "{statement} after {lines:?}: the peer said {said:?}");
    }
}

#[test]
fn a_failure_shows_what_was_said() {
    let mut world = world(&[CONNACK]);
    world.connect(v5("talker")).ping();
    let transcript = world.transcript();
    for part in ["talker", "→ CONNECT 5.0 \"talker\"", "← CONNACK 0x00", "→ PINGREQ"] {
        assert!(transcript.contains(part), "{part} in\n{transcript}");
    }
}
