//! Sources: from a request to a claim, then to the pump.

use std::{sync::Arc, time::Duration};

use autoradio_machine::{MountName, Origin};
use autoradio_policy::{
    answer::{Refuse, SOURCE_CONTINUE, SOURCE_OK},
    fitness::fitness,
    head::RequestHead,
    takeover::SOURCE_STALLED_MS,
};
use tokio::{
    io::AsyncWriteExt,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    FrontError,
    body::Body,
    claim::{self, Held},
    connection::{Front, Request},
    pump::{Ended, Pump},
};
use crate::{
    context::Context,
    onair::{LiveMount, SourceHandle},
};

/// Titles on their way to the pump; encoders send one each few seconds.
const TITLES_MAX: usize = 16;
/// How long a source that stalled is given to let its place go.
const PLACE_LIMIT: Duration = Duration::from_secs(1);
/// How often its place is looked at meanwhile.
const PLACE_EVERY: Duration = Duration::from_millis(20);
/// How long the answer may take to be taken.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Serves a source until it ends.
pub(super) async fn serve(front: Front, request: Request, mount: MountName) -> Result<(), FrontError> {
    let ctx = front.context().clone();
    let admitted = admit(&front, &request, &mount).await;
    let Admitted { live, handle, titles, stop, origin, held } = match admitted {
        Ok(admitted) => admitted,
        Err(refuse) => {
            ctx.metrics.sources_refused_total.inc();
            tracing::info!(%mount, from = %request.from, status = refuse.status(), "source refused: {}", refuse.text());
            return request.refuse(&refuse).await;
        }
    };
    let Request { mut stream, from, head, rest } = request;
    let answer = if head.expects_continue() { SOURCE_CONTINUE } else { SOURCE_OK };
    let answered = timeout(ANSWER_LIMIT, stream.write_all(answer)).await;
    if !matches!(answered, Ok(Ok(()))) {
        claim::release(&ctx, mount, held.epoch);
        return Err(FrontError::Slow { what: "taking the answer" });
    }
    ctx.metrics.sources_total.inc();
    tracing::info!(%mount, %from, agent = head.user_agent(), epoch = held.epoch, "on air");
    let body = Body::new(&head, rest);
    let mut pump = Pump::start(front, live, handle, origin, held).await;
    let ended = pump.run(&mut stream, body, titles, stop).await;
    let epoch = pump.epoch();
    drop(pump);
    match &ended {
        Ended::Overtaken => {}
        _ => claim::release(&ctx, mount.clone(), epoch),
    }
    tracing::info!(%mount, %from, epoch, "off air: {ended}");
    Ok(())
}

struct Admitted {
    live: Arc<LiveMount>,
    handle: SourceHandle,
    titles: mpsc::Receiver<String>,
    stop: CancellationToken,
    origin: Origin,
    held: Held,
}

async fn admit(front: &Front, request: &Request, mount: &MountName) -> Result<Admitted, Refuse> {
    let ctx = front.context();
    let head = &request.head;
    let settings = front.mount(mount).await.ok_or(Refuse::UnknownMount)?;
    front.authorized(&settings, head).await?;
    if drained(ctx) {
        return Err(Refuse::Busy("this node is drained and takes no new sources; send to another one".into()));
    }
    let content_type = content_type(head)?;
    let live = ctx.on_air.open(mount, &ctx.raft.catalog());
    let (sender, titles) = mpsc::channel(TITLES_MAX);
    let stop = ctx.stop.child_token();
    let handle = place(&live, &sender, &stop).await.ok_or(Refuse::MountInUse)?;
    let origin = Origin {
        node: ctx.raft.node_id(),
        content_type,
        source: request.from.ip().to_string(),
        user_agent: head.user_agent().chars().filter(|c| !c.is_control()).take(200).collect(),
        ice: head.ice(),
    };
    let held = claim::claim(front, &live, &origin).await?;
    Ok(Admitted { live, handle, titles, stop, origin, held })
}

/// Whether this node was taken out of service, and another one is fit: better here than nowhere.
fn drained(ctx: &Context) -> bool {
    let view = ctx.view.now();
    let drained = ctx.raft.catalog().members.get(&view.me).is_some_and(|me| me.drained);
    drained && view.catalog.members.keys().any(|id| *id != view.me && fitness(&view, *id).is_ok())
}

/// As Icecast: a PUT must say what it sends, a SOURCE that does not is taken for MP3.
fn content_type(head: &RequestHead) -> Result<String, Refuse> {
    match head.content_type() {
        Some(found) => Ok(found),
        None if head.method == "SOURCE" => Ok("audio/mpeg".into()),
        None => Err(Refuse::Other(403, "No Content-type given".into())),
    }
}

/// The place of this node's source; one that has stalled is put out of it.
async fn place(live: &Arc<LiveMount>, titles: &mpsc::Sender<String>, stop: &CancellationToken) -> Option<SourceHandle> {
    if let Some(handle) = live.take_source(titles.clone(), stop.clone()) {
        return Some(handle);
    }
    let stalled = Duration::from_millis(SOURCE_STALLED_MS);
    if live.source().is_some_and(|source| source.idle < stalled) {
        return None;
    }
    live.stop_source();
    let wait = async {
        loop {
            if let Some(handle) = live.take_source(titles.clone(), stop.clone()) {
                return handle;
            }
            sleep(PLACE_EVERY).await;
        }
    };
    timeout(PLACE_LIMIT, wait).await.ok()
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Source => f.write_str("the source ended"),
            Self::Broke(error) => write!(f, "{error}"),
            Self::Silent => f.write_str("the source sent nothing for too long"),
            Self::Stopped => f.write_str("it was told to end"),
            Self::Deleted => f.write_str("the mount was deleted"),
            Self::Overtaken => f.write_str("another source holds the mount"),
            Self::LeaseLost(why) => write!(f, "the claim was lost and could not be made anew: {why}"),
        }
    }
}
