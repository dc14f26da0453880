//! Sources and listeners, as they speak on the wire.

use std::net::SocketAddr;

use autoradio_node::context::Context;
use autoradio_proto::admin::{CreateMountRequest, DeleteMountRequest, MountSettings, admin_client::AdminClient};
use base64::Engine;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Cluster, LIMIT, eventually};

mod lifecycle;

/// A mount that was created, and how to log in there.
struct Mounted {
    login: String,
}

async fn admin(context: &Context) -> AdminClient<tonic::transport::Channel> {
    AdminClient::connect(context.config.client_urls[0].clone()).await.expect("the client port answers")
}

async fn create(context: &Context, mount: &str, settings: MountSettings) -> Mounted {
    let request = CreateMountRequest { name: mount.into(), settings: Some(settings), ..Default::default() };
    let reply = admin(context).await.create_mount(request).await.expect("the mount is created").into_inner();
    let user = reply.mount.expect("the reply has the mount").username;
    let both = format!("{user}:{}", reply.password);
    Mounted { login: format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(both)) }
}

fn front(context: &Context) -> SocketAddr {
    context.config.http_listen[0]
}

async fn send(context: &Context, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(front(context)).await.expect("the front answers");
    stream.write_all(request.as_bytes()).await.expect("the request is taken");
    stream
}

/// Reads until the text ends in `end`.
async fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    let whole = timeout(LIMIT, async {
        while !read.ends_with(end.as_bytes()) {
            match stream.read_u8().await {
                Ok(byte) => read.push(byte),
                Err(_) => break,
            }
        }
    });
    whole.await.unwrap_or_else(|_| panic!("no {end:?}"));
    String::from_utf8_lossy(&read).into_owned()
}

async fn head_of(stream: &mut TcpStream) -> String {
    read_to(stream, "\r\n\r\n").await
}

/// The whole answer.
async fn ask(context: &Context, request: &str) -> String {
    let mut stream = send(context, request).await;
    let mut text = Vec::new();
    timeout(LIMIT, stream.read_to_end(&mut text)).await.expect("an answer").expect("a whole one");
    String::from_utf8_lossy(&text).into_owned()
}

/// A source that is on air. Streams of no known codec, so that each byte is named.
async fn source(context: &Context, mounted: &Mounted, mount: &str, more: &str) -> TcpStream {
    let request = format!(
        "PUT {mount} HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nContent-Type: application/x-test\r\n{more}\r\n",
        mounted.login
    );
    let mut stream = send(context, &request).await;
    assert_eq!(head_of(&mut stream).await, "HTTP/1.0 200 OK\r\n\r\n");
    stream
}

async fn listener(context: &Context, mount: &str, more: &str) -> (TcpStream, String) {
    let mut stream = send(context, &format!("GET {mount} HTTP/1.0\r\n{more}\r\n")).await;
    let head = head_of(&mut stream).await;
    (stream, head)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_on_one_node_is_heard_on_every_node() {
    let cluster = Cluster::start(3).await;
    let mounted = create(cluster.context(2), "/live", MountSettings::default()).await;
    let mut sender = source(cluster.context(0), &mounted, "/live", "").await;
    sender.write_all(b"first;").await.unwrap();
    for index in 0..3 {
        let context = cluster.context(index);
        eventually("the origin is known", async || (!context.raft.catalog().origins.is_empty()).then_some(())).await;
        let (mut stream, head) = listener(context, "/live", "Range: bytes=0-\r\n").await;
        assert!(
            head.starts_with("HTTP/1.0 200 OK\r\n") && head.contains("Content-Type: application/x-test\r\n"),
            "{head}"
        );
        assert_eq!(read_to(&mut stream, "first;").await, "first;");
    }
    let (mut stream, _) = listener(cluster.context(1), "/live", "").await;
    sender.write_all(b"second;").await.unwrap();
    assert_eq!(read_to(&mut stream, "second;").await, "first;second;");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_status() {
    let cluster = Cluster::start(1).await;
    let context = cluster.context(0);
    let mounted = create(context, "/live", MountSettings::default()).await;
    let put = |mount: &str, login: &str| {
        format!("PUT {mount} HTTP/1.1\r\nHost: a\r\nAuthorization: {login}\r\nContent-Type: audio/mpeg\r\n\r\n")
    };
    for (request, status) in [
        (put("/live", "Basic c291cmNlOndyb25n"), "401"),
        ("SOURCE /live HTTP/1.0\r\nContent-Length: 0\r\n\r\n".to_owned(), "401"),
        (put("/unknown", &mounted.login), "404"),
        (put("/status.json", &mounted.login), "403"),
        (put("/live", &mounted.login).replace("Content-Type: audio/mpeg\r\n", ""), "403"),
        ("GET /unknown HTTP/1.0\r\n\r\n".to_owned(), "404"),
        ("GET /live HTTP/1.0\r\n\r\n".to_owned(), "404"),
        ("GET /admin/!POKE HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "400"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "200"),
        ("GET /status.json HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "200"),
        ("\x16\x03\x01\x02\x00".to_owned(), "400"),
    ] {
        let answer = ask(context, &request).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{request}\n{answer}");
    }
    eventually("the node has said that it is ready", async || {
        let answer = ask(context, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
        answer.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
    let silent = ask(context, "GET /live HTTP/1.0\r\n\r\n").await;
    assert!(silent.contains("no source is sending"), "{silent}");
    let _sender = source(context, &mounted, "/live", "").await;
    let taken = ask(context, &put("/live", &mounted.login)).await;
    assert!(taken.starts_with("HTTP/1.0 403 Mountpoint in use\r\n"), "{taken}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn continue_and_chunks_are_undone() {
    let cluster = Cluster::start(1).await;
    let context = cluster.context(0);
    let mounted = create(context, "/live", MountSettings::default()).await;
    let request = format!(
        "PUT /_stream/live HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nContent-Type: application/x-test\r\n\
         Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
        mounted.login
    );
    let mut sender = send(context, &request).await;
    assert!(head_of(&mut sender).await.starts_with("HTTP/1.1 100 Continue\r\n"));
    assert_eq!(head_of(&mut sender).await, "HTTP/1.0 200 OK\r\n\r\n");
    sender.write_all(b"3\r\nabc\r\n3\r\nde;\r\n").await.unwrap();
    let (mut stream, _) = listener(context, "/_stream/live", "").await;
    assert_eq!(read_to(&mut stream, ";").await, "abcde;");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_held_until_the_source_returns_and_let_go_when_it_does_not() {
    let cluster = Cluster::start(1).await;
    let context = cluster.context(0);
    let settings = MountSettings { hold_ms: Some(3_000), ..MountSettings::default() };
    let mounted = create(context, "/live", settings).await;
    let mut sender = source(context, &mounted, "/live", "").await;
    sender.write_all(b"one;").await.unwrap();
    let (mut stream, _) = listener(context, "/live", "").await;
    assert_eq!(read_to(&mut stream, ";").await, "one;");
    drop(sender);
    eventually("the claim is given back", async || context.raft.catalog().origins.is_empty().then_some(())).await;
    let mut sender = source(context, &mounted, "/live", "").await;
    sender.write_all(b"two;").await.unwrap();
    assert_eq!(read_to(&mut stream, ";").await, "two;", "in the same connection");
    drop(sender);
    assert_eq!(read_to(&mut stream, "never").await, "", "let go after the hold");
    assert!(ask(context, "GET /live HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 404 "));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_set_at_any_node_is_heard_at_all() {
    let cluster = Cluster::start(3).await;
    let mounted = create(cluster.context(0), "/live", MountSettings::default()).await;
    let login = mounted.login.clone();
    let request = format!("SOURCE /live ICE/1.0\r\nAuthorization: {login}\r\nice-name: Test\r\n\r\n");
    let mut sender = send(cluster.context(0), &request).await;
    assert_eq!(head_of(&mut sender).await, "HTTP/1.0 200 OK\r\n\r\n");
    // A frame of MPEG-1 layer III at 128 kbit/s and 44.1 kHz, silent, some seconds of it.
    let mut frame = vec![0xff, 0xfb, 0x90, 0xc4];
    frame.resize(417, 0);
    let audio = frame.repeat(200);
    sender.write_all(&audio).await.unwrap();
    let context = cluster.context(1);
    eventually("the origin is known", async || (!context.raft.catalog().origins.is_empty()).then_some(())).await;
    let set = "GET /admin/metadata?mode=updinfo&mount=/live&song=Nina%20Simone HTTP/1.0\r\n";
    assert!(ask(context, &format!("{set}\r\n")).await.starts_with("HTTP/1.0 401 "));
    let taken = ask(context, &format!("{set}Authorization: {login}\r\n\r\n")).await;
    assert!(taken.contains("Metadata update successful"), "{taken}");
    for index in 0..3 {
        let (mut stream, head) = listener(cluster.context(index), "/live", "Icy-MetaData: 1\r\n").await;
        assert!(head.contains("icy-metaint: 16000\r\n") && head.contains("icy-name: Test\r\n"), "{head}");
        sender.write_all(&audio).await.unwrap();
        let heard = read_to(&mut stream, "StreamTitle='Nina Simone';").await;
        assert!(heard.ends_with("StreamTitle='Nina Simone';"));
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_mount_lets_everybody_go() {
    let cluster = Cluster::start(1).await;
    let context = cluster.context(0);
    let mounted = create(context, "/live", MountSettings::default()).await;
    let mut sender = source(context, &mounted, "/live", "").await;
    sender.write_all(b"one;").await.unwrap();
    let (mut stream, _) = listener(context, "/live", "").await;
    assert_eq!(read_to(&mut stream, ";").await, "one;");
    admin(context).await.delete_mount(DeleteMountRequest { name: "/live".into() }).await.expect("deleted");
    assert_eq!(read_to(&mut stream, "never").await, "");
    assert_eq!(read_to(&mut sender, "never").await, "");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_nodes_source_takes_over_when_the_origin_stops_and_no_byte_is_lost() {
    let mut cluster = Cluster::start(3).await;
    let mounted = create(cluster.context(0), "/live", MountSettings::default()).await;
    let origin = cluster.follower().await;
    let others: Vec<_> = (0..3).filter(|index| *index != origin).collect();
    let mut sender = source(cluster.context(origin), &mounted, "/live", "").await;
    sender.write_all(b"one;").await.unwrap();
    let (mut stream, _) = listener(cluster.context(others[1]), "/live", "").await;
    assert_eq!(read_to(&mut stream, ";").await, "one;");
    cluster.stop(origin).await;
    let mut sender = source(cluster.context(others[0]), &mounted, "/live", "").await;
    sender.write_all(b"two;").await.unwrap();
    assert_eq!(read_to(&mut stream, ";").await, "two;", "in the same connection, nothing twice");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playlist_names_the_nodes() {
    let cluster = Cluster::start(3).await;
    create(cluster.context(0), "/live.mp3", MountSettings::default()).await;
    let context = cluster.context(1);
    for kind in ["m3u", "pls", "xspf"] {
        let answer = ask(context, &format!("GET /live.mp3.{kind} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
        for other in cluster.running() {
            let url = format!("http://{}/live.mp3", front(other));
            assert!(answer.contains(&url), "{url} in {answer}");
        }
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_does_not_read_is_dropped_and_counted_and_hurts_nobody() {
    let cluster = Cluster::start(1).await;
    let context = cluster.context(0);
    let mounted = create(context, "/live", MountSettings::default()).await;
    let mut sender = source(context, &mounted, "/live", "").await;
    sender.write_all(b"one;").await.unwrap();
    let (_slow, _) = listener(context, "/live", "").await;
    let (mut quick, _) = listener(context, "/live", "").await;
    let reading = tokio::spawn(async move {
        let (mut read, mut buffer) = (0, vec![0; 64 * 1024]);
        while let Ok(n) = quick.read(&mut buffer).await
            && n > 0
        {
            read += n;
        }
        read
    });
    let piece = vec![7; 64 * 1024];
    let mut sent = 0;
    let dropped = timeout(LIMIT * 3, async {
        while context.metrics.slow_listeners_total.get() == 0 {
            sender.write_all(&piece).await.unwrap();
            sent += piece.len();
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    dropped.await.expect("it is dropped");
    assert_eq!(context.metrics.slow_listeners_total.get(), 1);
    assert_eq!(context.on_air.all()[0].listeners(), 1, "the other one stays");
    cluster.shutdown().await;
    let read = reading.await.unwrap();
    assert!(read > sent / 2, "{read} of {sent} bytes");
}
