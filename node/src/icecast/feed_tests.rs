//! The feed against a small Icecast made here; the real one is in `live_tests`.

use std::sync::{Arc, Mutex};

use tokio::{net::TcpListener, sync::mpsc};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// A log that the test fills.
pub(in crate::icecast) struct TestTap {
    pub(in crate::icecast) content_types: Vec<&'static str>,
    pub(in crate::icecast) next: mpsc::Receiver<Next>,
}

#[async_trait::async_trait]
impl Tap for TestTap {
    async fn begin(&mut self) -> Option<Beginning> {
        if self.next.is_closed() && self.next.is_empty() {
            return None;
        }
        let content_type = (*self.content_types.first()?).to_owned();
        let ice = vec![("name".into(), "Test".into())];
        Some(Beginning { content_type, ice, title: "first".into() })
    }

    async fn next(&mut self) -> Next {
        let next = self.next.recv().await.unwrap_or(Next::End);
        if next == Next::NewType {
            self.content_types.remove(0);
        }
        next
    }
}

/// Takes sources and titles; each connection's bytes are one entry.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    async fn until(&self, what: &str, mut test: impl FnMut(&[String]) -> bool) {
        let began = Instant::now();
        while !test(&self.0.lock().unwrap()) {
            assert!(began.elapsed() < PATIENCE, "{what} did not come: {:#?}", self.0.lock().unwrap());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Closes each source connection that has heard "hang up".
async fn small_icecast(listener: TcpListener, heard: Heard) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let heard = heard.clone();
        tokio::spawn(async move {
            let index = {
                let mut all = heard.0.lock().unwrap();
                all.push(String::new());
                all.len() - 1
            };
            let (mut chunk, mut answered) = ([0; 4_096], false);
            while let Ok(length @ 1..) = stream.read(&mut chunk).await {
                let text = {
                    let mut all = heard.0.lock().unwrap();
                    all[index].push_str(&String::from_utf8_lossy(&chunk[..length]));
                    all[index].clone()
                };
                if !answered && text.contains("\r\n\r\n") {
                    answered = true;
                    stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.unwrap();
                }
                if text.contains("hang up") || text.starts_with("GET") {
                    return;
                }
            }
            heard.0.lock().unwrap()[index].push_str("<closed>");
        });
    }
}

fn audio(text: &'static str) -> Next {
    Next::Audio(vec![Bytes::from_static(text.as_bytes())])
}

#[tokio::test]
async fn a_feed_goes_on_through_breaks_and_new_types() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Heard::default();
    let server = tokio::spawn(small_icecast(listener, heard.clone()));
    let (log, next) = mpsc::channel(16);
    let tap = TestTap { content_types: vec!["audio/mpeg", "application/ogg"], next };
    let connections = Counter::default();
    let target = Target { address, secrets: Secrets::random().unwrap(), connections: connections.clone() };
    let stop = CancellationToken::new();
    let task = tokio::spawn(feed("/live".into(), tap, target, stop.clone()));

    log.send(audio("one ")).await.unwrap();
    heard.until("the source", |all| all.iter().any(|c| c.starts_with("SOURCE /live ") && c.ends_with("one "))).await;
    heard
        .until("its title", |all| all.iter().any(|c| c.starts_with("GET /admin/metadata?") && c.contains("song=first")))
        .await;
    log.send(Next::Title("second".into())).await.unwrap();
    heard.until("the next title", |all| all.iter().any(|c| c.contains("song=second"))).await;
    log.send(audio("hang up")).await.unwrap();
    heard.until("a new connection", |all| all.iter().filter(|c| c.starts_with("SOURCE")).count() == 2).await;
    log.send(audio("two ")).await.unwrap();
    heard.until("more", |all| all.iter().any(|c| c.ends_with("two "))).await;
    log.send(Next::NewType).await.unwrap();
    log.send(audio("three")).await.unwrap();
    heard
        .until("the other type", |all| {
            all.iter().any(|c| c.contains("Content-Type: application/ogg\r\n") && c.ends_with("\r\n\r\nthree"))
        })
        .await;
    heard.until("the end of the old", |all| all.iter().any(|c| c.ends_with("two <closed>"))).await;
    let titles = heard.0.lock().unwrap().iter().filter(|c| c.starts_with("GET")).count();
    log.send(Next::Title("in the stream".into())).await.unwrap();
    drop(log);
    timeout(PATIENCE, task).await.expect("the end of the log is the end of the feed").unwrap();
    assert_eq!(
        heard.0.lock().unwrap().iter().filter(|c| c.starts_with("GET")).count(),
        titles,
        "Ogg has its own titles"
    );
    assert_eq!(connections.get(), 3);
    server.abort();
}

#[tokio::test]
async fn a_feed_stops_when_told_to_even_without_an_icecast() {
    let (_log, next) = mpsc::channel(1);
    let tap = TestTap { content_types: vec!["audio/mpeg"], next };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = Target { address: closed, secrets: Secrets::random().unwrap(), connections: Counter::default() };
    let stop = CancellationToken::new();
    let task = tokio::spawn(feed("/live".into(), tap, target, stop.clone()));
    sleep(Duration::from_millis(50)).await;
    stop.cancel();
    timeout(PATIENCE, task).await.expect("it stops").unwrap();
}
