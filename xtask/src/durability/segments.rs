//! A reader of the journal's segments, after docs/journal-format.md, for statistics: which records were written with one sync.
//! It trusts the file and checks no sums; the store's own reader is `whimbrel store check`.

use std::fs;
use std::path::Path;

const SEGMENT_HEADER_BYTES: usize = 512;
const FRAME_HEADER_BYTES: usize = 40;
const RECORD_HEADER_BYTES: usize = 8;
const BLOCK_BYTES: u64 = 4_096;

/// What one sync has covered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch<'a> {
    pub(super) records: Vec<Entry<'a>>,
    /// Where its frames begin in their file, and how many bytes they take.
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl Batch<'_> {
    /// What a disk writes for it at least, in bytes: whole blocks.
    pub(super) fn block_bytes(&self) -> u64 {
        let blocks = (self.offset + self.bytes).div_ceil(BLOCK_BYTES) - self.offset / BLOCK_BYTES;
        blocks * BLOCK_BYTES
    }
}

/// A record, and the position at which it ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) end: u64,
    pub(super) bytes: &'a [u8],
}

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// The positions of the first record and after the last.
    pub(super) first: u64,
    pub(super) end: u64,
    /// Numbers of the oldest and the newest segment.
    pub(super) oldest: u64,
    pub(super) newest: u64,
}

/// Shows all batches of a store in their order. A frame says up to where all was synced when it was written: frames that
/// say the same were synced together.
pub(super) fn read(folder: &Path, mut show: impl FnMut(&Batch<'_>)) -> Result<Totals, String> {
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names: Vec<_> = fs::read_dir(folder)
        .map_err(told)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| segment_number(name).is_some())
        .collect();
    names.sort_unstable();
    let number = |name: Option<&String>| name.and_then(|name| segment_number(name)).unwrap_or(0);
    let (oldest, newest) = (number(names.first()), number(names.last()));
    let mut totals = Totals { oldest, newest, ..Totals::default() };
    for (at, name) in names.iter().enumerate() {
        let bytes = fs::read(folder.join(name)).map_err(told)?;
        let (first, end) = segment(&bytes, &mut show).ok_or_else(|| format!("{name}: no segment"))?;
        if at == 0 {
            totals.first = first;
        }
        totals.end = end;
    }
    Ok(totals)
}

/// The number in the name of a segment.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Shows the batches of one segment, and returns its first position and that after its last record. A segment is synced
/// before the next one is made, so that no batch lies in two.
fn segment<'a>(bytes: &'a [u8], show: &mut impl FnMut(&Batch<'a>)) -> Option<(u64, u64)> {
    if !bytes.starts_with(b"WHIMJRNL") {
        return None;
    }
    let first = long(bytes, 24)?;
    let (mut position, mut at, mut incarnation) = (first, SEGMENT_HEADER_BYTES, 1);
    let mut synced = None;
    let mut batch = Batch::default();
    while let Some(frame) = bytes.get(at..) {
        let (Some(length), Some(own)) = (short(frame, 4), short(frame, 8)) else { break };
        let records = frame.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + length as usize);
        // What the file held in a former use has lower positions.
        let (Some(records), true) = (records, long(frame, 16) == Some(position) && own >= incarnation) else {
            break;
        };
        if long(frame, 24) != synced {
            if !batch.records.is_empty() {
                show(&batch);
            }
            (synced, batch) = (long(frame, 24), Batch { offset: at as u64, ..Batch::default() });
        }
        batch.bytes += (FRAME_HEADER_BYTES + records.len()) as u64;
        position = put_records(records, position, &mut batch)?;
        at += FRAME_HEADER_BYTES + records.len();
        incarnation = own;
    }
    if !batch.records.is_empty() {
        show(&batch);
    }
    Some((first, position))
}

fn put_records<'a>(mut rest: &'a [u8], mut position: u64, batch: &mut Batch<'a>) -> Option<u64> {
    while !rest.is_empty() {
        let length = short(rest, 0)? as usize;
        let record = rest.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length)?;
        position += (RECORD_HEADER_BYTES + length) as u64;
        batch.records.push(Entry { end: position, bytes: record });
        rest = rest.get(RECORD_HEADER_BYTES + length..)?;
    }
    Some(position)
}

/// Four bytes, the lowest first.
fn short(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Eight bytes, the lowest first.
pub(super) fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A segment whose first record is at `first`, with frames of what was synced before them and their records.
    pub(crate) fn written(first: u64, frames: &[(u64, Vec<Vec<u8>>)]) -> Vec<u8> {
        let mut bytes = b"WHIMJRNL".to_vec();
        bytes.resize(SEGMENT_HEADER_BYTES, 0);
        bytes[24..32].copy_from_slice(&first.to_le_bytes());
        let mut position = first;
        for (synced, records) in frames {
            let mut body = Vec::new();
            for record in records {
                body.extend((record.len() as u32).to_le_bytes());
                body.extend([9; 4]);
                body.extend(record);
            }
            let mut header = vec![7; 4];
            header.extend((body.len() as u32).to_le_bytes());
            header.extend([1, 0, 0, 0, 0, 0, 0, 0]);
            header.extend(position.to_le_bytes());
            header.extend(synced.to_le_bytes());
            header.extend(1_u64.to_le_bytes());
            position += body.len() as u64;
            bytes.extend(header);
            bytes.extend(body);
        }
        bytes
    }

    #[test]
    fn frames_of_one_sync_are_one_batch_and_leftovers_are_none() {
        let record = |byte: u8, length: usize| vec![byte; length];
        let frames = [
            (0, vec![]),
            (50, vec![record(1, 2), record(2, 12)]),
            (50, vec![record(3, 4)]),
            (92, vec![record(4, 1)]),
        ];
        let mut bytes = written(50, &frames);
        // A frame of a former use, whose position lies before.
        bytes.extend(&written(20, &[(0, vec![record(5, 5)])])[SEGMENT_HEADER_BYTES..]);
        let mut seen = Vec::new();
        let ends = segment(&bytes, &mut |batch: &Batch<'_>| {
            let records: Vec<_> = batch.records.iter().map(|entry| (entry.bytes[0], entry.end)).collect();
            seen.push((records, batch.bytes));
        });
        assert_eq!(ends, Some((50, 50 + 10 + 20 + 12 + 9)));
        assert_eq!(seen, [(vec![(1, 60), (2, 80), (3, 92)], 40 + 30 + 40 + 12), (vec![(4, 101)], 49)]);
        assert_eq!(segment(b"nothing", &mut |_| {}), None);
    }

    #[test]
    fn a_batch_takes_whole_blocks() {
        let check = |offset, bytes, blocks| {
            assert_eq!(Batch { offset, bytes, ..Batch::default() }.block_bytes(), blocks * BLOCK_BYTES);
        };
        check(0, 1, 1);
        check(4_000, 96, 1);
        check(4_000, 97, 2);
        check(4_096, 8_192, 2);
    }

    #[test]
    fn a_segment_is_known_by_its_name() {
        assert_eq!(segment_number("000000000000001f.log"), Some(31));
        for name in ["lock", "new.log", "spare-0000000000000001.log", "damaged-0000000000000001.log"] {
            assert_eq!(segment_number(name), None, "{name}");
        }
    }
}
