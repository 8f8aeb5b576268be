//! The suite's own proof: between the broker and the scenarios somebody changes one thing in what the broker sends, and
//! some scenario must notice. A change that nobody notices is a rule that nobody tests.

use std::collections::HashMap;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use whimbrel_conformance::{Outcome, run, scenarios};
use whimbrel_testkit::{
    Ack, Demand, Driver, Link, Memory, Packet, Properties, Property, Publish, Quiet, Received, Sender,
    Version, decode,
};

/// What becomes of one packet of the broker.
type Change = fn(Packet) -> Vec<Packet>;

/// One trial for each change, and one to see that without a change nothing is found.
pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    let changed = CHANGES.iter().map(|&(what, change)| {
        Trial::test(format!("the_suite_notices_a_broker_that_{what}"), move || match first_failure(change) {
            Some(_) => Ok(()),
            None => Err("every scenario passes".into()),
        })
    });
    let unchanged = || match first_failure(|packet| vec![packet]) {
        Some(name) => Err(Failed::from(name)),
        None => Ok(()),
    };
    changed.chain([Trial::test("the_suite_is_content_with_an_unchanged_broker", unchanged)])
}

/// The name of the first scenario that fails with this change.
fn first_failure(change: Change) -> Option<&'static str> {
    scenarios()
        .flat_map(|scenario| scenario.versions.iter().map(move |&version| (scenario, version)))
        .find(|(scenario, version)| {
            let driver = Box::new(Tampered::new(crate::memory(scenario.setting), change));
            matches!(run(scenario, *version, Demand::House, driver, false), Outcome::Fail { .. })
        })
        .map(|(scenario, _)| scenario.name)
}

/// The driver in memory with a change to what the broker sends.
struct Tampered {
    inner: Memory,
    change: Change,
    versions: HashMap<Link, Version>,
    unread: HashMap<Link, Vec<u8>>,
}

impl Tampered {
    fn new(inner: Memory, change: Change) -> Self {
        Self { inner, change, versions: HashMap::new(), unread: HashMap::new() }
    }

    fn changed(&mut self, link: Link, bytes: Vec<u8>) -> Vec<u8> {
        let Some(&version) = self.versions.get(&link) else { return bytes };
        let unread = self.unread.entry(link).or_default();
        unread.extend(bytes);
        let mut out = Vec::new();
        while let Ok(Some((packet, len))) = decode(unread, version, Sender::Server) {
            unread.drain(..len);
            out.extend((self.change)(packet).into_iter().flat_map(|packet| packet.encode(version)));
        }
        if decode(unread, version, Sender::Server).is_err() {
            out.append(unread);
        }
        out
    }
}

impl Driver for Tampered {
    fn open(&mut self) -> Link {
        self.inner.open()
    }

    fn send(&mut self, link: Link, bytes: &[u8]) {
        if let Ok(Some((Packet::Connect(connect), _))) = decode(bytes, Version::V5, Sender::Client) {
            self.versions.entry(link).or_insert(connect.version);
        }
        self.inner.send(link, bytes);
    }

    fn receive(&mut self, link: Link) -> Received {
        loop {
            let received = self.inner.receive(link);
            let Received::Bytes(bytes) = received else { return received };
            let bytes = self.changed(link, bytes);
            if !bytes.is_empty() {
                return Received::Bytes(bytes);
            }
        }
    }

    fn close(&mut self, link: Link) {
        self.inner.close(link);
    }

    fn advance(&mut self, time: Duration) {
        self.inner.advance(time);
    }

    fn quiet(&mut self, link: Link) -> Quiet {
        self.inner.quiet(link)
    }
}

fn publishes(packet: Packet, change: impl Fn(&mut Publish)) -> Vec<Packet> {
    match packet {
        Packet::Publish(mut message) => {
            change(&mut message);
            vec![Packet::Publish(message)]
        }
        other => vec![other],
    }
}

fn without(packet: Packet, id: u8) -> Vec<Packet> {
    let strip = |mut properties: Properties| {
        properties.0.retain(|property| property.id() != id);
        properties
    };
    vec![match packet {
        Packet::Publish(mut message) => {
            message.properties = strip(message.properties);
            Packet::Publish(message)
        }
        Packet::ConnAck(mut ack) => {
            ack.properties = strip(ack.properties);
            Packet::ConnAck(ack)
        }
        other => other,
    }]
}

fn answers(packet: Packet, change: impl Fn(&mut Ack)) -> Vec<Packet> {
    vec![match packet {
        Packet::PubAck(mut ack) => {
            change(&mut ack);
            Packet::PubAck(ack)
        }
        Packet::PubRec(mut ack) => {
            change(&mut ack);
            Packet::PubRec(ack)
        }
        Packet::PubComp(mut ack) => {
            change(&mut ack);
            Packet::PubComp(ack)
        }
        other => other,
    }]
}

fn codes(packet: Packet, change: impl Fn(&mut Vec<u8>)) -> Vec<Packet> {
    vec![match packet {
        Packet::SubAck(mut ack) => {
            change(&mut ack.codes);
            Packet::SubAck(ack)
        }
        Packet::UnsubAck(mut ack) => {
            change(&mut ack.codes);
            Packet::UnsubAck(ack)
        }
        other => other,
    }]
}

fn lost(packet: Packet, is_lost: impl Fn(&Packet) -> bool) -> Vec<Packet> {
    if is_lost(&packet) { Vec::new() } else { vec![packet] }
}

const CHANGES: &[(&str, Change)] = &[
    ("clears_retain", |p| publishes(p, |m| m.retain = false)),
    ("sets_retain", |p| publishes(p, |m| m.retain = true)),
    ("clears_dup", |p| publishes(p, |m| m.dup = false)),
    ("sets_dup", |p| publishes(p, |m| m.dup = m.qos > 0)),
    ("changes_the_topic", |p| publishes(p, |m| m.topic = m.topic.to_lowercase())),
    ("strips_the_byte_order_mark", |p| publishes(p, |m| m.topic = m.topic.replace('\u{feff}', ""))),
    ("cuts_payloads", |p| publishes(p, |m| m.payload.truncate(65_535))),
    ("drops_payload_format", |p| without(p, 0x01)),
    ("drops_message_expiry", |p| without(p, 0x02)),
    ("drops_content_type", |p| without(p, 0x03)),
    ("drops_response_topic", |p| without(p, 0x08)),
    ("drops_correlation_data", |p| without(p, 0x09)),
    ("drops_subscription_ids", |p| without(p, 0x0B)),
    ("drops_user_properties", |p| without(p, 0x26)),
    ("turns_properties_round", |p| publishes(p, |m| m.properties.0.reverse())),
    ("joins_equal_subscription_ids", |p| publishes(p, |m| m.properties.0.dedup())),
    ("counts_expiry_too_slowly", |p| {
        publishes(p, |m| {
            for property in &mut m.properties.0 {
                if let Property::MessageExpiry(seconds) = property {
                    *seconds = seconds.saturating_add(1);
                }
            }
        })
    }),
    ("invents_an_alias", |p| publishes(p, |m| m.properties.0.push(Property::TopicAlias(1)))),
    ("always_uses_identifier_1", |p| publishes(p, |m| m.id = m.id.min(1))),
    ("delivers_twice", |p| match p {
        Packet::Publish(m) if m.qos == 0 => vec![Packet::Publish(m.clone()), Packet::Publish(m)],
        other => vec![other],
    }),
    ("loses_empty_messages", |p| lost(p, |p| matches!(p, Packet::Publish(m) if m.payload.is_empty()))),
    ("loses_what_it_sends_again", |p| lost(p, |p| matches!(p, Packet::Publish(m) if m.dup))),
    ("forgets_its_sessions", |p| match p {
        Packet::ConnAck(mut ack) => {
            ack.session_present = false;
            vec![Packet::ConnAck(ack)]
        }
        other => vec![other],
    }),
    ("remembers_what_was_not", |p| match p {
        Packet::ConnAck(mut ack) => {
            ack.session_present = ack.code == 0;
            vec![Packet::ConnAck(ack)]
        }
        other => vec![other],
    }),
    ("hides_the_assigned_client_id", |p| without(p, 0x12)),
    ("hides_its_keep_alive", |p| without(p, 0x13)),
    ("hides_its_receive_maximum", |p| without(p, 0x21)),
    ("hides_its_alias_maximum", |p| without(p, 0x22)),
    ("hides_its_packet_size", |p| without(p, 0x27)),
    ("hides_a_shorter_session_expiry", |p| without(p, 0x11)),
    ("answers_connect_twice", |p| match p {
        Packet::ConnAck(ack) if ack.code == 0 => vec![Packet::ConnAck(ack.clone()), Packet::ConnAck(ack)],
        other => vec![other],
    }),
    ("refuses_with_another_code", |p| match p {
        Packet::ConnAck(mut ack) if ack.code == 0x8C => {
            ack.code = 0x80;
            vec![Packet::ConnAck(ack)]
        }
        other => vec![other],
    }),
    ("explains_every_answer", |p| {
        answers(p, |ack| ack.properties.0.push(Property::ReasonString("so".into())))
    }),
    ("acknowledges_another_identifier", |p| answers(p, |ack| ack.id = ack.id.wrapping_add(1).max(1))),
    ("refuses_no_publish", |p| answers(p, |ack| ack.code = 0)),
    ("hides_that_nobody_listens", |p| {
        answers(p, |ack| ack.code = if ack.code == 0x10 { 0 } else { ack.code })
    }),
    ("turns_codes_round", |p| codes(p, |codes| codes.reverse())),
    ("gives_one_code_too_few", |p| codes(p, |codes| codes.truncate(codes.len().saturating_sub(1).max(1)))),
    ("grants_the_highest_qos", |p| {
        codes(p, |codes| {
            codes.iter_mut().filter(|code| **code < 3).for_each(|code| *code = 2);
        })
    }),
    ("finds_every_subscription", |p| codes(p, |codes| codes.iter_mut().for_each(|code| *code %= 0x11))),
    ("loses_pubrel", |p| lost(p, |p| matches!(p, Packet::PubRel(_)))),
    ("loses_pubcomp", |p| lost(p, |p| matches!(p, Packet::PubComp(_)))),
    ("loses_pingresp", |p| lost(p, |p| matches!(p, Packet::PingResp))),
    ("closes_without_a_word", |p| lost(p, |p| matches!(p, Packet::Disconnect(_)))),
    ("disconnects_for_no_reason", |p| match p {
        Packet::Disconnect(mut d) => {
            d.code = 0x80;
            vec![Packet::Disconnect(d)]
        }
        other => vec![other],
    }),
    ("takes_protocol_errors_for_malformed", |p| match p {
        Packet::Disconnect(mut d) if d.code == 0x82 => {
            d.code = 0x81;
            vec![Packet::Disconnect(d)]
        }
        other => vec![other],
    }),
];
