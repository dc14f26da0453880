//! The demo's listener: plays a mount from one node and tallies its bytes.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::tally::{Counts, Tally};
use crate::backoff::jittered;

/// How long a connection and its answer may take; a mount may have to come on air first.
const IO_LIMIT: Duration = Duration::from_secs(10);
/// The wait before it connects again.
const RECONNECT: Duration = Duration::from_millis(500);
/// The longest head of an answer.
const MAX_HEAD: usize = 16 * 1024;

/// What a listener heard, shared with the table that shows it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ears(Arc<Mutex<(Tally, u64)>>);

impl Ears {
    /// A listener that has heard nothing.
    #[must_use]
    pub fn new(tally: Tally) -> Self {
        Self(Arc::new(Mutex::new((tally, 0))))
    }

    /// What was heard, lost and repeated, and how many connections that took.
    #[must_use]
    pub fn counts(&self) -> (Counts, u64) {
        let inner = self.0.lock().expect("nothing panics while it holds the tally");
        (inner.0.counts(), inner.1)
    }

    fn connected(&self) {
        let mut inner = self.0.lock().expect("nothing panics while it holds the tally");
        inner.0.reconnected();
        inner.1 += 1;
    }

    fn hear(&self, bytes: &[u8]) {
        self.0.lock().expect("nothing panics while it holds the tally").0.hear(bytes);
    }
}

/// Listens until the task is dropped, again and again.
pub async fn listen(node: SocketAddr, mount: String, ears: Ears) {
    loop {
        if let Err(error) = listen_once(node, &mount, &ears).await {
            tracing::debug!(mount, %node, %error, "the listener's connection ended");
        }
        sleep(jittered(RECONNECT)).await;
    }
}

async fn listen_once(node: SocketAddr, mount: &str, ears: &Ears) -> std::io::Result<()> {
    let timed_out = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    let mut stream = timeout(IO_LIMIT, TcpStream::connect(node)).await.map_err(timed_out)??;
    // `/_stream`: never redirected, so that it stays at this node.
    let head = format!("GET /_stream{mount} HTTP/1.0\r\nHost: {node}\r\nUser-Agent: autoradio-demo\r\n\r\n");
    timeout(IO_LIMIT, stream.write_all(head.as_bytes())).await.map_err(timed_out)??;
    let mut head = Vec::new();
    let audio = loop {
        let mut chunk = [0; 4_096];
        let length = timeout(IO_LIMIT, stream.read(&mut chunk)).await.map_err(timed_out)??;
        head.extend_from_slice(chunk.get(..length).unwrap_or_default());
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break head.split_off(end + 4);
        }
        if length == 0 || head.len() > MAX_HEAD {
            return Err(std::io::Error::other("no answer"));
        }
    };
    let first = String::from_utf8_lossy(&head);
    if first.split(' ').nth(1) != Some("200") {
        return Err(std::io::Error::other(format!("answered {:?}", first.lines().next().unwrap_or_default())));
    }
    ears.connected();
    ears.hear(&audio);
    let mut chunk = vec![0; 16 * 1024];
    loop {
        // Silence is no end: the node holds its listeners while a source is away.
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            length => ears.hear(chunk.get(..length).unwrap_or_default()),
        }
    }
}
