use super::*;
use crate::{EpochStart, LogLimits};

fn log_of(content_type: Option<&str>) -> MountLog {
    let mut log = MountLog::new(LogLimits::default());
    if let Some(content_type) = content_type {
        log.begin_epoch(EpochStart { epoch: 4, content_type: content_type.into(), continues: None }).unwrap();
        let position = Position { epoch: 4, seq: 0 };
        log.append(Frame { position, kind: FrameKind::Join, duration_us: 1, data: Bytes::from_static(b"x") }).unwrap();
    }
    log
}

fn cut(data: &'static [u8]) -> Cut {
    Cut { kind: FrameKind::Join, duration_us: 7, data: Bytes::from_static(data) }
}

#[test]
fn frames_and_titles_are_numbered_together() {
    let mut splicer = Splicer::new(9, "audio/mpeg", &log_of(None));
    assert_eq!(splicer.joint(), None);
    let mut frames = splicer.push(cut(b"a"));
    frames.push(splicer.title("Künstler - Titel"));
    frames.extend(splicer.push(cut(b"b")));
    let numbers: Vec<_> = frames.iter().map(|frame| (frame.position.epoch, frame.position.seq)).collect();
    assert_eq!(numbers, [(9, 0), (9, 1), (9, 2)]);
    let kinds: Vec<_> = frames.iter().map(|frame| (frame.kind, frame.duration_us)).collect();
    assert_eq!(kinds, [(FrameKind::Join, 7), (FrameKind::Title, 0), (FrameKind::Join, 7)]);
    assert_eq!(frames[1].data, "Künstler - Titel".as_bytes());
    assert_eq!(frames[2].data, &b"b"[..]);
}

#[test]
fn the_joint_says_what_was_before() {
    for (before, content_type, joint) in [
        (None, "audio/mpeg", Joint::First),
        (Some("audio/mpeg"), "audio/mpeg", Joint::Continued),
        (Some("audio/mp3"), "audio/mpeg; x=y", Joint::Continued),
        (Some("audio/aac"), "audio/mpeg", Joint::NewChain),
        (Some("application/ogg"), "audio/aac", Joint::NewChain),
    ] {
        let mut splicer = Splicer::new(5, content_type, &log_of(before));
        splicer.title("before the first frame");
        assert_eq!(splicer.joint(), None);
        splicer.push(cut(b"a"));
        assert_eq!(splicer.joint(), Some(joint), "{before:?} {content_type}");
    }
}

#[test]
fn a_long_title_is_cut() {
    let title = Splicer::new(5, "audio/mpeg", &log_of(None)).title(&"日".repeat(100_000));
    assert_eq!(title.data, "日".repeat(1360).as_bytes());
}

#[test]
fn the_log_takes_what_the_splicer_gives() {
    let mut log = log_of(Some("audio/mpeg"));
    let mut splicer = Splicer::new(5, "audio/mpeg", &log);
    log.begin_epoch(EpochStart { epoch: 5, content_type: "audio/mpeg".into(), continues: log.newest() }).unwrap();
    let title = splicer.title("t");
    log.append(title).unwrap();
    splicer.push(cut(b"a")).into_iter().for_each(|frame| log.append(frame).unwrap());
    assert_eq!(log.after(Some(Position { epoch: 4, seq: 0 }), 100).unwrap().len(), 2);
}
