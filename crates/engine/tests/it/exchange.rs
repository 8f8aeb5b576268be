//! Enhanced authentication in a conversation: a method of few words decides, at once or later, and what follows is what
//! section 4.12 says.

use std::sync::Arc;

use whimbrel_engine::{Conversation, Count, Engine, Limits, Reply, Turn, Wire, proto::codec::ReasonCode};
use whimbrel_testkit::{Connect, Disconnect, Packet, Property, QoS1, publish, v5, will};

use super::worker::{Who, Worker};

/// The method of these tests. Its data are words: `more` asks for more, `yes` is right, `later` is answered by the test;
/// all else is wrong.
const METHOD: &str = "words";

/// What the method replies at once.
fn reply(data: Option<&[u8]>) -> Option<Reply> {
    match data {
        Some(b"more") => Some(Reply::Continue(Some((*b"which?").into()))),
        Some(b"yes") => Some(Reply::Success(Some((*b"proof").into()))),
        Some(b"later") => None,
        _ => Some(Reply::Denied(ReasonCode::BadUserNameOrPassword)),
    }
}

fn judge(
    conversation: &mut Conversation,
    engine: &Engine,
    turn: &mut Turn,
    data: Option<&[u8]>,
    wire: &Arc<dyn Wire>,
) {
    if let Some(reply) = reply(data) {
        conversation.reply(engine, turn, reply, wire);
    }
}

/// The method comes to an answer that it has not given at once.
fn reply_late(worker: &mut Worker, who: Who, reply: Reply) {
    worker.intervene(who, |conversation, engine, turn, wire| conversation.reply(engine, turn, reply, wire));
}

fn method() -> Property {
    Property::AuthenticationMethod(METHOD.into())
}

fn data(text: &str) -> Property {
    Property::AuthenticationData(text.into())
}

fn connect(text: &str) -> Connect {
    v5("c").with(method()).with(data(text))
}

fn auth(code: u8, text: &str) -> Packet {
    Packet::Auth(Disconnect::new(code).with(method()).with(data(text)))
}

fn worker() -> Worker {
    let mut worker = Worker::in_memory(Limits::default());
    worker.judge = Some(judge);
    worker
}

fn start(worker: &mut Worker, connect: Connect) -> Who {
    let who = worker.start(connect);
    worker.settle();
    who
}

/// A client that is in by the method.
fn enter(worker: &mut Worker) -> Who {
    let who = start(worker, connect("yes"));
    assert_eq!(worker.next_connack(who).code, 0);
    who
}

/// The only packet that has come, which is AUTH with this code and data.
#[track_caller]
fn expect_auth(worker: &mut Worker, who: Who, code: u8, text: &str) {
    let packets = worker.take(who);
    let expected = Disconnect::new(code).with(method()).with(data(text));
    assert_eq!(packets, [Packet::Auth(expected)]);
}

/// The end: the only packet that has come is DISCONNECT with this code.
#[track_caller]
fn expect_disconnect(worker: &mut Worker, who: Who, code: u8) {
    let packets = worker.take(who);
    assert!(matches!(&packets[..], [Packet::Disconnect(told)] if told.code == code), "{packets:?}");
    assert!(worker.is_over(who));
}

#[test]
fn v5_4_12_0_2_and_5_the_server_asks_by_auth_and_accepts_by_connack() {
    let mut worker = worker();
    let who = start(&mut worker, connect("more"));
    expect_auth(&mut worker, who, 0x18, "which?");
    worker.send(who, auth(0x18, "more"));
    expect_auth(&mut worker, who, 0x18, "which?");
    worker.send(who, auth(0x18, "yes"));
    let connack = worker.next_connack(who);
    assert_eq!(connack.code, 0);
    let method =
        connack.properties.find(|p| matches!(p, Property::AuthenticationMethod(_)).then(|| p.clone()));
    let proof = connack.properties.find(|p| matches!(p, Property::AuthenticationData(_)).then(|| p.clone()));
    assert_eq!((method, proof), (Some(self::method()), Some(data("proof"))));
    assert_eq!(worker.engine.connected(), 1);
}

#[test]
fn v5_4_12_0_4_a_wrong_answer_is_refused_by_connack() {
    let mut worker = worker();
    for steps in [&["no"][..], &["more", "no"]] {
        let who = start(&mut worker, connect(steps[0]));
        for step in &steps[1..] {
            worker.take(who);
            worker.send(who, auth(0x18, step));
        }
        assert_eq!(worker.next_connack(who).code, 0x86);
        assert!(worker.is_over(who));
    }
    assert_eq!((worker.engine.connected(), worker.engine.sessions()), (0, 0));
    assert_eq!(worker.engine.count(Count::ConnectRefused), 2);
}

#[test]
fn v5_4_12_0_1_a_method_that_nobody_knows_is_refused_whatever_the_password() {
    let mut worker = Worker::in_memory(Limits::default());
    let other = v5("c").user_name("u").password("p").with(Property::AuthenticationMethod("other".into()));
    let who = start(&mut worker, other);
    assert_eq!(worker.next_connack(who).code, 0x8C);
    assert!(worker.is_over(who));
}

#[test]
fn v5_3_1_2_30_what_comes_before_connack_ends_the_connection() {
    for packet in [Packet::PingReq, Packet::Publish(publish("t", "x").at(QoS1, 1))] {
        let mut worker = worker();
        let who = start(&mut worker, connect("more"));
        worker.take(who);
        worker.send(who, packet);
        assert_eq!(worker.next_connack(who).code, 0x82);
        assert!(worker.is_over(who));
        assert_eq!(worker.engine.sessions(), 0);
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_nothing() {
    let mut worker = worker();
    for by_word in [true, false] {
        let who = start(&mut worker, connect("more").will(will("w", "gone")));
        worker.take(who);
        if by_word {
            worker.disconnect(who, 4)
        } else {
            worker.cut(who)
        }
        assert!(worker.is_over(who));
        assert_eq!(worker.take(who), []);
    }
    assert_eq!((worker.engine.connected(), worker.engine.sessions()), (0, 0));
    assert_eq!(worker.engine.count(Count::PublishReceived), 0, "no will of a client that was never in");
}

#[test]
fn the_time_for_connect_covers_the_exchange() {
    let mut worker = worker();
    let who = start(&mut worker, connect("more"));
    worker.take(who);
    worker.advance(6_000);
    worker.send(who, auth(0x18, "more"));
    worker.take(who);
    worker.advance(3_999);
    assert!(!worker.is_over(who));
    worker.advance(1);
    // CONNACK has no code for a time-out; that it is not authorized is true.
    assert_eq!(worker.next_connack(who).code, 0x87);
    assert!(worker.is_over(who));
}

#[test]
fn an_answer_that_takes_its_time_holds_up_the_one_client_alone() {
    let mut worker = worker();
    let who = start(&mut worker, connect("later"));
    let other = worker.connect(v5("other"));
    worker.advance(60_000);
    assert!(!worker.is_over(who), "the server thinks, and the client is not to blame");
    worker.send(other, Packet::PingReq);
    assert_eq!(worker.take(other), [Packet::PingResp]);
    reply_late(&mut worker, who, Reply::Continue(None));
    let asked = worker.take(who);
    assert_eq!(asked, [Packet::Auth(Disconnect::new(0x18).with(method()))]);
    worker.send(who, auth(0x18, "later"));
    reply_late(&mut worker, who, Reply::Success(None));
    assert_eq!(worker.next_connack(who).code, 0);
}

#[test]
fn an_answer_to_nothing_changes_nothing() {
    let mut worker = worker();
    let (plain, who) = (worker.connect(v5("plain")), enter(&mut worker));
    for who in [plain, who] {
        for reply in [Reply::Continue(None), Reply::Success(None), Reply::Denied(ReasonCode::NotAuthorized)] {
            reply_late(&mut worker, who, reply);
        }
        assert_eq!(worker.take(who), []);
        assert!(!worker.is_over(who));
    }
}

#[test]
fn v5_4_12_1_1_messages_flow_while_a_client_authenticates_again() {
    let mut worker = worker();
    let who = enter(&mut worker);
    worker.subscribe(who, "t", QoS1);
    worker.send(who, auth(0x19, "later"));
    assert_eq!(worker.take(who), []);
    let other = worker.connect(v5("other"));
    worker.say(other, "t", "meanwhile");
    assert!(matches!(&worker.take(who)[..], [Packet::Publish(_)]));
    worker.send(who, Packet::PingReq);
    assert_eq!(worker.take(who), [Packet::PingResp]);
    reply_late(&mut worker, who, Reply::Continue(Some((*b"which?").into())));
    expect_auth(&mut worker, who, 0x18, "which?");
    worker.send(who, Packet::PingReq);
    assert_eq!(worker.take(who), [Packet::PingResp]);
    worker.send(who, auth(0x18, "yes"));
    expect_auth(&mut worker, who, 0x00, "proof");
    worker.send(who, auth(0x19, "yes"));
    expect_auth(&mut worker, who, 0x00, "proof");
}

#[test]
fn v5_4_12_1_2_a_reauthentication_that_fails_ends_the_connection_and_the_will_goes_out() {
    let mut worker = worker();
    let other = worker.connect(v5("other"));
    worker.subscribe(other, "w", QoS1);
    let who = start(&mut worker, connect("yes").will(will("w", "gone")));
    worker.take(who);
    worker.send(who, auth(0x19, "no"));
    // CONNACK has a code for a wrong password, DISCONNECT has none.
    expect_disconnect(&mut worker, who, 0x87);
    assert!(matches!(&worker.take(other)[..], [Packet::Publish(_)]));
    assert_eq!(worker.engine.connected(), 1);
}

#[test]
fn v5_4_12_1_a_reauthentication_that_is_not_gone_on_with_ends_the_connection() {
    let mut worker = worker();
    let who = enter(&mut worker);
    worker.send(who, auth(0x19, "more"));
    worker.take(who);
    worker.advance(5_000);
    worker.send(who, Packet::PingReq);
    worker.take(who);
    worker.advance(4_999);
    assert!(!worker.is_over(who));
    worker.advance(1);
    expect_disconnect(&mut worker, who, 0x87);
}

#[test]
fn v5_4_12_auth_out_of_turn_or_of_another_method_ends_the_connection() {
    let other = Packet::Auth(Disconnect::new(0x19).with(Property::AuthenticationMethod("other".into())));
    for wrong in [vec![auth(0x18, "yes")], vec![other], vec![auth(0x19, "more"), auth(0x19, "more")]] {
        let mut worker = worker();
        let who = enter(&mut worker);
        for packet in wrong {
            worker.take(who);
            worker.send(who, packet);
        }
        expect_disconnect(&mut worker, who, 0x82);
    }
}

#[test]
fn v5_3_1_2_24_a_challenge_that_the_client_does_not_take_refuses_it() {
    let mut worker = worker();
    // AUTH has 2 bytes of header, a code, the length of the properties, and 3 bytes around each of the two.
    let whole = u32::try_from(4 + 3 + METHOD.len() + 3 + "which?".len()).unwrap();
    for (max, asked) in [(whole, true), (whole - 1, false)] {
        let who = start(&mut worker, connect("more").packet_size_max(max));
        let packets = worker.take(who);
        match &packets[..] {
            [Packet::Auth(_)] if asked => {}
            [Packet::ConnAck(connack)] if !asked => assert_eq!(connack.code, 0x95),
            _ => panic!("{packets:?}"),
        }
        assert_eq!(worker.is_over(who), !asked);
    }
}

#[test]
fn a_client_whose_socket_takes_no_challenge_is_not_waited_for() {
    let mut worker = worker();
    let who = worker.start(connect("more"));
    worker.pipe(who).block();
    worker.settle();
    assert!(worker.is_over(who));
}
