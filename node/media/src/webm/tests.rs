use bytes::Bytes;
use proptest::prelude::*;

use super::{WebmParser, cluster, ebml::id, setup::Setup, testing::*};
use crate::{Cut, FrameKind};

fn parse(bytes: &[u8]) -> (Vec<Cut>, WebmParser) {
    let mut parser = WebmParser::default();
    let mut cuts = parser.push(&Bytes::copy_from_slice(bytes));
    cuts.extend(parser.finish());
    (cuts, parser)
}

fn times(cuts: &[Cut]) -> Vec<i64> {
    cuts.iter().filter_map(|cut| cluster::time(&cut.data)).collect()
}

fn opus() -> Vec<u8> {
    header(&[&audio_track(1, "A_OPUS", b"OpusHead")])
}

#[test]
fn audio_is_cut_by_time() {
    let (cuts, parser) = parse(&[opus(), audio_clusters(37_000, 2)].concat());
    assert_eq!(cuts[0].kind, FrameKind::Header);
    assert_eq!(times(&cuts), (0..20).map(|n| 37_000 + n * 100).collect::<Vec<_>>());
    assert!(cuts[1..].iter().all(|cut| cut.kind == FrameKind::Join && cut.duration_us == 100_000));
    assert_eq!(cluster::reach(&cuts[1].data), (0, 80));
    assert_eq!(parser.describe(), "webm opus 48000 Hz stereo");
    assert_eq!(parser.skipped_bytes(), 0);
}

#[test]
fn what_is_cut_is_cut_the_same_again() {
    let (cuts, _) = parse(&[opus(), audio_clusters(0, 3)].concat());
    let joined: Vec<u8> = cuts.iter().flat_map(|cut| cut.data.to_vec()).collect();
    assert_eq!(parse(&joined).0, cuts);
}

#[test]
fn a_cut_does_not_wait_for_the_clusters_end() {
    let mut parser = WebmParser::default();
    let bytes = [opus(), cluster_head(0), (0..6).flat_map(|n| simple_block(1, n * 20, true)).collect()].concat();
    assert_eq!(parser.push(&bytes.into()).len(), 2);
}

#[test]
fn a_cut_with_video_begins_at_its_key_frame() {
    let tracks = header(&[&video_track(1), &audio_track(2, "A_VORBIS", b"")]);
    let mut bytes = [tracks, cluster_head(0)].concat();
    for n in 0..20 {
        bytes.extend(simple_block(2, n * 40, true));
        bytes.extend(simple_block(1, n * 40, n % 10 == 1));
    }
    let (cuts, parser) = parse(&bytes);
    let joins: Vec<_> = cuts.iter().filter(|cut| cut.kind == FrameKind::Join).cloned().collect();
    assert_eq!(times(&joins), [40, 440]);
    assert_eq!(parser.describe(), "webm vp8 640x480 + vorbis 48000 Hz stereo");
    assert!(cuts.iter().all(|cut| cut.kind == FrameKind::Header || cut.duration_us > 0));
}

#[test]
fn durations_do_not_drift_where_frames_are_sent_out_of_order() {
    let mut bytes = [header(&[&video_track(1)]), cluster_head(0)].concat();
    for n in 0..100 {
        for time in [n * 120 + 80, n * 120, n * 120 + 40] {
            bytes.extend(simple_block(1, time, n % 10 == 0 && time % 120 == 80));
        }
    }
    let (cuts, _) = parse(&bytes);
    let us: i64 = cuts.iter().map(|cut| i64::from(cut.duration_us)).sum();
    // From the first frame that came, which is shown at 80 ms, to 12 s.
    assert!((us - 11_900_000).abs() <= 50_000, "{us}");
}

#[test]
fn a_block_group_keeps_what_it_has() {
    let block = element(id::BLOCK, &[&[0x81, 0, 50, 0], b"sound"]);
    let group = element(id::BLOCK_GROUP, &[&element(0x75A2, &[&[1]]), &block, &element(id::REFERENCE_BLOCK, &[&[1]])]);
    let (cuts, _) = parse(&[opus(), cluster_head(1000), simple_block(1, 30, true), group.clone()].concat());
    let expected = element(id::BLOCK, &[&[0x81, 0, 20, 0], b"sound"]);
    assert_eq!(times(&cuts), [1030]);
    assert!(!cuts[1].data.ends_with(&expected), "the reference is behind it");
    assert!(cuts[1].data.windows(expected.len()).any(|window| window == expected));
    assert_eq!(cuts[1].data.len(), cluster::CLUSTER_HEAD + simple_block(1, 0, true).len() + group.len());
}

#[test]
fn the_header_has_no_duration_and_no_places() {
    let (cuts, _) = parse(&opus());
    let [header] = &cuts[..] else { panic!("{cuts:?}") };
    let has = |needle: &[u8]| header.data.windows(needle.len()).any(|window| window == needle);
    assert!(!has(b"places") && !has(&element(id::DURATION, &[&[0; 8]])) && has(b"OpusHead"));
}

#[test]
fn the_unit_of_time_codes_is_kept() {
    let scale = element(id::INFO, &[&element(id::TIMECODE_SCALE, &[&100_000u32.to_be_bytes()])]);
    let tracks = element(id::TRACKS, &[&audio_track(1, "A_OPUS", b"")]);
    let blocks: Vec<u8> = (0..30).flat_map(|n| simple_block(1, n * 200, true)).collect();
    let (cuts, _) = parse(&[ebml_head(), open(id::SEGMENT), tracks, scale, cluster_head(7), blocks].concat());
    assert_eq!(times(&cuts), (0..6).map(|n| 7 + n * 1000).collect::<Vec<_>>());
    assert!(cuts[1..].iter().all(|cut| cut.duration_us == 100_000));
}

#[test]
fn garbage_is_passed_over_and_counted() {
    let garbage = [0xFFu8, 0, 0x1F, 0x43, 3, 4, 5];
    let bytes = [&opus()[..], &audio_clusters(0, 1), &garbage, &audio_clusters(1000, 1)].concat();
    let (cuts, parser) = parse(&bytes);
    assert_eq!(times(&cuts), (0..20).map(|n| n * 100).collect::<Vec<_>>());
    assert_eq!(parser.skipped_bytes(), garbage.len() as u64);
}

#[test]
fn a_second_header_is_a_cut() {
    let (cuts, _) = parse(&[opus(), audio_clusters(0, 1), opus(), audio_clusters(0, 1)].concat());
    let headers: Vec<_> = (0..cuts.len()).filter(|&n| cuts[n].kind == FrameKind::Header).collect();
    assert_eq!(headers, [0, 11]);
    // The last block of the first stream is taken to last as long as the one before.
    assert_eq!(cuts[10].duration_us, 100_000);
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let lie = |id: u32| {
        let mut out = Vec::new();
        super::ebml::put_id(&mut out, id);
        out.extend(super::ebml::size8(1 << 40));
        out
    };
    for id in [id::EBML, id::INFO, id::TRACKS, id::TIMECODE, id::SIMPLE_BLOCK, id::TAGS] {
        let (cuts, _) = parse(&[opus(), audio_clusters(0, 1), lie(id), audio_clusters(1000, 1)].concat());
        assert_eq!(times(&cuts).len(), 20, "{id:x}");
    }
}

#[test]
fn a_title_in_vorbis_headers_makes_no_other_setup() {
    let private = |comment: &[u8], setup: &[u8]| {
        let mut private = vec![2, 2, comment.len() as u8];
        private.extend([b"id", comment, setup].concat());
        let (cuts, _) = parse(&header(&[&audio_track(1, "A_VORBIS", &private)]));
        Setup::of_header(&cuts[0].data).unwrap()
    };
    assert_eq!(private(b"one", b"book"), private(b"another", b"book"));
    assert_ne!(private(b"one", b"book"), private(b"one", b"other"));
}

fn stream() -> Vec<u8> {
    let tracks = header(&[&video_track(1), &audio_track(2, "A_OPUS", b"")]);
    let mut bytes = [tracks, cluster_head(0)].concat();
    for n in 0..30 {
        bytes.extend(simple_block(2, n * 20, true));
        bytes.extend(simple_block(1, n * 20, n % 10 == 0));
    }
    bytes.extend([0; 9]);
    [bytes, opus(), audio_clusters(5, 1), element(id::CUES, &[&[0; 100]])].concat()
}

proptest! {
    #[test]
    fn any_split_gives_the_same_cuts(mut at in prop::collection::vec(0..stream().len(), 0..40)) {
        let bytes = Bytes::from(stream());
        let mut parser = WebmParser::default();
        let (mut cuts, mut from) = (Vec::new(), 0);
        at.sort_unstable();
        for to in at.into_iter().chain([bytes.len()]) {
            cuts.extend(parser.push(&bytes.slice(from..to)));
            from = to;
        }
        cuts.extend(parser.finish());
        let (whole, other) = parse(&bytes);
        prop_assert_eq!(cuts, whole);
        prop_assert_eq!(parser.skipped_bytes(), other.skipped_bytes());
    }

    #[test]
    fn damage_never_panics(hits in prop::collection::vec((0..stream().len(), any::<u8>()), 0..60)) {
        let mut bytes = stream();
        for (at, value) in hits {
            bytes[at] = value;
        }
        let (cuts, _) = parse(&bytes);
        prop_assert!(cuts.iter().map(|cut| cut.data.len()).sum::<usize>() < 4 * bytes.len());
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(parse(&bytes).0.is_empty());
        // The same where a stream has begun.
        parse(&[opus(), cluster_head(u32::MAX), bytes].concat());
    }
}
