//! `kill -9` of the origin: nobody who listens elsewhere notices.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use autoradio_system::{
    Cluster, Encoding, FfmpegLoop, Host, RawSource, Recording, decoder_complaints, mpv_complaints, packets, wait_until,
};

/// What was on its way to the dead node, and what its last batch held: at most this much may be missing.
const LOST_MS_MAX: i64 = 1_000;
/// From the encoder's return, which is its next write, to the new lease; and a half for what looks.
const LEASE_LIMIT: Duration = Duration::from_millis(2_500);

/// Every packet by name: the encoder sends a file whose packets all differ, and the recordings are looked up in it.
fn packets_by_name(encoding: Encoding) {
    let mut cluster = Cluster::up(3);
    let credentials = cluster.create_mount(2, "/live");
    let file = encoding.make_file(&cluster.testbed.folder("audio"), 90);
    let _source =
        RawSource::start(&cluster.testbed, encoding.mime(), &file, &credentials, &[Host::Node(1), Host::Node(2)]);
    wait_until("on air at host1", Duration::from_secs(10), || (cluster.origin(3, "/live")? == "host1").then_some(()));
    let mut listeners = [2, 3]
        .map(|n| Recording::start(&cluster.testbed, &format!("at{n}.{}", encoding.ending()), Host::Node(n), "/live"));
    listeners.iter().for_each(|l| l.wait_more(60_000, Duration::from_secs(20)));

    cluster.kill(1);
    let killed = Instant::now();
    wait_until("the lease changes hands", Duration::from_secs(8), || {
        (cluster.origin(3, "/live")? == "host2").then_some(())
    });
    let took = killed.elapsed();
    println!("{encoding:?}: the lease changed hands {took:?} after the kill");
    assert!(took < LEASE_LIMIT, "{took:?}");
    listeners.iter().for_each(|l| l.wait_more(60_000, Duration::from_secs(20)));
    assert!(listeners.iter_mut().all(Recording::connected), "listeners stay connected");

    let sent = packets(&file);
    let index: BTreeMap<&str, usize> = sent.iter().enumerate().map(|(i, p)| (p.hash.as_str(), i)).collect();
    assert_eq!(index.len(), sent.len(), "every packet differs from every other");
    let heard = listeners.map(|l| {
        let heard = packets(&l.finish(encoding));
        let name = |hash: &str| *index.get(hash).expect("a packet that was sent, whole");
        heard.iter().map(|p| name(&p.hash)).collect::<Vec<_>>()
    });
    for (n, heard) in heard.iter().enumerate() {
        assert!(heard.len() > 100, "{} packets at listener {n}", heard.len());
        assert!(heard.windows(2).all(|w| w[0] < w[1]), "in order, none twice, at listener {n}");
        let gaps: Vec<_> = heard.windows(2).filter(|w| w[1] != w[0] + 1).map(|w| (w[0], w[1])).collect();
        println!("{encoding:?}: gaps at listener {n}: {gaps:?}");
        assert!(gaps.len() <= 1, "only the kill may lose packets: {gaps:?}");
        let lost_ms: i64 = gaps.iter().map(|(a, b)| sent[*b].time_ms - sent[a + 1].time_ms).sum();
        println!("{encoding:?}: {lost_ms} ms died with the origin");
        assert!(lost_ms <= LOST_MS_MAX, "{lost_ms} ms");
    }
    // What reached one follower reached both listeners: the same gap, the same packets.
    let [one, other] = &heard;
    let range = one[0].max(other[0])..=one[one.len() - 1].min(other[other.len() - 1]);
    let common = |heard: &[usize]| heard.iter().copied().filter(|i| range.contains(i)).collect::<Vec<_>>();
    assert_eq!(common(one), common(other));
}

/// Real ffmpegs, restarted from nothing: real decoders hear one stream.
fn decoders_notice_nothing(encoding: Encoding) {
    let mut cluster = Cluster::up(3);
    let credentials = cluster.create_mount(2, "/live");
    let _encoder = FfmpegLoop::start(&cluster.testbed, encoding, &credentials, &[Host::Node(1), Host::Node(2)]);
    wait_until("on air at host1", Duration::from_secs(10), || (cluster.origin(3, "/live")? == "host1").then_some(()));
    let mut listeners = [2, 3]
        .map(|n| Recording::start(&cluster.testbed, &format!("at{n}.{}", encoding.ending()), Host::Node(n), "/live"));
    listeners.iter().for_each(|l| l.wait_more(40_000, Duration::from_secs(15)));
    cluster.kill(1);
    let killed = Instant::now();
    wait_until("the lease changes hands", Duration::from_secs(8), || {
        (cluster.origin(3, "/live")? == "host2").then_some(())
    });
    println!("{encoding:?}: a new ffmpeg was on air {:?} after the kill", killed.elapsed());
    listeners.iter().for_each(|l| l.wait_more(60_000, Duration::from_secs(20)));
    assert!(listeners.iter_mut().all(Recording::connected), "listeners stay connected");
    for listener in listeners {
        let path = listener.finish(encoding);
        assert_eq!(decoder_complaints(&path), "", "{encoding:?}: ffmpeg at {}", path.display());
        assert_eq!(mpv_complaints(&path), "", "{encoding:?}: mpv at {}", path.display());
        let packets = packets(&path);
        assert!(packets.len() > 50, "{encoding:?}: {} packets", packets.len());
        let steps = || packets.windows(2).map(|w| w[1].time_ms - w[0].time_ms);
        assert!(steps().all(|step| (0..200).contains(&step)), "{encoding:?}: time stamps run on: {:?}", steps().max());
    }
}

macro_rules! for_each_encoding {
    ($($encoding:ident $by_name:ident $noticed:ident),*) => { $(
        #[test]
        #[ignore = "needs root and network namespaces"]
        fn $by_name() {
            packets_by_name(Encoding::$encoding);
        }

        #[test]
        #[ignore = "needs root and network namespaces"]
        fn $noticed() {
            decoders_notice_nothing(Encoding::$encoding);
        }
    )* };
}
for_each_encoding!(
    Mp3 every_packet_is_heard_once_mp3 decoders_notice_nothing_mp3,
    Aac every_packet_is_heard_once_aac decoders_notice_nothing_aac,
    Vorbis every_packet_is_heard_once_vorbis decoders_notice_nothing_vorbis,
    Opus every_packet_is_heard_once_opus decoders_notice_nothing_opus,
    WebM every_packet_is_heard_once_webm decoders_notice_nothing_webm
);
