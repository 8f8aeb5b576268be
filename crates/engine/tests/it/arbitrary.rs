//! Whatever clients do in whatever order: no panic, no count below zero, and every session gets what the naive model in
//! `life` says that it is owed, once at QoS 2, at least once at QoS 1, in order.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use whimbrel_testkit::QoS;

use super::life::{CLIENTS, FILTERS, Life, Op, TOPICS};

fn op() -> impl Strategy<Value = Op> {
    let client = || 0..CLIENTS;
    let qos = || select(QoS::ALL.to_vec());
    let connect = (client(), any::<bool>(), prop::bool::weighted(0.2), select(vec![0, 5, 100]), 1..6_u16);
    let connect = connect.prop_map(|(client, old, clean, expiry_secs, room)| Op::Connect {
        client,
        old,
        clean,
        expiry_secs,
        room,
    });
    let publish = (client(), 0..TOPICS.len(), qos(), prop::bool::weighted(0.2))
        .prop_map(|(client, topic, qos, retain)| Op::Publish { client, topic, qos, retain });
    let subscribe = (client(), 0..FILTERS.len(), qos()).prop_map(|(client, filter, qos)| Op::Subscribe {
        client,
        filter,
        qos,
    });
    let room = (client(), select(vec![0, 1, 30, 200, usize::MAX, usize::MAX]))
        .prop_map(|(client, bytes)| Op::Room { client, bytes });
    let stray =
        (client(), any::<u8>(), any::<u16>()).prop_map(|(client, kind, id)| Op::Stray { client, kind, id });
    prop_oneof![
        3 => connect,
        9 => publish,
        1 => (client(), 0..TOPICS.len()).prop_map(|(client, topic)| Op::Clear { client, topic }),
        5 => subscribe,
        1 => (client(), 0..FILTERS.len()).prop_map(|(client, filter)| Op::Unsubscribe { client, filter }),
        4 => client().prop_map(|client| Op::Read { client }),
        4 => (client(), 1..4_usize).prop_map(|(client, count)| Op::Answer { client, count }),
        2 => client().prop_map(|client| Op::Cut { client }),
        1 => client().prop_map(|client| Op::Disconnect { client }),
        2 => room,
        1 => stray,
        1 => (0..60_u16).prop_map(|secs| Op::Advance { secs }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_session_gets_what_it_is_owed(ops in vec(op(), 1..200)) {
        let mut life = Life::new();
        ops.iter().for_each(|op| life.act(op));
        life.finish();
    }
}
