//! HTTP/1.1 on the client port, by hand: what goes out is what is written here.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::support::LIMIT;

/// An answer.
pub(super) struct Answer {
    pub(super) code: u16,
    /// In lower case.
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

async fn send(at: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.expect("the node listens");
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}");
    // A node that refuses may close before it has read all.
    let _sent = stream.write_all(format!("{head}\r\n{body}").as_bytes()).await;
    stream
}

/// One request; headers with their ends of lines.
pub(super) async fn request(at: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = send(at, method, path, headers, body).await;
    let mut bytes = Vec::new();
    // The end may be a reset where the node did not read all.
    let _end = timeout(LIMIT, stream.read_to_end(&mut bytes)).await.expect("it ends in time");
    let text = String::from_utf8(bytes).expect("answers are text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("an answer has a status");
    Answer { code, head: head.to_lowercase(), body: body.to_owned() }
}

/// A call of the gateway.
pub(super) async fn call(at: SocketAddr, path: &str, body: &str) -> Answer {
    request(at, "POST", path, "", body).await
}

/// The lines of an answer that does not end.
pub(super) struct Lines {
    stream: BufReader<TcpStream>,
}

impl Lines {
    pub(super) async fn open(at: SocketAddr, path: &str, body: &str) -> Self {
        Self { stream: BufReader::new(send(at, "POST", path, "", body).await) }
    }

    /// The next line that is JSON: heads and the sizes of chunks are left out.
    pub(super) async fn next(&mut self) -> serde_json::Value {
        loop {
            let mut line = String::new();
            let read = timeout(LIMIT, self.stream.read_line(&mut line)).await.expect("a line comes in time");
            assert!(read.expect("it is text") > 0, "the answer ended");
            if line.starts_with('{') {
                return serde_json::from_str(&line).expect("a line is JSON");
            }
        }
    }
}
