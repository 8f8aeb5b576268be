//! A client that takes slowly or nothing: what is dropped, what waits, what it costs, and how it ends.

use whimbrel_engine::{Count, Limits, Notice, Standing, proto::server};
use whimbrel_testkit::{Ack, Packet, Publish, QoS0, QoS1, Version, v5, v311};

use super::worker::{Who, Worker, text};

const SOFT: usize = 4_000;

fn limits() -> Limits {
    Limits { link_soft_bytes: SOFT, ..Limits::default() }
}

fn texts(publishes: &[Publish]) -> Vec<String> {
    publishes.iter().map(text).collect()
}

/// A subscriber of `t`, and a publisher.
fn pair(worker: &mut Worker) -> (Who, Who) {
    let to = worker.connect(v5("to").keep_alive(0));
    worker.subscribe(to, "t", QoS1);
    (to, worker.connect(v5("from").keep_alive(0)))
}

/// A payload of 1,000 bytes that begins with its number.
fn kilobyte(number: usize) -> String {
    format!("{number:>06}{}", "x".repeat(994))
}

#[test]
fn beyond_the_soft_limit_qos_0_is_dropped_and_qos_1_waits() {
    let mut worker = Worker::new(limits());
    let (to, from) = pair(&mut worker);
    worker.pipe(to).block();
    for number in 0..10 {
        worker.say(from, "t", &kilobyte(number));
    }
    // One stops the wire and three more fit below 4,000 bytes; each is 1,006 bytes.
    assert_eq!(worker.count(Count::DroppedQos0Blocked), 6);
    assert_eq!(worker.engine.waiting_bytes(), (0, 4 * 1_007));
    for number in 10..13 {
        assert_eq!(worker.say_acked(from, "t", &kilobyte(number)), 0);
    }
    assert_eq!(worker.engine.waiting_bytes(), (3 * 1_001, 4 * 1_007));
    worker.say(from, "t", "dropped as well");
    assert_eq!(worker.count(Count::DroppedQos0Blocked), 7);

    worker.pipe(to).open();
    let expect: Vec<String> = [0, 1, 2, 3, 10, 11, 12].map(kilobyte).into();
    assert_eq!(texts(&worker.consume(to)), expect);
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    worker.say(from, "t", "again");
    assert_eq!(worker.payloads(to), ["again"]);
}

#[test]
fn what_waits_goes_first_and_qos_0_behind_it_keeps_its_place() {
    let mut worker = Worker::new(limits());
    let to = worker.connect(v5("to").receive_maximum(1));
    worker.subscribe(to, "t", QoS1);
    let from = worker.connect(v5("from"));
    worker.say_acked(from, "t", "1");
    worker.say_acked(from, "t", "2");
    worker.say(from, "t", "3 at QoS 0");
    worker.say_acked(from, "t", "4");
    worker.say(from, "t", "5 at QoS 0");
    let first = worker.messages(to);
    assert_eq!(texts(&first), ["1"], "a receive maximum of 1 holds everything behind it");
    worker.puback(to, first[0].id);
    let next = worker.messages(to);
    assert_eq!(texts(&next), ["2", "3 at QoS 0"]);
    worker.puback(to, next[0].id);
    assert_eq!(texts(&worker.messages(to)), ["4", "5 at QoS 0"]);
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
}

#[test]
fn bytes_come_out_in_order_whatever_a_write_takes() {
    for step in [1, 2, 3, 7, 64, 999, 4_097, 20_000] {
        let mut worker = Worker::new(Limits { link_soft_bytes: 30_000, ..Limits::default() });
        let (to, from) = pair(&mut worker);
        worker.pipe(to).step(step);
        let payloads: Vec<String> =
            [10, 4_096, 4_097, 3, 9_000, 9_000, 1, 12_000, 5].map(|len| kilobyte(len).repeat(len)).into();
        let payloads: Vec<String> =
            payloads.iter().zip([10, 4_096, 4_097, 6, 9_000, 9_001, 7, 12_000, 8]).map(cut).collect();
        for payload in &payloads {
            worker.say_acked(from, "t", payload);
        }
        assert_eq!(texts(&worker.consume(to)), payloads, "step {step}");

        // The same, each write followed by a block.
        worker.pipe(to).block();
        for payload in &payloads {
            worker.say_acked(from, "t", payload);
        }
        let mut got = Vec::new();
        while got.len() < payloads.len() {
            worker.pipe(to).allow(step);
            worker.settle();
            let packets = worker.come(to);
            worker.acknowledge(to, &packets);
            got.extend(super::worker::messages(packets).iter().map(text));
        }
        assert_eq!(got, payloads, "step {step}, blocked in between");
        worker.pipe(to).open();
        worker.settle();
        assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    }
}

fn cut((text, len): (&String, usize)) -> String {
    text[..len].to_owned()
}

#[test]
fn a_slow_steady_reader_costs_bounded_memory() {
    let mut worker = Worker::new(Limits { link_soft_bytes: 20_000, ..Limits::default() });
    let (to, from) = pair(&mut worker);
    let (mut sent, mut got) = (0, Vec::new());
    worker.pipe(to).allow(100);
    for _ in 0..2_000 {
        worker.say(from, "t", &kilobyte(sent));
        sent += 1;
        worker.pipe(to).allow(700);
        worker.settle();
        got.extend(super::worker::messages(worker.come(to)).iter().map(text));
        let (_, outbox) = worker.engine.waiting_bytes();
        assert!(outbox < 20_000 + 1_007, "{outbox} bytes wait");
    }
    let numbers: Vec<usize> = got.iter().map(|text| text[..6].trim().parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.len() > 1_300, "{} messages", numbers.len());
    assert_eq!(worker.count(Count::SlowStalled), 0, "it always makes progress");
    worker.pipe(to).open();
    worker.settle();
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    let last = worker.come(to).len() as u64;
    let lost = worker.count(Count::DroppedQos0Blocked);
    assert_eq!(numbers.len() as u64 + last + lost, sent as u64, "delivered or counted");
}

#[test]
fn a_client_that_takes_nothing_is_disconnected_when_its_time_is_over() {
    for connect in [v5("to").keep_alive(0), v311("to").keep_alive(0)] {
        let mut worker = Worker::new(Limits { link_stall_millis: 30_000, ..limits() });
        let to = worker.connect(connect);
        worker.subscribe(to, "t", QoS1);
        let from = worker.connect(v5("from").keep_alive(0));
        worker.pipe(to).block();
        worker.say(from, "t", "1");
        worker.advance(29_999);
        assert!(!worker.is_closed(to));
        worker.advance(1);
        assert!(worker.is_closed(to));
        assert_eq!(worker.count(Count::SlowStalled), 1);
        let cause = Count::SlowStalled;
        assert_eq!(worker.notices(), [Notice::SlowClient { client_id: "to".into(), cause }]);
        assert_eq!(worker.engine.waiting_bytes(), (0, 0));
        assert_eq!(worker.engine.connected(), 1);
    }
}

#[test]
fn a_byte_in_time_is_progress_and_a_false_alarm_is_none() {
    let mut worker = Worker::new(Limits { link_stall_millis: 30_000, ..limits() });
    let (to, from) = pair(&mut worker);
    worker.pipe(to).block();
    worker.say(from, "t", &kilobyte(1));
    for _ in 0..5 {
        worker.advance(29_000);
        worker.pipe(to).allow(1);
        worker.settle();
    }
    assert!(!worker.is_closed(to));
    // The system says that the socket can be written to, and then it takes nothing.
    for _ in 0..2 {
        worker.advance(14_000);
        worker.pretend_writable(to);
    }
    worker.advance(2_000);
    assert!(worker.is_closed(to), "no byte for 30 seconds");
    assert_eq!(worker.count(Count::SlowStalled), 1);
}

#[test]
fn a_client_that_asks_and_takes_no_answer_is_read_no_further() {
    let mut worker = Worker::new(limits());
    let (to, _) = pair(&mut worker);
    worker.pipe(to).block();
    // Each is answered with as many bytes as it has.
    let pings: Vec<u8> = [0xc0, 0].repeat(500);
    for _ in 0..100 {
        worker.put_bytes(to, &pings);
        worker.settle();
    }
    assert_eq!(worker.standing(to), Some(Standing::Waiting));
    let (_, outbox) = worker.engine.waiting_bytes();
    assert!(outbox <= SOFT + 1_000, "{outbox} bytes wait");
    assert!(worker.unread(to) >= 90_000, "the rest waits in the client's own socket");
    worker.pipe(to).open();
    worker.settle();
    assert_eq!((worker.unread(to), worker.come(to).len()), (0, 50_000));
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
}

#[test]
fn beyond_the_hard_limit_the_client_is_disconnected() {
    let connection = server::Limits { packet_bytes_max: 1_000, ..server::Limits::default() };
    let mut worker = Worker::new(Limits {
        connection,
        link_hard_bytes: 2_000,
        link_soft_bytes: 1 << 20,
        ..Limits::default()
    });
    let (to, from) = pair(&mut worker);
    worker.pipe(to).block();
    for number in 0..4 {
        worker.say(from, "t", &kilobyte(number)[..900]);
    }
    // Messages stop at the limit: the last that was taken has crossed it.
    assert_eq!((worker.engine.waiting_bytes().1, worker.count(Count::DroppedQos0Blocked)), (3 * 907, 1));
    assert!(!worker.is_closed(to));
    let pings: Vec<u8> = [0xc0, 0].repeat(200);
    worker.put_bytes(to, &pings);
    worker.settle();
    assert!(worker.is_closed(to));
    assert_eq!(worker.count(Count::SlowOverflow), 1);
    let cause = Count::SlowOverflow;
    assert_eq!(worker.notices(), [Notice::SlowClient { client_id: "to".into(), cause }]);
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
}

#[test]
fn all_blocked_links_together_have_a_budget() {
    let budget = 100_000;
    let soft = 16_000;
    let mut worker =
        Worker::new(Limits { link_soft_bytes: soft, outbox_bytes_max: budget, ..Limits::default() });
    let from = worker.connect(v5("from"));
    let clients: Vec<Who> = (0..60)
        .map(|at| {
            let who = worker.connect(v5(&format!("to{at}")));
            worker.subscribe(who, "t", QoS0);
            worker.pipe(who).block();
            who
        })
        .collect();
    for number in 0..30 {
        worker.say(from, "t", &kilobyte(number));
    }
    let (_, outbox) = worker.engine.waiting_bytes();
    // Sixty times the soft limit would be 960,000. A sixteenth of it is left to each whatever happens.
    assert!(outbox < budget + 60 * (soft / 16 + 1_007), "{outbox} bytes wait for all");
    let least = clients.iter().map(|who| {
        worker.pipe(*who).open();
        worker.settle();
        worker.come(*who).len()
    });
    assert!(least.min().unwrap() >= 1, "nobody gets nothing");
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    worker.say(from, "t", "again");
    for who in clients {
        assert_eq!(worker.payloads(who), ["again"]);
    }
}

#[test]
fn what_a_blocked_client_had_is_given_back_when_it_goes() {
    let mut worker = Worker::new(limits());
    let (to, from) = pair(&mut worker);
    worker.pipe(to).block();
    for number in 0..6 {
        worker.say(from, "t", &kilobyte(number));
        worker.say_acked(from, "t", &kilobyte(number));
    }
    assert_ne!(worker.engine.waiting_bytes(), (0, 0));
    worker.cut(to);
    assert_eq!(worker.engine.waiting_bytes(), (0, 0), "its session ends with it");
    assert_eq!((worker.engine.sessions(), worker.engine.connected()), (1, 1));
}

#[test]
fn what_was_encoded_and_never_left_is_sent_again() {
    let mut worker = Worker::new(Limits { link_soft_bytes: 64_000, ..Limits::default() });
    let to = worker.connect(v5("to").persistent());
    worker.subscribe(to, "t", QoS1);
    let from = worker.connect(v5("from"));
    worker.say_acked(from, "t", "arrives");
    assert_eq!(worker.payloads(to), ["arrives"]);
    worker.pipe(to).allow(4);
    for number in 0..3 {
        worker.say_acked(from, "t", &kilobyte(number));
    }
    worker.say(from, "t", "QoS 0 is lost with the connection");
    worker.cut(to);
    let again = worker.connect(v5("to").persistent());
    let got = worker.consume(again);
    assert_eq!(texts(&got), ["arrives".into(), kilobyte(0), kilobyte(1), kilobyte(2)]);
    assert!(got.iter().all(|publish| publish.dup), "all of them may have come before [MQTT-3.3.1-1]");
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
}

#[test]
fn a_publisher_never_waits_for_a_subscriber() {
    let mut worker = Worker::new(limits());
    let (to, from) = pair(&mut worker);
    let other = worker.connect(v5("other"));
    worker.subscribe(other, "t", QoS1);
    worker.pipe(to).block();
    for number in 0..50 {
        assert_eq!(worker.say_acked(from, "t", &kilobyte(number)), 0);
        assert_eq!(worker.standing(from), Some(Standing::Reading));
    }
    assert_eq!(texts(&worker.consume(other)).len(), 50);
}

#[test]
fn a_blocked_client_is_heard_while_its_answers_have_room() {
    let mut worker = Worker::new(limits());
    let to = worker.connect(v5("to").persistent());
    worker.subscribe(to, "t", QoS1);
    let from = worker.connect(v5("from"));
    worker.say_acked(from, "t", "1");
    let got = worker.messages(to);
    worker.pipe(to).block();
    worker.say_acked(from, "t", "2");
    worker.puback(to, got[0].id);
    worker.cut(to);
    let again = worker.connect(v5("to").persistent());
    assert_eq!(texts(&worker.consume(again)), ["2"], "the first was acknowledged although nothing left");
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
}

#[test]
fn v5_3_1_2_22_silence_says_nothing_while_the_server_does_not_read() {
    [true, false].into_iter().for_each(check_deaf_server);
}

fn check_deaf_server(says_more: bool) {
    let mut worker = Worker::new(Limits { link_stall_millis: 60_000, ..limits() });
    let to = worker.connect(v5("to").keep_alive(10));
    worker.subscribe(to, "t", QoS1);
    let from = worker.connect(v5("from").keep_alive(0));
    worker.pipe(to).block();
    worker.say(from, "t", &kilobyte(1));
    worker.put_bytes(to, &[0xc0, 0].repeat(SOFT));
    worker.settle();
    assert_eq!(worker.standing(to), Some(Standing::Waiting), "its answers fill the outbox");
    // It goes on asking in time; nobody reads that.
    worker.advance(9_000);
    worker.put_bytes(to, &[0xc0, 0]);
    worker.advance(20_000);
    assert_eq!(worker.unread(to), 2);
    assert!(!worker.is_closed(to));
    if says_more {
        worker.pipe(to).open();
        worker.advance(14_999);
        assert!(!worker.is_closed(to), "what it had said is heard first");
        worker.advance(1);
    } else {
        worker.forget_input(to);
        worker.pipe(to).open();
        worker.advance(999);
        assert!(!worker.is_closed(to), "it is listened to before it is judged");
        worker.advance(1);
    }
    assert!(worker.is_closed(to));
    assert_eq!(worker.count(Count::KeepAliveTimeout), 1);
}

#[test]
fn a_closing_connection_gets_nothing_more() {
    let mut worker = Worker::new(limits());
    let (to, from) = pair(&mut worker);
    worker.pipe(to).block();
    worker.say(from, "t", "1");
    let newer = worker.start(v5("to"));
    worker.say(from, "t", "2");
    worker.settle();
    assert!(worker.is_closed(to) && worker.is_over(to));
    assert_eq!(worker.next_connack(newer).code, 0);
    assert_eq!(worker.engine.waiting_bytes(), (0, 0));
    let late = Packet::PubAck(Ack::new(1, 0)).encode(Version::V5);
    worker.put_bytes(to, &late);
    worker.settle();
    assert_eq!(worker.engine.connected(), 2);
}
