//! The demo's listeners: one at each node for each stream, which check every frame that they get.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use autoradio_media::{Cut, FrameKind, Parser};
use bytes::Bytes;

use super::{
    cluster::http_address,
    station::Program,
    track::{Counts, Tracker},
};

/// A page's head before its segment table (RFC 3533 §6).
const OGG_HEAD_BYTES: usize = 27;

/// A listener.
#[derive(Clone, Debug)]
pub struct Ear {
    tracker: Arc<Mutex<Tracker>>,
    connected: Arc<AtomicBool>,
}

/// What names a frame whatever epoch it came in: an Ogg page's head changes from node to node's turn, its body not.
fn identity(program: Program, cut: &Cut) -> Vec<u8> {
    let body = match (program.mime, cut.data.get(OGG_HEAD_BYTES - 1)) {
        ("application/ogg", Some(segments)) => OGG_HEAD_BYTES + usize::from(*segments),
        _ => 0,
    };
    cut.data.get(body..).unwrap_or_default().to_vec()
}

impl Ear {
    /// Starts a listener at `node`; when its connection ends it comes back and counts on.
    #[must_use]
    pub fn start(program: Program, node: usize, stop: Arc<AtomicBool>) -> Self {
        let frames = program.frames().iter().filter(|c| c.kind != FrameKind::Header).map(|c| identity(program, c));
        let ear = Self { tracker: Arc::new(Mutex::new(Tracker::new(frames.collect()))), connected: Arc::default() };
        let run = ear.clone();
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                // Ends with the node, or when the demo does: both are seen at the next connect.
                let _ended = run.listen(program, node, &stop);
                run.connected.store(false, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        ear
    }

    /// Whether it has a connection.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// What it lost or got twice since [`Ear::reset`].
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.tracker.lock().expect("nothing panics while it holds it").counts()
    }

    /// Counts from nothing again.
    pub fn reset(&self) {
        self.tracker.lock().expect("nothing panics while it holds it").reset();
    }

    fn listen(&self, program: Program, node: usize, stop: &AtomicBool) -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&http_address(node), Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        write!(stream, "GET {} HTTP/1.0\r\nUser-Agent: autoradio-demo\r\n\r\n", program.mount)?;
        let mut head = Vec::new();
        let mut byte = [0u8; 1];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(0) => return Ok(()),
                Ok(_) if head.len() < 8_192 => head.push(byte[0]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && !stop.load(Ordering::Relaxed) => {}
                _ => return Ok(()),
            }
        }
        if !head.starts_with(b"HTTP/1.0 200") {
            return Ok(());
        }
        self.connected.store(true, Ordering::Relaxed);
        // It starts anew wherever the burst starts: the place in the loop is not known any more.
        self.tracker.lock().expect("nothing panics while it holds it").lose_place();
        let mut parser = Parser::new(program.mime);
        let mut buffer = vec![0u8; 64 * 1024];
        while !stop.load(Ordering::Relaxed) {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => {
                    let cuts = parser.push(&Bytes::copy_from_slice(&buffer[..n]));
                    let mut tracker = self.tracker.lock().expect("nothing panics while it holds it");
                    for cut in cuts.iter().filter(|c| c.kind != FrameKind::Header) {
                        tracker.heard(&identity(program, cut));
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
