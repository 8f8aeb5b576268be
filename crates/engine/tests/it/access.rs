//! What the rules let clients publish, subscribe to and read, and what becomes of it when the rules change.

use std::sync::Arc;

use whimbrel_engine::{
    AccessOptions, ClientIdOf, Count, DeniedWill, Engine, Limits, Notice, Now, Untold,
    rules::{Partly, Rules},
};
use whimbrel_testkit::{
    Packet, Property, Publish, QoS0, QoS1, QoS2, Subscribe, publish, v5, v31, v311, will,
};

use super::{
    paper::Paper,
    worker::{START, Who, Worker, messages, text},
};

const BOTH: &str = "[\"publish\", \"subscribe\"]";

fn rules(text: &str) -> Arc<Rules> {
    Rules::from_rule_file("access.toml", text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn allow(what: &str, topics: &str) -> String {
    let what = if what == "both" { BOTH.to_owned() } else { format!("{what:?}") };
    format!("[[rule]]\nallow = {what}\ntopics = {topics:?}\n")
}

fn deny(what: &str, topics: &str) -> String {
    allow(what, topics).replace("allow", "deny")
}

fn ruled_with(text: &str, options: AccessOptions) -> Worker {
    Worker::of(&Arc::new(Engine::new(Limits::default(), 11).with_access(rules(text), options)))
}

fn ruled(text: &str) -> Worker {
    ruled_with(text, AccessOptions::default())
}

/// New rules are put in force, and every session is looked at.
fn change(worker: &mut Worker, text: &str) -> usize {
    worker.engine.set_rules(rules(text));
    apply(worker)
}

fn apply(worker: &mut Worker) -> usize {
    let engine = worker.engine.clone();
    let ended = (0..).map_while(|slice| engine.apply_rules(&mut worker.turn, slice)).sum();
    worker.settle();
    ended
}

fn texts(publishes: &[Publish]) -> Vec<String> {
    publishes.iter().map(text).collect()
}

/// The code of the acknowledgement and its words.
fn acked(worker: &mut Worker, who: Who, message: Publish) -> (u8, Option<String>) {
    worker.publish(who, message);
    let acks = worker.take(who);
    let [Packet::PubAck(ack) | Packet::PubRec(ack)] = &acks[..] else { panic!("{acks:?}") };
    let words = ack.properties.0.iter().find_map(|property| match property {
        Property::ReasonString(words) => Some(words.clone()),
        _ => None,
    });
    (ack.code, words)
}

#[test]
fn a_denied_message_reaches_nobody_and_its_publisher_is_told_the_line() {
    let mut worker = ruled(&(deny("publish", "a/secret") + &allow("both", "a/#")));
    let reader = worker.connect(v5("reader"));
    assert_eq!(worker.subscribe(reader, "a/ok", QoS0), [0]);
    let from = worker.connect(v5("from"));
    let line = |line: &str| Some(line.to_owned());
    let denied = line("publish: denied by the rule in line 1");
    assert_eq!(acked(&mut worker, from, publish("a/secret", "1").at(QoS1, 1)), (0x87, denied.clone()));
    assert_eq!(acked(&mut worker, from, publish("a/secret", "2").at(QoS2, 2)), (0x87, denied));
    assert_eq!(
        acked(&mut worker, from, publish("b", "3").at(QoS1, 3)),
        (0x87, line("publish: no rule allows it"))
    );
    worker.say(from, "a/secret", "4");
    assert_eq!(acked(&mut worker, from, publish("a/ok", "5").at(QoS1, 4)), (0, None));
    assert_eq!(worker.payloads(reader), ["5"]);
    assert_eq!(worker.count(Count::DeniedPublish), 4);
    let drops = worker.engine.session("from").unwrap().view().unwrap().drops;
    assert_eq!(drops, [(Count::DeniedPublish, 4)]);
    // Told once for a connection.
    let notices = worker.notices();
    let [Notice::Denied { client_id, what, by }] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!((&**client_id, &**what), ("from", "publish to a/secret"));
    assert_eq!(by, "access.toml:1: deny = \"publish\", topics = \"a/secret\"");
}

#[test]
fn v5_3_1_2_29_who_wants_no_words_gets_none() {
    let mut worker = ruled("");
    let from = worker.connect(v5("from").with(Property::RequestProblemInformation(0)));
    assert_eq!(acked(&mut worker, from, publish("a", "1").at(QoS1, 1)), (0x87, None));
    let (ack, _) = worker.subscribe_with(from, Subscribe::one(1, "a", QoS0));
    assert_eq!((ack.codes, ack.properties.0.len()), (vec![0x87], 0));
}

#[test]
fn who_cannot_be_told_is_dropped_or_disconnected_as_configured() {
    for (untold, closed) in [(Untold::Drop, false), (Untold::Disconnect, true)] {
        let options = AccessOptions { untold, ..AccessOptions::default() };
        let cases = [
            (v311("c"), publish("a", "1")),
            (v311("c"), publish("a", "1").at(QoS1, 1)),
            (v31("c"), publish("a", "1").at(QoS2, 1)),
            (v5("c"), publish("a", "1")),
        ];
        for (connect, message) in cases {
            let mut worker = ruled_with("", options);
            let answers = usize::from(message.qos > 0);
            let from = worker.connect(connect);
            worker.publish(from, message);
            let told = worker.take(from);
            assert_eq!(worker.is_closed(from), closed);
            assert_eq!(worker.count(Count::DeniedPublishEnds), u64::from(closed));
            if !closed {
                assert_eq!(told.len(), answers, "it is acknowledged: {told:?}");
            }
        }
    }
    // At QoS 1 and 2 a 5.0 client is told, whatever else is configured.
    let options = AccessOptions { untold: Untold::Disconnect, ..AccessOptions::default() };
    let mut worker = ruled_with("", options);
    let from = worker.connect(v5("c"));
    assert_eq!(acked(&mut worker, from, publish("a", "1").at(QoS2, 1)).0, 0x87);
    assert!(!worker.is_closed(from));
}

#[test]
fn a_message_behind_a_topic_alias_is_judged_by_its_topic() {
    let mut worker = ruled(&(deny("publish", "a/secret") + &allow("publish", "#")));
    let from = worker.connect(v5("from"));
    assert_eq!(acked(&mut worker, from, publish("a/ok", "1").alias(1).at(QoS1, 1)).0, 0x10);
    assert_eq!(acked(&mut worker, from, publish("", "2").alias(1).at(QoS1, 2)).0, 0x10);
    assert_eq!(acked(&mut worker, from, publish("a/secret", "3").alias(1).at(QoS1, 3)).0, 0x87);
    assert_eq!(acked(&mut worker, from, publish("", "4").alias(1).at(QoS1, 4)).0, 0x87);
}

#[test]
fn a_subscription_is_refused_whole_or_filtered_as_configured() {
    let text = deny("subscribe", "a/secret") + &allow("both", "a/#");
    let mut worker = ruled(&text);
    let reader = worker.connect(v5("reader"));
    let (ack, _) =
        worker.subscribe_with(reader, Subscribe::one(1, "a/#", QoS0).and("a/ok", QoS1).and("b", QoS0));
    assert_eq!(ack.codes, [0x87, 1, 0x87]);
    assert!(matches!(ack.properties.0.first(), Some(Property::ReasonString(words))
        if words == "subscribe to all of it: denied by the rule in line 1"));
    for (connect, code) in [(v311("old"), 0x80), (v31("older"), 0)] {
        let old = worker.connect(connect);
        assert_eq!(worker.subscribe(old, "a/#", QoS0), [code]);
        worker.say(reader, "a/ok", "1");
        assert_eq!(worker.payloads(old), [""; 0], "whatever it was told");
        worker.take(reader);
    }
    assert_eq!(worker.count(Count::DeniedSubscribe), 4);

    let mut worker = ruled_with(&text, AccessOptions { partly: Partly::Filter, ..AccessOptions::default() });
    let reader = worker.connect(v5("reader"));
    assert_eq!(worker.subscribe(reader, "#", QoS1), [1]);
    for topic in ["a/ok", "a/secret", "a/ok"] {
        worker.say(reader, topic, topic);
    }
    assert_eq!(worker.payloads(reader), ["a/ok", "a/ok"]);
    assert_eq!(worker.count(Count::DeniedReceive), 1);
}

#[test]
fn reading_a_retained_message_needs_the_right_to_read() {
    let text = deny("subscribe", "a/secret") + &allow("both", "a/#");
    let mut worker = ruled_with(&text, AccessOptions { partly: Partly::Filter, ..AccessOptions::default() });
    let from = worker.connect(v5("from"));
    for topic in ["a/ok", "a/secret"] {
        worker.publish(from, publish(topic, topic).retain());
    }
    let reader = worker.connect(v5("reader"));
    let (_, retained) = worker.subscribe_with(reader, Subscribe::one(1, "a/+", QoS1));
    assert_eq!(texts(&retained), ["a/ok"]);
}

#[test]
fn a_retained_message_or_a_qos_that_a_rule_does_not_name_is_not_taken() {
    let text = "[[rule]]\nallow = \"publish\"\ntopics = \"#\"\nqos = 0\nretain = false\n";
    let mut worker = ruled(text);
    let from = worker.connect(v5("from"));
    for message in [publish("a", "1"), publish("a", "2").retain(), publish("a", "3")] {
        worker.publish(from, message);
    }
    assert_eq!(acked(&mut worker, from, publish("a", "4").at(QoS1, 1)).0, 0x87);
    assert_eq!((worker.count(Count::DeniedPublish), worker.engine.retained().0), (2, 0));
}

#[test]
fn the_servers_own_topics_need_a_rule_of_their_own() {
    let mut worker = ruled(&allow("both", "#"));
    let reader = worker.connect(v5("reader"));
    assert_eq!(worker.subscribe(reader, "$SYS/#", QoS0), [0x87]);
    let mut worker = ruled(&allow("subscribe", "$SYS/broker/version"));
    let reader = worker.connect(v5("reader"));
    let (ack, values) = worker.subscribe_with(reader, Subscribe::one(1, "$SYS/broker/version", QoS0));
    assert_eq!((ack.codes, values.len()), (vec![0], 1));
}

#[test]
fn a_will_on_a_forbidden_topic_keeps_its_client_out_or_is_dropped() {
    let text = allow("both", "a/#");
    let mut worker = ruled(&text);
    let from = worker.start(v5("from").will(will("b", "gone")));
    worker.settle();
    let ack = worker.next_connack(from);
    assert_eq!(ack.code, 0x87);
    assert!(ack.properties.0.iter().any(|property| matches!(property, Property::ReasonString(words)
        if words == "will: no rule allows it")));
    let old = worker.start(v311("old").will(will("b", "gone")));
    worker.settle();
    assert_eq!(worker.next_connack(old).code, 5);

    for (options, topic) in [
        (AccessOptions { will: DeniedWill::Drop, ..AccessOptions::default() }, "b"),
        (AccessOptions::default(), "a/left"),
    ] {
        let mut worker = ruled_with(&(allow("subscribe", "b") + &text), options);
        let reader = worker.connect(v5("reader"));
        worker.subscribe(reader, topic, QoS0);
        let from = worker.connect(v5("from").will(will(topic, "gone")));
        worker.cut(from);
        let expect: &[&str] = if topic == "b" { &[] } else { &["gone"] };
        assert_eq!(worker.payloads(reader), expect);
        assert_eq!(worker.count(Count::DeniedWill), u64::from(topic == "b"));
    }
}

#[test]
fn a_will_is_judged_again_by_the_rules_of_the_day_on_which_it_is_due() {
    let mut worker = ruled(&allow("both", "a/#"));
    let reader = worker.connect(v5("reader"));
    worker.subscribe(reader, "a/left", QoS0);
    let from = worker.connect(v5("from").will(will("a/left", "gone")));
    change(&mut worker, &allow("subscribe", "a/#"));
    worker.cut(from);
    assert_eq!(worker.payloads(reader), [""; 0]);
    assert_eq!(worker.count(Count::DeniedWill), 1);
}

/// The journal does not say who left it: rules that ask for that allow nothing.
#[test]
fn a_will_that_is_kept_over_a_restart_is_judged_as_of_anybody_with_its_identifier() {
    let of_user =
        |says: &str| format!("[[rule]]\n{says} = \"publish\"\ntopics = \"a/#\"\nusers = \"anna\"\n");
    let ruled = |paper: &Paper, text: &str| {
        let (rules, options) = (rules(text), AccessOptions::default());
        let now = Now { mono: START, wall_secs: 1_700_000_000 };
        let make = |engine: Engine| engine.with_access(rules, options);
        let mut worker = Worker::of(&paper.start_as(Limits::default(), now, make).0);
        worker.paper = Some(paper.clone());
        worker.commits = true;
        worker
    };
    let open = allow("both", "a/#");
    for (text, expect) in [
        (open.clone(), true),
        (allow("both", "a/%c") + &allow("subscribe", "a/#"), true),
        (allow("subscribe", "a/#"), false),
        (allow("subscribe", "a/#") + &of_user("allow"), false),
        (of_user("deny") + &open, false),
    ] {
        let paper = Paper::default();
        let mut worker = ruled(&paper, &open);
        let reader = worker.connect(v311("reader").resume().keep_alive(0));
        worker.subscribe(reader, "a/mortal", QoS1);
        worker.connect(v311("mortal").keep_alive(0).will(will("a/mortal", "gone").qos(QoS1)));
        worker.commit();
        let mut after = ruled(&paper.crash(0), &text);
        after.advance(60_000);
        let reader = after.connect(v311("reader").resume().keep_alive(0));
        let expected: &[&str] = if expect { &["gone"] } else { &[] };
        assert_eq!(after.payloads(reader), expected, "{text}");
        assert_eq!(after.count(Count::DeniedWill), u64::from(!expect), "{text}");
    }
}

#[test]
fn new_rules_count_at_once_and_end_what_they_do_not_allow() {
    let all = allow("both", "#");
    let mut worker = ruled(&all);
    let reader = worker.connect(v5("reader").persistent());
    worker.subscribe(reader, "a/#", QoS1);
    worker.subscribe(reader, "b/#", QoS1);
    worker.subscribe(reader, "$share/g/a/#", QoS1);
    let from = worker.connect(v5("from"));
    let narrow = deny("subscribe", "a/secret") + &allow("both", "b/#") + &allow("publish", "#");
    worker.engine.set_rules(rules(&narrow));
    // Before anybody has looked at the sessions.
    worker.say(from, "a/1", "denied");
    worker.say(from, "b/1", "allowed");
    assert_eq!(worker.payloads(reader), ["allowed"]);
    assert_eq!(apply(&mut worker), 2);
    assert_eq!(worker.engine.subscriptions(), 1);
    assert_eq!(worker.count(Count::SubscriptionsEnded), 2);
    let ended =
        worker.notices().iter().filter(|notice| matches!(notice, Notice::SubscriptionEnded { .. })).count();
    assert_eq!(ended, 2);
    let session = worker.engine.session("reader").unwrap();
    assert_eq!(session.subscriptions(None, 10).iter().map(|one| &*one.filter).collect::<Vec<_>>(), ["b/#"]);
    // What has ended does not come back with the old rules; who wants it asks again.
    assert_eq!(change(&mut worker, &all), 0);
    worker.say(from, "a/2", "gone");
    worker.say(from, "b/2", "stays");
    assert_eq!(worker.payloads(reader), ["stays"]);
    assert_eq!(worker.subscribe(reader, "a/#", QoS1), [1]);
    worker.say(from, "a/3", "back");
    assert_eq!(worker.payloads(reader), ["back"]);
}

#[test]
fn what_waits_is_looked_at_again_when_it_is_delivered() {
    let mut worker = ruled(&allow("both", "#"));
    let reader = worker.connect(v5("reader").persistent());
    worker.subscribe(reader, "#", QoS1);
    worker.cut(reader);
    let from = worker.connect(v5("from"));
    for topic in ["a/1", "b/1", "a/2"] {
        worker.say_acked(from, topic, topic);
    }
    worker.engine.set_rules(rules(&(deny("subscribe", "a/#") + &allow("both", "#"))));
    let reader = worker.connect(v5("reader").persistent().resume());
    assert_eq!(worker.payloads(reader), ["b/1"]);
    assert_eq!(worker.count(Count::DeniedReceive), 2);
}

#[test]
fn what_was_sent_and_not_acknowledged_is_not_sent_again_against_the_rules() {
    let mut worker = ruled(&allow("both", "#"));
    let reader = worker.connect(v5("reader").persistent());
    worker.subscribe(reader, "+/1", QoS1);
    let from = worker.connect(v5("from"));
    for topic in ["a/1", "b/1"] {
        worker.say_acked(from, topic, topic);
    }
    assert_eq!(worker.messages(reader).len(), 2);
    worker.cut(reader);
    worker.engine.set_rules(rules(&(deny("subscribe", "a/#") + &allow("both", "#"))));
    let reader = worker.connect(v5("reader").persistent().resume());
    let again = worker.messages(reader);
    assert_eq!(texts(&again), ["b/1"]);
    assert!(again[0].dup);
}

#[test]
fn a_session_that_another_user_may_not_have_is_not_taken_over() {
    let text = allow("both", "#");
    let mut worker = ruled(&text);
    let alice = worker.connect(v5("pump").persistent().user_name("alice"));
    for (connect, code) in [(v5("pump").user_name("mallory"), 0x87), (v311("pump"), 5)] {
        let thief = worker.start(connect);
        worker.settle();
        assert_eq!(worker.next_connack(thief).code, code);
        assert!(!worker.is_closed(alice), "she goes on");
    }
    worker.cut(alice);
    let thief = worker.start(v5("pump").user_name("mallory"));
    worker.settle();
    assert_eq!(worker.next_connack(thief).code, 0x87, "an absent session is hers, too");
    assert_eq!(worker.count(Count::DeniedClientId), 3);
    worker.connect(v5("pump").persistent().resume().user_name("alice"));

    let options = AccessOptions { client_id: ClientIdOf::Anyone, ..AccessOptions::default() };
    let mut worker = ruled_with(&text, options);
    worker.connect(v5("pump").user_name("alice"));
    worker.connect(v5("pump").user_name("mallory"));
}

#[test]
fn another_user_of_a_session_has_its_own_rights() {
    let mine = "[[rule]]\nallow = [\"publish\", \"subscribe\"]\ntopics = [\"home/%u/#\", \"hall\"]\n";
    let options = AccessOptions { client_id: ClientIdOf::Anyone, ..AccessOptions::default() };
    let mut worker = ruled_with(mine, options);
    let alice = worker.connect(v5("pump").persistent().user_name("alice"));
    assert_eq!(worker.subscribe(alice, "home/alice/#", QoS1), [1]);
    assert_eq!(worker.subscribe(alice, "hall", QoS1), [1]);
    worker.cut(alice);
    let from = worker.connect(v5("from").user_name("alice"));
    worker.say_acked(from, "home/alice/diary", "secret");
    worker.say_acked(from, "hall", "1");
    let bob = worker.connect(v5("pump").persistent().resume().user_name("bob"));
    assert_eq!(worker.payloads(bob), ["1"]);
    worker.say(from, "home/alice/diary", "more");
    worker.say(from, "hall", "2");
    assert_eq!(worker.payloads(bob), ["2"]);
    assert_eq!(worker.engine.subscriptions(), 1);
}

#[test]
fn a_message_of_a_group_goes_to_a_member_that_may_read_it() {
    let text = "\
[[rule]]
deny = \"subscribe\"
topics = \"a/secret\"
users = \"guest\"
";
    let options = AccessOptions { partly: Partly::Filter, ..AccessOptions::default() };
    let mut worker = ruled_with(&(text.to_owned() + &allow("both", "#")), options);
    let guest = worker.connect(v5("guest").user_name("guest"));
    worker.subscribe(guest, "$share/g/a/+", QoS1);
    let from = worker.connect(v5("from"));
    worker.say_acked(from, "a/secret", "nobody's");
    assert_eq!(worker.count(Count::DeniedReceive), 1, "it does not wait for somebody who never comes");
    let member = worker.connect(v5("member").user_name("member"));
    worker.subscribe(member, "$share/g/a/+", QoS1);
    for number in ["1", "2", "3", "4"] {
        worker.say_acked(from, "a/secret", number);
    }
    assert_eq!(worker.payloads(guest), [""; 0]);
    assert_eq!(worker.payloads(member), ["1", "2", "3", "4"]);
}

/// Members of a group that have each a message that they do not acknowledge yet: `anna`, who may read everything, and
/// `guest`, who may not read a/secret; and who publishes.
fn busy_members() -> (Worker, [Who; 3]) {
    let options = AccessOptions { partly: Partly::Filter, ..AccessOptions::default() };
    let mut worker = ruled_with(&not_for("guest"), options);
    let from = worker.connect(v5("from"));
    let members = ["anna", "guest"].map(|name| {
        let who = worker.connect(v5(name).user_name(name).with(Property::ReceiveMaximum(1)));
        worker.subscribe(who, "$share/g/a/+", QoS1);
        who
    });
    for number in ["1", "2"] {
        worker.say_acked(from, "a/open", number);
    }
    let [anna, guest] = members;
    (worker, [from, anna, guest])
}

/// Nobody whose name is this reads a/secret.
fn not_for(user: &str) -> String {
    let denied = deny("subscribe", "a/secret") + &format!("users = {user:?}\n");
    denied + &allow("both", "#")
}

/// What a client has been sent; it acknowledges that, and what it is sent then waits to be seen.
fn next_of(worker: &mut Worker, who: Who) -> Vec<String> {
    let packets = worker.take(who);
    worker.acknowledge(who, &packets);
    worker.settle();
    texts(&messages(packets))
}

#[test]
fn a_message_of_a_group_behind_one_that_has_expired_is_not_for_who_may_not_read_it() {
    let (mut worker, [from, anna, guest]) = busy_members();
    worker.publish(from, publish("a/open", "expires").expiry(1).at(QoS1, 7));
    worker.take(from);
    worker.say_acked(from, "a/secret", "secret");
    worker.advance(2_000);
    assert_eq!(next_of(&mut worker, guest), ["2"]);
    assert_eq!(next_of(&mut worker, guest), [""; 0]);
    assert_eq!(worker.count(Count::DroppedExpired), 1);
    assert_eq!(next_of(&mut worker, anna), ["1"]);
    assert_eq!(next_of(&mut worker, anna), ["secret"]);
}

#[test]
fn a_message_of_a_group_that_waits_for_another_member_holds_nobody_up() {
    let (mut worker, [from, anna, guest]) = busy_members();
    for (topic, text) in
        [("a/secret", "secret 1"), ("a/open", "3"), ("a/secret", "secret 2"), ("a/open", "4")]
    {
        worker.say_acked(from, topic, text);
    }
    for text in ["2", "3", "4"] {
        assert_eq!(next_of(&mut worker, guest), [text]);
    }
    // What comes now is behind the secrets, and the guest has room.
    worker.say_acked(from, "a/open", "5");
    assert_eq!(next_of(&mut worker, guest), ["5"]);
    for text in ["1", "secret 1", "secret 2"] {
        assert_eq!(next_of(&mut worker, anna), [text]);
    }
    assert_eq!(worker.count(Count::DeniedReceive), 0);
}

#[test]
fn a_message_of_a_group_that_no_member_may_read_any_more_is_dropped() {
    let (mut worker, [from, anna, guest]) = busy_members();
    for (topic, text) in [("a/secret", "secret"), ("a/open", "3"), ("a/secret", "secret"), ("a/open", "4")] {
        worker.say_acked(from, topic, text);
    }
    // The session of the one who could read them ends; what it has not acknowledged comes back.
    worker.disconnect(anna, 0);
    for text in ["2", "1", "3", "4"] {
        assert_eq!(next_of(&mut worker, guest), [text]);
    }
    assert_eq!(worker.count(Count::DeniedReceive), 2);
    assert_eq!(next_of(&mut worker, guest), [""; 0]);
}

#[test]
fn who_may_read_little_looks_past_so_many_messages_of_others_and_no_more() {
    let (mut worker, [from, _anna, guest]) = busy_members();
    for number in 0..63 {
        worker.say_acked(from, "a/secret", &number.to_string());
    }
    worker.say_acked(from, "a/open", "behind 63");
    worker.say_acked(from, "a/secret", "64");
    worker.say_acked(from, "a/open", "behind 64");
    assert_eq!(next_of(&mut worker, guest), ["2"]);
    assert_eq!(next_of(&mut worker, guest), ["behind 63"]);
    assert_eq!(next_of(&mut worker, guest), [""; 0]);
}

#[test]
fn a_server_without_rules_asks_nothing() {
    let mut worker = Worker::in_memory(Limits::default());
    assert!(!worker.engine.has_rules() && worker.engine.rules().is_none());
    let reader = worker.connect(v5("reader").user_name("a"));
    assert_eq!(worker.subscribe(reader, "#", QoS0), [0]);
    worker.engine.set_rules(rules(""));
    worker.say(reader, "a", "1");
    assert_eq!(worker.payloads(reader), ["1"]);
    assert_eq!(apply(&mut worker), 0);
    worker.connect(v5("reader").user_name("a"));
}
