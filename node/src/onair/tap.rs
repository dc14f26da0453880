//! The log as the local Icecast's feed reads it.

use std::{sync::Arc, time::Duration};

use autoradio_media::{Container, FrameKind, Position};
use bytes::Bytes;

use super::live::LiveMount;
use crate::{
    context::Context,
    icecast::{Beginning, Next, Tap},
};

/// A feed is given so much at once at most.
const READ_BYTES: usize = 64 * 1024;
/// Audio that a new feed begins with: Icecast keeps its own burst for listeners.
const BURST_US: u64 = 2_000_000;
/// Frames are gathered for so long before they are sent on: Icecast costs by the write.
const GATHER: Duration = Duration::from_millis(250);

/// A reader of a mount's log.
pub struct LogTap {
    live: Arc<LiveMount>,
    ctx: Context,
    at: Option<Position>,
    content_type: String,
    begin: Option<Bytes>,
}

impl LogTap {
    /// A reader of this log.
    #[must_use]
    pub fn new(ctx: Context, live: Arc<LiveMount>) -> Self {
        Self { live, ctx, at: None, content_type: String::new(), begin: None }
    }

    fn hold(&self) -> Option<Duration> {
        let view = self.ctx.view.now();
        let mount = view.catalog.mounts.get(self.live.name())?;
        Some(mount.hold_ms.map_or(self.ctx.config.hold, |ms| Duration::from_millis(ms.into())))
    }
}

#[async_trait::async_trait]
impl Tap for LogTap {
    async fn begin(&mut self) -> Option<Beginning> {
        let mut appends = self.live.appends();
        loop {
            appends.borrow_and_update();
            let found = self.live.with_log(|log| {
                let point = log.join_point(BURST_US)?;
                let content_type = log.epoch_start(point.first.epoch).map(|e| e.content_type.clone());
                Some((point, content_type.unwrap_or_default(), log.title()))
            });
            if let Some((point, content_type, title)) = found.filter(|_| self.live.live() && !self.live.catching_up()) {
                self.at = Some(match point.first {
                    Position { epoch, seq: 0 } => Position { epoch: epoch.saturating_sub(1), seq: u64::MAX },
                    Position { epoch, seq } => Position { epoch, seq: seq - 1 },
                });
                self.begin = point.header.map(|header| header.data);
                self.content_type.clone_from(&content_type);
                let view = self.ctx.view.now();
                let ice = view.catalog.origins.get(self.live.name()).map(|claim| claim.origin.ice.clone());
                return Some(Beginning {
                    content_type,
                    ice: ice.unwrap_or_default().into_iter().collect(),
                    title: title.map_or_else(String::new, |t| String::from_utf8_lossy(&t).into_owned()),
                });
            }
            self.hold()?;
            // Wakes for the check above also while nothing comes.
            let waited = tokio::time::timeout(Duration::from_secs(5), appends.changed()).await;
            if matches!(waited, Ok(Err(_))) {
                return None;
            }
        }
    }

    async fn next(&mut self) -> Next {
        if let Some(header) = self.begin.take() {
            return Next::Audio(vec![header]);
        }
        let mut appends = self.live.appends();
        loop {
            appends.borrow_and_update();
            // What comes next has left the log: begin anew, with headers and at a join point.
            let Ok(frames) = self.live.with_log(|log| log.after(self.at, READ_BYTES)) else { return Next::NewType };
            let mut audio = Vec::new();
            for frame in frames {
                let content_type =
                    self.live.with_log(|log| log.epoch_start(frame.position.epoch).map(|e| e.content_type.clone()));
                if content_type.is_some_and(|new| !Container::same_stream(&new, &self.content_type)) {
                    return Next::NewType;
                }
                if frame.kind != FrameKind::Title {
                    audio.push(frame.data);
                } else if audio.is_empty() {
                    self.at = Some(frame.position);
                    return Next::Title(String::from_utf8_lossy(&frame.data).into_owned());
                } else {
                    // Sent with the next call, after the audio before it.
                    break;
                }
                self.at = Some(frame.position);
            }
            if !audio.is_empty() {
                tokio::time::sleep(GATHER).await;
                return Next::Audio(audio);
            }
            let Some(hold) = self.hold() else { return Next::End };
            let left = hold.saturating_sub(self.live.silent_for().unwrap_or_default());
            if left.is_zero() || tokio::time::timeout(left, appends.changed()).await.is_ok_and(|r| r.is_err()) {
                return Next::End;
            }
        }
    }
}
