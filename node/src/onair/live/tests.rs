//! Where listeners start in logs that are copied.

use autoradio_media::FrameKind;

use super::*;

fn mount() -> Arc<LiveMount> {
    let live = Arc::new(LiveMount::new(MountName::parse("/live").unwrap(), 1));
    live.begin_epoch(EpochStart { epoch: 1, content_type: "audio/mpeg".into(), continues: None }).unwrap();
    live
}

/// Frames of one second, each with its number as its only byte.
fn append(live: &LiveMount, seqs: std::ops::RangeInclusive<u8>) {
    let frame = |seq: u8| Frame {
        position: Position { epoch: 1, seq: seq.into() },
        kind: FrameKind::Join,
        duration_us: 1_000_000,
        data: Bytes::from(vec![seq]),
    };
    live.append(seqs.map(frame).collect(), None).unwrap();
}

#[tokio::test]
async fn nobody_starts_in_the_past_of_a_log_that_is_being_copied() {
    let live = mount();
    let mut listening = live.listen();
    let copying = live.catch_up(Position { epoch: 1, seq: 30 });
    append(&live, 0..=10);
    let (joined, ()) = tokio::join!(listening.join(Duration::from_secs(2), true), async {
        tokio::task::yield_now().await;
        append(&live, 11..=30);
    });
    assert_eq!(joined.unwrap().burst.bytes[..], [29, 30]);
    drop(copying);
    assert!(!live.catching_up());
}

#[tokio::test]
async fn a_log_that_never_comes_up_to_now_is_better_than_none() {
    let live = mount();
    append(&live, 0..=10);
    let _copying = live.catch_up(Position { epoch: 1, seq: 30 });
    let joined = live.listen().join(Duration::from_secs(1), true).await;
    assert_eq!(joined.unwrap().burst.bytes[..], [10]);
}

#[test]
fn frames_of_a_mount_that_was_deleted_are_no_frames_of_the_next() {
    let live = LiveMount::new(MountName::parse("/live").unwrap(), 7);
    let frame = |epoch| Frame {
        position: Position { epoch, seq: 0 },
        kind: FrameKind::Join,
        duration_us: 1_000_000,
        data: Bytes::from_static(b"x"),
    };
    for epoch in [6, 8] {
        live.begin_epoch(EpochStart { epoch, content_type: "audio/mpeg".into(), continues: None }).unwrap();
    }
    assert!(matches!(live.append(vec![frame(6)], None), Err(LogError::StaleEpoch { epoch: 6, .. })));
    live.append(vec![frame(8)], None).unwrap();
}
