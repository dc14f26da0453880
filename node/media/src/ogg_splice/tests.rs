//! Epochs of streams made by hand.

use bytes::Bytes;
use proptest::prelude::*;

use crate::{
    EpochStart, Frame, FrameKind, Joint, LogLimits, MountLog, Parser, Splicer,
    ogg::{
        Page, pages,
        tests::{OPUS_20_MS, cuts, opus, opus_head, opus_tags, page},
    },
};

const MIME: &str = "application/ogg";

/// Appends an epoch, but its last `cut` frames.
fn epoch(log: &mut MountLog, data: &Bytes, cut: usize) -> (Option<Joint>, Vec<Frame>) {
    let number = log.newest().map_or(1, |newest| newest.epoch + 1);
    let mut splicer = Splicer::new(number, MIME, log);
    let start = EpochStart { epoch: number, content_type: MIME.into(), continues: log.newest() };
    log.begin_epoch(start).unwrap();
    let cuts = Parser::new(MIME).push(data);
    let keep = cuts.len().saturating_sub(cut).max(2);
    let frames: Vec<_> = cuts.into_iter().take(keep).flat_map(|cut| splicer.push(cut)).collect();
    frames.iter().for_each(|frame| log.append(frame.clone()).unwrap());
    (splicer.joint(), frames)
}

fn log() -> MountLog {
    MountLog::new(LogLimits::default())
}

fn all_pages(log: &MountLog) -> Vec<Page> {
    log.frames().flat_map(|frame| pages(&frame.data)).collect()
}

#[test]
fn another_setup_begins_a_chain_with_a_fresh_serial() {
    let mut log = log();
    epoch(&mut log, &opus(7, "a", 2), 0);
    let mono = [page(2, 0, 7, 0, &[&opus_head(1, 56)]), page(0, 0, 7, 1, &[&opus_tags("b")])];
    let mono = [mono.concat(), page(0, 960, 7, 2, &[OPUS_20_MS]).to_vec()].concat().into();
    let (joint, frames) = epoch(&mut log, &mono, 0);
    assert_eq!(joint, Some(Joint::NewChain));
    assert_eq!(frames[0].kind, FrameKind::Header);
    let serials: Vec<_> = frames.iter().flat_map(|frame| pages(&frame.data)).map(|page| page.marks.serial).collect();
    assert_eq!(serials, [8, 8, 8]);
}

#[test]
fn a_title_within_an_epoch_begins_a_chain_and_the_same_one_does_not() {
    let mut log = log();
    let data = [opus(7, "a", 2), opus(8, "a", 2), opus(8, "b", 2)].concat().into();
    let (joint, frames) = epoch(&mut log, &data, 0);
    let kinds: Vec<_> = frames.iter().map(|frame| frame.kind == FrameKind::Header).collect();
    assert_eq!(joint, Some(Joint::First));
    assert_eq!(kinds, [true, false, false, false, false, true, false, false]);
}

#[test]
fn an_encoder_that_is_under_way_goes_on_at_the_end() {
    let mut log = log();
    epoch(&mut log, &opus(7, "a", 2), 0);
    let head = [page(2, 0, 3, 0, &[&opus_head(2, 9)]), page(0, 0, 3, 1, &[&opus_tags("b")])].concat();
    let late = [head, page(0, 960_000, 3, 50, &[OPUS_20_MS; 5]).to_vec()].concat().into();
    let (joint, frames) = epoch(&mut log, &late, 0);
    assert_eq!(joint, Some(Joint::Continued));
    let page = &pages(&frames[0].data)[0];
    assert_eq!((page.marks.granule, page.marks.sequence, page.marks.serial), (14_400, 4, 7));
}

proptest! {
    #[test]
    fn epochs_run_on(a in 1u32..8, cut in 0usize..8, b in 1u32..8, c in 1u32..8) {
        let mut log = log();
        epoch(&mut log, &opus(7, "a", a), cut);
        for (serial, count) in [(7, b), (99, c)] {
            let (joint, frames) = epoch(&mut log, &opus(serial, "other", count), 0);
            prop_assert_eq!(joint, Some(Joint::Continued));
            prop_assert!(frames.iter().all(|frame| frame.kind == FrameKind::Join));
        }
        let pages = all_pages(&log);
        for (index, page) in pages.iter().enumerate() {
            prop_assert_eq!(page.marks.serial, 7);
            prop_assert_eq!(page.marks.sequence as usize, index);
            prop_assert_eq!(page.marks.granule, (index as i64 - 1).max(0) * 4800);
            prop_assert!(!page.marks.eos);
            prop_assert_eq!(page.marks.bos, index == 0);
        }
        // The parser takes only pages whose checksum is right.
        let whole: Bytes = log.frames().flat_map(|frame| frame.data.to_vec()).collect::<Vec<_>>().into();
        prop_assert_eq!(cuts(&whole).iter().map(|cut| cut.data.len()).sum::<usize>(), whole.len());
    }

    #[test]
    fn any_header_and_pages_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..200), granule in any::<i64>()) {
        let mut log = log();
        epoch(&mut log, &opus(7, "a", 2), 0);
        let theora = [&b"\x80theora"[..], &bytes, &[1; 40]].concat();
        let head = [page(2, 0, 7, 0, &[&theora]), page(0, 0, 7, 1, &[b"\x81theora", b"\x82theora"])].concat();
        let data = [head, page(4, granule, 7, u32::MAX, &[&bytes]).to_vec()].concat().into();
        for _ in 0..3 {
            epoch(&mut log, &data, 0);
        }
    }
}
