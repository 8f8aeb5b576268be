//! How many clients there may be, and how long one may be silent.

use whimbrel_engine::Count;
use whimbrel_limits::Heap;
use whimbrel_testkit::{Packet, Version, v5, v31, v311};

use super::reach::{LEFT, worker};

#[test]
pub(super) fn connections() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.connections_max = whimbrel_broker::config::Auto::Set(2));
    worker.connect(v5("a"));
    let second = worker.connect(v311("b"));
    heap.begin();
    for _ in 0..300 {
        for (connect, code) in [(v5("c"), 0x97), (v311("c"), 3), (v31("c"), 3)] {
            worker.assert_refused(connect, Some(code));
        }
        worker.notices();
    }
    assert_eq!((worker.count(Count::ConnectionsLimit), worker.count(Count::ConnectRefused)), (900, 900));
    assert_eq!((worker.engine.connected(), worker.engine.sessions()), (2, 2));
    heap.assert_at_most("900 clients refused", LEFT);
    // Who is there already takes its own place; the limit is counted no further.
    worker.connect(v311("b"));
    assert!(worker.is_closed(second));
    assert_eq!((worker.engine.connected(), worker.count(Count::ConnectionsLimit)), (2, 900));
    worker.forget_from(1);
    worker.connect(v5("c"));
    assert_eq!(worker.engine.connected(), 2);
}

#[test]
pub(super) fn time_for_connect() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.connect_timeout_secs = 7);
    heap.begin();
    let silent: Vec<_> = (0..1_000).map(|_| worker.open(Version::V5)).collect();
    let half = worker.open(Version::V311);
    worker.send_bytes(half, &[0x10, 0x20, 0, 4]);
    worker.advance(6_999);
    assert!(silent.iter().chain([&half]).all(|who| !worker.is_closed(*who)));
    worker.advance(1);
    for who in silent {
        worker.assert_ended(who, None);
    }
    worker.assert_ended(half, None);
    assert_eq!((worker.count(Count::ConnectTimeout), worker.engine.connected()), (1_001, 0));
    worker.forget_from(0);
    heap.assert_at_most("1,001 clients that did not say who they are, gone", LEFT);
}

#[test]
pub(super) fn keep_alive() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.keep_alive_secs_max = 20);
    heap.begin();
    for asked in [0, 21, u16::MAX] {
        let (who, ack) = worker.connect_answered(v5("new").keep_alive(asked));
        assert_eq!(ack.properties.server_keep_alive(), Some(20), "it is told [MQTT-3.1.2-21]");
        worker.advance(29_999);
        assert!(!worker.is_closed(who));
        worker.advance(1);
        worker.assert_ended(who, Some(0x8D));
        worker.forget_last();
    }
    assert_eq!(worker.count(Count::KeepAliveTimeout), 3);
    let (who, ack) = worker.connect_answered(v5("new").keep_alive(20));
    assert_eq!(ack.properties.server_keep_alive(), None, "its own is short enough");
    worker.send(who, Packet::PingReq);
    worker.forget_last();
    // An older client cannot be told, and its own holds.
    let old = worker.connect(v311("old").keep_alive(100));
    worker.advance(149_999);
    assert!(!worker.is_closed(old));
    worker.advance(1);
    worker.assert_ended(old, None);
    assert_eq!((worker.count(Count::KeepAliveTimeout), worker.engine.connected()), (4, 0));
    worker.forget_last();
    heap.assert_at_most("clients that said nothing, gone", LEFT);
}
