//! A disk in memory that keeps what is synced apart from what is only written, and fails as it is told. It knows files
//! and folders by number, and nothing of FUSE.

mod contents;
mod names;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use contents::Contents;
use names::Names;

pub(crate) use contents::SECTOR_BYTES;

use crate::draw::Draw;

/// The folder that everything is in.
pub(crate) const ROOT: u64 = 1;

/// What a loss of power does to what is not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cut {
    /// All of it is gone.
    Lose,
    /// In each file the first sectors that were written are there, and none after them.
    Tear,
    /// In each file any of the sectors that were written are there.
    Reorder,
}

impl Cut {
    pub(crate) const ALL: [Cut; 3] = [Cut::Lose, Cut::Tear, Cut::Reorder];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Cut::Lose => "lose",
            Cut::Tear => "tear",
            Cut::Reorder => "reorder",
        }
    }
}

/// Whether something fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fails {
    #[default]
    Never,
    /// The next time, and then no more.
    Once,
    Always,
}

impl Fails {
    fn now(&mut self) -> bool {
        let fails = *self != Fails::Never;
        if *self == Fails::Once {
            *self = Fails::Never;
        }
        fails
    }
}

/// What is wrong with the disk until somebody says otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Syncs of files and folders fail, and what they covered is not written.
    pub(crate) sync: Fails,
    /// Writes fail.
    pub(crate) write: Fails,
    /// How many bytes there is room for. Bytes of a file that are there may be written anew whatever it is.
    pub(crate) capacity: Option<u64>,
    pub(crate) is_read_only: bool,
}

/// Why the disk does not do what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoSuchName,
    NameTaken,
    NotAFile,
    NotAFolder,
    /// A name stays in its folder here.
    OtherFolder,
    Full,
    ReadOnly,
    Failed,
}

/// What a number stands for.
#[derive(Debug)]
enum Node {
    File(Contents),
    Folder(Names),
}

/// What people ask of a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) node: u64,
    pub(crate) is_folder: bool,
    pub(crate) bytes: u64,
}

/// A sync that is under way: what it covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sync {
    node: u64,
    mark: u64,
    /// What the disk has to write for it.
    pub(crate) bytes: u64,
}

/// What a cut met and left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survival {
    /// Sectors that were not synced.
    pub(crate) sectors: usize,
    /// Those of them that are there all the same.
    pub(crate) survivors: usize,
    /// Changes of names that were not synced.
    pub(crate) names: usize,
}

/// The disk.
#[derive(Debug)]
pub(crate) struct Disk {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    pub(crate) faults: Faults,
}

impl Disk {
    pub(crate) fn new() -> Disk {
        let nodes = BTreeMap::from([(ROOT, Node::Folder(Names::default()))]);
        Disk { nodes, next: ROOT + 1, faults: Faults::default() }
    }

    /// Bytes of all files that have a name.
    pub(crate) fn used_bytes(&self) -> u64 {
        let named = self.nodes.values().filter_map(|node| match node {
            Node::Folder(names) => Some(names.iter().map(|(_, node)| node)),
            Node::File(_) => None,
        });
        named.flatten().filter_map(|node| self.status(node).ok()).map(|status| status.bytes).sum()
    }

    pub(crate) fn status(&self, node: u64) -> Result<Status, Refusal> {
        match self.nodes.get(&node).ok_or(Refusal::NoSuchName)? {
            Node::File(contents) => Ok(Status { node, is_folder: false, bytes: contents.len() }),
            Node::Folder(_) => Ok(Status { node, is_folder: true, bytes: 0 }),
        }
    }

    pub(crate) fn find(&self, folder: u64, name: &OsStr) -> Result<Status, Refusal> {
        self.status(self.names(folder)?.find(name).ok_or(Refusal::NoSuchName)?)
    }

    pub(crate) fn list(&self, folder: u64) -> Result<Vec<(OsString, Status)>, Refusal> {
        let names = self.names(folder)?.iter();
        names.map(|(name, node)| Ok((name.to_owned(), self.status(node)?))).collect()
    }

    pub(crate) fn create(&mut self, folder: u64, name: &OsStr, is_folder: bool) -> Result<Status, Refusal> {
        self.check_writable()?;
        if self.names(folder)?.find(name).is_some() {
            return Err(Refusal::NameTaken);
        }
        if self.faults.capacity.is_some_and(|capacity| self.used_bytes() >= capacity) {
            return Err(Refusal::Full);
        }
        let node = self.next;
        self.next += 1;
        let new = if is_folder { Node::Folder(Names::default()) } else { Node::File(Contents::default()) };
        self.nodes.insert(node, new);
        self.names_mut(folder)?.change(vec![(name.to_owned(), Some(node))]);
        self.status(node)
    }

    /// Removes a file's name. Who has the file open keeps it.
    pub(crate) fn remove(&mut self, folder: u64, name: &OsStr) -> Result<(), Refusal> {
        self.check_writable()?;
        if self.find(folder, name)?.is_folder {
            return Err(Refusal::NotAFile);
        }
        self.names_mut(folder)?.change(vec![(name.to_owned(), None)]);
        Ok(())
    }

    pub(crate) fn rename(&mut self, folder: u64, from: &OsStr, to: (u64, &OsStr)) -> Result<(), Refusal> {
        self.check_writable()?;
        if to.0 != folder {
            return Err(Refusal::OtherFolder);
        }
        let node = self.find(folder, from)?.node;
        if from != to.1 {
            self.names_mut(folder)?.change(vec![(from.to_owned(), None), (to.1.to_owned(), Some(node))]);
        }
        Ok(())
    }

    pub(crate) fn read(&self, file: u64, offset: u64, bytes: usize) -> Result<&[u8], Refusal> {
        match self.nodes.get(&file).ok_or(Refusal::NoSuchName)? {
            Node::File(contents) => Ok(contents.read(offset, bytes)),
            Node::Folder(_) => Err(Refusal::NotAFile),
        }
    }

    /// Writes as much as there is room for, and returns how much.
    pub(crate) fn write(&mut self, file: u64, offset: u64, bytes: &[u8]) -> Result<usize, Refusal> {
        self.check_writable()?;
        if self.faults.write.now() {
            return Err(Refusal::Failed);
        }
        let used = self.used_bytes();
        let capacity = self.faults.capacity.unwrap_or(u64::MAX);
        let contents = self.contents_mut(file)?;
        let end_max = contents.len().saturating_add(capacity.saturating_sub(used));
        let room = usize::try_from(end_max.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            return Err(Refusal::Full);
        }
        contents.write(offset, &bytes[..room]);
        Ok(room)
    }

    pub(crate) fn set_len(&mut self, file: u64, bytes: u64) -> Result<(), Refusal> {
        self.check_writable()?;
        self.contents_mut(file)?.set_len(bytes);
        Ok(())
    }

    /// A sync begins: it covers what has been written or named until now.
    pub(crate) fn begin_sync(&self, node: u64) -> Result<Sync, Refusal> {
        let (mark, bytes) = match self.nodes.get(&node).ok_or(Refusal::NoSuchName)? {
            Node::File(contents) => (contents.mark(), contents.unsynced_bytes()),
            Node::Folder(names) => (names.mark(), names.unsynced() * SECTOR_BYTES),
        };
        Ok(Sync { node, mark, bytes: bytes as u64 })
    }

    /// The sync ends: what it covers is on stable storage, or it fails.
    pub(crate) fn end_sync(&mut self, sync: Sync) -> Result<(), Refusal> {
        let has_failed = (self.faults.is_read_only && sync.bytes > 0) || self.faults.sync.now();
        match self.nodes.get_mut(&sync.node).ok_or(Refusal::NoSuchName)? {
            Node::File(contents) if has_failed => contents.forsake(sync.mark),
            Node::File(contents) => contents.sync(sync.mark),
            Node::Folder(names) if !has_failed => names.sync(sync.mark),
            Node::Folder(_) => {}
        }
        match has_failed {
            true if self.faults.is_read_only => Err(Refusal::ReadOnly),
            true => Err(Refusal::Failed),
            false => Ok(()),
        }
    }

    /// Power is lost: settles everything that is not synced, and forgets the files without a name.
    pub(crate) fn cut(&mut self, cut: Cut, draw: &mut Draw) -> Survival {
        let mut survival = Survival::default();
        for node in self.nodes.values_mut() {
            match node {
                Node::File(contents) => {
                    survival.sectors += contents.unsynced_sectors();
                    survival.survivors += contents.cut(cut, draw);
                }
                Node::Folder(names) => {
                    survival.names += names.unsynced();
                    names.cut(cut, draw);
                }
            }
        }
        let mut named = vec![ROOT];
        let mut at = 0;
        while let Some(node) = named.get(at) {
            if let Some(Node::Folder(names)) = self.nodes.get(node) {
                let inside: Vec<_> = names.iter().map(|(_, node)| node).collect();
                named.extend(inside);
            }
            at += 1;
        }
        self.nodes.retain(|node, _| named.contains(node));
        survival
    }

    fn check_writable(&self) -> Result<(), Refusal> {
        if self.faults.is_read_only { Err(Refusal::ReadOnly) } else { Ok(()) }
    }

    fn names(&self, folder: u64) -> Result<&Names, Refusal> {
        match self.nodes.get(&folder).ok_or(Refusal::NoSuchName)? {
            Node::Folder(names) => Ok(names),
            Node::File(_) => Err(Refusal::NotAFolder),
        }
    }

    fn names_mut(&mut self, folder: u64) -> Result<&mut Names, Refusal> {
        match self.nodes.get_mut(&folder).ok_or(Refusal::NoSuchName)? {
            Node::Folder(names) => Ok(names),
            Node::File(_) => Err(Refusal::NotAFolder),
        }
    }

    fn contents_mut(&mut self, file: u64) -> Result<&mut Contents, Refusal> {
        match self.nodes.get_mut(&file).ok_or(Refusal::NoSuchName)? {
            Node::File(contents) => Ok(contents),
            Node::Folder(_) => Err(Refusal::NotAFile),
        }
    }
}

#[cfg(test)]
mod tests;
