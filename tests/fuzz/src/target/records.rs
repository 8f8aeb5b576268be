//! The bytes of records, as a store gives them back: no panic; what is read is written again and read the same; and whatever
//! they say, the fold makes an engine of it, which agrees with the summary that is made without one and comes to an end.

use whimbrel_engine::{
    Engine, Limits, Now,
    proto::Millis,
    store::{Fold, Record, describe},
};

/// Bytes of a record in the journal besides its own.
const HEADER_BYTES: u64 = 8;

/// Records, each with its length in two bytes before it.
pub(super) fn records(data: &[u8]) {
    let (mut summed, mut counted, mut restored) = (Fold::new(), Fold::new(), Fold::new());
    let (mut rest, mut position) = (data, 0_u64);
    while let [high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (record, after) = behind.split_at(length);
        rest = after;
        let end = position + HEADER_BYTES + length as u64;
        let read = again(record);
        for fold in [&mut summed, &mut counted, &mut restored] {
            assert_eq!(fold.take(position, end, record).is_ok(), read, "{record:02x?}");
        }
        position = end;
    }
    let summary = summed.summary();
    let _ = counted.account();
    let engine = Engine::new(Limits::default(), 1);
    let now = Now { mono: Millis(1_000_000), wall_secs: 1_700_000_000 };
    let back = restored.restore(&engine, now);
    assert_eq!(engine.sessions(), back.sessions);
    // A message is retained under its own topic, whatever the record says that retains it.
    assert!(engine.retained().0 <= back.retained);
    let restored = (back.sessions, back.retained, back.wills, back.dropped);
    assert_eq!(restored, (summary.sessions, summary.retained, summary.wills, summary.dropped));
    // What is no filter is no subscription, and what belongs to a group of that filter is nobody's.
    assert!(back.subscriptions <= summary.subscriptions && back.owed <= summary.owed, "{back:?} {summary:?}");
}

/// Whether it is a record; what is written of it is read the same.
fn again(record: &[u8]) -> bool {
    let Some(read) = Record::decode(record) else { return false };
    let mut written = Vec::new();
    read.encode(&mut written);
    assert_eq!(Record::decode(&written).as_ref(), Some(&read));
    assert!(written.len() <= record.len(), "{read:?}");
    assert!(!describe(&read).contains('\n'), "{read:?}");
    true
}
