//! The files of a log by their names, and what their headers say. It reads no frames.

use std::{collections::BTreeMap, io};

use crate::{
    disk::{Disk, DiskFile},
    error::{Fault, OpenError},
    format::{NoHeader, SEGMENT_HEADER_BYTES, SegmentHeader},
};

/// A segment is made under this name and gets its own when it is whole.
pub(crate) const NEW_FILE: &str = "new.log";

pub(crate) fn segment_file(number: u64) -> String {
    format!("{number:016x}.log")
}

pub(crate) fn spare_file(number: u64) -> String {
    format!("spare-{number:016x}.log")
}

pub(crate) fn damaged_file(number: u64) -> String {
    format!("damaged-{number:016x}.log")
}

/// Which segment a spare file was.
pub(crate) fn spare_number(name: &str) -> Option<u64> {
    number_in(name, "spare-")
}

fn number_in(name: &str, before: &str) -> Option<u64> {
    let digits = name.strip_prefix(before)?.strip_suffix(".log")?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    // One name per number: no other spelling counts.
    (name == format!("{before}{number:016x}.log")).then_some(number)
}

/// A file as people look for it.
pub(crate) fn place(disk: &dyn Disk, file: &str) -> String {
    format!("{disk}: {file}")
}

/// An operation that the system refused.
pub(crate) fn fault<'a>(
    disk: &'a dyn Disk,
    doing: &'static str,
    file: &'a str,
) -> impl Fn(io::Error) -> Fault + 'a {
    move |source| Fault { doing, file: place(disk, file), source }
}

/// What lies in the folder.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// By number.
    pub(crate) segments: BTreeMap<u64, String>,
    pub(crate) spares: Vec<String>,
    pub(crate) has_new: bool,
    /// By number, what a salvage has set aside.
    pub(crate) damaged: Vec<u64>,
    /// What is none of ours.
    pub(crate) foreign: Vec<String>,
}

impl Folder {
    pub(crate) fn read(disk: &dyn Disk) -> Result<Self, Fault> {
        let mut folder = Self::default();
        for name in disk.list().map_err(fault(disk, "list", "."))? {
            if let Some(number) = number_in(&name, "") {
                folder.segments.insert(number, name);
            } else if spare_number(&name).is_some() {
                folder.spares.push(name);
            } else if let Some(number) = number_in(&name, "damaged-") {
                folder.damaged.push(number);
            } else if name == NEW_FILE {
                folder.has_new = true;
            } else {
                folder.foreign.push(name);
            }
        }
        folder.spares.sort();
        folder.foreign.sort();
        Ok(folder)
    }
}

/// Why a segment's header is not to be had.
pub(crate) enum BadHeader {
    /// Nothing that a salvage may go past: the file may be whole, and not for us.
    Stop(OpenError),
    /// Not what was written.
    Damaged(Option<OpenError>),
}

impl From<Fault> for BadHeader {
    fn from(fault: Fault) -> Self {
        Self::Stop(fault.into())
    }
}

/// Opens a segment to read, and reads its header. `store` is what the segments before it say.
pub(crate) fn open_segment(
    disk: &dyn Disk,
    number: u64,
    store: Option<[u8; 16]>,
) -> Result<(Box<dyn DiskFile>, SegmentHeader), BadHeader> {
    let name = segment_file(number);
    let file = disk.open_to_read(&name).map_err(fault(disk, "open", &name))?;
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let read = file.read_at(0, &mut bytes).map_err(fault(disk, "read", &name))?;
    let folder = disk.to_string();
    let stop = match SegmentHeader::decode(bytes.get(..read).unwrap_or_default()) {
        Ok(header) if header.number != number => {
            OpenError::WrongNumber { place: folder, file: name, found: header.number }
        }
        Ok(header) if store.is_some_and(|store| store != header.store) => {
            OpenError::OtherStore { place: folder, file: name }
        }
        Ok(header) => return Ok((file, header)),
        Err(NoHeader::Checksum) => return Err(BadHeader::Damaged(None)),
        Err(NoHeader::Foreign) => {
            return Err(BadHeader::Damaged(Some(OpenError::Foreign { place: folder, file: name })));
        }
        Err(NoHeader::Version(found)) => OpenError::UnknownVersion { place: folder, file: name, found },
    };
    Err(BadHeader::Stop(stop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        let check = |name: &str, expect: Option<u64>| assert_eq!(number_in(name, ""), expect, "{name}");
        check(&segment_file(255), Some(255));
        check("00000000000000ff.log", Some(255));
        check("00000000000000FF.log", None);
        check("ff.log", None);
        check("+0000000000000ff.log", None);
        check("00000000000000ff.log.bak", None);
        assert_eq!(spare_number(&spare_file(7)), Some(7));
    }
}
