//! Records of a store, few sessions, messages and topics, so that they meet; each with its length in two bytes before it.

use whimbrel_codec::{PacketId, QoS};
use whimbrel_engine::store::{Owner, Parked, Record, StoredSession, StoredWill};

use super::{Dice, Input};

const TOPICS: &[&str] = &["a", "a/b", "$SYS/x", "b", "", "a level longer than eighteen bytes/b"];
const FILTERS: &[&str] = &["a", "a/#", "+/b", "#", "$share/s/a", "$share/s/+/b", "", "a/#/b"];
const CLIENTS: &[&str] = &["c", "d", "", "Zoë"];
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Up to forty records.
pub(super) fn records(dice: &mut Dice) -> Input {
    let mut input = Input::new();
    for _ in 0..dice.below(40) {
        let mut bytes = Vec::new();
        record(dice).encode(&mut bytes);
        input.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        input.extend(bytes);
    }
    input
}

fn record(dice: &mut Dice) -> Record<'static> {
    let key = 1 + dice.below(4) as u64;
    let (message, number) = (dice.pick(&[1, 2, 3, 4, 0]), dice.pick(&[0, 1, 2, 3, 7, u64::MAX]));
    let qos = dice.pick(&QOS);
    let (flag, closed) = (dice.one_in(2), !dice.one_in(4));
    let (topic, filter) = (dice.pick(TOPICS), dice.pick(FILTERS));
    let parked = Parked { share: dice.pick(&["s", "t", ""]), filter: dice.pick(&["a", "+/b", "#"]), number };
    match dice.below(24) {
        0 => Record::Start { wall_secs: dice.pick(&[0, 1_700_000_000, u64::MAX]) },
        1..=3 => session(dice, key),
        4 => Record::Absent {
            key,
            since: dice.pick(&[0, 1_699_999_990, u64::MAX]),
            expiry_secs: dice.pick(&[0, 60, u32::MAX]),
            unsent_from: number,
            has_will: flag,
        },
        5 => Record::SessionEnd { key, has_will: flag },
        6 | 7 => {
            let fetch = dice.one_in(3).then(|| dice.pick(&QOS));
            Record::Subscribe {
                key,
                filter,
                qos,
                no_local: flag,
                retain_as_published: closed,
                id: dice.pick(&[0, 1, u32::MAX]),
                fetch,
            }
        }
        8 => Record::Unsubscribe { key, filter },
        9 => Record::Fetched { key, filter },
        10..=12 => Record::Message {
            id: message,
            topic,
            forwarded: dice.pick(&[&[][..], &[1, 1], &[0x26, 0, 1, b'a', 0, 0]]),
            payload: &[7; 5],
            qos,
            retain: flag,
            expires: dice.pick(&[u64::MAX, 0, 1_700_000_009]),
            publisher: key,
        },
        13..=15 => {
            let group = dice.one_in(3).then_some((parked.share, parked.filter));
            let from = dice.one_in(4).then_some(parked);
            let ids = if dice.one_in(4) { vec![1, 268_435_455] } else { Vec::new() };
            Record::Enqueue { key, number, message, qos, retain: flag, closed, ids, from, group }
        }
        16 => Record::Park { parked, message, closed },
        17 => Record::Unpark { parked },
        18 => Record::GroupEnd { share: parked.share, filter: parked.filter },
        19 => Record::Retain { message, topic, closed },
        20 => Record::Clear { topic },
        21 => {
            let publisher = PacketId::new(1 + dice.below(3) as u16).map(|id| Owner::Publisher(key, id));
            let owner = dice.pick(&[Owner::Nobody, Owner::Will(key), publisher.unwrap_or_default()]);
            Record::Close { message, owner }
        }
        22 => match (dice.below(4), PacketId::new(1 + dice.below(3) as u16)) {
            (0, Some(packet_id)) => Record::Released { key, packet_id },
            (1, _) => Record::Received { key, number },
            (2, _) => Record::WillGone { key },
            _ => Record::Done { key, number },
        },
        _ => Record::Open { key, packet_ids: (1..4).filter_map(PacketId::new).collect() },
    }
}

fn session(dice: &mut Dice, key: u64) -> Record<'static> {
    let will = StoredWill {
        topic: dice.pick(TOPICS),
        forwarded: &[],
        payload: b"gone",
        qos: dice.pick(&QOS),
        retain: dice.one_in(2),
        delay_secs: dice.pick(&[0, 5, u32::MAX]),
        expiry_secs: dice.one_in(2).then_some(9),
    };
    Record::Session(StoredSession {
        key,
        client_id: dice.pick(CLIENTS),
        expiry_secs: dice.pick(&[0, 60, u32::MAX]),
        receive_maximum: dice.pick(&[0, 1, 10, u16::MAX]),
        absent_since: dice.pick(&[0, 1_699_999_990, u64::MAX]),
        unsent_from: dice.pick(&[0, 2, u64::MAX]),
        next_number: dice.pick(&[0, 3, 8, u64::MAX]),
        will: dice.one_in(2).then_some(will),
    })
}
