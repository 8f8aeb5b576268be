//! The disk as a FUSE file system. The kernel caches nothing of it: what a program asks comes here, one thing after the
//! other. What is kept and what is lost is the disk's.

use std::ffi::OsStr;
use std::thread;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::device::Device;
use crate::disk::{Refusal, SECTOR_BYTES, Status};

/// Nothing is cached.
const TTL: Duration = Duration::ZERO;

/// The file system.
pub(crate) struct Layer {
    device: Device,
}

impl Layer {
    pub(crate) fn new(device: Device) -> Layer {
        Layer { device }
    }

    fn find(&self, folder: INodeNo, name: &OsStr) -> Result<Status, Errno> {
        self.device.with(|disk| disk.find(folder.0, name)).map_err(errno)
    }

    fn create(&self, folder: INodeNo, name: &OsStr, is_folder: bool) -> Result<Status, Errno> {
        self.device.with(|disk| disk.create(folder.0, name, is_folder)).map_err(errno)
    }

    /// A sync that takes time is waited for elsewhere.
    fn sync(&self, node: INodeNo, reply: ReplyEmpty) {
        let sync = match self.device.with(|disk| disk.begin_sync(node.0)) {
            Ok(sync) => sync,
            Err(refusal) => return reply.error(errno(refusal)),
        };
        let device = self.device.clone();
        let end = move || answer(reply, device.end_sync(sync));
        if self.device.is_slow() {
            thread::spawn(end);
        } else {
            end();
        }
    }
}

impl Filesystem for Layer {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.find(parent, name));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.device.with(|disk| disk.status(ino.0)) {
            Ok(status) => reply.attr(&TTL, &attributes(status)),
            Err(refusal) => reply.error(errno(refusal)),
        }
    }

    /// The length alone: owner, rights and times are always the same.
    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let done = self.device.with(|disk| {
            if let Some(size) = size {
                disk.set_len(ino.0, size)?;
            }
            disk.status(ino.0)
        });
        match done {
            Ok(status) => reply.attr(&TTL, &attributes(status)),
            Err(refusal) => reply.error(errno(refusal)),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        entry(reply, self.create(parent, name, true));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.device.with(|disk| disk.remove(parent.0, name)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        answer(reply, self.device.with(|disk| disk.rename(parent.0, name, (newparent.0, newname))));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.device.with(|disk| disk.read(ino.0, offset, size as usize).map(<[u8]>::to_vec)) {
            Ok(bytes) => reply.data(&bytes),
            Err(refusal) => reply.error(errno(refusal)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.device.wait_for_write();
        match written.and_then(|()| self.device.with(|disk| disk.write(ino.0, offset, data))) {
            // As many as the kernel has sent, which is less than 4 GiB.
            Ok(written) => reply.written(written as u32),
            Err(refusal) => reply.error(errno(refusal)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(ino, reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(ino, reply);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let list = match self.device.with(|disk| disk.list(ino.0)) {
            Ok(list) => list,
            Err(refusal) => return reply.error(errno(refusal)),
        };
        for (place, (name, status)) in (1..).zip(list).skip(offset as usize) {
            if reply.add(INodeNo(status.node), place, kind(status), name) {
                break;
            }
        }
        reply.ok();
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        match self.create(parent, name, false) {
            Ok(status) => reply.created(
                &TTL,
                &attributes(status),
                Generation(0),
                FileHandle(0),
                FopenFlags::FOPEN_DIRECT_IO,
            ),
            Err(error) => reply.error(error),
        }
    }
}

fn entry(reply: ReplyEntry, found: Result<Status, Errno>) {
    match found {
        Ok(status) => reply.entry(&TTL, &attributes(status), Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn answer(reply: ReplyEmpty, done: Result<(), Refusal>) {
    match done {
        Ok(()) => reply.ok(),
        Err(refusal) => reply.error(errno(refusal)),
    }
}

fn errno(refusal: Refusal) -> Errno {
    match refusal {
        Refusal::NoSuchName => Errno::ENOENT,
        Refusal::NameTaken => Errno::EEXIST,
        Refusal::NotAFile => Errno::EISDIR,
        Refusal::NotAFolder => Errno::ENOTDIR,
        Refusal::OtherFolder => Errno::EXDEV,
        Refusal::Full => Errno::ENOSPC,
        Refusal::ReadOnly => Errno::EROFS,
        Refusal::Failed => Errno::EIO,
    }
}

fn kind(status: Status) -> FileType {
    if status.is_folder { FileType::Directory } else { FileType::RegularFile }
}

fn attributes(status: Status) -> FileAttr {
    let time = SystemTime::UNIX_EPOCH;
    FileAttr {
        ino: INodeNo(status.node),
        size: status.bytes,
        blocks: status.bytes.div_ceil(SECTOR_BYTES as u64),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: kind(status),
        perm: if status.is_folder { 0o700 } else { 0o600 },
        nlink: 1,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}
