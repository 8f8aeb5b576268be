//! How much of what was written need not have been: messages that everybody whom they were owed to had acknowledged before the
//! sync that covers them. An upper bound, read from the journals of real loads; nothing is left out of any.

use std::collections::HashMap;
use std::fmt::Write;

use super::segments::{self, Batch, long};
use super::stage::{Level, Stage};

/// The kinds of records that matter here, after docs/records.md.
const MESSAGE: u8 = 8;
const ENQUEUE: u8 = 9;
const PARK: u8 = 10;
const RETAIN: u8 = 13;
const CLOSE: u8 = 15;
const DONE: u8 = 17;

/// Kind and shard.
const HEAD_BYTES: usize = 3;
const RECORD_HEADER_BYTES: u64 = 8;

/// Sums over a journal; `spared` is the part that need not have been written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) batches: u64,
    pub(super) bytes: u64,
    messages: Share,
    enqueues: Share,
    dones: Share,
    spared_bytes: u64,
    frame_bytes: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Share {
    all: u64,
    spared: u64,
}

/// A message within one batch.
#[derive(Default)]
struct Fate {
    is_written_here: bool,
    /// It is retained, or owed by a group: it has to stay.
    is_needed: bool,
    owed: u64,
    done: u64,
    enqueue_bytes: u64,
    done_bytes: u64,
    other_bytes: u64,
}

impl Shares {
    /// Counts one batch.
    pub(super) fn take(&mut self, batch: &Batch<'_>) {
        self.batches += 1;
        self.frame_bytes += batch.bytes;
        let mut fates: HashMap<u64, Fate> = HashMap::new();
        let mut deliveries: HashMap<(u64, u64), u64> = HashMap::new();
        for entry in &batch.records {
            let bytes = entry.bytes.len() as u64 + RECORD_HEADER_BYTES;
            self.bytes += bytes;
            let [Some(first), second, third] =
                [0, 8, 16].map(|offset| long(entry.bytes, HEAD_BYTES + offset))
            else {
                continue;
            };
            match (entry.bytes.first().copied().unwrap_or(0), second, third) {
                (MESSAGE, _, _) => {
                    self.messages.all += 1;
                    let fate = fates.entry(if first == 0 { entry.end } else { first }).or_default();
                    // What cleaning has written anew has its name.
                    fate.is_written_here = first == 0;
                    fate.other_bytes += bytes;
                }
                (ENQUEUE, Some(number), Some(message)) => {
                    self.enqueues.all += 1;
                    deliveries.insert((first, number), message);
                    let fate = fates.entry(message).or_default();
                    fate.owed += 1;
                    fate.enqueue_bytes += bytes;
                }
                (DONE, Some(number), _) => {
                    self.dones.all += 1;
                    if let Some(message) = deliveries.get(&(first, number)) {
                        let fate = fates.entry(*message).or_default();
                        fate.done += 1;
                        fate.done_bytes += bytes;
                    }
                }
                (CLOSE, _, _) if first != 0 => fates.entry(first).or_default().other_bytes += bytes,
                (RETAIN, _, _) => fates.entry(first).or_default().is_needed = true,
                (PARK, _, _) => {
                    if let Some(message) = parked(entry.bytes) {
                        fates.entry(message).or_default().is_needed = true;
                    }
                }
                _ => {}
            }
        }
        let spared = |fate: &&Fate| fate.is_written_here && !fate.is_needed && fate.done == fate.owed;
        for fate in fates.values().filter(spared) {
            self.messages.spared += 1;
            self.enqueues.spared += fate.owed;
            self.dones.spared += fate.done;
            self.spared_bytes += fate.enqueue_bytes + fate.done_bytes + fate.other_bytes;
        }
    }

    fn row(&self, title: &str) -> String {
        let share = |part: u64, all: u64| match all {
            0 => "–".to_owned(),
            _ => format!("{:.1} %", part as f64 * 100.0 / all as f64),
        };
        let of = |part: &Share| share(part.spared, part.all);
        format!(
            "| {title} | {} | {:.1} | {} | {} | {} | {} |\n",
            self.messages.all,
            self.messages.all as f64 / self.batches.max(1) as f64,
            of(&self.messages),
            of(&self.enqueues),
            of(&self.dones),
            share(self.spared_bytes, self.bytes),
        )
    }

    /// Bytes of frames in a batch, on average.
    pub(super) fn batch_bytes(&self) -> u64 {
        self.frame_bytes / self.batches.max(1)
    }
}

/// The message of a Park: behind two texts and a number.
fn parked(record: &[u8]) -> Option<u64> {
    let mut at = HEAD_BYTES;
    for _ in 0..2 {
        let length: [u8; 4] = record.get(at..at + 4)?.try_into().ok()?;
        at += 4 + u32::from_le_bytes(length) as usize;
    }
    long(record, at + 8)
}

/// Loads a broker at level `power`, kills it and reads what it has written.
pub(super) fn run(stage: &mut Stage) -> Result<String, String> {
    let seconds = stage.size(3, 1);
    let loads = [
        ("100 pairs, 1,000 messages/s in all", "p2p -q 1 -n 100 --persistent --rate 1000"),
        ("100 pairs, 10,000 messages/s in all", "p2p -q 1 -n 100 --persistent --rate 10000"),
        ("100 pairs, as fast as they go", "p2p -q 1 -n 100 --persistent"),
        ("100 pairs, as fast as they go in batches of 16", "p2p -q 1 -n 100 --persistent --batch 16"),
        ("1,000 pairs, as fast as they go", "p2p -q 1 -n 1000 --persistent"),
        ("1 to 100, 200 messages/s, QoS 1", "fan-out -q 1 --subscribers 100 --persistent --rate 200"),
    ];
    let mut text = "| load at `power`, subscribers on the same machine | messages | in one sync | messages spared | Enqueue spared | Done spared | bytes spared |\n|---|---|---|---|---|---|---|\n".to_owned();
    for (title, load) in loads {
        let load = format!("{load} --warmup 0s --duration {seconds}s");
        let broker = stage.start_anew(&stage.whimbrel(Level::Power))?;
        let ran = stage.bench(&broker, &load.split(' ').collect::<Vec<_>>())?;
        drop(broker);
        if let Err(fault) = ran {
            let _ = writeln!(text, "| {title}: {fault} |");
            continue;
        }
        let mut shares = Shares::default();
        segments::read(&stage.store(), |batch| shares.take(batch))?;
        let row = shares.row(title);
        eprint!("  {row}");
        text.push_str(&row);
    }
    text.push_str(
        "\nSpared would be what everybody had acknowledged before the sync that covers it. An upper bound: what is staged is \
         also what has to be left out again.\n",
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::segments::Entry;
    use super::*;

    fn record(kind: u8, fields: &[u64]) -> Vec<u8> {
        let mut bytes = vec![kind, 0, 0];
        fields.iter().for_each(|field| bytes.extend(field.to_le_bytes()));
        bytes.extend([0; 8]);
        bytes
    }

    fn shares(batches: &[Vec<Vec<u8>>]) -> Shares {
        let mut shares = Shares::default();
        let mut end = 0;
        for records in batches {
            let mut batch = Batch::default();
            for bytes in records {
                end += 100;
                batch.records.push(Entry { end, bytes });
            }
            shares.take(&batch);
        }
        shares
    }

    #[test]
    fn spared_is_what_is_done_with_all_in_its_own_batch() {
        let message = || record(MESSAGE, &[0, 0, 0]);
        // The message ends at 100, owed to two, both done; another at 400 is done for one of two.
        let both = vec![
            message(),
            record(ENQUEUE, &[1, 5, 100]),
            record(ENQUEUE, &[2, 9, 100]),
            message(),
            record(ENQUEUE, &[1, 6, 400]),
            record(ENQUEUE, &[2, 10, 400]),
            record(DONE, &[1, 5, 0]),
            record(DONE, &[2, 9, 0]),
            record(DONE, &[1, 6, 0]),
        ];
        let shares = shares(&[both, vec![record(DONE, &[2, 10, 0])]]);
        assert_eq!((shares.messages.spared, shares.messages.all), (1, 2));
        assert_eq!((shares.enqueues.spared, shares.enqueues.all), (2, 4));
        assert_eq!((shares.dones.spared, shares.dones.all), (2, 4));
        assert_eq!((shares.batches, shares.spared_bytes), (2, 5 * (3 + 32 + 8)));
    }

    #[test]
    fn what_is_retained_or_owed_by_a_group_or_written_anew_is_not_spared() {
        let done = |more: Vec<u8>| {
            vec![record(MESSAGE, &[0, 0, 0]), record(ENQUEUE, &[1, 5, 100]), more, record(DONE, &[1, 5, 0])]
        };
        let mut park = vec![PARK, 0, 0];
        for text in ["share", "a/b"] {
            park.extend((text.len() as u32).to_le_bytes());
            park.extend(text.as_bytes());
        }
        park.extend(7_u64.to_le_bytes());
        park.extend(100_u64.to_le_bytes());
        assert_eq!(parked(&park), Some(100));
        assert_eq!(shares(&[done(record(RETAIN, &[100, 0, 0]))]).messages.spared, 0);
        assert_eq!(shares(&[done(park)]).messages.spared, 0);
        assert_eq!(shares(&[done(record(CLOSE, &[100, 0, 0]))]).messages.spared, 1);
        let anew = vec![record(MESSAGE, &[77, 0, 0]), record(ENQUEUE, &[1, 5, 77]), record(DONE, &[1, 5, 0])];
        assert_eq!(shares(&[anew]).messages.spared, 0);
    }
}
