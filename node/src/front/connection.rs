//! One connection: its head is read, and decides whose it is.

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use autoradio_machine::{Mount, MountName};
use autoradio_policy::{
    answer::{Refuse, options, poke, refusal},
    head::{HeadResult, MAX_HEAD_BYTES, RequestHead, parse_head},
    route::{Route, route},
};
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{FrontError, auth::Auth, date, listener, metadata, pages, playlist, source};
use crate::{context::Context, onair::Elsewhere};

/// How long a client may take over its head; encoders on bad lines take a few seconds.
const HEAD_LIMIT: Duration = Duration::from_secs(15);
/// How long a short answer may take to be taken.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// A mount or source that is not known here may have come a moment ago to another node: how long that is waited for.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(1);

/// What all connections share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Front {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    elsewhere: Arc<dyn Elsewhere>,
    auth: Auth,
    pages: axum::Router,
}

impl Front {
    pub(super) fn new(context: Context, elsewhere: Arc<dyn Elsewhere>) -> Self {
        let pages = crate::status::router(context.clone());
        Self { inner: Arc::new(Inner { context, elsewhere, auth: Auth::default(), pages }) }
    }

    pub(super) fn context(&self) -> &Context {
        &self.inner.context
    }

    /// The other nodes, as far as mounts go.
    pub(super) fn elsewhere(&self) -> &dyn Elsewhere {
        &*self.inner.elsewhere
    }

    pub(super) fn pages(&self) -> &axum::Router {
        &self.inner.pages
    }

    /// A mount's settings, if there is such a mount.
    pub(super) async fn mount(&self, name: &MountName) -> Option<Arc<Mount>> {
        let known = || self.context().raft.catalog().mounts.get(name).cloned();
        if let Some(mount) = known() {
            return Some(mount);
        }
        self.catch_up().await;
        known()
    }

    /// Waits until this node knows what any node knew now; without a majority its own knowledge must do.
    pub(super) async fn catch_up(&self) {
        let _caught_up = timeout(CATCH_UP_LIMIT, self.context().raft.barrier()).await;
    }

    /// Whether these are the mount's credentials; else what to answer.
    pub(super) async fn authorized(&self, mount: &Mount, head: &RequestHead) -> Result<(), Refuse> {
        let (user, password) = head.basic_auth().ok_or(Refuse::Unauthorized)?;
        let right = self.inner.auth.check(mount, &user, &password).await?;
        right.then_some(()).ok_or(Refuse::Unauthorized)
    }

    /// Whether this is the mount's password; else what to answer.
    pub(super) async fn password_right(&self, mount: &Mount, password: &str) -> Result<(), Refuse> {
        let right = self.inner.auth.check_password(mount, password).await?;
        right.then_some(()).ok_or(Refuse::Unauthorized)
    }
}

/// A request and its connection.
pub(super) struct Request {
    pub(super) stream: TcpStream,
    pub(super) from: SocketAddr,
    pub(super) head: RequestHead,
    /// What was read beyond the head.
    pub(super) rest: BytesMut,
}

impl Request {
    /// Writes a whole short answer and ends the connection.
    pub(super) async fn answer(mut self, bytes: &[u8]) -> Result<(), FrontError> {
        answer(&mut self.stream, bytes).await
    }

    /// Refuses.
    pub(super) async fn refuse(self, refuse: &Refuse) -> Result<(), FrontError> {
        let with_body = self.head.method != "HEAD";
        self.answer(&refusal(refuse, &date::now(), with_body)).await
    }
}

async fn answer(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), FrontError> {
    let written = async {
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        // Closing with unread bytes resets the connection, and the client may never see the answer. What a source
        // sends without waiting is read over for a moment.
        // Not in the future itself, which is as large as the largest thing that any connection may do.
        let mut over = vec![0; 1024];
        for _ in 0..64 {
            if stream.read(&mut over).await? == 0 {
                break;
            }
        }
        Ok::<(), std::io::Error>(())
    };
    timeout(ANSWER_LIMIT, written)
        .await
        .map_err(|_| FrontError::Slow { what: "taking the answer" })?
        .map_err(Into::into)
}

/// Serves a connection.
pub(super) async fn serve(front: Front, mut stream: TcpStream, from: SocketAddr) {
    let served = match timeout(HEAD_LIMIT, read_head(&mut stream)).await {
        // Idle ones end here without a word, as do port scanners.
        Err(_) => Err(FrontError::Slow { what: "sending the head" }),
        Ok(Err(error)) => Err(error),
        Ok(Ok(Head::Gone)) => return,
        Ok(Ok(Head::Bad { status, reason })) => {
            let bytes = refusal(&Refuse::Other(status, reason.to_owned()), &date::now(), true);
            Box::pin(answer(&mut stream, &bytes)).await
        }
        Ok(Ok(Head::Whole { head, whole, body_offset })) => {
            dispatch(front, stream, from, *head, whole, body_offset).await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%from, %error, "connection ended");
    }
}

enum Head {
    Whole { head: Box<RequestHead>, whole: BytesMut, body_offset: usize },
    Bad { status: u16, reason: &'static str },
    Gone,
}

async fn read_head(stream: &mut TcpStream) -> Result<Head, FrontError> {
    let mut whole = BytesMut::with_capacity(1024);
    loop {
        if whole.capacity() == whole.len() {
            whole.reserve(MAX_HEAD_BYTES - whole.len().min(MAX_HEAD_BYTES) + 1);
        }
        if stream.read_buf(&mut whole).await? == 0 {
            return Ok(Head::Gone);
        }
        match parse_head(&whole) {
            HeadResult::Incomplete => {}
            HeadResult::Bad { status, reason } => return Ok(Head::Bad { status, reason }),
            HeadResult::Head { head, body_offset } => {
                return Ok(Head::Whole { head: Box::new(head), whole, body_offset });
            }
        }
    }
}

type Served = Pin<Box<dyn Future<Output = Result<(), FrontError>> + Send>>;

/// Whose the connection is. Boxed, each, and nothing else is kept: a listener's task must not be as large as a source's.
fn dispatch(
    front: Front,
    stream: TcpStream,
    from: SocketAddr,
    head: RequestHead,
    mut whole: BytesMut,
    body_offset: usize,
) -> Served {
    let route = route(&head);
    if route == Route::Http {
        return Box::pin(async move { pages::serve(&front, stream, whole.freeze()).await });
    }
    let rest = whole.split_off(body_offset);
    let request = Request { stream, from, head, rest };
    match route {
        Route::Source { mount, .. } => Box::pin(source::serve(front, request, mount)),
        Route::Listen { mount, head_only, passthrough } => {
            Box::pin(listener::serve(front, request, mount, head_only, passthrough))
        }
        Route::Playlist { mount, kind, head_only } => {
            Box::pin(async move { playlist::serve(&front, request, &mount, kind, !head_only).await })
        }
        Route::Metadata { mount, title, password } => {
            Box::pin(async move { metadata::serve(&front, request, &mount, &title, password.as_deref()).await })
        }
        Route::Options => Box::pin(async move { request.answer(&options(&date::now())).await }),
        Route::Poke => Box::pin(async move { request.answer(&poke(&date::now())).await }),
        Route::Bad { status, reason } => Box::pin(async move { request.refuse(&Refuse::Other(status, reason)).await }),
        Route::Http => unreachable!("handled above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of<A, F>(_: impl Fn(Front, A, SocketAddr) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    /// 20,000 of these are on one node: what a source or a page needs must be boxed.
    #[test]
    fn a_connections_task_stays_small() {
        let bytes = size_of(serve);
        assert!(bytes < 1_024, "{bytes} bytes");
    }
}
