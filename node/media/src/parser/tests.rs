use super::*;
use crate::FrameKind;

#[test]
fn content_types_choose_the_parser() {
    for (content_type, chosen) in [
        ("audio/mpeg", "Mp3"),
        ("Audio/MPEG; charset=x", "Mp3"),
        ("audio/aacp", "Adts"),
        ("application/ogg", "Ogg"),
        ("video/webm", "Webm"),
        ("audio/flac", "Raw"),
        ("", "Raw"),
    ] {
        let parser = format!("{:?}", Parser::new(content_type));
        assert!(parser.starts_with(&format!("Parser({chosen}(")), "{content_type}: {parser}");
    }
}

#[test]
fn an_unknown_codec_passes_as_bytes() {
    let mut parser = Parser::new("audio/flac");
    let bytes = Bytes::from((0..40_000u32).map(|n| n as u8).collect::<Vec<_>>());
    let cuts = parser.push(&bytes);
    assert_eq!(cuts.iter().map(|cut| cut.data.len()).collect::<Vec<_>>(), [16_384, 16_384, 7_232]);
    assert_eq!(cuts.iter().flat_map(|cut| cut.data.to_vec()).collect::<Vec<_>>(), bytes);
    assert!(cuts.iter().all(|cut| cut.kind == FrameKind::Join && cut.duration_us == 0));
    assert_eq!(cuts[1].data.as_ptr(), bytes[16_384..].as_ptr(), "not copied");
    assert!(parser.push(&Bytes::new()).is_empty() && parser.finish().is_empty());
    assert_eq!((parser.describe(), parser.skipped_bytes()), (String::new(), 0));
}

#[test]
fn a_known_codec_says_what_it_is() {
    let mut parser = Parser::new("audio/mpeg");
    assert_eq!(parser.describe(), "");
    let mut frame = vec![0; 417];
    frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0xc0]);
    let cuts = parser.push(&[&b"??"[..], &frame, &frame].concat().into());
    assert_eq!(cuts.len(), 2);
    assert_eq!((parser.describe().as_str(), parser.skipped_bytes()), ("mp3 44100 Hz mono 128 kbit/s", 2));
}
