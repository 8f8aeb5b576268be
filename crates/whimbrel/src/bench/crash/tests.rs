//! The account against a broker whose lies are known: each is found and counted exactly, and an honest one is told to
//! be honest.

use std::time::Duration;

use whimbrel_codec::QoS;

use super::super::interrupt::Interrupt;
use super::account::Tally;
use super::campaign::{Campaign, Load};
use super::liar::{Liar, Lie};

const KILLS: u32 = 4;

/// What the account says of all publishers together, and how many lies were told. `published` is what was published with
/// a promise.
fn attack(lie: Lie, seed: u64) -> (Tally, u64) {
    let mut liar = Liar::new(lie);
    let load = Load {
        kills: KILLS,
        moments: Duration::from_millis(250)..=Duration::from_millis(500),
        rate: 2_000.0,
        window: 10,
        payload_bytes: 32,
        patience: Duration::from_secs(2),
        seed,
        prefix: "test".to_owned(),
        progress: |_| {},
        interrupt: Interrupt::default(),
    };
    let (kills, lanes) = Campaign::new(&mut liar, load).run().unwrap();
    assert_eq!(kills, KILLS);
    assert_eq!(lanes.len(), 6);
    let sum = |column: fn(&Tally) -> u64| lanes.iter().map(|lane| column(&lane.tally)).sum();
    let tally = Tally {
        published: lanes
            .iter()
            .filter(|lane| lane.qos != QoS::AtMostOnce)
            .map(|lane| lane.tally.published)
            .sum(),
        acknowledged: sum(|tally| tally.acknowledged),
        refused: sum(|tally| tally.refused),
        abandoned: sum(|tally| tally.abandoned),
        unanswered: sum(|tally| tally.unanswered),
        owed: sum(|tally| tally.owed),
        lost: sum(|tally| tally.lost),
        lost_with_session: sum(|tally| tally.lost_with_session),
        unpromised_missing: sum(|tally| tally.unpromised_missing),
        qos0_duplicates: sum(|tally| tally.qos0_duplicates),
        duplicates: sum(|tally| tally.duplicates),
        repeated: sum(|tally| tally.repeated),
        late: sum(|tally| tally.late),
        strangers: sum(|tally| tally.strangers),
        sessions_resumed: sum(|tally| tally.sessions_resumed),
        sessions_lost: sum(|tally| tally.sessions_lost),
        retained_checked: sum(|tally| tally.retained_checked),
        retained_lost: sum(|tally| tally.retained_lost),
        retained_stale: sum(|tally| tally.retained_stale),
        retained_strangers: sum(|tally| tally.retained_strangers),
    };
    (tally, liar.told())
}

/// What a tally says of broken promises.
fn broken(tally: &Tally) -> [u64; 8] {
    [
        tally.lost,
        tally.duplicates + tally.qos0_duplicates,
        tally.strangers,
        tally.unanswered,
        tally.sessions_lost,
        tally.retained_lost,
        tally.retained_stale,
        tally.retained_strangers,
    ]
}

#[test]
fn an_honest_broker_has_kept_everything() {
    let (tally, told) = attack(Lie::None, 1);
    assert_eq!((broken(&tally), told), ([0; 8], 0), "{tally:?}");
    assert!(tally.is_right() && tally.acknowledged == tally.published && tally.published > 100, "{tally:?}");
    // Four of five messages go to two subscribers each; the four publishers stop wherever they are.
    assert!(
        tally.owed >= tally.acknowledged / 5 * 8 && tally.owed <= tally.acknowledged * 8 / 5 + 8,
        "{tally:?}"
    );
    // Each of the six publishers and six subscribers at each start but the first, and the six others, who are away
    // at the second and the fourth, at the third and the last.
    assert_eq!(tally.sessions_resumed, u64::from(12 * KILLS + 6 * (KILLS / 2)), "{tally:?}");
    // Twenty-four topics after each start but the first, and at the end.
    assert_eq!(tally.retained_checked, u64::from(24 * (KILLS + 1)), "{tally:?}");
}

#[test]
fn a_forgotten_message_is_lost_to_each_subscriber() {
    let (tally, told) = attack(Lie::Forget(10), 2);
    assert!(told > 0);
    assert_eq!(broken(&tally), [2 * told, 0, 0, 0, 0, 0, 0, 0], "{tally:?}");
    assert_eq!(tally.lost_with_session, 0);
    assert!(!tally.is_right());
}

#[test]
fn a_qos_2_message_that_comes_twice_is_counted_for_each_subscriber() {
    let (tally, told) = attack(Lie::Twice(7), 3);
    assert!(told > 0);
    assert_eq!(broken(&tally), [0, 2 * told, 0, 0, 0, 0, 0, 0], "{tally:?}");
    assert!(!tally.is_right());
}

#[test]
fn a_qos_0_message_that_does_not_come_is_told_and_breaks_no_promise() {
    let (tally, told) = attack(Lie::Qos0(5, 0), 8);
    assert!(told > 0 && tally.unpromised_missing >= told, "{tally:?}");
    assert!(tally.is_right(), "{tally:?}");
}

#[test]
fn a_qos_0_message_that_comes_twice_breaks_a_promise() {
    let (tally, told) = attack(Lie::Qos0(5, 2), 9);
    assert!((1..=2 * told).contains(&tally.qos0_duplicates), "{tally:?}");
    assert_eq!(broken(&tally), [0, tally.qos0_duplicates, 0, 0, 0, 0, 0, 0], "{tally:?}");
    assert!(tally.duplicates == 0 && !tally.is_right());
}

#[test]
fn a_retained_value_that_is_gone_is_counted_once() {
    let (tally, told) = attack(Lie::RetainedLost, 4);
    assert_eq!(told, u64::from(KILLS));
    assert_eq!(broken(&tally), [0, 0, 0, 0, 0, told, 0, 0], "{tally:?}");
}

#[test]
fn a_retained_value_that_went_back_is_counted_once() {
    let (tally, told) = attack(Lie::RetainedStale, 5);
    assert_eq!(told, u64::from(KILLS));
    assert_eq!(broken(&tally), [0, 0, 0, 0, 0, 0, told, 0], "{tally:?}");
}

#[test]
fn a_forgotten_subscriber_loses_its_session_and_what_was_kept_in_it() {
    let (tally, told) = attack(Lie::Session("-away0"), 6);
    assert_eq!(told, u64::from(KILLS / 2), "{tally:?}");
    assert_eq!(tally.sessions_lost, told, "{tally:?}");
    // It was away for whole rounds: what came meanwhile is lost, and lost with the session.
    assert!(tally.lost > 0 && tally.lost == tally.lost_with_session, "{tally:?}");
    assert_eq!(broken(&tally), [tally.lost, 0, 0, 0, told, 0, 0, 0], "{tally:?}");
}

#[test]
fn a_forgotten_publisher_does_not_send_again_what_was_under_way() {
    let (tally, told) = attack(Lie::Session("-pub1"), 7);
    assert_eq!(told, u64::from(KILLS));
    assert_eq!(broken(&tally), [0, 0, 0, 0, told, 0, 0, 0], "{tally:?}");
    assert_eq!(tally.published, tally.acknowledged + tally.abandoned, "{tally:?}");
}
