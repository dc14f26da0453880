//! The demo's encoder: sends the loop in real time to one node, and to another when that one dies.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::Engine;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::sound::Sound;
use crate::backoff::jittered;

/// How long connecting, an answer, or a write may take.
const IO_LIMIT: Duration = Duration::from_secs(2);
/// The wait before the next node is tried; encoders take a second or more, this shows the cluster's own time.
const RECONNECT: Duration = Duration::from_millis(200);
/// How much is sent at once: less than a listener notices.
const BATCH: Duration = Duration::from_millis(100);

/// What an encoder needs to know.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// What it sends.
    pub sound: Sound,
    /// The mount.
    pub mount: String,
    /// The source's name and password.
    pub login: (String, String),
    /// The nodes' fronts, tried in turn.
    pub nodes: Vec<SocketAddr>,
    /// What it did.
    pub progress: Arc<Progress>,
}

/// What an encoder did so far.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of audio given to a node's connection.
    pub sent_bytes: AtomicU64,
    /// Connections that a node took.
    pub connections: AtomicU64,
}

impl Encoder {
    /// Encodes until the task is dropped.
    pub async fn run(self) {
        let mut index = 0;
        // An Ogg stream's serial differs with each connection, as real encoders do it.
        for attempt in 0_usize.. {
            let Some(node) = self.nodes.get(attempt % self.nodes.len().max(1)) else { return };
            let serial = u32::try_from(attempt).unwrap_or_default().wrapping_add(0x00a0_d100);
            if let Err(error) = self.send(*node, serial, &mut index).await {
                tracing::debug!(mount = self.mount, %node, %error, "the encoder's connection broke");
            }
            sleep(jittered(RECONNECT)).await;
        }
    }

    /// One connection; `index` is the loop's next piece that no connection took yet.
    async fn send(&self, node: SocketAddr, serial: u32, index: &mut usize) -> std::io::Result<()> {
        let mut stream = limit(TcpStream::connect(node)).await?;
        limit(stream.write_all(self.head(node).as_bytes())).await?;
        let mut answer = [0; 256];
        let length = limit(stream.read(&mut answer)).await?;
        let answer = String::from_utf8_lossy(answer.get(..length).unwrap_or_default());
        if answer.split(' ').nth(1) != Some("200") {
            return Err(std::io::Error::other(format!("answered {:?}", answer.lines().next().unwrap_or_default())));
        }
        self.progress.connections.fetch_add(1, Ordering::Relaxed);
        for header in self.sound.headers(serial) {
            limit(stream.write_all(&header)).await?;
        }
        let began = Instant::now();
        let mut sent = 0_u64;
        loop {
            let mut batch = Vec::new();
            let mut pieces = 0;
            while pieces == 0 || self.sound.piece_time() * (pieces + 1) <= BATCH {
                batch.extend_from_slice(&self.sound.piece(
                    *index + usize::try_from(pieces).unwrap_or_default(),
                    sent,
                    serial,
                ));
                pieces += 1;
                sent += 1;
            }
            limit(stream.write_all(&batch)).await?;
            *index = (*index + usize::try_from(pieces).unwrap_or_default()) % self.sound.len().max(1);
            let size = u64::try_from(batch.len()).unwrap_or_default();
            self.progress.sent_bytes.fetch_add(size, Ordering::Relaxed);
            // By the stream's own time, so that it never drifts; a node that hangs is left by the write's limit.
            let due = began
                + Duration::from_micros(sent * u64::try_from(self.sound.piece_time().as_micros()).unwrap_or_default());
            let mut byte = [0; 1];
            tokio::select! {
                () = sleep_until(due) => {}
                read = stream.read(&mut byte) => match read? {
                    0 => return Err(std::io::Error::other("the node closed the connection")),
                    _ => sleep_until(due).await,
                },
            }
        }
    }

    fn head(&self, node: SocketAddr) -> String {
        let (user, password) = &self.login;
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        format!(
            "SOURCE {} HTTP/1.0\r\nHost: {node}\r\nAuthorization: Basic {login}\r\nUser-Agent: autoradio-demo\r\n\
             Content-Type: {}\r\nice-name: autoradio demo\r\n\r\n",
            self.mount,
            self.sound.form.content_type(),
        )
    }
}

async fn limit<T>(io: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    timeout(IO_LIMIT, io).await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
}
