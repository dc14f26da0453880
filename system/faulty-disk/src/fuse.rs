//! The disk as a FUSE filesystem. Nothing is cached by the kernel, so that a power failure is seen at once.

use std::{
    ffi::OsStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::{
    Disk,
    disk::{Inner, Trouble},
    state::{BLOCK, Node},
};

const UNCACHED: Duration = Duration::ZERO;

pub(crate) struct Fuse(pub(crate) Disk);

impl From<Trouble> for Errno {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Io => Self::EIO,
            Trouble::Full => Self::ENOSPC,
            Trouble::Missing => Self::ENOENT,
            Trouble::Exists => Self::EEXIST,
            Trouble::NotEmpty => Self::ENOTEMPTY,
        }
    }
}

impl Fuse {
    /// For what goes by name: the disk must be on.
    fn named<T>(&self, act: impl FnOnce(&mut Inner) -> Result<T, Trouble>) -> Result<T, Errno> {
        let mut inner = self.0.lock();
        let life = inner.life;
        inner.usable(life).and_then(|()| act(&mut inner)).map_err(Errno::from)
    }

    /// For what goes by an open file: it must have been opened since the disk was switched on.
    fn opened<T>(&self, fh: FileHandle, act: impl FnOnce(&mut Inner) -> Result<T, Trouble>) -> Result<T, Errno> {
        let mut inner = self.0.lock();
        inner.usable(fh.0).and_then(|()| act(&mut inner)).map_err(Errno::from)
    }

    fn sync(&self, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyEmpty) {
        let (disk, delay) = (self.0.clone(), self.0.lock().faults.sync_delay);
        let act = move || {
            let mut inner = disk.lock();
            let life = fh.map_or(inner.life, |fh| fh.0);
            match inner.usable(life).and_then(|()| inner.sync(ino.0)) {
                Ok(()) => reply.ok(),
                Err(trouble) => reply.error(trouble.into()),
            }
        };
        if delay.is_zero() {
            act();
        } else {
            // Others are served meanwhile. There are as many of these as callers that wait.
            std::thread::spawn(move || {
                std::thread::sleep(delay);
                act();
            });
        }
    }
}

fn attr(inner: &Inner, ino: u64) -> Result<FileAttr, Trouble> {
    let (kind, perm, size, blocks) = match inner.live.node(ino).ok_or(Trouble::Missing)? {
        Node::File(bytes) => (FileType::RegularFile, 0o644, bytes.len, bytes.block_count()),
        Node::Folder(_) => (FileType::Directory, 0o755, 0, 0),
    };
    let (time, uid, gid) = (UNIX_EPOCH, rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Ok(FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: blocks * (BLOCK as u64 / 512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm,
        nlink: 1,
        uid,
        gid,
        rdev: 0,
        blksize: BLOCK as u32,
        flags: 0,
    })
}

fn answer(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Fuse {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.named(|inner| {
            let ino = inner.live.find(parent.0, name).ok_or(Trouble::Missing)?;
            Ok((attr(inner, ino)?, inner.life))
        });
        match found {
            Ok((attr, life)) => reply.entry(&UNCACHED, &attr, Generation(life)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.named(|inner| attr(inner, ino.0)) {
            Ok(attr) => reply.attr(&UNCACHED, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let done = self.named(|inner| {
            inner.usable(fh.map_or(inner.life, |fh| fh.0))?;
            size.map_or(Ok(()), |size| inner.resize(ino.0, size))?;
            attr(inner, ino.0)
        });
        match done {
            Ok(attr) => reply.attr(&UNCACHED, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _mode: u32, _umask: u32, reply: ReplyEntry) {
        let made = self.named(|inner| {
            let ino = inner.make(parent.0, name, true)?;
            Ok((attr(inner, ino)?, inner.life))
        });
        match made {
            Ok((attr, life)) => reply.entry(&UNCACHED, &attr, Generation(life)),
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.named(|inner| inner.remove(parent.0, name)));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.named(|inner| inner.remove(parent.0, name)));
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
        answer(reply, self.named(|inner| inner.rename((parent.0, name), (newparent.0, newname))));
    }

    fn open(&self, _: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let opened = self.named(|inner| {
            attr(inner, ino.0)?;
            inner.opened(ino.0);
            Ok(inner.life)
        });
        match opened {
            Ok(life) => reply.opened(FileHandle(life), FopenFlags::FOPEN_DIRECT_IO),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let made = self.named(|inner| {
            let ino = inner.make(parent.0, name, false)?;
            inner.opened(ino);
            Ok((attr(inner, ino)?, inner.life))
        });
        match made {
            Ok((attr, life)) => {
                reply.created(&UNCACHED, &attr, Generation(life), FileHandle(life), FopenFlags::FOPEN_DIRECT_IO);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.opened(fh, |inner| {
            let file = inner.live.file(ino.0).filter(|_| !inner.faults.read_fails).ok_or(Trouble::Io)?;
            Ok(file.read(offset, size as usize))
        });
        match read {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.opened(fh, |inner| inner.write(ino.0, offset, data)) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let mut inner = self.0.lock();
        if fh.0 == inner.life {
            inner.closed(ino.0);
        }
        drop(inner);
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.sync(ino, Some(fh), reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.sync(ino, None, reply);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.named(|inner| {
            let names = inner.live.folder(ino.0).ok_or(Trouble::Missing)?;
            let own = [(".".into(), ino.0), ("..".into(), ino.0)];
            let all = own.into_iter().chain(names.iter().map(|(name, ino)| (name.clone(), *ino)));
            let skip = usize::try_from(offset).unwrap_or(usize::MAX);
            let kind = |ino| if inner.live.folder(ino).is_some() { FileType::Directory } else { FileType::RegularFile };
            Ok(all.zip(1u64..).skip(skip).map(|((name, ino), next)| (name, ino, kind(ino), next)).collect::<Vec<_>>())
        });
        match listed {
            Ok(entries) => {
                for (name, ino, kind, next) in entries {
                    if reply.add(INodeNo(ino), next, kind, &name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (capacity, used) = {
            let inner = self.0.lock();
            (inner.capacity_bytes / BLOCK as u64, inner.live.used_bytes() / BLOCK as u64)
        };
        let free = capacity.saturating_sub(used);
        reply.statfs(capacity, free, free, u64::from(u32::MAX), u64::from(u32::MAX), BLOCK as u32, 255, BLOCK as u32);
    }
}
