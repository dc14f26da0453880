//! One mount on this node: its log, its source if it is here, and who listens.

use std::{
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use autoradio_machine::{Catalog, MountName};
use autoradio_media::{EpochStart, Frame, LogError, LogLimits, MountLog, Position, Splicer};
use autoradio_policy::MountLoad;
use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::chunks::Chunks;

mod guards;
mod listening;
#[cfg(test)]
mod tests;

pub(super) use guards::CatchingUp;
pub use guards::SourceHandle;
pub use listening::Listening;

/// Frames came in within so long: the mount is live.
const LIVE_WITHIN: Duration = Duration::from_secs(2);
const UNPOISONED: &str = "nothing panics while it holds a mount's log";

/// What listeners wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) number: u64,
    /// The mount was deleted: everybody goes.
    pub(super) ended: bool,
}

/// What a node can tell of a source that is connected to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceState {
    /// Its lease's epoch; 0 while the claim is being made.
    pub epoch: u64,
    /// How long ago it last sent something.
    pub idle: Duration,
}

#[derive(Debug)]
struct Source {
    epoch: u64,
    last_byte: Instant,
    titles: mpsc::Sender<String>,
    stop: tokio_util::sync::CancellationToken,
}

/// One mount on this node.
#[derive(Debug)]
pub struct LiveMount {
    name: MountName,
    /// The revision at which this mount was created: another of its name that was deleted has another.
    created: u64,
    log: RwLock<MountLog>,
    /// Grows with each append, for those who read the log itself.
    appended: watch::Sender<u64>,
    chunks: Mutex<Chunks>,
    sealed: watch::Sender<Sealed>,
    listeners: AtomicU32,
    source: Mutex<Option<Source>>,
    codec: Mutex<String>,
    received: AtomicU64,
    last_frame: Mutex<Option<Instant>>,
    /// How far the log that is copied goes, while it is copied.
    copied_upto: Mutex<Option<Position>>,
}

impl LiveMount {
    pub(super) fn new(name: MountName, created: u64) -> Self {
        let mut log = MountLog::new(LogLimits::default());
        // All claims of a mount come after it. Frames of one before it, which was deleted, may still come from a node
        // that has not heard of it.
        log.fence(created);
        Self {
            name,
            created,
            log: RwLock::new(log),
            appended: watch::Sender::default(),
            chunks: Mutex::default(),
            sealed: watch::Sender::default(),
            listeners: AtomicU32::new(0),
            source: Mutex::default(),
            codec: Mutex::default(),
            received: AtomicU64::new(0),
            last_frame: Mutex::default(),
            copied_upto: Mutex::default(),
        }
    }

    /// The mount.
    #[must_use]
    pub fn name(&self) -> &MountName {
        &self.name
    }

    /// The revision at which the mount was created.
    #[must_use]
    pub(super) fn created(&self) -> u64 {
        self.created
    }

    /// Whether this is the mount that the catalog has, and not one of that name which was deleted.
    #[must_use]
    pub fn is_in(&self, catalog: &Catalog) -> bool {
        catalog.mounts.contains_key(&self.name) && catalog.created(&self.name) == self.created
    }

    /// Reads the log; `f` must be short.
    pub fn with_log<R>(&self, f: impl FnOnce(&MountLog) -> R) -> R {
        f(&self.log.read().expect(UNPOISONED))
    }

    /// Begins an epoch; frames of older ones are refused once its first frame has come.
    ///
    /// # Errors
    /// A newer epoch is known.
    pub fn begin_epoch(&self, start: EpochStart) -> Result<(), LogError> {
        self.log.write().expect(UNPOISONED).begin_epoch(start)
    }

    /// Begins this node's own epoch after what the log has; frames of older ones are refused from this moment on. The
    /// splicer makes the source's frames continue the stream.
    #[must_use]
    pub fn begin_own_epoch(&self, epoch: u64, content_type: &str) -> Splicer {
        let mut log = self.log.write().expect(UNPOISONED);
        let splicer = Splicer::new(epoch, content_type, &log);
        let start = EpochStart { epoch, content_type: content_type.to_owned(), continues: log.newest() };
        if let Err(error) = log.begin_epoch(start) {
            // A newer claim's frames are here already: this one's are refused one by one, until the catalog says so.
            tracing::debug!(mount = %self.name, %error, "the epoch is over as it begins");
        }
        log.fence(epoch);
        splicer
    }

    /// What is in force before the first frame that a follower gets: headers and title. Headers of a chain that began in a
    /// gap take their place in the log.
    ///
    /// # Errors
    /// The headers' epoch is stale.
    pub fn prepare(&self, header: Option<Frame>, title: Option<Bytes>) -> Result<(), LogError> {
        let mut log = self.log.write().expect(UNPOISONED);
        if let Some(title) = title {
            log.set_title(title);
        }
        let Some(header) = header else { return Ok(()) };
        match log.newest() {
            None => log.set_header(header),
            Some(newest) if header.position > newest && log.epoch_start(header.position.epoch).is_some() => {
                log.append_after_gap(header)?;
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Appends frames in order; those that are there already are passed over. `lost` is told of sequence numbers that
    /// nobody had.
    ///
    /// # Errors
    /// The epoch is stale, or a frame is missing before one of these.
    pub fn append(&self, frames: Vec<Frame>, mut over_gaps: Option<&mut u64>) -> Result<(), LogError> {
        let (mut result, mut appended) = (Ok(()), 0);
        {
            let mut log = self.log.write().expect(UNPOISONED);
            for frame in frames {
                result = match (log.append(frame.clone()), &mut over_gaps) {
                    (Err(LogError::Duplicate { .. }), _) => continue,
                    (Err(LogError::Gap { .. }), Some(lost)) => log.append_after_gap(frame).map(|n| **lost += n),
                    (result, _) => result,
                };
                if result.is_err() {
                    break;
                }
                appended += 1;
            }
        }
        if appended > 0 {
            *self.last_frame.lock().expect(UNPOISONED) = Some(Instant::now());
        }
        self.appended.send_modify(|n| *n += 1);
        result
    }

    /// Tells of appends.
    #[must_use]
    pub fn appends(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    /// The newest frame's place.
    #[must_use]
    pub fn newest(&self) -> Option<Position> {
        self.with_log(MountLog::newest)
    }

    /// Whether frames came in lately.
    #[must_use]
    pub fn live(&self) -> bool {
        self.last_frame.lock().expect(UNPOISONED).is_some_and(|at| at.elapsed() < LIVE_WITHIN)
    }

    /// How long ago the last frame came; `None` for never.
    #[must_use]
    pub fn silent_for(&self) -> Option<Duration> {
        self.last_frame.lock().expect(UNPOISONED).map(|at| at.elapsed())
    }

    /// Nobody starts in the past of a log that is being copied up to here; until the guard is dropped.
    #[must_use]
    pub fn catch_up(self: &Arc<Self>, upto: Position) -> CatchingUp {
        *self.copied_upto.lock().expect(UNPOISONED) = Some(upto);
        CatchingUp { live: self.clone() }
    }

    /// Whether frames are missing that are on their way.
    #[must_use]
    pub fn catching_up(&self) -> bool {
        let upto = *self.copied_upto.lock().expect(UNPOISONED);
        upto.is_some_and(|upto| self.newest() < Some(upto))
    }

    // === listeners ===
    /// Counts a listener for as long as the guard lives.
    #[must_use]
    pub fn listen(self: &Arc<Self>) -> Listening {
        self.listeners.fetch_add(1, Ordering::Relaxed);
        Listening { live: self.clone(), sealed: self.sealed.subscribe() }
    }

    /// Listeners here.
    #[must_use]
    pub fn listeners(&self) -> u32 {
        self.listeners.load(Ordering::Relaxed)
    }

    /// Makes chunks of what came in, if anybody listens.
    pub(super) fn seal(&self) {
        let mut chunks = self.chunks.lock().expect(UNPOISONED);
        let log = self.log.read().expect(UNPOISONED);
        if self.listeners() == 0 {
            return chunks.skip(&log);
        }
        let number = chunks.seal(&log);
        drop((chunks, log));
        self.sealed.send_if_modified(|sealed| std::mem::replace(&mut sealed.number, number) != number);
    }

    /// Lets everybody go.
    pub(super) fn end(&self) {
        self.sealed.send_modify(|sealed| sealed.ended = true);
        self.stop_source();
    }

    // === the source, if it is here ===

    /// Takes the place of this node's source for a connection; `None` while another has it.
    #[must_use]
    pub fn take_source(
        self: &Arc<Self>,
        titles: mpsc::Sender<String>,
        stop: tokio_util::sync::CancellationToken,
    ) -> Option<SourceHandle> {
        let mut source = self.source.lock().expect(UNPOISONED);
        if source.is_some() {
            return None;
        }
        *source = Some(Source { epoch: 0, last_byte: Instant::now(), titles, stop });
        Some(SourceHandle { live: self.clone() })
    }

    /// The source that is connected here.
    #[must_use]
    pub fn source(&self) -> Option<SourceState> {
        let source = self.source.lock().expect(UNPOISONED);
        source.as_ref().map(|s| SourceState { epoch: s.epoch, idle: s.last_byte.elapsed() })
    }

    /// Sets the title through the source that is connected here; false if there is none.
    #[must_use]
    pub fn set_title(&self, title: &str) -> bool {
        let source = self.source.lock().expect(UNPOISONED);
        source.as_ref().is_some_and(|s| s.titles.try_send(title.to_owned()).is_ok())
    }

    /// Ends the connection of the source that is here, if there is one.
    pub fn stop_source(&self) {
        if let Some(source) = &*self.source.lock().expect(UNPOISONED) {
            source.stop.cancel();
        }
    }

    /// What this node reports of the mount.
    #[must_use]
    pub fn load(&self) -> MountLoad {
        let (newest, bitrate, title) = self.with_log(|log| (log.newest(), log.bitrate_bits_per_s(), log.title()));
        let newest = newest.unwrap_or_default();
        MountLoad {
            epoch: newest.epoch,
            seq: newest.seq,
            live: self.live(),
            listeners: self.listeners(),
            bitrate_bits_per_s: bitrate,
            codec: self.codec.lock().expect(UNPOISONED).clone(),
            title: title.map_or_else(String::new, |title| String::from_utf8_lossy(&title).into_owned()),
            received_bytes: self.received.load(Ordering::Relaxed),
        }
    }
}
