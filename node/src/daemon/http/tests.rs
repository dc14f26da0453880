//! The bounds, with small ones, by a client that speaks HTTP/1.1.

use std::{net::SocketAddr, time::Duration};

use axum::routing::get;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

struct Served {
    at: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A port with `/` that answers, and `/long` that does not.
async fn served(limits: Limits) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let (at, stop) = (listener.local_addr().expect("it is bound"), CancellationToken::new());
    let long = get(|| async { std::future::pending::<&'static str>().await });
    let router = Router::new().route("/", get(|| async { "here" })).route("/long", long);
    let task = tokio::spawn(Port::new(router, limits, stop.clone()).serve(Listener::Tcp(listener)));
    Served { at, stop, task }
}

impl Served {
    async fn end(self) {
        self.stop.cancel();
        timeout(LIMIT, self.task).await.expect("it ends in time").expect("it does not panic");
    }

    /// A connection that has asked.
    async fn ask(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.at).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        stream
    }
}

/// The next of what comes.
async fn heard(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 1024];
    let read = timeout(LIMIT, stream.read(&mut bytes)).await.expect("it is answered in time").unwrap_or(0);
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

#[tokio::test]
async fn connections_are_bounded_and_the_next_is_told_so() {
    let served = served(Limits { connections: 4, connections_per_address: 2, ..Limits::USUAL }).await;
    let mut first = served.ask("/").await;
    assert!(heard(&mut first).await.contains("here"));
    let mut second = served.ask("/").await;
    assert!(heard(&mut second).await.contains("here"));
    let mut third = served.ask("/").await;
    let told = heard(&mut third).await;
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("this address has as many connections"), "{told}");
    drop(first);
    // The place comes back when the node has noticed.
    let again = timeout(LIMIT, async {
        loop {
            let mut stream = served.ask("/").await;
            if heard(&mut stream).await.contains("here") {
                break;
            }
        }
    });
    again.await.expect("a place comes back");
    served.end().await;
}

#[tokio::test]
async fn requests_under_way_are_bounded_and_the_next_is_told_so() {
    let served = served(Limits { requests: 1, ..Limits::USUAL }).await;
    let long = served.ask("/long").await;
    let told = timeout(LIMIT, async {
        loop {
            let mut stream = served.ask("/").await;
            let told = heard(&mut stream).await;
            if !told.contains("here") {
                break told;
            }
        }
    });
    let told = told.await.expect("the long one is counted");
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("too many requests"), "{told}");
    drop(long);
    served.end().await;
}

#[tokio::test]
async fn an_idle_connection_is_ended_and_one_with_a_request_is_not() {
    let idle = Duration::from_millis(200);
    let served = served(Limits { idle, ..Limits::USUAL }).await;
    let mut long = served.ask("/long").await;
    let mut quiet = served.ask("/").await;
    assert!(heard(&mut quiet).await.contains("here"));
    assert_eq!(heard(&mut quiet).await, "", "it is closed");
    assert!(timeout(idle, long.read(&mut [0])).await.is_err(), "it is not closed, nor answered");
    served.end().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let served = served(Limits { first_word: Duration::from_millis(100), ..Limits::USUAL }).await;
    let mut silent = TcpStream::connect(served.at).await.expect("it listens");
    assert_eq!(heard(&mut silent).await, "");
    served.end().await;
}

#[tokio::test]
async fn streams_of_a_connection_are_bounded_and_the_next_waits() {
    let served = served(Limits { streams: 1, ..Limits::USUAL }).await;
    let stream = TcpStream::connect(served.at).await.expect("it listens");
    let hand = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = hand.expect("h2 begins");
    let driver = tokio::spawn(connection);
    let mut ask = |path: &str| {
        let uri = format!("http://x{path}");
        sender.send_request(axum::http::Request::get(uri).body(String::new()).expect("it is a request"))
    };
    // With the first answer the client knows the bound.
    assert_eq!(timeout(LIMIT, ask("/")).await.expect("it comes").expect("it is one").status(), 200);
    let mut long = Box::pin(ask("/long"));
    assert!(timeout(Duration::from_millis(200), long.as_mut()).await.is_err(), "it is under way");
    let mut next = Box::pin(ask("/"));
    assert!(timeout(Duration::from_millis(200), next.as_mut()).await.is_err(), "it waits");
    drop(long);
    assert_eq!(timeout(LIMIT, next).await.expect("it comes").expect("it is one").status(), 200);
    driver.abort();
    served.end().await;
}
