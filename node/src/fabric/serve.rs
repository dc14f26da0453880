//! What other nodes ask of this node's logs.

use std::sync::Arc;

use autoradio_machine::MountName;
use autoradio_media::{Frame, LogError, MountLog, Position};
use autoradio_proto::peer::{FrameBatch, HeadReply, HeadRequest, SetTitleReply, SetTitleRequest, SubscribeRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::wire::{position_from_wire, position_to_wire, to_wire};
use crate::{
    context::Context,
    onair::LiveMount,
    peer::{BatchStream, FabricService},
};

/// Frames sent at once; a subscriber that resumes far back gets several of these.
const BATCH_BYTES: usize = 64 * 1024;
/// Batches on their way to one subscriber; beyond, it is slower than its stream and must wait.
const BATCHES_MAX: usize = 8;

/// Answers for this node's logs.
#[derive(Clone)]
pub struct Fabric {
    ctx: Context,
}

impl Fabric {
    /// Answers for a node.
    #[must_use]
    pub fn new(ctx: Context) -> Self {
        Self { ctx }
    }

    pub(super) fn ctx(&self) -> &Context {
        &self.ctx
    }

    fn live(&self, mount: &str) -> Result<Option<Arc<LiveMount>>, Status> {
        let name = MountName::parse(mount).map_err(Status::invalid_argument)?;
        Ok(self.ctx.on_air.get(&name))
    }
}

#[tonic::async_trait]
impl FabricService for Fabric {
    async fn subscribe(&self, request: SubscribeRequest) -> Result<BatchStream, Status> {
        let live = self.live(&request.mount)?.ok_or_else(|| Status::not_found("no log of that mount here"))?;
        let (sender, receiver) = mpsc::channel(BATCHES_MAX);
        let stop = self.ctx.stop.clone();
        let after = request.after.map(position_from_wire);
        self.ctx.tasks.spawn(async move {
            tokio::select! {
                () = copy(&live, after, &sender) => {}
                () = sender.closed() => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(Box::pin(ReceiverStream::new(receiver)))
    }

    async fn head(&self, request: HeadRequest) -> Result<HeadReply, Status> {
        let Some(live) = self.live(&request.mount)? else { return Ok(HeadReply::default()) };
        let source = live.source();
        let (newest, oldest) = live.with_log(|log| (log.newest(), log.oldest()));
        Ok(HeadReply {
            newest: newest.map(position_to_wire),
            oldest: oldest.map(position_to_wire),
            has_source: source.is_some(),
            source_epoch: source.map_or(0, |s| s.epoch),
            source_idle_ms: source.map_or(0, |s| u64::try_from(s.idle.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    async fn set_title(&self, request: SetTitleRequest) -> Result<SetTitleReply, Status> {
        let live = self.live(&request.mount)?;
        Ok(SetTitleReply { done: live.is_some_and(|live| live.set_title(&request.title)) })
    }
}

/// Sends what follows `after` for as long as the subscriber takes it.
async fn copy(live: &LiveMount, mut after: Option<Position>, sender: &mpsc::Sender<Result<FrameBatch, Status>>) {
    let mut appends = live.appends();
    let mut first = true;
    loop {
        appends.borrow_and_update();
        // Under one lock: what the frames need must not be forgotten before it is read.
        let read = live.with_log(|log| {
            let frames = match log.after(after, BATCH_BYTES) {
                // Too far back: from the oldest, which the subscriber sees by the gap, and with its headers.
                Err(LogError::Fallen { .. }) => {
                    first = true;
                    log.after(None, BATCH_BYTES)
                }
                other => other,
            }?;
            Ok::<_, LogError>((frames.last().map(|frame| frame.position), batches(log, frames, first)))
        });
        let (last, batches) = match read {
            Ok(read) => read,
            Err(error) => return drop(sender.send(Err(Status::out_of_range(error.to_string()))).await),
        };
        let Some(last) = last else {
            if appends.changed().await.is_err() {
                return;
            }
            continue;
        };
        for batch in batches {
            if sender.send(Ok(batch)).await.is_err() {
                return;
            }
        }
        (after, first) = (Some(last), false);
    }
}

/// One batch for each epoch among the frames: each says its content type and what it continues.
fn batches(log: &MountLog, frames: Vec<Frame>, first: bool) -> Vec<FrameBatch> {
    let mut batches: Vec<FrameBatch> = Vec::new();
    let mut epoch = None;
    for frame in frames {
        if epoch != Some(frame.position.epoch) {
            epoch = Some(frame.position.epoch);
            let start = log.epoch_start(frame.position.epoch).cloned();
            let header = if first && batches.is_empty() {
                log.header_for(frame.position).filter(|h| h.position != frame.position)
            } else {
                None
            };
            batches.push(FrameBatch {
                header: header.map(to_wire),
                content_type: start.as_ref().map_or_else(String::new, |s| s.content_type.clone()),
                continues: start.and_then(|s| s.continues).map(position_to_wire),
                title: (first && batches.is_empty()).then(|| log.title()).flatten(),
                frames: Vec::new(),
            });
        }
        let batch = batches.last_mut().expect("one was pushed for the first frame");
        batch.frames.push(to_wire(frame));
    }
    batches
}
