//! A disk that programs see, for as long as its guard lives and no longer than its time limit.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    time::Duration,
};

use fuser::{BackgroundSession, Config, MountOption, Session};
use rustix::mount::{UnmountFlags, unmount};

use crate::{Disk, fuse::Fuse};

/// Why FUSE cannot be used here; `None` where it can. A test that skips says this aloud.
#[must_use]
pub fn missing() -> Option<String> {
    if let Err(error) = fs::File::options().read(true).write(true).open("/dev/fuse") {
        return Some(format!("/dev/fuse cannot be opened: {error}"));
    }
    (!rustix::process::geteuid().is_root()).then(|| "only root mounts without a helper program".into())
}

/// A mounted disk. Its end, by a panic too, cuts off whoever waits for it (`ENOTCONN`) and unmounts it.
#[derive(Debug)]
pub struct Mounted {
    dir: PathBuf,
    session: Option<BackgroundSession>,
    /// Dropped at the end, which the watch notices.
    _watch: SyncSender<()>,
}

impl Mounted {
    /// Mounts `disk` on the folder `dir`, for `limit` at most: a test that hangs on it fails then.
    ///
    /// # Errors
    /// The system's; see [`missing`].
    pub fn at(dir: &Path, disk: Disk, limit: Duration) -> io::Result<Self> {
        let dir = dir.canonicalize()?;
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("faulty-disk".into()),
            MountOption::NoDev,
            MountOption::NoSuid,
            MountOption::NoExec,
        ];
        let session = Session::new(Fuse(disk), &dir, &config)?.spawn()?;
        let (watch, ended) = sync_channel(1);
        let watched = dir.clone();
        std::thread::Builder::new().name("faulty-disk-limit".into()).spawn(move || {
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("faulty-disk: {} was mounted for {limit:?}, the limit; cut off", watched.display());
                cut_off(&watched);
            }
        })?;
        Ok(Self { dir, session: Some(session), _watch: watch })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Aborts the connection and takes the mount out of sight, whoever still uses it.
fn cut_off(dir: &Path) {
    if let Err(error) = unmount(dir, UnmountFlags::FORCE | UnmountFlags::DETACH)
        // Unmounted already.
        && error != rustix::io::Errno::INVAL
    {
        eprintln!("faulty-disk: {} could not be unmounted: {error}", dir.display());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        cut_off(&self.dir);
        // Its thread ends by itself: the connection is gone.
        drop(self.session.take());
    }
}
