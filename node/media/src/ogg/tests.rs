//! Pages made by hand, and any bytes.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;

/// A page; `granule` -1 says that no packet ends on it. Each packet is shorter than 64 KiB in all.
pub(crate) fn page(flags: u8, granule: i64, serial: u32, sequence: u32, packets: &[&[u8]]) -> Bytes {
    let mut lacing = Vec::new();
    for packet in packets {
        lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
        lacing.push((packet.len() % 255) as u8);
    }
    raw_page(flags, granule, serial, sequence, &lacing, &packets.concat())
}

fn raw_page(flags: u8, granule: i64, serial: u32, sequence: u32, lacing: &[u8], body: &[u8]) -> Bytes {
    let mut data = BytesMut::from(&b"OggS\0"[..]);
    data.extend_from_slice(&[flags]);
    data.extend_from_slice(&[0; 21]);
    data[26] = lacing.len() as u8;
    data.extend_from_slice(lacing);
    data.extend_from_slice(body);
    let page = Page::new(data.freeze()).unwrap();
    // Other marks than any that are asked for, so that the checksum is made.
    let marks = Marks { bos: flags & 2 != 0, eos: flags & 4 != 0, granule, serial, sequence };
    assert_ne!(marks, page.marks);
    page.with(marks)
}

pub(crate) fn opus_head(channels: u8, pre_skip: u8) -> Vec<u8> {
    [&b"OpusHead\x01"[..], &[channels, pre_skip, 1, 0x80, 0xbb, 0, 0, 0, 0, 0]].concat()
}

pub(crate) fn opus_tags(title: &str) -> Vec<u8> {
    let comment = format!("TITLE={title}");
    let len = |text: &str| (text.len() as u32).to_le_bytes();
    [b"OpusTags", &len("me")[..], b"me", &1u32.to_le_bytes(), &len(&comment), comment.as_bytes()].concat()
}

/// An Opus packet of 20 ms.
pub(crate) const OPUS_20_MS: &[u8] = &[0xfc, 1, 2, 3];

/// A chain with so many pages of audio of 100 ms.
pub(crate) fn opus(serial: u32, title: &str, pages: u32) -> Bytes {
    let mut data = BytesMut::new();
    data.extend_from_slice(&page(2, 0, serial, 0, &[&opus_head(2, 56)]));
    data.extend_from_slice(&page(0, 0, serial, 1, &[&opus_tags(title)]));
    for n in 1..=pages {
        let eos = if n == pages { 4 } else { 0 };
        data.extend_from_slice(&page(eos, i64::from(n) * 4800, serial, n + 1, &[OPUS_20_MS; 5]));
    }
    data.freeze()
}

pub(crate) fn cuts(data: &Bytes) -> Vec<Cut> {
    OggParser::default().push(data)
}

fn joined(cuts: &[Cut]) -> Vec<u8> {
    cuts.iter().flat_map(|cut| cut.data.to_vec()).collect()
}

#[test]
fn headers_are_one_frame_and_pages_are_timed() {
    let data = opus(7, "Song", 3);
    let mut parser = OggParser::default();
    let cuts = parser.push(&data);
    let kinds: Vec<_> = cuts.iter().map(|cut| (cut.kind, cut.duration_us)).collect();
    let join = (FrameKind::Join, 100_000);
    assert_eq!(kinds, [(FrameKind::Header, 0), join, join, join]);
    assert_eq!(joined(&cuts), data);
    assert_eq!(parser.describe(), "ogg opus 48000 Hz stereo");
    assert_eq!(parser.take_title().as_deref(), Some("Song"));
    assert_eq!(parser.take_title(), None);
    assert_eq!(parser.skipped_bytes(), 0);
}

#[test]
fn a_bad_page_is_passed_over_and_counted() {
    let mut data = BytesMut::from(&opus(7, "a", 3)[..]);
    let whole = cuts(&data.clone().freeze());
    let bad = whole[2].data.len();
    let at = whole[0].data.len() + whole[1].data.len() + 40;
    data[at] ^= 1;
    let mut parser = OggParser::default();
    let cuts = parser.push(&data.freeze());
    assert_eq!(cuts.len(), 3);
    assert_eq!(parser.skipped_bytes(), bad as u64);
}

#[test]
fn a_packet_over_several_pages_is_one_frame() {
    let mut data = BytesMut::from(&opus(7, "a", 1)[..]);
    data.extend_from_slice(&raw_page(0, -1, 7, 3, &[255], &[0xfc; 255]));
    data.extend_from_slice(&raw_page(1, 5760, 7, 4, &[1], &[0]));
    let mut parser = OggParser::default();
    let cuts = parser.push(&data.clone().freeze());
    assert_eq!(cuts.len(), 3);
    assert_eq!(cuts[2].kind, FrameKind::Join);
    assert_eq!(joined(&cuts), data);
}

#[test]
fn half_a_packet_at_the_end_is_dropped() {
    let mut parser = OggParser::default();
    assert_eq!(parser.push(&opus(7, "a", 1)).len(), 2);
    let half = raw_page(0, -1, 7, 3, &[255], &[0xfc; 255]);
    assert!(parser.push(&half).is_empty());
    assert!(parser.finish().is_empty());
    assert_eq!(parser.skipped_bytes(), half.len() as u64);
}

#[test]
fn a_new_chain_has_its_own_header() {
    let data = [opus(7, "a", 2), opus(8, "b", 2)].concat().into();
    let cuts = cuts(&data);
    let headers = cuts.iter().filter(|cut| cut.kind == FrameKind::Header).count();
    assert_eq!((headers, joined(&cuts)), (2, data.to_vec()));
}

#[test]
fn headers_have_a_bound() {
    let mut parser = OggParser::default();
    parser.push(&page(2, 0, 7, 0, &[&opus_head(2, 56)]));
    for sequence in 1..100 {
        parser.push(&raw_page(1, -1, 7, sequence, &[255; 255], &[0; 255 * 255]));
    }
    assert!(matches!(parser.state, State::Idle));
    assert!(parser.skipped_bytes() > HEADER_BYTES_MAX as u64);
}

#[test]
fn modes_are_read_from_the_end_of_the_setup_header() {
    // Two modes, short and long, both with zero types; written as bits, the lowest first.
    let mut bits = vec![true, false, true];
    let mut put = |value: u64, count: usize| bits.extend((0..count).map(|at| value >> at & 1 == 1));
    put(1, 6);
    put(0, 41);
    put(1 | 1 << 33, 41);
    put(1, 1);
    let bytes: Vec<u8> =
        bits.chunks(8).map(|bits| bits.iter().enumerate().map(|(at, bit)| u8::from(*bit) << at).sum()).collect();
    let mut modes = modes::Modes::new(0xb8);
    modes.read_setup(&bytes);
    assert_eq!((modes.block(&[0]), modes.block(&[2])), (256, 2048));
    assert_eq!(modes.samples(&[&[0], &[2], &[2]], None), 576 + 1024);
}

proptest! {
    #[test]
    fn any_split_gives_the_same(pages in 1u32..6, at in prop::collection::vec(1usize..80, 1..200)) {
        let data: Bytes = [opus(7, "a", pages), opus(9, "b", pages)].concat().into();
        let whole = cuts(&data);
        let (mut parser, mut rest, mut parts) = (OggParser::default(), data.clone(), Vec::new());
        for len in at {
            parts.extend(parser.push(&rest.split_to(len.min(rest.len()))));
        }
        parts.extend(parser.push(&rest));
        prop_assert_eq!(&whole, &parts);
        prop_assert_eq!(joined(&whole), data.to_vec());
    }

    #[test]
    fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..400), lead in 0usize..4) {
        let leads: [&[u8]; 4] = [b"\x01vorbis", b"\x80theora", b"\x7fFLAC", b"Speex   "];
        let first = [leads[lead], &bytes].concat();
        let data = [
            page(2, 0, 7, 0, &[&first]), page(0, 0, 7, 1, &[&bytes]), page(0, 9, 7, 2, &[&bytes]),
            opus(7, "a", 1), bytes.into(),
        ].concat().into();
        let mut parser = OggParser::default();
        let out: usize = parser.push(&data).iter().map(|cut| cut.data.len()).sum();
        parser.finish();
        prop_assert_eq!(out as u64 + parser.skipped_bytes(), data.len() as u64);
    }
}

#[test]
fn flac_headers_end_with_the_first_audio_frame() {
    let mut first = b"\x7fFLAC\x01\x00\x00\x03fLaC\x00\x00\x00\x22".to_vec();
    first.extend_from_slice(&[16, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0xc4, 0x42, 0xf0]);
    first.extend_from_slice(&[0; 20]);
    // A frame of 4096 samples.
    let frame: &[u8] = &[0xff, 0xf8, 0xc9, 0x18, 0, 0];
    let data: Bytes = [
        page(2, 0, 7, 0, &[&first]),
        page(0, 0, 7, 1, &[b"\x04\x00\x00\x00"]),
        page(0, 4096, 7, 2, &[frame]),
        page(0, 8192, 7, 3, &[frame]),
    ]
    .concat()
    .into();
    let mut parser = OggParser::default();
    let cuts = parser.push(&data);
    let kinds: Vec<_> = cuts.iter().map(|cut| (cut.kind, cut.duration_us)).collect();
    assert_eq!(kinds, [(FrameKind::Header, 0), (FrameKind::Join, 92_879), (FrameKind::Join, 92_880)]);
    assert_eq!(parser.describe(), "ogg flac 44100 Hz stereo");
}
