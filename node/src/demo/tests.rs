//! Encoder and listener against a front made here, which carries bytes from the one to the other.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::broadcast,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    encoder::{Encoder, Progress},
    listener::{Ears, listen},
    sound::{Form, Sound},
    tally::Tally,
};

/// What each front here hears of the source goes to all listeners of all fronts.
async fn front(listener: TcpListener, audio: broadcast::Sender<Vec<u8>>, death: CancellationToken) {
    while let Some(Ok((stream, _))) = death.run_until_cancelled(listener.accept()).await {
        let (audio, death) = (audio.clone(), death.clone());
        tokio::spawn(async move { death.run_until_cancelled(connection(stream, audio)).await });
    }
}

async fn connection(mut stream: TcpStream, audio: broadcast::Sender<Vec<u8>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.ok()?;
    if head.starts_with(b"GET /_stream/") {
        let mut audio = audio.subscribe();
        loop {
            stream.write_all(&audio.recv().await.ok()?).await.ok()?;
        }
    }
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let length = stream.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        // No listener yet is no error.
        let _ = audio.send(chunk[..length].to_vec());
    }
}

#[tokio::test]
async fn the_encoder_changes_nodes_and_the_listener_knows_what_that_cost() {
    for form in [Form::Mp3, Form::Opus] {
        let (audio, _) = broadcast::channel(1_000);
        let (mut nodes, mut deaths) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            nodes.push(listener.local_addr().unwrap());
            deaths.push(CancellationToken::new());
            tokio::spawn(front(listener, audio.clone(), deaths[deaths.len() - 1].clone()));
        }
        let sound = Sound::new(form);
        let ears = Ears::new(Tally::new(sound.clone()));
        let listening = tokio::spawn(listen(nodes[2], "/demo".into(), ears.clone()));
        let began = Instant::now();
        let until = |bytes| {
            let ears = ears.clone();
            async move {
                while ears.counts().0.heard < bytes {
                    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", ears.counts());
                    sleep(Duration::from_millis(20)).await;
                }
            }
        };
        let progress = Arc::new(Progress::default());
        let login = ("source".into(), "secret".into());
        let encoder = Encoder { sound, mount: "/demo".into(), login, nodes, progress: progress.clone() };
        let encoding = tokio::spawn(encoder.run());

        until(4_000).await;
        let (before, connections) = ears.counts();
        assert_eq!((before.lost, before.repeated, connections), (0, 0, 1), "{before:?}");
        // In real time (8 and 4 kB/s), not faster.
        let rate = u128::from(before.heard) * 1_000 / began.elapsed().as_millis().max(1);
        assert!(rate < 12_000, "{rate} bytes/s");

        deaths[0].cancel();
        until(before.heard + 4_000).await;
        let (after, connections) = ears.counts();
        assert_eq!((after.repeated, connections), (0, 1), "{after:?}");
        assert!(after.lost <= 1_600, "at most what was on its way: {after:?}");
        assert_eq!(progress.connections.load(Ordering::Relaxed), 2);
        encoding.abort();
        listening.abort();
    }
}
