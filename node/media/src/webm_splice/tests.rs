use bytes::Bytes;
use proptest::prelude::*;

use crate::{
    EpochStart, Frame, FrameKind, Joint, LogLimits, MountLog, Parser, Splicer,
    webm::{cluster, testing::*},
};

/// Sends one stream as the next epoch.
fn epoch(log: &mut MountLog, epoch: u64, bytes: &[u8], ends: bool) -> (Vec<Frame>, Option<Joint>) {
    let mut parser = Parser::new("audio/webm");
    let mut splicer = Splicer::new(epoch, "audio/webm", log);
    let start = EpochStart { epoch, content_type: "audio/webm".into(), continues: log.newest() };
    log.begin_epoch(start).unwrap();
    let mut cuts = parser.push(&Bytes::copy_from_slice(bytes));
    if ends {
        cuts.extend(parser.finish());
    }
    let frames: Vec<_> = cuts.into_iter().flat_map(|cut| splicer.push(cut)).collect();
    for frame in &frames {
        log.append(frame.clone()).unwrap();
    }
    (frames, splicer.joint())
}

fn times(frames: &[Frame]) -> Vec<i64> {
    frames.iter().filter_map(|frame| cluster::time(&frame.data)).collect()
}

fn opus() -> Vec<u8> {
    header(&[&audio_track(1, "A_OPUS", b"OpusHead")])
}

#[test]
fn equal_tracks_go_on_without_a_header() {
    let mut log = MountLog::new(LogLimits::default());
    let (_, joint) = epoch(&mut log, 1, &[opus(), audio_clusters(7, 2)].concat(), true);
    assert_eq!(joint, Some(Joint::First));
    let (frames, joint) = epoch(&mut log, 2, &[opus(), audio_clusters(90_000, 2)].concat(), true);
    assert_eq!(joint, Some(Joint::Continued));
    assert_eq!(times(&frames), (0..20).map(|n| 2007 + n * 100).collect::<Vec<_>>());
    // And on from a stream that was rewritten itself, whose end did not come.
    let (frames, _) = epoch(&mut log, 5, &[opus(), audio_clusters(0, 1)].concat(), false);
    assert_eq!((times(&frames).first(), times(&frames).last()), (Some(&4007), Some(&4807)));
    let (frames, _) = epoch(&mut log, 6, &[opus(), audio_clusters(0, 1)].concat(), false);
    assert_eq!(times(&frames).first(), Some(&4907));
    assert_eq!(log.frames().filter(|frame| frame.kind == FrameKind::Header).count(), 1);
}

#[test]
fn other_tracks_are_a_new_chain() {
    let mut log = MountLog::new(LogLimits::default());
    epoch(&mut log, 1, &[opus(), audio_clusters(0, 2)].concat(), true);
    let other = header(&[&audio_track(1, "A_OPUS", b"OpusHead of another")]);
    let (frames, joint) = epoch(&mut log, 2, &[other.clone(), audio_clusters(500, 1)].concat(), true);
    assert_eq!((joint, frames[0].kind, times(&frames)[0]), (Some(Joint::NewChain), FrameKind::Header, 2000));
    // Only a header has come: time goes on from the chain before.
    epoch(&mut log, 3, &opus(), true);
    let (frames, joint) = epoch(&mut log, 4, &[opus(), audio_clusters(40, 1)].concat(), true);
    assert_eq!((joint, times(&frames)[0]), (Some(Joint::Continued), 3000));
}

#[test]
fn a_second_header_of_the_same_source_is_spliced_too() {
    let mut log = MountLog::new(LogLimits::default());
    let twice = [opus(), audio_clusters(0, 1), opus(), audio_clusters(0, 1)].concat();
    let (frames, joint) = epoch(&mut log, 1, &twice, true);
    assert_eq!(joint, Some(Joint::First));
    assert_eq!(times(&frames), (0..20).map(|n| n * 100).collect::<Vec<_>>());
}

#[test]
fn a_log_that_has_forgotten_the_header_frame_still_goes_on() {
    let mut log = MountLog::new(LogLimits { duration_us_max: 500_000, ..LogLimits::default() });
    epoch(&mut log, 1, &[opus(), audio_clusters(0, 2)].concat(), true);
    let (frames, joint) = epoch(&mut log, 2, &[opus(), audio_clusters(0, 1)].concat(), true);
    assert_eq!((joint, times(&frames)[0]), (Some(Joint::Continued), 2000));
}

proptest! {
    #[test]
    fn time_codes_only_grow(runs in prop::collection::vec((0u32..100_000, 1u32..3, 0usize..3000, any::<bool>()), 1..6)) {
        let mut log = MountLog::new(LogLimits::default());
        for (n, (from, seconds, lost, ends)) in runs.into_iter().enumerate() {
            let bytes = [opus(), audio_clusters(from, seconds)].concat();
            // The source may be cut anywhere.
            let kept = bytes.len().saturating_sub(lost);
            epoch(&mut log, n as u64 + 1, &bytes[..kept], ends);
        }
        let frames: Vec<_> = log.frames().cloned().collect();
        for pair in times(&frames).windows(2) {
            prop_assert!(pair[0] < pair[1] && pair[1] - pair[0] <= 100, "{:?}", pair);
        }
    }

    #[test]
    fn damage_never_panics(hits in prop::collection::vec((0usize..2000, any::<u8>()), 0..40)) {
        let mut log = MountLog::new(LogLimits::default());
        let whole = [opus(), audio_clusters(0, 1)].concat();
        let mut bytes = whole.clone();
        for (at, value) in hits {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        epoch(&mut log, 1, &bytes, true);
        epoch(&mut log, 2, &[&whole[..], &bytes].concat(), true);
        epoch(&mut log, 3, &whole, true);
    }
}
