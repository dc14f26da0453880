//! `kill -9` of the origin: nobody who listens elsewhere notices.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use autoradio_media::{Cut, Parser};
use autoradio_system::{
    Cluster, Encoding, FfmpegLoop, Host, RawSource, Recording, decoder_complaints, mpv_complaints, packet_times_ms,
    wait_until,
};
use bytes::Bytes;

/// Frames that were on their way to the dead node, and what its last batch held: at most this much may be missing.
const LOST_MS_MAX: u64 = 1_000;

fn frames(mime: &str, bytes: Vec<u8>) -> Vec<Cut> {
    let mut parser = Parser::new(mime);
    let mut frames = parser.push(&Bytes::from(bytes));
    frames.extend(parser.finish());
    frames
}

/// Every frame by name: the encoder sends a file whose frames all differ, and the recordings are looked up in it.
fn frames_by_name(encoding: Encoding) {
    let mut cluster = Cluster::up(3);
    let credentials = cluster.create_mount(2, "/live");
    let file = encoding.make_file(&cluster.testbed.folder("audio"), 60);
    let _source =
        RawSource::start(&cluster.testbed, encoding.mime(), &file, &credentials, &[Host::Node(1), Host::Node(2)]);
    wait_until("on air at host1", Duration::from_secs(10), || (cluster.origin(3, "/live")? == "host1").then_some(()));
    let mut listeners: Vec<_> =
        [2, 3].map(|n| Recording::start(&cluster.testbed, &format!("at{n}"), Host::Node(n), "/live")).into();
    listeners.iter().for_each(|l| drop(l.wait_more(60_000, Duration::from_secs(15))));

    cluster.kill(1);
    let killed = Instant::now();
    wait_until("the lease changes hands", Duration::from_secs(5), || {
        (cluster.origin(3, "/live")? == "host2").then_some(())
    });
    println!("{encoding:?}: the lease changed hands {:?} after the kill", killed.elapsed());
    listeners.iter().for_each(|l| drop(l.wait_more(60_000, Duration::from_secs(15))));
    assert!(listeners.iter_mut().all(Recording::connected), "listeners stay connected");

    let sent = frames(encoding.mime(), std::fs::read(&file).expect("the file"));
    let index: BTreeMap<&[u8], usize> = sent.iter().enumerate().map(|(i, f)| (&f.data[..], i)).collect();
    assert_eq!(index.len(), sent.len(), "every frame differs from every other");
    let heard: Vec<Vec<usize>> = listeners
        .into_iter()
        .map(|l| {
            let mut cuts = frames(encoding.mime(), l.finish());
            cuts.pop(); // where curl was ended
            cuts.iter().map(|f| *index.get(&f.data[..]).expect("a frame that was sent, whole")).collect()
        })
        .collect();
    for (n, heard) in heard.iter().enumerate() {
        assert!(heard.windows(2).all(|w| w[0] < w[1]), "in order, none twice, at listener {n}");
        let gaps: Vec<_> = heard.windows(2).filter(|w| w[1] != w[0] + 1).map(|w| (w[0], w[1])).collect();
        println!("{encoding:?}: gaps at listener {n}: {gaps:?}");
        assert!(gaps.len() <= 1, "only the kill may lose frames: {gaps:?}");
        let lost_ms: u64 =
            gaps.iter().flat_map(|(a, b)| &sent[a + 1..*b]).map(|f| u64::from(f.duration_us)).sum::<u64>() / 1000;
        println!("{encoding:?}: {lost_ms} ms of frames died with the origin");
        assert!(lost_ms <= LOST_MS_MAX, "{lost_ms} ms");
    }
    // What reached one follower reached both listeners: the same gap, the same frames.
    let common = heard[0][0].max(heard[1][0]);
    let end = heard[0][heard[0].len() - 1].min(heard[1][heard[1].len() - 1]);
    let cut = |h: &[usize]| h.iter().copied().filter(|i| (common..=end).contains(i)).collect::<Vec<_>>();
    assert_eq!(cut(&heard[0]), cut(&heard[1]));
}

/// Real ffmpegs, restarted from nothing: real decoders hear one stream.
fn decoders_notice_nothing(encoding: Encoding) {
    let mut cluster = Cluster::up(3);
    let credentials = cluster.create_mount(2, "/live");
    let _encoder = FfmpegLoop::start(&cluster.testbed, encoding, &credentials, &[Host::Node(1), Host::Node(2)]);
    wait_until("on air at host1", Duration::from_secs(10), || (cluster.origin(3, "/live")? == "host1").then_some(()));
    let mut listeners: Vec<_> = [2, 3]
        .map(|n| Recording::start(&cluster.testbed, &format!("at{n}.{}", encoding.ending()), Host::Node(n), "/live"))
        .into();
    listeners.iter().for_each(|l| drop(l.wait_more(40_000, Duration::from_secs(15))));
    cluster.kill(1);
    let killed = Instant::now();
    wait_until("the lease changes hands", Duration::from_secs(8), || {
        (cluster.origin(3, "/live")? == "host2").then_some(())
    });
    println!("{encoding:?}: a new ffmpeg was on air {:?} after the kill", killed.elapsed());
    listeners.iter().for_each(|l| drop(l.wait_more(60_000, Duration::from_secs(20))));
    assert!(listeners.iter_mut().all(Recording::connected), "listeners stay connected");
    for listener in listeners {
        let path = listener.path().to_owned();
        assert!(!listener.finish().is_empty());
        assert_eq!(decoder_complaints(&path), "", "{encoding:?}: ffmpeg at {}", path.display());
        assert_eq!(mpv_complaints(&path), "", "{encoding:?}: mpv at {}", path.display());
        let times = packet_times_ms(&path);
        assert!(times.len() > 50, "{encoding:?}: {} packets", times.len());
        assert!(times.windows(2).all(|w| w[0] <= w[1]), "{encoding:?}: time stamps run on");
        let jump = times.windows(2).map(|w| w[1] - w[0]).max().unwrap_or_default();
        assert!(jump < 200, "{encoding:?}: a jump of {jump} ms");
    }
}

macro_rules! for_each_encoding {
    ($($name:ident $encoding:ident),*) => { $(
        #[test]
        #[ignore = "needs root and network namespaces"]
        fn $name() {
            decoders_notice_nothing(Encoding::$encoding);
        }
    )* };
}
for_each_encoding!(
    decoders_notice_nothing_mp3 Mp3,
    decoders_notice_nothing_aac Aac,
    decoders_notice_nothing_vorbis Vorbis,
    decoders_notice_nothing_opus Opus,
    decoders_notice_nothing_webm WebM
);

#[test]
#[ignore = "needs root and network namespaces"]
fn every_frame_that_reached_a_follower_is_heard_once_mp3() {
    frames_by_name(Encoding::Mp3);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn every_frame_that_reached_a_follower_is_heard_once_aac() {
    frames_by_name(Encoding::Aac);
}
