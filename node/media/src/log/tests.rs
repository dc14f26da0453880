use super::*;
use crate::Container;

const MP3: &str = "audio/mpeg";
const OGG: &str = "application/ogg";

fn at(epoch: u64, seq: u64) -> Position {
    Position { epoch, seq }
}

/// A frame of 100 bytes and 100 ms.
fn frame(epoch: u64, seq: u64, kind: FrameKind) -> Frame {
    let duration_us = if matches!(kind, FrameKind::Join | FrameKind::Continue) { 100_000 } else { 0 };
    Frame { position: at(epoch, seq), kind, duration_us, data: Bytes::from(vec![seq as u8; 100]) }
}

fn join(epoch: u64, seq: u64) -> Frame {
    frame(epoch, seq, FrameKind::Join)
}

fn title(epoch: u64, seq: u64, text: &'static str) -> Frame {
    Frame { data: Bytes::from_static(text.as_bytes()), ..frame(epoch, seq, FrameKind::Title) }
}

fn start(epoch: u64, content_type: &str, continues: Option<Position>) -> EpochStart {
    EpochStart { epoch, content_type: content_type.into(), continues }
}

fn begun(content_type: &str) -> MountLog {
    let mut log = MountLog::new(LogLimits { duration_us_max: 1_000_000, bytes_max: 1_000_000 });
    log.begin_epoch(start(1, content_type, None)).unwrap();
    log
}

/// Epoch 1 with frames that a listener can start at.
fn with_frames(count: u64) -> MountLog {
    let mut log = begun(MP3);
    (0..count).for_each(|seq| log.append(join(1, seq)).unwrap());
    log
}

fn positions(frames: &[Frame]) -> Vec<(u64, u64)> {
    frames.iter().map(|frame| (frame.position.epoch, frame.position.seq)).collect()
}

#[test]
fn frames_are_taken_in_order() {
    let mut log = with_frames(3);
    assert_eq!(log.append(join(1, 2)), Err(LogError::Duplicate(at(1, 2))));
    assert_eq!(log.append(join(1, 4)), Err(LogError::Gap { frame: at(1, 4), newest: Some(at(1, 2)) }));
    assert_eq!(log.append(join(2, 0)), Err(LogError::NotBegun { epoch: 2 }));
    assert_eq!(log.newest(), Some(at(1, 2)), "what is refused changes nothing");
    assert_eq!(log.append_after_gap(join(1, 4)), Ok(1));
    assert_eq!(log.append_after_gap(join(1, 4)), Err(LogError::Duplicate(at(1, 4))));
    assert_eq!(log.append(join(1, 5)), Ok(()));
    assert_eq!((log.oldest(), log.newest()), (Some(at(1, 0)), Some(at(1, 5))));
}

#[test]
fn an_empty_log_begins_anywhere() {
    let mut log = begun(MP3);
    assert_eq!((log.oldest(), log.newest(), log.join_point(0), log.title()), (None, None, None, None));
    assert_eq!(log.after(Some(at(1, 3)), 1000), Ok(vec![]));
    assert_eq!(log.append(join(1, 70)), Ok(()));
}

#[test]
fn an_old_epoch_is_over_with_the_first_frame_of_the_next() {
    let mut log = with_frames(2);
    log.begin_epoch(start(3, MP3, Some(at(1, 2)))).unwrap();
    assert_eq!(log.append(join(1, 2)), Ok(()), "its end still comes");
    assert_eq!(log.append(join(3, 0)), Ok(()));
    let stale = LogError::StaleEpoch { epoch: 1, newest: 3 };
    assert_eq!(log.append(join(1, 3)), Err(stale));
    assert_eq!(log.append_after_gap(join(1, 3)), Err(stale));
    assert_eq!(log.begin_epoch(start(1, MP3, None)), Err(stale));
    assert_eq!(log.begin_epoch(start(2, MP3, None)), Err(LogError::StaleEpoch { epoch: 2, newest: 3 }));
    assert_eq!(log.begin_epoch(start(3, OGG, None)), Ok(()));
    assert_eq!(log.epoch_start(3), Some(&start(3, MP3, Some(at(1, 2)))), "begun once");
}

#[test]
fn what_an_epoch_continues_says_what_is_missing() {
    let missing = |continues, seq| {
        let mut log = with_frames(2);
        log.begin_epoch(start(3, MP3, continues)).unwrap();
        let appended = log.append(join(3, seq));
        let missing = log.append_after_gap(join(3, seq));
        assert_eq!(appended.is_ok(), missing.is_err(), "a gap is one for both");
        missing.unwrap_or_default()
    };
    assert_eq!(missing(None, 0), 0);
    assert_eq!(missing(Some(at(1, 1)), 0), 0);
    assert_eq!(missing(Some(at(1, 0)), 0), 0, "the new origin had less than this log");
    assert_eq!(missing(Some(at(1, 4)), 0), 3);
    assert_eq!(missing(Some(at(1, 4)), 2), 5);
    assert_eq!(missing(Some(at(2, 4)), 0), 5);
    assert_eq!(missing(Some(at(2, u64::MAX)), 7), u64::MAX, "a number from outside does not overflow");
}

#[test]
fn a_log_forgets_by_duration_and_by_bytes() {
    let log = with_frames(30);
    assert_eq!((log.oldest(), log.newest()), (Some(at(1, 20)), Some(at(1, 29))));
    assert_eq!(log.frames().count(), 10);

    let limits = LogLimits { duration_us_max: u64::MAX, bytes_max: 3 * (100 + FRAME_OVERHEAD_BYTES) };
    let mut log = MountLog::new(limits);
    log.begin_epoch(start(1, MP3, None)).unwrap();
    (0..9).for_each(|seq| log.append(join(1, seq)).unwrap());
    assert_eq!(log.oldest(), Some(at(1, 6)));
    log.append(Frame { data: Bytes::from(vec![0; 5000]), ..join(1, 9) }).unwrap();
    assert_eq!(log.oldest(), Some(at(1, 9)), "one that is too large by itself stays");
    (10..1000).for_each(|seq| log.append(title(1, seq, "")).unwrap());
    assert!(log.frames().count() < 12, "frames without bytes are bounded too");
}

#[test]
fn bytes_of_unknown_duration_make_a_burst_by_a_nominal_rate_and_are_forgotten_by_size_alone() {
    let mut log = begun("application/octet-stream");
    // A second of 128 kbit/s is 16,000 bytes.
    let piece = |seq| Frame { duration_us: 0, data: Bytes::from(vec![0; 1600]), ..join(1, seq) };
    (0..30).for_each(|seq| log.append(piece(seq)).unwrap());
    assert_eq!(log.frames().count(), 30, "a stream of 10 Mbit/s must not be gone before anybody is sent it");
    assert_eq!(log.join_point(500_000).unwrap().first, at(1, 25));
    assert_eq!(log.bitrate_bits_per_s(), 0);
}

#[test]
fn frames_within_timed_ones_add_no_time() {
    let mut log = begun(OGG);
    for seq in 0..40 {
        let frame = frame(1, seq, if seq % 2 == 0 { FrameKind::Join } else { FrameKind::Continue });
        log.append(Frame { duration_us: if seq % 2 == 0 { 100_000 } else { 0 }, ..frame }).unwrap();
    }
    assert_eq!(log.frames().filter(|frame| frame.duration_us > 0).count(), 10);
    assert_eq!(log.join_point(300_000).unwrap().first, at(1, 34));
    assert_eq!(log.bitrate_bits_per_s(), (log.frames().count() * 800) as u64);
}

#[test]
fn readers_get_what_follows() {
    let mut log = with_frames(15);
    assert_eq!(log.after(None, 250).map(|f| positions(&f)), Ok(vec![(1, 5), (1, 6)]));
    assert_eq!(log.after(Some(at(1, 12)), 1).map(|f| positions(&f)), Ok(vec![(1, 13)]), "at least one");
    assert_eq!(log.after(Some(at(1, 14)), 1000), Ok(vec![]));
    assert_eq!(log.after(Some(at(1, 4)), 1).map(|f| positions(&f)), Ok(vec![(1, 5)]));
    let fallen = |after| Err(LogError::Fallen { after, oldest: Some(at(1, 5)) });
    assert_eq!(log.after(Some(at(1, 3)), 1), fallen(at(1, 3)));
    assert_eq!(log.after(Some(at(0, u64::MAX)), 1), fallen(at(0, u64::MAX)));

    log.begin_epoch(start(2, MP3, Some(at(1, 14)))).unwrap();
    (0..10).for_each(|seq| log.append(join(2, seq)).unwrap());
    assert_eq!(log.oldest(), Some(at(2, 0)));
    assert_eq!(log.after(Some(at(1, 14)), 1).map(|f| positions(&f)), Ok(vec![(2, 0)]));
    assert_eq!(log.after(Some(at(1, u64::MAX)), 1).map(|f| positions(&f)), Ok(vec![(2, 0)]));
    let fallen = LogError::Fallen { after: at(1, 13), oldest: Some(at(2, 0)) };
    assert_eq!(log.after(Some(at(1, 13)), 1), Err(fallen));
}

#[test]
fn a_listener_starts_a_burst_back() {
    let log = with_frames(9);
    for (burst_us, seq) in [(0, 8), (100_000, 8), (100_001, 7), (500_000, 4), (60_000_000, 0)] {
        assert_eq!(log.join_point(burst_us), Some(JoinPoint { first: at(1, seq), header: None }), "{burst_us}");
    }
    let mut log = begun(OGG);
    log.append(frame(1, 0, FrameKind::Header)).unwrap();
    assert_eq!(log.join_point(0), None);
    log.append(frame(1, 1, FrameKind::Continue)).unwrap();
    assert_eq!(log.join_point(0), None);
    log.append(join(1, 2)).unwrap();
    log.append(frame(1, 3, FrameKind::Continue)).unwrap();
    let point = JoinPoint { first: at(1, 2), header: Some(frame(1, 0, FrameKind::Header)) };
    assert_eq!((log.join_point(0), log.join_point(9_000_000)), (Some(point.clone()), Some(point)));
}

#[test]
fn a_header_stays_in_force_when_it_has_left_the_log() {
    let mut log = begun(OGG);
    log.append(frame(1, 0, FrameKind::Header)).unwrap();
    (1..40).for_each(|seq| log.append(join(1, seq)).unwrap());
    assert!(log.oldest() > Some(at(1, 0)));
    let header = |log: &MountLog| log.join_point(300_000).unwrap().header.map(|header| header.position);
    assert_eq!(header(&log), Some(at(1, 0)));
    // Continued by the next epoch, which has none of its own; its type may be written in another way.
    log.begin_epoch(start(2, "audio/ogg; codecs=opus", Some(at(1, 39)))).unwrap();
    (0..40).for_each(|seq| log.append(join(2, seq)).unwrap());
    assert!(log.epoch_start(1).is_none());
    assert_eq!(header(&log), Some(at(1, 0)));
    log.append(frame(2, 40, FrameKind::Header)).unwrap();
    log.append(join(2, 41)).unwrap();
    assert_eq!(header(&log), Some(at(1, 0)));
    (42..45).for_each(|seq| log.append(join(2, seq)).unwrap());
    assert_eq!(header(&log), Some(at(2, 40)));
}

#[test]
fn a_follower_is_told_the_header() {
    let mut log = begun(OGG);
    log.set_header(frame(1, 0, FrameKind::Header));
    log.append(join(1, 50)).unwrap();
    log.set_header(frame(1, 60, FrameKind::Header));
    assert_eq!(log.join_point(0).unwrap().header, Some(frame(1, 0, FrameKind::Header)), "not one from later");
}

#[test]
fn another_content_type_is_another_stream() {
    let mut log = begun(OGG);
    log.append(frame(1, 0, FrameKind::Header)).unwrap();
    (1..5).for_each(|seq| log.append(join(1, seq)).unwrap());
    log.begin_epoch(start(2, MP3, Some(at(1, 4)))).unwrap();
    (0..3).for_each(|seq| log.append(Frame { duration_us: 50_000, ..join(2, seq) }).unwrap());
    assert_eq!(log.join_point(60_000_000), Some(JoinPoint { first: at(2, 0), header: None }));
    assert_eq!(log.header_for(at(1, 3)).map(|header| header.position), Some(at(1, 0)));
    assert_eq!(log.bitrate_bits_per_s(), 16_000, "of the newest type alone");
    (3..40).for_each(|seq| log.append(join(2, seq)).unwrap());
    assert_eq!(log.header_for(at(2, 39)), None, "nor when the old type has left");
    assert_eq!(log.container(2), Some(Container::Mp3));
}

#[test]
fn the_newest_title_is_in_force() {
    let mut log = with_frames(2);
    log.append(title(1, 2, "a")).unwrap();
    log.append(title(1, 3, "b")).unwrap();
    (4..50).for_each(|seq| log.append(join(1, seq)).unwrap());
    assert_eq!(log.title().as_deref(), Some(&b"b"[..]), "although it has left the log");
    assert_eq!(log.bitrate_bits_per_s(), 8000);
}

#[test]
fn epochs_without_frames_are_bounded() {
    let mut log = with_frames(1);
    (2..10_000).for_each(|epoch| log.begin_epoch(start(epoch, MP3, None)).unwrap());
    assert!(log.epochs.len() <= EMPTY_EPOCHS_MAX + 1);
    assert!(log.epoch_start(1).is_some() && log.epoch_start(9_999).is_some());
    log.append(join(9_999, 0)).unwrap();
    log.begin_epoch(start(10_000, MP3, None)).unwrap();
    assert_eq!(log.epochs.len(), 3);
}
