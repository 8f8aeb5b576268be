//! How many sessions there may be, and for how long.

use whimbrel_engine::Count;
use whimbrel_limits::Heap;
use whimbrel_testkit::{QoS1, v5, v31, v311};

use super::reach::{LEFT, worker};

/// What an absent session costs: about 700 bytes by the reference of the configuration, and tables that are half full.
const SESSION_BYTES: usize = 760;

#[test]
pub(super) fn sessions() {
    let mut heap = Heap::alone();
    const SESSIONS: usize = 2_000;
    let mut worker = worker(|limits| limits.sessions_max = SESSIONS as u32);
    heap.begin();
    for at in 0..SESSIONS {
        worker.connect(v5(&format!("client-{at}")).persistent());
        worker.forget_last();
    }
    heap.assert_at_most("2,000 absent sessions", SESSIONS * SESSION_BYTES + LEFT);
    for (connect, code) in [(v5("new"), 0x97), (v311("new"), 3), (v31("new"), 3)] {
        worker.assert_refused(connect.clone(), Some(code));
        worker.assert_refused(connect.persistent(), Some(code));
    }
    assert_eq!((worker.count(Count::SessionsLimit), worker.count(Count::ConnectRefused)), (6, 6));
    assert_eq!((worker.engine.connected(), worker.engine.sessions()), (0, SESSIONS));
    // Who has one comes back to it, and one that ends makes room.
    let (who, ack) = worker.connect_answered(v5("client-7").resume());
    assert!(ack.session_present);
    worker.disconnect(who);
    assert_eq!(worker.engine.sessions(), SESSIONS - 1);
    // A client of 3.1 comes back to its own too, and is not told: its CONNACK has no place for that.
    let (who, ack) = worker.connect_answered(v31("older").persistent());
    assert!(!ack.session_present);
    worker.cut(who);
    worker.assert_refused(v5("new"), Some(0x97));
    let (who, ack) = worker.connect_answered(v31("older").persistent());
    assert!(!ack.session_present);
    assert_eq!((worker.engine.sessions(), worker.count(Count::SessionsLimit)), (SESSIONS, 7));
    worker.cut(who);
    let who = worker.connect(v31("older"));
    worker.disconnect(who);
    assert_eq!(worker.engine.sessions(), SESSIONS - 1);
    let new = worker.connect(v311("new"));
    worker.disconnect(new);
    worker.forget_from(0);
    worker.advance(7 * 24 * 3_600 * 1_000 + 1_000);
    assert_eq!(worker.engine.sessions(), 0);
    heap.assert_at_most("2,000 sessions, gone", LEFT);
}

#[test]
pub(super) fn session_expiry() {
    let mut heap = Heap::alone();
    let mut worker = worker(|limits| limits.session_expiry_secs_max = 60);
    heap.begin();
    let (_, ack) = worker.connect_answered(v5("new").expiry(61));
    assert_eq!(ack.properties.session_expiry(), Some(60), "it is told");
    let (_, ack) = worker.connect_answered(v5("short").expiry(60));
    assert_eq!(ack.properties.session_expiry(), None);
    for connect in [v311("old"), v31("older"), v5("for ever")] {
        let who = worker.connect(connect.persistent());
        worker.subscribe(who, "t", QoS1);
    }
    worker.forget_from(0);
    worker.advance(59_999);
    assert_eq!(worker.engine.sessions(), 5);
    worker.advance(1);
    assert_eq!((worker.engine.sessions(), worker.engine.filters()), (0, 0));
    assert_eq!(worker.count(Count::SessionsExpired), 5);
    heap.assert_at_most("sessions that have expired", LEFT);

    let mut none = super::reach::worker(|limits| limits.session_expiry_secs_max = 0);
    for connect in [v5("new"), v311("old"), v31("older")] {
        none.connect(connect.persistent());
    }
    none.forget_from(0);
    assert_eq!(none.engine.sessions(), 0, "no session outlives its connection");
}
