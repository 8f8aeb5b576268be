//! What one packet may have, and how many messages a client may have under way.

use whimbrel_engine::Count;
use whimbrel_limits::{Heap, Worker};
use whimbrel_testkit::{
    Ack, Connect, Packet, Property, QoS0, QoS1, QoS2, Subscribe, Unsubscribe, publish, v5, v311, will,
};

use super::reach::{LEFT, ended_with, sized, worker};

#[test]
pub(super) fn bytes_of_a_packet() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.packet_bytes_max = 1_000);
    let (_, ack) = worker.connect_answered(v5("told"));
    assert_eq!(ack.properties.maximum_packet_size(), Some(1_000));
    heap.begin();
    for (connect, code) in ended_with(0x95) {
        let version = connect.version;
        for _ in 0..100 {
            let who = worker.connect(connect.clone());
            worker.publish(who, sized(version, 1_000));
            assert!(!worker.is_closed(who));
            // Of one byte more nothing is awaited: the length that it announces is enough.
            worker.send_bytes(who, &Packet::Publish(sized(version, 1_001)).encode(version)[..3]);
            worker.assert_ended(who, code);
            worker.forget_last();
        }
    }
    assert_eq!((worker.count(Count::PacketLimit), worker.engine.connected()), (200, 1));
    heap.assert_at_most("packets that were too large", LEFT);
}

#[test]
pub(super) fn bytes_of_a_connect() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.connect_bytes_max = 300);
    heap.begin();
    for connect in [v5("c"), v311("c")] {
        let of = |bytes: usize| {
            let filled = connect.clone().will(will("w", vec![b'x'; bytes]));
            Packet::Connect(Box::new(filled)).encode(connect.version)
        };
        let payload = (0..300).find(|payload| of(*payload).len() == 300).unwrap();
        let who = worker.open(connect.version);
        worker.send_bytes(who, &of(payload));
        assert!(matches!(worker.next(who), Some(Packet::ConnAck(ack)) if ack.code == 0));
        // Afterwards packets may be as large as packet_bytes_max says.
        worker.publish(who, sized(connect.version, 10_000));
        assert!(!worker.is_closed(who));
        let who = worker.open(connect.version);
        worker.send_bytes(who, &of(payload + 1)[..3]);
        worker.assert_ended(who, None); // Nobody knows yet which version it speaks.
    }
    assert_eq!((worker.count(Count::PacketLimit), worker.count(Count::Connected)), (2, 2));
    worker.forget_from(0);
    heap.assert_at_most("CONNECTs that were too large", LEFT);
}

#[test]
pub(super) fn filters_of_a_packet() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.filters_per_subscribe_max = 3);
    heap.begin();
    let many = |count: u16| {
        let more = (1..count).map(|at| format!("f/{at}"));
        more.fold(Subscribe::one(9, "f/0", QoS0), |all, filter| all.and(&filter, QoS0))
    };
    let names = |subscribe: &Subscribe| subscribe.filters.iter().map(|(name, _)| name.clone()).collect();
    for (connect, code) in ended_with(0x97) {
        for unsubscribe in [false, true] {
            let who = worker.connect(connect.clone());
            assert_eq!(worker.subscribe_all(who, many(3)), [0, 0, 0]);
            let four = many(4);
            worker.send(
                who,
                if unsubscribe {
                    let (id, properties, filters) = (9, Default::default(), names(&four));
                    Packet::Unsubscribe(Unsubscribe { id, properties, filters })
                } else {
                    Packet::Subscribe(four)
                },
            );
            worker.assert_ended(who, code);
            assert_eq!(worker.engine.filters(), 0, "its session has ended too");
        }
    }
    assert_eq!(worker.count(Count::FiltersLimit), 4);
    worker.forget_from(0);
    heap.assert_at_most("packets with too many filters", LEFT);
}

/// One packet of each kind that carries what a client says to others, with these user properties; CONNECT is apart.
fn packets_with(properties: &[Property]) -> [Packet; 3] {
    let mut filled = publish("t", "x").at(QoS1, 1);
    filled.properties.0.extend_from_slice(properties);
    let mut subscribe = Subscribe::one(1, "t", QoS0);
    subscribe.properties.0.extend_from_slice(properties);
    let mut unsubscribe = Unsubscribe { id: 1, properties: Default::default(), filters: vec!["t".into()] };
    unsubscribe.properties.0.extend_from_slice(properties);
    [Packet::Publish(filled), Packet::Subscribe(subscribe), Packet::Unsubscribe(unsubscribe)]
}

/// A CONNECT with these, and one with a will that has them.
fn connects_with(properties: &[Property]) -> [Connect; 2] {
    let mut own = v5("c");
    own.properties.0.extend_from_slice(properties);
    let mut wills = will("w", "x");
    wills.properties.0.extend_from_slice(properties);
    [own, v5("c").will(wills)]
}

/// `enough` is taken, `much` ends the connection. MQTT 3.1.1 has no user properties.
#[track_caller]
fn check_user_properties(worker: &mut Worker, enough: &[Property], much: &[Property]) {
    for packet in packets_with(enough) {
        let who = worker.connect(v5("c"));
        worker.send(who, packet);
        assert!(!worker.is_closed(who) && worker.take(who).len() == 1);
        worker.forget_last();
    }
    for connect in connects_with(enough) {
        worker.connect(connect);
        worker.forget_last();
    }
    let mut refused = 0;
    for packet in packets_with(much) {
        let who = worker.connect(v5("c"));
        worker.send(who, packet);
        worker.assert_ended(who, Some(0x97));
        worker.forget_last();
        refused += 1;
    }
    for connect in connects_with(much) {
        worker.assert_refused(connect, Some(0x97));
        refused += 1;
    }
    assert_eq!((worker.count(Count::UserPropertiesLimit), worker.engine.connected()), (refused, 0));
}

fn user(name: &str, value: &str) -> Property {
    Property::User(name.into(), value.into())
}

#[test]
pub(super) fn user_properties_of_a_packet() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.user_properties_max = 3);
    heap.begin();
    let four = [user("a", "1"), user("a", "1"), user("b", ""), user("", "")];
    check_user_properties(&mut worker, &four[..3], &four);
    heap.assert_at_most("packets with too many user properties", LEFT);
}

#[test]
pub(super) fn bytes_of_user_properties() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.user_properties_bytes_max = 100);
    heap.begin();
    // On the wire each has five bytes besides its name and value.
    let enough = [user("a", &"x".repeat(44)), user(&"b".repeat(45), "")];
    let much = [user("a", &"x".repeat(44)), user(&"b".repeat(45), "y")];
    check_user_properties(&mut worker, &enough, &much);
    heap.assert_at_most("packets with too long user properties", LEFT);
}

#[test]
pub(super) fn messages_of_a_client_under_way() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.receive_maximum = 2);
    heap.begin();
    let (new, ack) = worker.connect_answered(v5("new"));
    assert_eq!(ack.properties.receive_maximum(), Some(2));
    for id in [1, 2] {
        assert_eq!(worker.acked(new, publish("t", "x").at(QoS2, id)), 0x10, "nobody subscribes to it");
    }
    worker.publish(new, publish("t", "x").at(QoS2, 3));
    worker.assert_ended(new, Some(0x93));
    assert_eq!(worker.count(Count::ReceiveMaximumLimit), 1);
    // Older clients have no such maximum: all of their identifiers may be in use.
    let old = worker.connect(v311("old").persistent());
    worker.pipe(old).open_unseen();
    for id in 1..=u16::MAX {
        worker.publish(old, publish("t", "").at(QoS2, id));
    }
    assert!(!worker.is_closed(old));
    assert_eq!(worker.pipe(old).unseen(), 4 * usize::from(u16::MAX), "each has its PUBREC");
    heap.assert_at_most("65,535 identifiers in use", 4 * 65_536 + LEFT);
    for id in 1..=u16::MAX {
        worker.send(old, Packet::PubRel(Ack::new(id, 0)));
    }
    assert_eq!((worker.count(Count::ReceiveMaximumLimit), worker.is_closed(old)), (1, false));
    heap.assert_at_most("all of them released", LEFT);
}
