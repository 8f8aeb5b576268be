//! Section 4.7: topic names, topic filters, and how they match.

use std::collections::BTreeSet;

use whimbrel_testkit::{Packet, QoS0, QoS1, World, publish};

use crate::scenario::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "v5_4_7_1_filters_match_as_the_text_says",
        matching,
        &["MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-3.3.2-3", "MQTT-4.7.3-4"],
    ),
    Scenario::new(
        "v311_4_7_1_filters_match_as_the_text_says",
        matching,
        &["MQTT-4.7.1-2", "MQTT-4.7.1-3", "MQTT-3.3.2-3", "MQTT-4.7.3-4"],
    )
    .and_v31(),
    Scenario::new("v5_4_7_2_1_wildcards_do_not_match_a_leading_dollar", dollar, &["MQTT-4.7.2-1"]),
    Scenario::new("v311_4_7_2_1_wildcards_do_not_match_a_leading_dollar", dollar, &["MQTT-4.7.2-1"])
        .and_v31(),
    Scenario::new("v5_4_7_2_1_the_servers_own_topics_and_wildcards", own_topics, &["MQTT-4.7.2-1"]),
    Scenario::new("v311_4_7_2_1_the_servers_own_topics_and_wildcards", own_topics, &["MQTT-4.7.2-1"])
        .and_v31(),
    Scenario::new("v5_4_7_3_4_names_are_not_normalized", not_normalized, &["MQTT-4.7.3-4", "section 4.7.3"]),
    Scenario::new("v311_4_7_3_4_names_are_not_normalized", not_normalized, &["MQTT-4.7.3-4"]).and_v31(),
    Scenario::new("v5_1_5_4_3_the_zero_width_no_break_space_stays", byte_order_mark, &["MQTT-1.5.4-3"]),
    Scenario::new("v311_1_5_3_3_the_zero_width_no_break_space_stays", byte_order_mark, &["MQTT-1.5.3-3"])
        .and_v31(),
    Scenario::new("v5_4_7_3_1_one_character_is_enough", one_character, &["MQTT-4.7.3-1"]),
    Scenario::new("v311_4_7_3_1_one_character_is_enough", one_character, &["MQTT-4.7.3-1"]).and_v31(),
    Scenario::new("v5_4_7_3_3_topics_may_be_65535_bytes_long", longest, &["MQTT-4.7.3-3"]),
    Scenario::new("v311_4_7_3_3_topics_may_be_65535_bytes_long", longest, &["MQTT-4.7.3-3"]).and_v31(),
    Scenario::new("v5_4_7_3_topics_may_have_many_levels", many_levels, &["section 4.7.3"]),
    Scenario::new("v5_1_5_4_any_other_character_is_taken", any_character, &["section 1.5.4"]).choice(),
    Scenario::new("v5_4_7_2_clients_do_not_meet_under_a_dollar", dollar_not_for_clients, &["section 4.7.2"])
        .choice(),
];

/// Filters with the topics that match and those that do not: the text's own examples and their neighbours.
const MATCHES: &[(&str, &[&str], &[&str])] = &[
    (
        "sport/tennis/player1/#",
        &["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"],
        &["sport/tennis", "sport/tennis/player2", "sport/tennis/player10"],
    ),
    ("sport/#", &["sport", "sport/", "sport/a/b/c"], &["sports", "/sport"]),
    ("#", &["a", "/", "a/b/c", "/a"], &[]),
    (
        "sport/tennis/+",
        &["sport/tennis/player1", "sport/tennis/"],
        &["sport/tennis/player1/ranking", "sport/tennis"],
    ),
    ("sport/+", &["sport/", "sport/a"], &["sport", "sport/a/b"]),
    ("+", &["finance", "a"], &["/finance", "a/b", "/"]),
    ("+/+", &["/finance", "a/b", "/"], &["finance", "a/b/c", "//"]),
    ("/+", &["/finance", "/"], &["finance", "/a/b"]),
    ("+/tennis/#", &["sport/tennis", "/tennis/a", "x/tennis/a/b"], &["tennis", "sport/tennis2"]),
    ("sport/+/player1", &["sport/tennis/player1", "sport//player1"], &["sport/player1", "sport/a/b/player1"]),
    ("+/+/#", &["a/b", "a/b/c/d", "/"], &["a"]),
    ("/#", &["/", "/a", "/a/b"], &["a", "a/b"]),
    ("a//b", &["a//b"], &["a/b", "a///b", "a/x/b"]),
    ("a/+/b", &["a//b", "a/x/b"], &["a/b"]),
    ("/", &["/"], &["a", "//", "/a"]),
    ("a/", &["a/"], &["a", "a//"]),
    ("a/b/c", &["a/b/c"], &["a/b", "a/b/c/", "a/b/c/d"]),
];

fn matching(world: &mut World) {
    let all: BTreeSet<&str> =
        MATCHES.iter().flat_map(|(_, yes, no)| yes.iter().chain(*no)).copied().collect();
    let mut publisher = world.connect(world.client("pub"));
    for (filter, yes, no) in MATCHES {
        let mut sub = world.connect(world.client("sub"));
        sub.subscribed(filter, QoS0);
        for topic in &all {
            publisher.publish(publish(topic, "x"));
        }
        let found: BTreeSet<String> = sub
            .drain_settled()
            .into_iter()
            .filter_map(
                |packet| if let Packet::Publish(message) = packet { Some(message.topic) } else { None },
            )
            .collect();
        for topic in *yes {
            assert!(found.contains(*topic), "{filter:?} matches {topic:?}");
        }
        for topic in *no {
            assert!(!found.contains(*topic), "{filter:?} does not match {topic:?}");
        }
        sub.disconnect();
    }
}

/// A server may refuse topics of clients that begin with `$`; what it takes it must not match with a wildcard.
fn dollar(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("#", QoS0).subscribed("+/a", QoS0).subscribed("+", QoS0).subscribed("+/#", QoS0);
    let mut publisher = world.connect(world.client("pub"));
    for topic in ["$own/a", "$own", "$/a", "$"] {
        publisher.publish(publish(topic, "x"));
    }
    sub.expect_nothing();
    // Elsewhere in a name the character means nothing.
    publisher.publish(publish("b/$own", "x"));
    let copies = sub.drain_settled();
    assert!(!copies.is_empty(), "a dollar sign in the second level is matched");
}

fn own_topics(world: &mut World) {
    let mut wild = world.connect(world.client("wild"));
    wild.subscribed("#", QoS0).subscribed("+/broker/version", QoS0).subscribed("+/broker/#", QoS0);
    wild.expect_nothing();
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("$SYS/#", QoS0);
    if sub.drain_settled().is_empty() {
        assert!(!world.house(), "$SYS/# brings something at once");
        world.note("no topics under $SYS: nothing proved");
    }
}

fn not_normalized(world: &mut World) {
    let names = [
        "ACCOUNTS",
        "Accounts",
        "accounts",
        "Accounts payable",
        "Accounts  payable",
        " accounts",
        "accounts ",
        "/finance",
        "finance",
        "finance/",
        "caf\u{e9}",
        "cafe\u{301}",
        "\u{212b}",
        "\u{c5}",
        "a/../b",
        "a/./b",
        "a\\b",
        "a%2Fb",
        "\u{1F600}",
        "a*b",
        "a?b",
    ];
    let mut subs = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let mut sub = world.connect(world.client(&format!("sub{n}")));
        sub.subscribed(name, QoS1);
        subs.push(sub);
    }
    let mut publisher = world.connect(world.client("pub"));
    for name in names {
        publisher.say(name, name, QoS1);
    }
    for (sub, name) in subs.iter_mut().zip(names) {
        sub.taken(name, name);
    }
    for sub in &mut subs {
        sub.expect_nothing();
    }
}

fn byte_order_mark(world: &mut World) {
    let names = ["\u{feff}mark", "mark", "mark\u{feff}", "ma\u{feff}rk"];
    let mut sub = world.connect(world.client("sub"));
    let mut plain = world.connect(world.client("plain"));
    plain.subscribed("mark", QoS0);
    sub.subscribed("+", QoS0);
    let mut publisher = world.connect(world.client("pub"));
    for name in names {
        publisher.publish(publish(name, name));
        sub.expect_publish(name, name);
    }
    plain.expect_publish("mark", "mark");
    plain.expect_nothing();
    for name in names {
        let mut exact = world.connect(world.client("exact"));
        exact.subscribed(name, QoS0);
        for topic in names {
            publisher.publish(publish(topic, topic));
        }
        exact.expect_publish(name, name);
        exact.expect_nothing();
    }
}

fn one_character(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    let mut publisher = world.connect(world.client("pub"));
    for name in ["a", "/", " ", "é", "\u{1F600}"] {
        sub.subscribed(name, QoS0);
        publisher.publish(publish(name, "x"));
        sub.expect_publish(name, "x");
    }
}

fn longest(world: &mut World) {
    let name = format!("long/{}", "x".repeat(65_535 - 5));
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed(&name, QoS1).subscribed("long/+", QoS0);
    let mut publisher = world.connect(world.client("pub"));
    publisher.say(&name, "x", QoS1);
    sub.taken(&name, "x");
    sub.unsubscribe(1, &[&name]).expect_unsuback(&[0]);
    sub.drain_settled();
    publisher.say(&name, "y", QoS1);
    sub.taken(&name, "y").expect_qos(QoS0);
}

fn many_levels(world: &mut World) {
    let name = vec!["l"; 120].join("/");
    let wild = format!("{}/#", vec!["+"; 100].join("/"));
    let mut sub = world.connect(world.client("sub"));
    let mut other = world.connect(world.client("other"));
    sub.subscribed(&name, QoS1);
    other.subscribed(&wild, QoS1);
    world.connect(world.client("pub")).say(&name, "x", QoS1);
    sub.taken(&name, "x");
    other.taken(&name, "x");
}

fn any_character(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("odd/#", QoS0);
    let mut publisher = world.connect(world.client("pub"));
    for c in
        ['\u{1}', '\t', '\n', '\u{1f}', '\u{7f}', '\u{9f}', '\u{ffff}', '\u{fdd0}', '\u{10ffff}', '\u{e000}']
    {
        let name = format!("odd/{c}");
        publisher.publish(publish(&name, "x"));
        sub.expect_publish(&name, "x");
    }
}

fn dollar_not_for_clients(world: &mut World) {
    let mut sub = world.connect(world.client("sub"));
    sub.subscribed("$SYS/#", QoS0);
    sub.drain_settled();
    let mut publisher = world.connect(world.client("pub"));
    publisher.publish(publish("$SYS/mine", "x").at(QoS1, 1));
    assert_eq!(publisher.puback_for(1).code, 0x87);
    let seen = sub.drain_settled();
    let mine = seen.iter().any(|packet| matches!(packet, Packet::Publish(m) if m.topic == "$SYS/mine"));
    assert!(!mine, "a client's message under $SYS");
}
