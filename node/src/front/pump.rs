//! A source's bytes into the mount log, for as long as this node holds the claim.

use std::{sync::Arc, time::Duration};

use autoradio_machine::{Catalog, LeaseId, Origin};
use autoradio_media::{FrameKind, Joint, Parser, Splicer};
use bytes::Bytes;
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    FrontError,
    body::Body,
    claim::{self, Held},
    connection::Front,
};
use crate::{
    context::Context,
    onair::{LiveMount, SourceHandle},
};

/// A source that sends nothing for so long is let go (Icecast's source-timeout).
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A holder that lost its lease stops within a second, unless it gets it anew.
const RECLAIM_LIMIT: Duration = Duration::from_secs(1);

/// Why a source ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// By itself.
    Source,
    /// Its connection broke.
    Broke(FrontError),
    /// It sent nothing.
    Silent,
    /// An operator, a newcomer in place of a stalled one, or the node's end.
    Stopped,
    /// The mount is no more.
    Deleted,
    /// Another holds the mount.
    Overtaken,
    /// The claim was lost.
    LeaseLost(String),
}

/// How the claim stands, as this node sees it.
enum Standing {
    Held,
    Deleted,
    Overtaken,
    Lost,
}

/// A source that is on air.
pub(super) struct Pump {
    front: Front,
    ctx: Context,
    live: Arc<LiveMount>,
    handle: SourceHandle,
    origin: Origin,
    held: Held,
    parser: Parser,
    splicer: Splicer,
    described: bool,
    joint_told: bool,
}

impl Pump {
    /// Fetches what other nodes have of the epochs before, and begins this one.
    pub(super) async fn start(
        front: Front,
        live: Arc<LiveMount>,
        handle: SourceHandle,
        origin: Origin,
        held: Held,
    ) -> Self {
        let ctx = front.context().clone();
        front.elsewhere().fetch_tail(&live).await;
        let splicer = live.begin_own_epoch(held.epoch, &origin.content_type);
        handle.set_epoch(held.epoch);
        let parser = Parser::new(&origin.content_type);
        Self { front, ctx, live, handle, origin, held, parser, splicer, described: false, joint_told: false }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.held.epoch
    }

    /// Pumps until the source ends or must.
    pub(super) async fn run(
        &mut self,
        stream: &mut TcpStream,
        mut body: Body,
        mut titles: mpsc::Receiver<String>,
        stop: CancellationToken,
    ) -> Ended {
        let (mut catalogs, mut leases) = (self.ctx.raft.watch_catalog(), self.ctx.raft.watch_node_lease());
        let mut silent_at = Instant::now() + SILENCE_MAX;
        loop {
            tokio::select! {
                read = body.next(stream) => match read {
                    Ok(Some(data)) => {
                        silent_at = Instant::now() + SILENCE_MAX;
                        self.take(&data);
                    }
                    Ok(None) => {
                        self.finish();
                        return Ended::Source;
                    }
                    Err(error) => {
                        self.finish();
                        return Ended::Broke(error);
                    }
                },
                Some(title) = titles.recv() => self.title(&title),
                () = stop.cancelled() => return Ended::Stopped,
                () = sleep_until(silent_at) => return Ended::Silent,
                Ok(()) = catalogs.changed() => {}
                Ok(()) = leases.changed() => {}
            }
            let standing = {
                let catalog = catalogs.borrow_and_update();
                self.standing(&catalog, *leases.borrow_and_update())
            };
            match standing {
                Standing::Held => {}
                Standing::Deleted => return Ended::Deleted,
                Standing::Overtaken => return Ended::Overtaken,
                Standing::Lost => {
                    if let Err(why) = self.claim_anew().await {
                        return Ended::LeaseLost(why);
                    }
                }
            }
        }
    }

    fn standing(&self, catalog: &Catalog, lease: Option<LeaseId>) -> Standing {
        // A picture from before the claim says nothing on it.
        if u64::try_from(catalog.revision).unwrap_or_default() < self.held.epoch {
            return Standing::Held;
        }
        if !self.live.is_in(catalog) {
            return Standing::Deleted;
        }
        match catalog.origins.get(self.live.name()) {
            Some(claim) if claim.epoch > self.held.epoch => Standing::Overtaken,
            // Without a majority nobody can say that the lease is gone: those who can be reached are served on. Another
            // epoch fences this one's frames wherever it is known, and is learned of with the majority.
            Some(_) if lease.is_none() || lease == Some(self.held.lease) => Standing::Held,
            _ => Standing::Lost,
        }
    }

    /// The node's lease ran out under a source that still sends: another epoch, if nobody else has begun one.
    async fn claim_anew(&mut self) -> Result<(), String> {
        let before = self.held.epoch;
        let made = timeout(RECLAIM_LIMIT, claim::claim(&self.front, &self.live, &self.origin)).await;
        match made {
            Ok(Ok(held)) => self.held = held,
            Ok(Err(refuse)) => return Err(refuse.text()),
            Err(_) => return Err(format!("no answer within {RECLAIM_LIMIT:?}")),
        }
        tracing::info!(mount = %self.live.name(), epoch = self.held.epoch, "the mount was claimed anew");
        // The parser is in the middle of the source's stream, and so is the splicer.
        let newest = self.live.newest().map_or(0, |newest| newest.epoch);
        if newest > before {
            return Err("another source was on air meanwhile".into());
        }
        drop(self.live.begin_own_epoch(self.held.epoch, &self.origin.content_type));
        self.splicer.renew(self.held.epoch);
        self.handle.set_epoch(self.held.epoch);
        Ok(())
    }

    fn take(&mut self, data: &Bytes) {
        self.handle.received(data.len());
        self.ctx.metrics.received_bytes_total.inc_by(data.len() as u64);
        let cuts = self.parser.push(data);
        if let Some(title) = self.parser.take_title() {
            self.title(&title);
        }
        self.append(cuts);
    }

    fn finish(&mut self) {
        let cuts = self.parser.finish();
        self.append(cuts);
    }

    fn append(&mut self, cuts: Vec<autoradio_media::Cut>) {
        if cuts.is_empty() {
            return;
        }
        let header = cuts.iter().any(|cut| cut.kind == FrameKind::Header);
        if header || !self.described {
            let codec = self.parser.describe();
            self.described = !codec.is_empty();
            self.handle.set_codec(codec);
        }
        let frames = cuts.into_iter().flat_map(|cut| self.splicer.push(cut)).collect();
        self.put(frames);
        self.tell_joint();
    }

    fn title(&mut self, title: &str) {
        let frame = self.splicer.title(title);
        self.put(vec![frame]);
    }

    fn put(&self, frames: Vec<autoradio_media::Frame>) {
        if let Err(error) = self.live.append(frames, None) {
            // A newer epoch came into the log: the catalog will say so in a moment, and the pump ends.
            tracing::debug!(mount = %self.live.name(), %error, "frames were not taken");
        }
    }

    fn tell_joint(&mut self) {
        let Some(joint) = self.splicer.joint().filter(|_| !self.joint_told) else { return };
        self.joint_told = true;
        let (mount, epoch) = (self.live.name(), self.held.epoch);
        match joint {
            Joint::First => {}
            Joint::Continued => {
                self.ctx.metrics.splices_continued_total.inc();
                tracing::info!(%mount, epoch, "the stream goes on");
            }
            Joint::NewChain => {
                self.ctx.metrics.splices_new_chain_total.inc();
                tracing::warn!(%mount, epoch, "a new chain begins: the source's codec or its settings are others");
            }
        }
    }
}
