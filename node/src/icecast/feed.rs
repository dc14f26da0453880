//! One mount into the local Icecast: a source connection that carries what a listener gets.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{request, secrets::Secrets};
use crate::backoff::jittered;

/// How long connecting, one write or one answer may take; it is on this machine.
const IO_LIMIT: Duration = Duration::from_secs(10);
/// Waits between connections: the first, and the longest (Icecast's own restart takes about a second).
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// The longest head taken as an answer.
const MAX_ANSWER: usize = 8_192;

/// What comes out of a mount's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Bytes to send, in order; about a second's worth at most.
    Audio(Vec<Bytes>),
    /// A new title. In its place for MP3 and AAC; Ogg and WebM carry their own.
    Title(String),
    /// A chain of another content type begins: Icecast takes that in a new connection only.
    NewType,
    /// The mount was deleted, or had no frames for longer than its hold.
    End,
}

/// How a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The MIME type.
    pub content_type: String,
    /// What the source says of itself: `name`, `genre`, `bitrate`, …
    pub ice: Vec<(String, String)>,
    /// The title now.
    pub title: String,
}

/// A reader of a mount's log.
#[async_trait::async_trait]
pub trait Tap: Send {
    /// Starts anew with the chain's headers and a join point; waits until there is one. `None`: the mount is gone.
    async fn begin(&mut self) -> Option<Beginning>;
    /// What comes next.
    async fn next(&mut self) -> Next;
}

/// Where to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) secrets: Secrets,
    pub(super) connections: Counter,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error("{0} took more than {IO_LIMIT:?}")]
    Slow(&'static str),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("Icecast answered {0:?}")]
    Refused(String),
    #[error("Icecast closed the connection")]
    Closed,
}

/// Feeds one mount until it ends or `stop` is cancelled, with a new connection wherever one breaks.
pub(super) async fn feed(mount: String, mut tap: impl Tap, target: Target, stop: CancellationToken) {
    tokio::select! {
        () = feed_for_ever(&mount, &mut tap, &target) => {}
        () = stop.cancelled() => {}
    }
}

async fn feed_for_ever(mount: &str, tap: &mut impl Tap, target: &Target) {
    let mut wait = BACK_OFF.0;
    while let Some(beginning) = tap.begin().await {
        let began = Instant::now();
        match feed_once(mount, tap, target, &beginning).await {
            Ok(Next::End) => {}
            Ok(_) => continue,
            Err(error) => {
                // Usually Icecast is just being restarted, which is said elsewhere.
                tracing::debug!(mount, %error, "the feed to the local Icecast broke; connecting again");
                if began.elapsed() > BACK_OFF.1 {
                    wait = BACK_OFF.0;
                }
                sleep(jittered(wait)).await;
                wait = (wait * 2).min(BACK_OFF.1);
            }
        }
    }
}

/// One connection: gives `End` or `NewType`, or why it broke.
async fn feed_once(mount: &str, tap: &mut impl Tap, target: &Target, beginning: &Beginning) -> Result<Next, FeedError> {
    let mut stream = limit("connecting", TcpStream::connect(target.address)).await?;
    let head = request::source(mount, target.address, &target.secrets.source, beginning);
    limit("sending the head", stream.write_all(head.as_bytes())).await?;
    let answer = timeout(IO_LIMIT, read_head(&mut stream)).await.map_err(|_| FeedError::Slow("its answer"))??;
    if request::status(&answer) != Some(200) {
        return Err(FeedError::Refused(answer.lines().next().unwrap_or_default().to_owned()));
    }
    target.connections.inc();
    let titled = request::takes_titles(&beginning.content_type);
    if titled && !beginning.title.is_empty() {
        set_title(mount, target, &beginning.title).await;
    }
    let (mut reader, mut writer) = stream.split();
    let mut byte = [0; 1];
    loop {
        let next = tokio::select! {
            next = tap.next() => next,
            // It says nothing more; the end of its side is the end of the connection.
            _ = reader.read(&mut byte) => return Err(FeedError::Closed),
        };
        match next {
            Next::Audio(pieces) => {
                for piece in pieces {
                    limit("a write", writer.write_all(&piece)).await?;
                }
            }
            Next::Title(title) if titled => set_title(mount, target, &title).await,
            Next::Title(_) => {}
            over @ (Next::NewType | Next::End) => return Ok(over),
        }
    }
}

async fn limit<T>(what: &'static str, io: impl Future<Output = std::io::Result<T>>) -> Result<T, FeedError> {
    Ok(timeout(IO_LIMIT, io).await.map_err(|_| FeedError::Slow(what))??)
}

async fn read_head(stream: &mut TcpStream) -> Result<String, FeedError> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_ANSWER {
        let mut byte = [0; 1];
        if stream.read(&mut byte).await? == 0 {
            break;
        }
        head.extend_from_slice(&byte);
    }
    if head.is_empty() { Err(FeedError::Closed) } else { Ok(String::from_utf8_lossy(&head).into_owned()) }
}

/// A title that Icecast does not take is no reason to stop the music.
async fn set_title(mount: &str, target: &Target, title: &str) {
    let ask = async {
        let mut stream = TcpStream::connect(target.address).await?;
        let head = request::metadata(mount, target.address, &target.secrets.admin, title);
        stream.write_all(head.as_bytes()).await?;
        read_head(&mut stream).await
    };
    // Shorter than the burst of any player: the audio waits meanwhile.
    match timeout(Duration::from_secs(2), ask).await {
        Ok(Ok(answer)) if request::status(&answer) == Some(200) => {}
        Ok(Ok(answer)) => tracing::debug!(mount, answer = answer.lines().next(), "Icecast refused a title"),
        Ok(Err(error)) => tracing::debug!(mount, %error, "a title could not be told to Icecast"),
        Err(_) => tracing::debug!(mount, "Icecast did not answer to a title"),
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
