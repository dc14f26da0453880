use proptest::prelude::*;

use super::*;

/// A frame of layer III, MPEG 1, 44100 Hz; its audio has no sync word.
fn frame(kbit_index: u32, padding: u32, fill: u8) -> Vec<u8> {
    with_header(0xfffb_0000 | kbit_index << 12 | padding << 9, fill)
}

fn with_header(header: u32, fill: u8) -> Vec<u8> {
    let len = parse(header).expect("a valid header").len;
    let mut frame = vec![fill & 0x7f; len];
    frame[..4].copy_from_slice(&header.to_be_bytes());
    frame
}

fn run(pieces: &[&[u8]]) -> (Vec<Cut>, Mp3Parser) {
    let mut parser = Mp3Parser::default();
    let mut cuts: Vec<_> = pieces.iter().flat_map(|piece| parser.push(&Bytes::copy_from_slice(piece))).collect();
    cuts.extend(parser.finish());
    (cuts, parser)
}

fn data(cuts: &[Cut]) -> Vec<u8> {
    cuts.iter().flat_map(|cut| cut.data.to_vec()).collect()
}

#[test]
fn lengths_are_those_of_the_standard() {
    let len = |header| parse(header).map(|h| (h.len, h.samples, h.rate_hz, h.kbit_per_s, h.channels));
    assert_eq!(len(0xfffb_9000), Some((417, 1152, 44_100, 128, 2)));
    assert_eq!(len(0xfffb_9200), Some((418, 1152, 44_100, 128, 2)));
    assert_eq!(len(0xfff3_84c0), Some((192, 576, 24_000, 64, 1)), "MPEG 2 layer III, mono");
    assert_eq!(len(0xffe3_8800), Some((576, 576, 8_000, 64, 2)), "MPEG 2.5 layer III");
    assert_eq!(len(0xfffd_e800), Some((1728, 1152, 32_000, 384, 2)), "layer II");
    assert_eq!(len(0xffff_e200), Some(((12 * 448_000 / 44_100 + 1) * 4, 384, 44_100, 448, 2)), "layer I, padded");
    for (what, header) in [
        ("free format", 0xfffb_0000),
        ("forbidden bit rate", 0xfffb_f000),
        ("reserved rate", 0xfffb_9c00),
        ("reserved layer", 0xfff9_9000),
        ("reserved version", 0xffeb_9000),
        ("no sync", 0xff7b_9000),
    ] {
        assert_eq!(parse(header), None, "{what}");
    }
}

#[test]
fn a_frame_comes_with_its_last_byte() {
    let mut parser = Mp3Parser::default();
    let first = frame(9, 0, 1);
    assert!(parser.push(&Bytes::from(first.clone())).is_empty(), "not before the next header confirms it");
    let second = frame(9, 1, 2);
    let (start, last) = second.split_at(second.len() - 1);
    assert_eq!(data(&parser.push(&Bytes::copy_from_slice(start))), first);
    assert_eq!(data(&parser.push(&Bytes::copy_from_slice(last))), second);
    assert_eq!(parser.describe(), "mp3 44100 Hz stereo 128 kbit/s");
    assert_eq!(parser.skipped_bytes(), 0);
}

#[test]
fn durations_do_not_drift() {
    let stream = frame(1, 0, 0).repeat(44_100);
    let (cuts, _) = run(&[&stream]);
    assert_eq!(cuts.iter().map(|cut| u64::from(cut.duration_us)).sum::<u64>(), 1152 * 1_000_000);
    assert!(cuts.iter().all(|cut| matches!(cut.duration_us, 26_122 | 26_123)));
}

#[test]
fn a_variable_bit_rate_is_not_told() {
    let (_, parser) = run(&[&frame(9, 0, 0), &frame(10, 0, 0)]);
    assert_eq!(parser.describe(), "mp3 44100 Hz stereo");
}

#[test]
fn garbage_is_passed_over_and_counted() {
    let (a, b) = (frame(9, 0, 1), frame(9, 0, 2));
    // Half a frame in front, and headers in the garbage that nothing confirms.
    let garbage = [&a[100..], &[0xff, 0xfb, 0x90, 0x00, 7, 7]].concat();
    let (cuts, parser) = run(&[&garbage, &a, &b, &garbage, &b, &a]);
    assert_eq!(data(&cuts), [&a[..], &b, &b, &a].concat());
    assert_eq!(parser.skipped_bytes(), 2 * garbage.len() as u64);
}

#[test]
fn another_rate_is_taken_once_it_is_confirmed() {
    let (a, b) = (frame(9, 0, 1), with_header(0xfffb_9400, 2));
    let (cuts, parser) = run(&[&a, &a, &b, &b]);
    assert_eq!(data(&cuts), [&a[..], &a, &b, &b].concat());
    assert_eq!(cuts[3].duration_us, 24_000);
    assert_eq!(parser.describe(), "mp3 48000 Hz stereo 128 kbit/s");
}

#[test]
fn the_last_frame_comes_at_the_end_if_it_is_whole() {
    let a = frame(9, 0, 1);
    assert_eq!(data(&run(&[&a]).0), a, "the only one");
    let (cuts, parser) = run(&[&a, &a, &a[..300]]);
    assert_eq!((data(&cuts), parser.skipped_bytes()), (a.repeat(2), 300));
    let mut parser = Mp3Parser::default();
    parser.push(&Bytes::from(a));
    parser.finish();
    assert!(parser.finish().is_empty());
}

#[test]
fn tags_are_passed_over() {
    let a = frame(9, 0, 1);
    // A tag of 300 bytes full of headers, with a footer.
    let tag = [&b"ID3\x04\x00\x10\x00\x00\x02\x2c"[..], &[0xff, 0xfb, 0x90, 0x00].repeat(75), &[0; 10]].concat();
    let v1 = [&b"TAG"[..], &[b'x'; 125]].concat();
    let stream = [&tag[..], &a, &a, &v1, &tag, &a, &a].concat();
    for piece in [1, 7, stream.len()] {
        let (cuts, parser) = run(&stream.chunks(piece).collect::<Vec<_>>());
        assert_eq!(data(&cuts), a.repeat(4));
        assert_eq!(parser.skipped_bytes() as usize, 2 * tag.len() + v1.len());
    }
    let endless = b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f";
    assert_eq!(data(&run(&[endless, &a, &a]).0), a.repeat(2), "a length that no tag has is not believed");
}

#[test]
fn a_header_about_a_file_is_dropped() {
    for (name, header, at) in [
        (b"Xing", 0xfffb_9000u32, 36),
        (b"Info", 0xfffb_90c0, 21),
        (b"Info", 0xfffa_9000, 38),
        (b"VBRI", 0xfffb_9000, 36),
        (b"Info", 0xfff3_8400, 21),
        (b"Info", 0xfff3_84c0, 13),
    ] {
        let mut about = with_header(header, 0);
        about[at..at + 4].copy_from_slice(name);
        let a = with_header(header, 1);
        let (cuts, parser) = run(&[&about, &a, &a]);
        assert_eq!(data(&cuts), a.repeat(2));
        assert_eq!(parser.skipped_bytes(), about.len() as u64);
    }
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (1u32..5, 0u32..2, any::<u8>()).prop_map(|(rate, padding, fill)| frame(rate, padding, fill)),
        1 => prop::collection::vec(any::<u8>(), 0..1500),
        1 => prop::collection::vec(prop::sample::select(vec![0xff, 0xfb, 0xf3, 0x10, 0, b'I', b'D', b'3', 4]), 0..700),
    ]
}

proptest! {
    #[test]
    fn any_split_gives_the_same_cuts(parts in prop::collection::vec(part(), 0..12), size in 1usize..600) {
        let stream = parts.concat();
        let (whole, whole_parser) = run(&[&stream]);
        let (split, split_parser) = run(&stream.chunks(size).collect::<Vec<_>>());
        prop_assert_eq!(&whole, &split);
        prop_assert_eq!(whole_parser.skipped_bytes(), split_parser.skipped_bytes());
        prop_assert_eq!(whole_parser.skipped_bytes() as usize + data(&whole).len(), stream.len());
    }
}
