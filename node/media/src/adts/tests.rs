use proptest::prelude::*;

use super::*;

/// A frame of AAC-LC, 44100 Hz, stereo; its audio has no sync word.
fn frame(len: usize, fill: u8) -> Vec<u8> {
    with(len, fill, 4, 2, 0, true)
}

fn with(len: usize, fill: u8, rate: u8, channels: u8, blocks: u8, no_checksum: bool) -> Vec<u8> {
    let mut frame = vec![fill & 0x7f; len];
    frame[..7].copy_from_slice(&[
        0xff,
        0xf0 | u8::from(no_checksum),
        0x40 | rate << 2 | channels >> 2,
        channels << 6 | (len >> 11) as u8,
        (len >> 3) as u8,
        (len << 5) as u8 | 0x1f,
        0xfc | blocks,
    ]);
    frame
}

fn run(pieces: &[&[u8]]) -> (Vec<Cut>, AdtsParser) {
    let mut parser = AdtsParser::default();
    let mut cuts: Vec<_> = pieces.iter().flat_map(|piece| parser.push(&Bytes::copy_from_slice(piece))).collect();
    cuts.extend(parser.finish());
    (cuts, parser)
}

fn data(cuts: &[Cut]) -> Vec<u8> {
    cuts.iter().flat_map(|cut| cut.data.to_vec()).collect()
}

#[test]
fn headers_say_length_rate_and_blocks() {
    let (cuts, parser) = run(&[&frame(8191, 1), &frame(8, 2)]);
    assert_eq!(
        cuts.iter().map(|cut| (cut.data.len(), cut.duration_us)).collect::<Vec<_>>(),
        [(8191, 23_219), (8, 23_220)]
    );
    assert_eq!(parser.describe(), "aac 44100 Hz stereo");
    let four = with(50, 0, 3, 7, 3, false);
    let (cuts, parser) = run(&[&four, &four]);
    assert_eq!(cuts[1].duration_us, 85_333);
    assert_eq!(parser.describe(), "aac 48000 Hz 8 channels");
    assert!(run(&[&with(9, 0, 3, 1, 0, false).repeat(2)]).0.is_empty(), "nothing but a header with its checksum");
    assert!(run(&[&with(20, 0, 13, 1, 0, true).repeat(2)]).0.is_empty(), "a reserved rate");
}

#[test]
fn a_frame_comes_with_its_last_byte() {
    let mut parser = AdtsParser::default();
    let (first, second) = (frame(300, 1), frame(350, 2));
    assert!(parser.push(&Bytes::from(first.clone())).is_empty(), "not before the next header confirms it");
    let (start, last) = second.split_at(349);
    assert_eq!(data(&parser.push(&Bytes::copy_from_slice(start))), first);
    assert_eq!(data(&parser.push(&Bytes::copy_from_slice(last))), second);
}

#[test]
fn half_a_frame_is_never_given() {
    let (a, b) = (frame(300, 1), frame(310, 2));
    let (cuts, parser) = run(&[&a[7..], &a, &b, &a, &b[..200]]);
    assert_eq!(data(&cuts), [&a[..], &b, &a].concat());
    assert_eq!(parser.skipped_bytes(), 293 + 200);
    let (cuts, _) = run(&[&a, &b, b"garbage", &b, &a]);
    assert_eq!(data(&cuts), [&a[..], &b, &b, &a].concat());
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (8usize..200, any::<u8>()).prop_map(|(len, fill)| frame(len, fill)),
        1 => prop::collection::vec(any::<u8>(), 0..1500),
        1 => prop::collection::vec(prop::sample::select(vec![0xff, 0xf1, 0x50, 0x80, 1, 0, b'I', b'D', b'3']), 0..700),
    ]
}

proptest! {
    #[test]
    fn any_split_gives_the_same_cuts(parts in prop::collection::vec(part(), 0..12), size in 1usize..300) {
        let stream = parts.concat();
        let (whole, whole_parser) = run(&[&stream]);
        let (split, split_parser) = run(&stream.chunks(size).collect::<Vec<_>>());
        prop_assert_eq!(&whole, &split);
        prop_assert_eq!(whole_parser.skipped_bytes(), split_parser.skipped_bytes());
        prop_assert_eq!(whole_parser.skipped_bytes() as usize + data(&whole).len(), stream.len());
    }
}
