//! The bytes on disk: segment header, frame header, record. `docs/journal-format.md` describes them for other readers.
//!
//! It turns bytes into values and back; where in which file they lie is the writers' and the scan's business.

use crc32c::{crc32c, crc32c_append};

/// The version that is written. Older ones stay readable for ever; there are none yet.
pub const FORMAT_VERSION: u32 = 1;

/// The longest record, in bytes. The largest MQTT packet is half of it.
pub const RECORD_BYTES_MAX: usize = 512 * 1024 * 1024;

const MAGIC: [u8; 8] = *b"WHIMJRNL";

/// A sector of its own: no later write touches the sector that the header is in.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 512;
pub(crate) const FRAME_HEADER_BYTES: usize = 40;
/// What the log adds to every record, in bytes: its position's successor lies so much further.
pub const RECORD_HEADER_BYTES: usize = 8;

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u64,
    /// The position of its first record, and the end of the segment before.
    pub(crate) first: u64,
    /// Chosen by the owner when the store was made; one for all segments of a store.
    pub(crate) store: [u8; 16],
    /// The number of the oldest segment that was needed when this one was made.
    pub(crate) oldest: u64,
    /// Of the opening of the store during which this segment was made.
    pub(crate) incarnation: u32,
}

/// Why the first bytes of a file are no segment header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// Another program's file.
    Foreign,
    Version(u32),
    Checksum,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let mut out = Out(&mut bytes);
        out.put(&MAGIC);
        out.put(&FORMAT_VERSION.to_le_bytes());
        out.put(&[0; 4]);
        out.put(&self.number.to_le_bytes());
        out.put(&self.first.to_le_bytes());
        out.put(&self.store);
        out.put(&self.oldest.to_le_bytes());
        out.put(&self.incarnation.to_le_bytes());
        let sum = crc32c(&bytes);
        let (_, at_sum) = bytes.split_at_mut(12);
        Out(at_sum).put(&sum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, NoHeader> {
        let mut fields = Fields(bytes);
        if fields.array().is_none_or(|magic| magic != MAGIC) {
            return Err(NoHeader::Foreign);
        }
        let version = fields.u32().ok_or(NoHeader::Checksum)?;
        if version != FORMAT_VERSION {
            return Err(NoHeader::Version(version));
        }
        Self::decode_v1(bytes).ok_or(NoHeader::Checksum)
    }

    fn decode_v1(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SEGMENT_HEADER_BYTES] = bytes.first_chunk()?;
        let (before, rest) = bytes.split_at_checked(12)?;
        let mut fields = Fields(rest);
        let sum = fields.u32()?;
        if crc32c_append(crc32c_append(crc32c(before), &[0; 4]), fields.0) != sum {
            return None;
        }
        Some(Self {
            number: fields.u64()?,
            first: fields.u64()?,
            store: fields.array()?,
            oldest: fields.u64()?,
            incarnation: fields.u32()?,
        })
    }

    /// What the checksums of this segment's frames start from: a frame of another store or segment never fits.
    pub(crate) fn frame_seed(&self) -> u32 {
        crc32c_append(crc32c(&self.store), &self.number.to_le_bytes())
    }
}

/// What stands before a batch of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of records that follow.
    pub(crate) length: u32,
    /// Of the opening of the store during which the frame was written; never 0.
    pub(crate) incarnation: u32,
    /// Of the first record.
    pub(crate) position: u64,
    /// All before it was on stable storage when the frame was written.
    pub(crate) synced: u64,
    /// The number of the oldest segment that is still needed.
    pub(crate) oldest: u64,
}

impl FrameHeader {
    pub(crate) fn encode(&self, seed: u32) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        let (at_sum, rest) = bytes.split_at_mut(4);
        let mut out = Out(rest);
        out.put(&self.length.to_le_bytes());
        out.put(&self.incarnation.to_le_bytes());
        out.put(&[0; 4]);
        out.put(&self.position.to_le_bytes());
        out.put(&self.synced.to_le_bytes());
        out.put(&self.oldest.to_le_bytes());
        let sum = crc32c_append(seed, rest);
        Out(at_sum).put(&sum.to_le_bytes());
        bytes
    }

    /// `None` where the checksum does not fit: these bytes are no frame of this segment.
    pub(crate) fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let bytes: &[u8; FRAME_HEADER_BYTES] = bytes.first_chunk()?;
        let mut fields = Fields(bytes);
        let sum = fields.u32()?;
        if crc32c_append(seed, fields.0) != sum {
            return None;
        }
        let length = fields.u32()?;
        let incarnation = fields.u32()?;
        fields.u32()?;
        let header = Self {
            length,
            incarnation,
            position: fields.u64()?,
            synced: fields.u64()?,
            oldest: fields.u64()?,
        };
        (incarnation != 0).then_some(header)
    }

    /// Where the header's position stands, for a search that looks there first.
    pub(crate) fn peek_position(bytes: &[u8]) -> Option<u64> {
        Fields(bytes.get(16..)?).u64()
    }

    pub(crate) fn end(&self) -> u64 {
        self.position.saturating_add(u64::from(self.length))
    }
}

/// The half of a record's checksum that does not depend on where the record comes to lie.
pub(crate) fn record_sum(record: &[u8]) -> u32 {
    crc32c_append(crc32c(&record_length(record).to_le_bytes()), record)
}

/// The whole checksum: a record that is found at another position, or that a former life of the store left behind, does
/// not fit.
pub(crate) fn placed_sum(record_sum: u32, position: u64, incarnation: u32) -> u32 {
    let mut place = [0; 12];
    let mut out = Out(&mut place);
    out.put(&position.to_le_bytes());
    out.put(&incarnation.to_le_bytes());
    crc32c_append(record_sum, &place)
}

/// Appends a record as it stands in a frame. `sum` is the whole checksum.
pub(crate) fn put_record(out: &mut Vec<u8>, record: &[u8], sum: u32) {
    out.extend_from_slice(&record_length(record).to_le_bytes());
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(record);
}

/// Callers hold the length under [`RECORD_BYTES_MAX`].
fn record_length(record: &[u8]) -> u32 {
    u32::try_from(record.len()).unwrap_or(u32::MAX)
}

/// A record's header: length, checksum.
pub(crate) fn record_header(bytes: &[u8]) -> Option<(usize, u32)> {
    let mut fields = Fields(bytes);
    Some((usize::try_from(fields.u32()?).ok()?, fields.u32()?))
}

/// The first of some records, its checksum, and the others. `None` where the length reaches beyond them.
pub(crate) fn split_record(bytes: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (length, sum) = record_header(bytes)?;
    let (record, rest) = bytes.get(RECORD_HEADER_BYTES..)?.split_at_checked(length)?;
    Some((record, sum, rest))
}

/// Reads little-endian fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Writes fields one after the other into a buffer of a known size; what does not fit is a mistake of this file.
struct Out<'a>(&'a mut [u8]);

impl Out<'_> {
    fn put(&mut self, field: &[u8]) {
        let room = std::mem::take(&mut self.0);
        if let Some((into, rest)) = room.split_at_mut_checked(field.len()) {
            into.copy_from_slice(field);
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_header_comes_back_and_every_flipped_bit_is_found() {
        let header = SegmentHeader { number: 7, first: 1 << 40, store: [3; 16], oldest: 5, incarnation: 9 };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bytes).is_err(), "bit {bit}");
        }
        assert_eq!(SegmentHeader::decode(&bytes[..511]), Err(NoHeader::Checksum));
        assert_eq!(SegmentHeader::decode(b"SQLite format 3\0"), Err(NoHeader::Foreign));
    }

    #[test]
    fn a_frame_header_belongs_to_one_segment_of_one_store() {
        let header =
            FrameHeader { length: 100, incarnation: 2, position: 1 << 33, synced: 1 << 32, oldest: 4 };
        let bytes = header.encode(77);
        assert_eq!(FrameHeader::decode(&bytes, 77), Some(header));
        assert_eq!(FrameHeader::decode(&bytes, 78), None);
        assert_eq!(FrameHeader::peek_position(&bytes), Some(1 << 33));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(&bytes, 77), None, "bit {bit}");
        }
        let segment = |number, store| SegmentHeader { number, first: 0, store, oldest: 0, incarnation: 1 };
        assert_ne!(segment(1, [0; 16]).frame_seed(), segment(2, [0; 16]).frame_seed());
        assert_ne!(segment(1, [0; 16]).frame_seed(), segment(1, [1; 16]).frame_seed());
    }

    #[test]
    fn a_record_fits_its_position_and_its_incarnation_alone() {
        let half = record_sum(b"abc");
        let sum = placed_sum(half, 10, 1);
        assert_ne!(sum, placed_sum(half, 11, 1));
        assert_ne!(sum, placed_sum(half, 10, 2));
        assert_ne!(sum, placed_sum(record_sum(b"abd"), 10, 1));
        let mut bytes = Vec::new();
        put_record(&mut bytes, b"abc", sum);
        put_record(&mut bytes, b"", 5);
        let (record, found, rest) = split_record(&bytes).unwrap();
        assert_eq!((record, found), (&b"abc"[..], sum));
        assert_eq!(split_record(rest), Some((&b""[..], 5, &b""[..])));
        assert_eq!(split_record(&bytes[..10]), None);
    }
}
