//! Laws of logs that are fed from each other.

use proptest::prelude::*;

use super::*;

/// An origin's log: epochs that continue each other, of frames of these kinds and sizes.
fn origin(epochs: &[(u8, Vec<(u8, usize)>)], limits: LogLimits) -> MountLog {
    let mut log = MountLog::new(limits);
    for (epoch, (content_type, frames)) in (1..).zip(epochs) {
        let content_type = ["audio/mpeg", "application/ogg"][usize::from(content_type % 2)].to_owned();
        log.begin_epoch(EpochStart { epoch, content_type, continues: log.newest() }).unwrap();
        for (seq, (kind, bytes)) in (0..).zip(frames) {
            let kind = match kind % 8 {
                0 => FrameKind::Header,
                1 => FrameKind::Title,
                2 => FrameKind::Continue,
                _ => FrameKind::Join,
            };
            let audio = matches!(kind, FrameKind::Join | FrameKind::Continue);
            let duration_us = if audio { *bytes as u32 * 100 } else { 0 };
            let data = Bytes::from(vec![seq as u8; *bytes]);
            log.append(Frame { position: Position { epoch, seq }, kind, duration_us, data }).unwrap();
        }
    }
    log
}

/// Copies up to so many frames, as the fabric does.
fn copy(from: &MountLog, to: &mut MountLog, bytes_max: usize, count: usize) {
    let frames = from.after(to.newest(), bytes_max).unwrap();
    if let (None, Some(first)) = (to.newest(), frames.first())
        && let Some(header) = from.header_for(first.position).filter(|header| header.position != first.position)
    {
        to.set_header(header);
    }
    for frame in frames.into_iter().take(count) {
        to.begin_epoch(from.epoch_start(frame.position.epoch).unwrap().clone()).unwrap();
        to.append(frame).unwrap();
    }
}

fn epochs() -> impl Strategy<Value = Vec<(u8, Vec<(u8, usize)>)>> {
    prop::collection::vec((0u8..2, prop::collection::vec((any::<u8>(), 0usize..300), 0..20)), 1..5)
}

fn limits() -> impl Strategy<Value = LogLimits> {
    (1_000u64..500_000, 100usize..10_000)
        .prop_map(|(duration_us_max, bytes_max)| LogLimits { duration_us_max, bytes_max })
}

fn same(a: &MountLog, b: &MountLog) -> Result<(), TestCaseError> {
    prop_assert_eq!(&a.frames, &b.frames);
    prop_assert_eq!((a.newest(), a.bytes, a.timed_us()), (b.newest(), b.bytes, b.timed_us()));
    prop_assert_eq!(a.bitrate_bits_per_s(), b.bitrate_bits_per_s());
    for frame in &a.frames {
        prop_assert_eq!(a.header_for(frame.position), b.header_for(frame.position));
    }
    for burst_us in [0, 10_000, 100_000, 10_000_000] {
        prop_assert_eq!(a.join_point(burst_us), b.join_point(burst_us));
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_follower_ends_up_equal(
        epochs in epochs(),
        limits in limits(),
        batches in prop::collection::vec((1usize..2000, 1usize..10), 1..10),
    ) {
        let origin = origin(&epochs, limits);
        let mut follower = MountLog::new(limits);
        let mut followers_follower = MountLog::new(limits);
        for (bytes_max, count) in batches.into_iter().cycle() {
            copy(&origin, &mut follower, bytes_max, count);
            copy(&follower, &mut followers_follower, bytes_max, count);
            if followers_follower.newest() == origin.newest() {
                break;
            }
        }
        same(&origin, &follower)?;
        same(&origin, &followers_follower)?;
    }

    #[test]
    fn a_follower_of_any_suffix_has_that_suffix(epochs in epochs(), skip in 0usize..40) {
        let limits = LogLimits::default();
        let origin = origin(&epochs, limits);
        let mut follower = MountLog::new(limits);
        let suffix: Vec<_> = origin.frames().skip(skip).cloned().collect();
        if let Some(first) = suffix.first() {
            origin.header_for(first.position).into_iter().for_each(|header| follower.set_header(header));
        }
        for frame in &suffix {
            follower.begin_epoch(origin.epoch_start(frame.position.epoch).unwrap().clone()).unwrap();
            prop_assert_eq!(follower.append(frame.clone()), Ok(()));
            prop_assert_eq!(follower.header_for(frame.position), origin.header_for(frame.position));
        }
        prop_assert!(follower.frames().eq(&suffix));
        for frame in &suffix {
            prop_assert_eq!(follower.after(Some(frame.position), 500), origin.after(Some(frame.position), 500));
        }
    }

    #[test]
    fn sums_are_those_of_the_frames(epochs in epochs(), limits in limits()) {
        let log = origin(&epochs, limits);
        prop_assert_eq!(log.bytes, log.frames().map(cost_bytes).sum::<usize>());
        let frames_us = log.frames().map(|frame| u64::from(frame.duration_us)).sum::<u64>();
        prop_assert!(log.timed_us() >= frames_us);
        let within = log.bytes <= limits.bytes_max && log.timed_us() <= limits.duration_us_max;
        prop_assert!(within || log.frames.len() <= 1);
        prop_assert!(log.frames().zip(log.frames().skip(1)).all(|(a, b)| a.position < b.position));
    }
}
