//! Listeners: one write of shared bytes a second each.

use std::{collections::BTreeMap, time::Duration};

use autoradio_machine::{Mount, MountName};
use autoradio_media::{Container, icy::IcyInserter};
use autoradio_policy::answer::{ListenerAnswer, METAINT_BYTES, Refuse, listener_head, redirect};
use bytes::{Bytes, BytesMut};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    FrontError,
    admission::{Admission, admission, has_source},
    connection::{Front, Request},
    date,
};
use crate::{
    context::Context,
    onair::{Chunk, Joined, Listening},
};

/// Audio that a listener gets at once unless the mount says otherwise; measured: players with less than four seconds run
/// dry between two writes.
const BURST: Duration = Duration::from_secs(5);
/// How long the first frame of a mount that has a source is waited for.
const JOIN_LIMIT: Duration = Duration::from_secs(10);
/// How long one write may take: as far as the chunks reach back.
const WRITE_LIMIT: Duration = Duration::from_secs(12);
/// How long a source that holds the mount may be silent before its listeners count as without one: longer than the pump
/// waits, and not for ever, since a node that is cut off hears of no end.
const SILENT_SOURCE_MAX: Duration = Duration::from_secs(15);
/// How often is looked whether a silent source still holds the mount.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A player that closed only its sending side (`printf … | nc`) is served on while chunks come. One that is gone looks the
/// same until it is written to, so that it does not count as a listener while nothing is sent.
const HALF_CLOSED_MAX: Duration = Duration::from_secs(3);
/// A player says nothing more after its request; one that says more than this is none.
const CHATTER_BYTES_MAX: usize = 16 * 1024;

/// Why a listener ended.
enum Ended {
    /// It hung up, or its connection broke.
    Gone,
    /// It did not read fast enough.
    Slow(&'static str),
    /// The mount had no source for longer than its hold.
    NoSource,
    /// The mount was deleted.
    Deleted,
    /// The stream became one of another type, which an answer under way cannot.
    OtherType,
}

/// Serves a listener until it ends.
pub(super) async fn serve(
    front: Front,
    request: Request,
    mount: MountName,
    head_only: bool,
    passthrough: bool,
) -> Result<(), FrontError> {
    // What is only needed to begin must not be kept for as long as somebody listens.
    let Some(listener) = Box::pin(begin(&front, request, &mount, head_only, passthrough)).await? else {
        return Ok(());
    };
    let slow = front.context().metrics.slow_listeners_total.clone();
    match listener.run(front.context(), &mount).await {
        Ended::Gone => tracing::debug!(%mount, "listener gone"),
        Ended::Slow(why) => {
            slow.inc();
            tracing::info!(%mount, "listener dropped for being too slow: {why}");
        }
        Ended::NoSource => tracing::info!(%mount, "listener let go: no source for longer than --hold"),
        Ended::Deleted => tracing::debug!(%mount, "listener let go: the mount was deleted"),
        Ended::OtherType => tracing::info!(%mount, "listener let go: the stream is of another type now"),
    }
    Ok(())
}

/// Refuses, or answers HEAD, or lets the listener in.
async fn begin(
    front: &Front,
    request: Request,
    mount: &MountName,
    head_only: bool,
    passthrough: bool,
) -> Result<Option<Listener>, FrontError> {
    let ctx = front.context();
    let Some(settings) = front.mount(mount).await else {
        request.refuse(&Refuse::UnknownMount).await?;
        return Ok(None);
    };
    match admission(ctx, &settings, mount, passthrough) {
        Admission::In => {}
        Admission::Refused(refuse) => {
            request.refuse(&refuse).await?;
            return Ok(None);
        }
        Admission::Elsewhere(url) => {
            request.answer(&redirect(&url, &date::now())).await?;
            return Ok(None);
        }
    }
    let hold = settings.hold_ms.map_or(ctx.config.hold, |ms| Duration::from_millis(ms.into()));
    let burst = settings.burst_ms.map_or(BURST, |ms| Duration::from_millis(ms.into()));
    let there = || {
        has_source(ctx, mount)
            || ctx.on_air.get(mount).and_then(|live| live.silent_for()).is_some_and(|silent| silent < hold)
    };
    if !there() {
        front.catch_up().await;
    }
    if !there() {
        request.refuse(&Refuse::SilentMount).await?;
        return Ok(None);
    }
    let mut listening = ctx.on_air.listen(mount, &ctx.raft.catalog());
    let elsewhere = ctx.raft.catalog().origins.get(mount).is_some_and(|claim| claim.origin.node != ctx.raft.node_id());
    let Ok(Some(joined)) = timeout(JOIN_LIMIT, listening.join(burst, elsewhere)).await else {
        request.refuse(&Refuse::SilentMount).await?;
        return Ok(None);
    };
    let head = head_of(ctx, &request, &settings, mount, &joined.burst.content_type);
    if head_only {
        request.answer(&head.bytes).await?;
        return Ok(None);
    }
    let counted = Counted::new(ctx.metrics.listeners.clone());
    ctx.metrics.listeners_total.inc();
    let sent = ctx.metrics.sent_bytes_total.clone();
    Ok(Some(Listener {
        stream: request.stream,
        listening,
        hold,
        head: head.bytes,
        icy: head.icy,
        joined,
        sent,
        _counted: counted,
    }))
}

struct Head {
    bytes: Vec<u8>,
    icy: Option<Box<IcyInserter>>,
}

fn head_of(ctx: &Context, request: &Request, mount: &Mount, name: &MountName, content_type: &str) -> Head {
    // Ogg and WebM carry their titles themselves, and players would decode the blocks.
    let takes_titles = matches!(Container::of_mime(content_type), Container::Mp3 | Container::Adts);
    let icy_metadata = takes_titles && request.head.wants_icy_metadata();
    let catalog = ctx.raft.catalog();
    let nothing = BTreeMap::new();
    let ice = catalog.origins.get(name).map_or(&nothing, |claim| &claim.origin.ice);
    let date = date::now();
    let bytes = listener_head(&ListenerAnswer { date: &date, content_type, ice, mount, icy_metadata });
    let metaint = usize::try_from(METAINT_BYTES).unwrap_or(usize::MAX);
    Head { bytes, icy: icy_metadata.then(|| Box::new(IcyInserter::new(metaint))) }
}

/// Counts a listener for as long as it lives.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A listener that was let in.
struct Listener {
    stream: TcpStream,
    listening: Listening,
    hold: Duration,
    head: Vec<u8>,
    icy: Option<Box<IcyInserter>>,
    joined: Joined,
    sent: Counter,
    _counted: Counted,
}

impl Listener {
    async fn run(self, ctx: &Context, mount: &MountName) -> Ended {
        let Self { mut stream, mut listening, hold, head, mut icy, joined, sent, _counted } = self;
        let Joined { burst, mut number } = joined;
        let content_type = burst.content_type.clone();
        let first = with_titles(&mut icy, &burst);
        // Two writes, so that the burst is not copied for each listener.
        for bytes in [&head[..], &first] {
            if let Err(ended) = write(&mut stream, bytes, &sent).await {
                return ended;
            }
        }
        drop((head, burst, first));
        loop {
            let held = |silent| silent < hold || (silent < SILENT_SOURCE_MAX && has_source(ctx, mount));
            let chunk = match next(&mut stream, &mut listening, number, hold, held).await {
                Ok(chunk) => chunk,
                Err(ended) => return ended,
            };
            number += 1;
            if !Container::same_stream(&chunk.content_type, &content_type) {
                return Ended::OtherType;
            }
            let bytes = with_titles(&mut icy, &chunk);
            if let Err(ended) = write(&mut stream, &bytes, &sent).await {
                return ended;
            }
        }
    }
}

/// The chunk after `number`; waits for it as long as listeners of this mount are held.
async fn next(
    stream: &mut TcpStream,
    listening: &mut Listening,
    number: u64,
    hold: Duration,
    held: impl Fn(Duration) -> bool,
) -> Result<Chunk, Ended> {
    loop {
        let left = hold.saturating_sub(listening.silent_for());
        let left = if left.is_zero() { LOOK_EVERY } else { left };
        let waited = tokio::select! {
            waited = timeout(left, listening.chunk_after(number)) => waited,
            () = hangs_up(stream) => return Err(Ended::Gone),
        };
        match waited {
            Ok(Ok(Some(chunk))) => return Ok(chunk),
            Ok(Ok(None)) => return Err(Ended::Deleted),
            Ok(Err(_missed)) => return Err(Ended::Slow("what it is to get next has left the log")),
            Err(_) if !held(listening.silent_for()) => return Err(Ended::NoSource),
            Err(_) => {}
        }
    }
}

/// Returns when the player is gone, or says things that no player says.
async fn hangs_up(stream: &mut TcpStream) {
    let mut left = CHATTER_BYTES_MAX;
    let mut over = [0; 64];
    while let Ok(read) = stream.read(&mut over).await {
        if read == 0 {
            return sleep(HALF_CLOSED_MAX).await;
        }
        left = left.saturating_sub(read);
        if left == 0 {
            return;
        }
    }
}

fn with_titles(icy: &mut Option<Box<IcyInserter>>, chunk: &Chunk) -> Bytes {
    let Some(icy) = icy else { return chunk.bytes.clone() };
    let pieces = icy.insert(&chunk.bytes, chunk.title.as_deref());
    let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
    joined.freeze()
}

async fn write(stream: &mut TcpStream, bytes: &[u8], sent: &Counter) -> Result<(), Ended> {
    match timeout(WRITE_LIMIT, stream.write_all(bytes)).await {
        Ok(Ok(())) => {
            sent.inc_by(bytes.len() as u64);
            Ok(())
        }
        Ok(Err(_)) => Err(Ended::Gone),
        Err(_) => Err(Ended::Slow("a write did not end in time")),
    }
}
