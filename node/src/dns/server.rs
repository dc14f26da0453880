//! The socket loops. hickory-server's own `Server` is not used: it makes a task a datagram without bound, answers
//! malformed responses, keeps any number of TCP connections, logs each request and ends a listener for good at
//! ECONNABORTED (0.26.3). Here an answer is computed in the loop that read the question, so that nothing piles up:
//! at most one question a UDP socket and TCP connection is in flight, and the kernel drops what comes faster.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hickory_proto::op::MessageType;
use hickory_server::{
    net::xfer::Protocol,
    server::{Request, RequestHandler},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    handler::{form_error, truncated},
    limit::{RateLimit, Verdict},
    reply::answer,
    sockets::{Sockets, bind_tcp, bind_udp},
};
use crate::metrics::Metrics;

/// The largest question taken over UDP; real ones have less than 300 bytes.
const MAX_UDP_REQUEST: usize = 1_500;
/// The largest question taken over TCP.
const MAX_TCP_REQUEST: usize = 4_096;
/// TCP connections at once: only truncated answers and tests come over TCP.
const MAX_TCP_CONNECTIONS: usize = 256;
/// Questions on one TCP connection before it is closed.
const MAX_TCP_QUESTIONS: usize = 128;
/// How long a TCP client may think or fail to read.
const TCP_IDLE: Duration = Duration::from_secs(5);
/// Waits before a failed socket is tried again: the first, and the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What all loops share.
pub(super) struct Server<H> {
    pub(super) handler: H,
    pub(super) limit: Mutex<RateLimit>,
    pub(super) started: Instant,
    pub(super) connections: Arc<Semaphore>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl<H: RequestHandler> Server<H> {
    pub(super) fn new(handler: H, metrics: Arc<Metrics>, stop: CancellationToken, tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self {
            handler,
            limit: Mutex::default(),
            started: Instant::now(),
            connections: Arc::new(Semaphore::new(MAX_TCP_CONNECTIONS)),
            metrics,
            stop,
            tasks,
        })
    }

    /// Starts the loops of one address.
    pub(super) fn serve(self: &Arc<Self>, sockets: Sockets) {
        let address = sockets.address;
        for socket in sockets.udp {
            let server = self.clone();
            let make = move || bind_udp(address);
            let run = move |socket| server.clone().udp_loop(socket);
            self.tasks.spawn(supervise(self.clone(), format!("UDP {address}"), socket, make, run));
        }
        let server = self.clone();
        let make = move || bind_tcp(address);
        let run = move |listener| server.clone().tcp_loop(listener);
        self.tasks.spawn(supervise(self.clone(), format!("TCP {address}"), sockets.tcp, make, run));
    }

    async fn udp_loop(self: Arc<Self>, socket: UdpSocket) -> io::Result<()> {
        let mut buffer = vec![0; MAX_UDP_REQUEST];
        loop {
            let (length, client) = tokio::select! {
                received = socket.recv_from(&mut buffer) => received?,
                () = self.stop.cancelled() => return Ok(()),
            };
            let request = buffer.get(..length).unwrap_or_default();
            let Some(response) = self.respond(request, client, Protocol::Udp).await else { continue };
            // A full send buffer drops the answer: the client asks again, and the loop never waits.
            if socket.try_send_to(&response, client).is_err() {
                self.metrics.dns_dropped_total.inc();
            }
        }
    }

    async fn tcp_loop(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return Ok(()),
            };
            let (stream, client) = match accepted {
                Ok(pair) => pair,
                // The client's doing, not the listener's.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let Ok(permit) = self.connections.clone().try_acquire_owned() else {
                self.metrics.dns_dropped_total.inc();
                continue;
            };
            let server = self.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    () = server.tcp_connection(stream, client) => {}
                    () = server.stop.cancelled() => {}
                }
                drop(permit);
            });
        }
    }

    async fn tcp_connection(&self, mut stream: TcpStream, client: SocketAddr) {
        for _ in 0..MAX_TCP_QUESTIONS {
            let Ok(Some(request)) = timeout(TCP_IDLE, read_request(&mut stream)).await else { return };
            let Some(response) = self.respond(&request, client, Protocol::Tcp).await else { return };
            let Ok(length) = u16::try_from(response.len()) else { return };
            let mut framed = length.to_be_bytes().to_vec();
            framed.extend_from_slice(&response);
            if !matches!(timeout(TCP_IDLE, stream.write_all(&framed)).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// The response to the bytes of one request; `None` where nothing is to be sent.
    async fn respond(&self, bytes: &[u8], client: SocketAddr, protocol: Protocol) -> Option<Vec<u8>> {
        // QR, before anything else costs time: a response is never answered.
        if bytes.get(2).is_none_or(|flags| flags & 0x80 != 0) {
            return None;
        }
        let verdict = match protocol {
            // Over TCP the address is proven, and connections are bounded.
            Protocol::Tcp => Verdict::Answer,
            _ => {
                let mut limit = self.limit.lock().expect("nothing panics while it holds the limit");
                limit.take(client.ip(), self.started.elapsed())
            }
        };
        if verdict == Verdict::Drop {
            self.metrics.dns_dropped_total.inc();
            return None;
        }
        // hickory reserves room for as many questions as the header claims (up to 65,535): one is all that is meant.
        let questions = u16::from_be_bytes([*bytes.get(4)?, *bytes.get(5)?]);
        self.metrics.dns_queries_total.inc();
        if questions != 1 {
            return form_error(bytes);
        }
        let Ok(request) = Request::from_bytes(bytes.to_vec(), client, protocol) else { return form_error(bytes) };
        match (request.metadata.message_type, verdict) {
            (MessageType::Response, _) => None,
            (MessageType::Query, Verdict::Slip) => truncated(&request),
            (MessageType::Query, _) => answer(&self.handler, &request).await,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = usize::from(stream.read_u16().await.ok()?);
    if length > MAX_TCP_REQUEST {
        return None;
    }
    let mut request = vec![0; length];
    stream.read_exact(&mut request).await.ok()?;
    Some(request)
}

/// Runs a socket's loop until the server stops; after an error or a panic it makes the socket anew, with back-off.
async fn supervise<S, H, F>(
    server: Arc<Server<H>>,
    name: String,
    first: S,
    make: impl Fn() -> io::Result<S>,
    run: impl Fn(S) -> F,
) where
    H: RequestHandler,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut socket = Some(first);
    let mut wait = BACK_OFF.0;
    loop {
        let began = Instant::now();
        let ended = match socket.take().map_or_else(&make, Ok) {
            // A task of its own, so that a panic ends the loop and not its supervisor.
            Ok(socket) => match tokio::spawn(run(socket)).await {
                Ok(result) => result,
                Err(error) => Err(io::Error::other(error)),
            },
            Err(error) => Err(error),
        };
        if server.stop.is_cancelled() {
            return;
        }
        if began.elapsed() > BACK_OFF.1 {
            wait = BACK_OFF.0;
        }
        if let Err(error) = ended {
            tracing::warn!(%name, %error, wait_ms = wait.as_millis(), "a DNS socket failed; making it anew");
        }
        tokio::select! {
            () = sleep(crate::backoff::jittered(wait)) => {}
            () = server.stop.cancelled() => return,
        }
        wait = (wait * 2).min(BACK_OFF.1);
    }
}
