//! Bursts and the chunks after them, of logs of numbered frames.

use autoradio_media::{EpochStart, LogLimits};

use super::*;

/// A log of frames that play 100 ms each.
fn log() -> MountLog {
    let mut log = MountLog::new(LogLimits::default());
    log.begin_epoch(EpochStart { epoch: 1, content_type: "audio/mpeg".into(), continues: None }).unwrap();
    log
}

/// Appends frames up to this number, each of so many bytes.
fn fill(log: &mut MountLog, upto: u64, bytes: usize) {
    for seq in log.newest().map_or(0, |newest| newest.seq + 1)..=upto {
        let data = Bytes::from(vec![u8::try_from(seq % 251).unwrap(); bytes]);
        let position = Position { epoch: 1, seq };
        log.append(Frame { position, kind: FrameKind::Join, duration_us: 100_000, data }).unwrap();
    }
}

/// Reads on from a chunk's number: how many chunks and bytes follow.
fn read_on(chunks: &Chunks, mut number: u64) -> Result<(u64, usize), Missed> {
    let (before, mut bytes) = (number, 0);
    while let Some(chunk) = chunks.after(number)? {
        number += 1;
        bytes += chunk.bytes.len();
    }
    Ok((number - before, bytes))
}

#[test]
fn what_comes_at_once_after_a_stall_makes_nobody_slow() {
    let (mut log, mut chunks) = (log(), Chunks::default());
    fill(&mut log, 10, 40_000);
    let joined = chunks.join_at(&log, 1_000_000).unwrap();
    fill(&mut log, 60, 40_000);
    chunks.seal(&log);
    assert_eq!(read_on(&chunks, joined.number), Ok((50, 50 * 40_000)));
    for upto in 61..60 + TURNS_MAX {
        fill(&mut log, upto, 100);
        chunks.seal(&log);
        assert!(read_on(&chunks, joined.number).is_ok());
    }
    fill(&mut log, 80, 100);
    chunks.seal(&log);
    assert!(read_on(&chunks, joined.number).is_err(), "after twelve turns it is slow");
    let kept: usize = chunks.chunks.iter().map(|(_, chunk)| chunk.bytes.len()).sum();
    assert_eq!(chunks.kept, kept);
}

#[test]
fn a_burst_of_too_many_bytes_starts_later_and_ends_where_the_chunks_go_on() {
    let (mut log, mut chunks) = (log(), Chunks::default());
    fill(&mut log, 99, 100_000);
    let joined = chunks.join_at(&log, 10_000_000).unwrap();
    let newest = log.frames().next_back().unwrap();
    assert!(joined.burst.bytes.len() <= BURST_BYTES_MAX && joined.burst.bytes.len() > BURST_BYTES_MAX / 3);
    assert!(joined.burst.bytes.ends_with(&newest.data));
}
