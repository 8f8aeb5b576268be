//! Section 4.8.2: shared subscriptions.

use std::collections::BTreeMap;

use whimbrel_testkit::{
    Ack, Client, Packet, QoS, QoS0, QoS1, QoS2, Refusal, Subscribe, World, publish, v5, v311,
};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("v5_4_8_2_each_message_goes_to_one_member", one_member, &["section 4.8.2"]),
    Scenario::new("v5_4_8_2_groups_are_independent", independent, &["section 4.8.2"]),
    Scenario::new("v5_4_8_2_the_share_name_is_not_part_of_the_filter", share_name, &["section 4.8.2"]),
    Scenario::new("v5_4_8_2_1_wrong_shared_filters", wrong_filters, &["MQTT-4.8.2-1", "MQTT-4.8.2-2"]),
    Scenario::new("v5_4_8_2_no_retained_messages", no_retained, &["section 4.8.2"]),
    Scenario::new("v5_4_8_2_3_the_granted_qos_is_respected", granted_qos, &["MQTT-4.8.2-3"]),
    Scenario::new("v5_4_8_2_a_member_subscribes_twice", twice, &["section 4.8.2"]),
    Scenario::new("v5_4_8_2_a_member_unsubscribes", unsubscribes, &["section 4.8.2", "section 3.10.4"]),
    Scenario::new("v5_4_8_2_a_member_that_is_gone_gets_nothing", gone, &["section 4.8.2"]),
    Scenario::new("v5_4_8_2_shared_and_not_shared_give_two_copies", both_kinds, &["section 4.8.2"]),
    Scenario::new("v5_3_3_4_shared_messages_have_the_members_identifier", identifiers, &["section 3.3.4"]),
    Scenario::new("v5_4_8_2_4_a_qos_2_delivery_is_completed_with_its_member", qos_2_stays, &["MQTT-4.8.2-4"]),
    Scenario::new("v5_4_8_2_5_a_qos_2_delivery_goes_to_nobody_else", qos_2_ends, &["MQTT-4.8.2-5"]),
    Scenario::new("v5_4_8_2_6_a_refused_message_goes_to_nobody_else", refused, &["MQTT-4.8.2-6"]),
    Scenario::new("v5_4_8_2_a_single_member_keeps_order", single_member, &["section 4.8.2", "MQTT-4.6.0-5"]),
    Scenario::new("v5_4_8_2_an_unacknowledged_qos_1_goes_to_another", qos_1_moves, &["section 4.8.2"])
        .choice(),
    Scenario::new("v5_4_8_2_a_member_that_is_away_is_passed_over", away, &["section 4.8.2"]).choice(),
    Scenario::new("v5_4_8_2_a_full_member_is_passed_over", full, &["section 4.8.2"]).choice(),
    Scenario::new("v5_4_8_2_the_queue_ends_with_the_last_member", queue_ends, &["section 4.8.2"]),
    Scenario::new("v311_4_8_2_older_clients_share_too", older, &["section 4.8.2"]).and_v31().choice(),
];

fn members(world: &mut World, filter: &str, qos: QoS) -> Vec<Client> {
    (0..3)
        .map(|n| {
            let mut member = world.connect(world.client(&format!("member{n}")));
            member.subscribed(filter, qos);
            member
        })
        .collect()
}

/// What each of these clients gets, complete, by its payload.
fn shares(clients: &mut [Client]) -> Vec<Vec<String>> {
    clients
        .iter_mut()
        .map(|client| {
            let mut texts = Vec::new();
            loop {
                let packets = client.drain_settled();
                if packets.is_empty() {
                    return texts;
                }
                for packet in packets {
                    if let Packet::Publish(message) = packet {
                        client.acknowledge(&message);
                        texts.push(String::from_utf8_lossy(&message.payload).into_owned());
                    }
                }
            }
        })
        .collect()
}

#[track_caller]
fn assert_shared(shares: &[Vec<String>], count: usize) {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for text in shares.iter().flatten() {
        *times.entry(text.as_str()).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> = (0..count).map(|n| (n.to_string(), 1)).collect();
    let found: BTreeMap<String, usize> = times.into_iter().map(|(text, n)| (text.to_owned(), n)).collect();
    assert_eq!(found, expected, "how often each message came, over all members");
}

fn one_member(world: &mut World) {
    let mut publisher = world.connect(world.client("pub"));
    for qos in QoS::ALL {
        let mut members = members(world, "$share/group/a/+", qos);
        for n in 0..30 {
            publisher.say("a/b", n.to_string(), qos);
        }
        let shares = shares(&mut members);
        assert_shared(&shares, 30);
        world.note(format!(
            "30 messages of {qos:?} to three members: {:?}",
            shares.iter().map(Vec::len).collect::<Vec<_>>()
        ));
        members.iter_mut().for_each(Client::disconnect);
    }
}

fn independent(world: &mut World) {
    let mut one = world.connect(v5("one"));
    let mut two = world.connect(v5("two"));
    let mut three = world.connect(v5("three"));
    let mut plain = world.connect(v5("plain"));
    one.subscribed("$share/consumer1/sport/tennis/+", QoS1);
    two.subscribed("$share/consumer2/sport/tennis/+", QoS1);
    three.subscribed("$share/consumer1/sport/#", QoS1);
    plain.subscribed("sport/tennis/+", QoS1);
    world.connect(v5("pub")).say("sport/tennis/x", "hello", QoS1);
    for client in [&mut one, &mut two, &mut three, &mut plain] {
        client.taken("sport/tennis/x", "hello");
        client.expect_nothing();
    }
}

fn share_name(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    for (filter, topic, other) in [
        ("$share/g//finance", "/finance", "finance"),
        ("$share/g/finance", "finance", "/finance"),
        ("$share/g/#", "x/y", "$x"),
        ("$share/with space/+", "one", "one/two"),
        ("$share/$g/a", "a", "b"),
        ("$share/ü/a/#", "a", "b"),
    ] {
        let mut member = world.connect(v5("member"));
        member.subscribed(filter, QoS0);
        publisher.publish(publish(other, "x")).publish(publish(topic, "y"));
        member.expect_publish(topic, "y");
        member.expect_nothing();
        member.disconnect();
    }
}

/// The connection ends, or SUBACK says that the filter is not valid: the text names no reason.
fn wrong_filters(world: &mut World) {
    let mut failures = Vec::new();
    for filter in [
        "$share//a",
        "$share/g",
        "$share/g/",
        "$share/",
        "$share/g+/a",
        "$share/g#/a",
        "$share/+/a",
        "$share/#/a",
    ] {
        let mut client = world.connect(v5("wrong"));
        client.unchecked();
        client.subscribe(1, filter, QoS0).ping();
        match client.refusal() {
            Refusal::Disconnect(0x81 | 0x82 | 0x8F) => {}
            Refusal::Closed if !world.house() => {}
            Refusal::Accepted(packets) if packets.iter().any(|text| text.contains("SUBACK id 1 [8F]")) => {}
            other => failures.push(format!("{filter}: {other:02X?}")),
        }
        client.cut();
    }
    assert!(failures.is_empty(), "wrong shared filters:\n        {}", failures.join("\n        "));
}

fn no_retained(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    publisher.published(publish("kept", "x").retain().at(QoS1, 0));
    let mut one = world.connect(v5("one"));
    let mut two = world.connect(v5("two"));
    one.subscribed("$share/g/kept", QoS1);
    two.subscribed("$share/g/kept", QoS1.retain_handling(1));
    one.subscribed("$share/g/kept", QoS1);
    one.expect_nothing();
    two.expect_nothing();
    two.disconnect();
    publisher.published(publish("kept", "y").retain().at(QoS1, 0));
    one.taken("kept", "y").expect_retain(false);
}

fn granted_qos(world: &mut World) {
    let mut members: Vec<Client> = QoS::ALL
        .into_iter()
        .map(|qos| {
            let mut member = world.connect(v5(&format!("member{}", qos as u8)));
            member.subscribed("$share/g/a", qos);
            member
        })
        .collect();
    let mut publisher = world.connect(v5("pub"));
    for n in 0..30 {
        publisher.say("a", n.to_string(), QoS2);
    }
    let mut count = 0;
    for (granted, member) in QoS::ALL.into_iter().zip(&mut members) {
        for packet in member.drain_settled() {
            if let Packet::Publish(message) = packet {
                assert_eq!(message.qos, granted as u8, "the QoS that this member was granted");
                count += 1;
            }
        }
    }
    assert_eq!(count, 30);
    // What waits for a member is not yet at its QoS.
    let mut late = world.connect(v5("late").persistent());
    late.subscribed("$share/g/b", QoS1);
    late.cut();
    publisher.say("b", "waited", QoS2);
    let mut late = world.connect(v5("late").persistent());
    late.taken("b", "waited").expect_qos(QoS1);
}

fn twice(world: &mut World) {
    let mut member = world.connect(v5("member"));
    member.subscribed("$share/g/a", QoS0).subscribed("$share/g/a", QoS1);
    let mut publisher = world.connect(v5("pub"));
    publisher.say("a", "once", QoS2);
    member.taken("a", "once").expect_qos(QoS1);
    member.expect_nothing();
    member.unsubscribe(1, &["$share/g/a"]).expect_unsuback(&[0]);
    member.unsubscribe(2, &["$share/g/a"]).expect_unsuback(&[0x11]);
    publisher.say("a", "none", QoS2);
    member.expect_nothing();
}

fn unsubscribes(world: &mut World) {
    let mut members = members(world, "$share/g/a", QoS1);
    let mut publisher = world.connect(v5("pub"));
    for filter in ["a", "$share/other/a", "$share/g/+"] {
        members[0].unsubscribe(1, &[filter]).expect_unsuback(&[0x11]);
    }
    members[0].unsubscribe(2, &["$share/g/a"]).expect_unsuback(&[0]);
    members[1].unsubscribe(2, &["$share/g/a"]).expect_unsuback(&[0]);
    for n in 0..10 {
        publisher.say("a", n.to_string(), QoS1);
    }
    let shares = shares(&mut members);
    assert_eq!(shares[2].len(), 10, "the only member that is left gets all");
    assert_shared(&shares, 10);
}

fn gone(world: &mut World) {
    let mut members = members(world, "$share/g/a", QoS1);
    members[0].cut();
    members[1].disconnect();
    let mut publisher = world.connect(v5("pub"));
    for n in 0..10 {
        publisher.say("a", n.to_string(), QoS1);
    }
    assert_shared(&shares(&mut members[2..]), 10);
}

fn both_kinds(world: &mut World) {
    let mut client = world.connect(v5("one"));
    client.subscribe_with(Subscribe::one(1, "$share/g/a", QoS1).subscription_id(1)).expect_suback(&[1]);
    client.subscribe_with(Subscribe::one(2, "a", QoS1).subscription_id(2)).expect_suback(&[1]);
    client.subscribe_with(Subscribe::one(3, "$share/h/a", QoS1).subscription_id(3)).expect_suback(&[1]);
    world.connect(v5("pub")).say("a", "x", QoS1);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.extend(client.taken("a", "x").properties.subscription_ids());
    }
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3], "a copy for each");
    client.expect_nothing();
}

fn identifiers(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    let mut members: Vec<Client> = (1..=3)
        .map(|n| {
            let mut member = world.connect(v5(&format!("member{n}")));
            member
                .subscribe_with(Subscribe::one(1, "$share/g/a", QoS0).subscription_id(n))
                .expect_suback(&[0]);
            member
        })
        .collect();
    for _ in 0..12 {
        publisher.publish(publish("a", "x"));
    }
    let mut count = 0;
    for (n, member) in (1..=3).zip(&mut members) {
        for packet in member.drain_settled() {
            if let Packet::Publish(message) = packet {
                message.expect_subscription_ids(&[n]);
                count += 1;
            }
        }
    }
    assert_eq!(count, 12);
}

/// One of two persistent members has a QoS 2 message, received or only published; gives the one that has it, the
/// other, and the identifier.
fn qos_2_in_flight(world: &mut World) -> (usize, Vec<Client>, u16) {
    let mut members: Vec<Client> = (0..2)
        .map(|n| {
            let mut member = world.connect(v5(&format!("member{n}")).persistent());
            member.subscribed("$share/g/a", QoS2);
            member
        })
        .collect();
    world.connect(v5("pub")).say("a", "x", QoS2);
    world.settle();
    for (n, member) in members.iter_mut().enumerate() {
        if let Some(Packet::Publish(message)) = member.drain().first() {
            return (n, members, message.id);
        }
    }
    panic!("no member of the group has got the message");
}

fn qos_2_stays(world: &mut World) {
    let (chosen, mut members, id) = qos_2_in_flight(world);
    members[chosen].cut();
    members[1 - chosen].expect_nothing();
    let mut back = world.connect(v5(&format!("member{chosen}")).persistent());
    back.taken("a", "x").expect_dup(true).expect_id(id);
    back.expect_nothing();
    members[1 - chosen].expect_nothing();
}

fn qos_2_ends(world: &mut World) {
    let (chosen, mut members, id) = qos_2_in_flight(world);
    members[chosen].pubrec(id).expect_pubrel(id);
    members[chosen].cut();
    let mut again = world.connect(v5(&format!("member{chosen}")));
    assert!(!again.connack().session_present, "the session has ended");
    again.expect_nothing();
    members[1 - chosen].expect_nothing();
    members[1 - chosen].disconnect();
    // The same before PUBREC.
    world.connect(v5(&format!("member{}", 1 - chosen))).disconnect();
    again.disconnect();
    let (chosen, mut members, _) = qos_2_in_flight(world);
    members[chosen].cut();
    world.connect(v5(&format!("member{chosen}"))).expect_nothing();
    members[1 - chosen].expect_nothing();
}

fn refused(world: &mut World) {
    let mut publisher = world.connect(v5("pub"));
    for qos in [QoS1, QoS2] {
        let mut members = members(world, "$share/g/a", qos);
        publisher.say("a", "x", qos);
        world.settle();
        let mut refusals = 0;
        for member in &mut members {
            for packet in member.drain() {
                if let Packet::Publish(message) = packet {
                    refusals += 1;
                    let ack = Ack::new(message.id, 0x83);
                    member.send_packet(if qos == QoS1 { Packet::PubAck(ack) } else { Packet::PubRec(ack) });
                }
            }
        }
        assert_eq!(refusals, 1, "one member had the message");
        for member in &mut members {
            member.expect_nothing();
            member.disconnect();
        }
    }
}

fn single_member(world: &mut World) {
    let mut member = world.connect(v5("member").persistent());
    member.subscribed("$share/g/a", QoS1);
    let mut publisher = world.connect(v5("pub"));
    for n in 0..10 {
        publisher.say("a", n.to_string(), QoS1);
    }
    for n in 0..10 {
        member.taken("a", n.to_string());
    }
    member.expect_nothing();
}

fn qos_1_moves(world: &mut World) {
    let mut members: Vec<Client> = (0..2)
        .map(|n| {
            let mut member = world.connect(v5(&format!("member{n}")));
            member.subscribed("$share/g/a", QoS1);
            member
        })
        .collect();
    let mut publisher = world.connect(v5("pub"));
    for n in 0..4 {
        publisher.say("a", n.to_string(), QoS1);
    }
    world.settle();
    // The first takes all that it has without a word and its session ends.
    let lost = members[0].drain().len();
    assert!(lost > 0, "the first member had its share");
    members[0].cut();
    let found = shares(&mut members[1..]);
    assert_shared(&found, 4);
}

fn away(world: &mut World) {
    let mut members: Vec<Client> = (0..3)
        .map(|n| {
            let mut member = world.connect(v5(&format!("member{n}")).persistent());
            member.subscribed("$share/g/a", QoS1);
            member
        })
        .collect();
    members[0].cut();
    let mut publisher = world.connect(v5("pub"));
    for n in 0..12 {
        publisher.say("a", n.to_string(), QoS1);
    }
    assert_shared(&shares(&mut members[1..]), 12);
    world.connect(v5("member0").persistent()).expect_nothing();
}

fn full(world: &mut World) {
    let mut narrow = world.connect(v5("narrow").receive_maximum(1));
    narrow.subscribed("$share/g/a", QoS1);
    let mut wide = world.connect(v5("wide"));
    wide.subscribed("$share/g/a", QoS1);
    let mut publisher = world.connect(v5("pub"));
    for n in 0..10 {
        publisher.say("a", n.to_string(), QoS1);
    }
    world.settle();
    let held = narrow.drain().len();
    assert!(held <= 1, "{held} messages in a window of one");
    let got = wide.drain().len();
    assert_eq!(got + held, 10, "what the narrow member cannot take goes to the wide one");
}

fn queue_ends(world: &mut World) {
    let mut member = world.connect(v5("member").persistent());
    member.subscribed("$share/g/a", QoS1);
    member.cut();
    let mut publisher = world.connect(v5("pub"));
    publisher.say("a", "waits", QoS1);
    // The session ends, and with it the group.
    world.connect(v5("member")).disconnect();
    let mut later = world.connect(v5("later"));
    later.subscribed("$share/g/a", QoS1);
    later.expect_nothing();
    publisher.say("a", "new", QoS1);
    later.taken("a", "new");
    later.expect_nothing();
}

fn older(world: &mut World) {
    let mut clients =
        vec![world.connect(world.client("older")), world.connect(v5("newer")), world.connect(v311("other"))];
    for client in &mut clients {
        client.subscribed("$share/g/a", QoS1);
    }
    let mut publisher = world.connect(world.client("pub"));
    for n in 0..30 {
        publisher.say("a", n.to_string(), QoS1);
    }
    let found = shares(&mut clients);
    assert_shared(&found, 30);
    assert!(found.iter().all(|share| !share.is_empty()), "every member has a share: {found:?}");
}
