//! The demo's station: the loop that the binary carries, and encoders that send it in real time.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use autoradio_media::{Cut, Parser};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;

use super::cluster::http_address;

/// A live stream of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its mount.
    pub mount: &'static str,
    /// Its MIME type.
    pub mime: &'static str,
    audio: &'static [u8],
}

/// Both of them: the same voice in two codecs.
pub const PROGRAMS: [Program; 2] = [
    Program { mount: "/demo.mp3", mime: "audio/mpeg", audio: include_bytes!("assets/loop.mp3") },
    Program { mount: "/demo.opus", mime: "application/ogg", audio: include_bytes!("assets/loop.opus") },
];

/// Connecting and answering on loopback takes microseconds; a node that takes longer is dead.
const LIMIT: Duration = Duration::from_secs(2);

impl Program {
    /// The loop, cut into frames.
    #[must_use]
    pub fn frames(&self) -> Vec<Cut> {
        let mut parser = Parser::new(self.mime);
        let mut frames = parser.push(&Bytes::from_static(self.audio));
        frames.extend(parser.finish());
        frames
    }
}

/// An encoder: goes on with the next frame at the next node when its connection ends.
#[derive(Clone, Debug)]
pub struct Encoder {
    program: Program,
    login: Arc<str>,
    /// The node that it sends to.
    pub node: Arc<AtomicUsize>,
    /// Set by the demo to make it move on to another node.
    pub move_on: Arc<AtomicBool>,
    word: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
}

impl Encoder {
    /// Starts one on a thread of its own; it ends when `stop` is set.
    pub fn start(program: Program, login: String, nodes: usize, stop: Arc<AtomicBool>) -> Self {
        let encoder = Self {
            program,
            login: login.into(),
            node: Arc::default(),
            move_on: Arc::default(),
            word: Arc::default(),
            stop,
        };
        let run = encoder.clone();
        std::thread::spawn(move || run.send(nodes));
        encoder
    }

    /// What it last had to say.
    #[must_use]
    pub fn word(&self) -> String {
        self.word.lock().expect("nothing panics while it holds it").clone()
    }

    fn send(&self, nodes: usize) {
        let frames = self.program.frames();
        let (start, mut played_us, mut next) = (Instant::now(), 0u64, 0usize);
        while !self.stop.load(Ordering::Relaxed) {
            let node = self.node.load(Ordering::Relaxed);
            match self.connect(node) {
                Ok(stream) => self.feed(stream, &frames, &mut next, start, &mut played_us),
                Err(error) => {
                    *self.word.lock().expect("nothing panics while it holds it") = error.to_string();
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            self.move_on.store(false, Ordering::Relaxed);
            self.node.store((node + 1) % nodes, Ordering::Relaxed);
        }
    }

    fn feed(&self, mut stream: TcpStream, frames: &[Cut], next: &mut usize, start: Instant, played_us: &mut u64) {
        while !self.stop.load(Ordering::Relaxed) && !self.move_on.load(Ordering::Relaxed) {
            let frame = &frames[*next];
            if stream.write_all(&frame.data).is_err() {
                return;
            }
            *next = (*next + 1) % frames.len();
            *played_us += u64::from(frame.duration_us);
            std::thread::sleep(Duration::from_micros(*played_us).saturating_sub(start.elapsed()));
        }
    }

    fn connect(&self, node: usize) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&http_address(node), LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.set_read_timeout(Some(LIMIT * 3))?;
        write!(
            stream,
            "PUT {} HTTP/1.1\r\nHost: demo\r\nAuthorization: Basic {}\r\nContent-Type: {}\r\n\
             Ice-Name: autoradio demo\r\nUser-Agent: autoradio-demo\r\nExpect: 100-continue\r\n\r\n",
            self.program.mount,
            BASE64_STANDARD.encode(self.login.as_bytes()),
            self.program.mime,
        )?;
        let (mut answer, mut byte) = (Vec::new(), [0u8; 1]);
        while !answer.ends_with(b"200 OK\r\n\r\n") {
            if answer.len() > 2_000 || stream.read(&mut byte)? == 0 {
                let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or("closed").to_owned();
                return Err(std::io::Error::other(line));
            }
            answer.push(byte[0]);
        }
        Ok(stream)
    }
}
