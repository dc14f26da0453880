use proptest::prelude::*;

use super::*;

/// Takes blocks out as a player does: the audio, and each block's text.
fn player(bytes: &[u8], metaint: usize) -> (Vec<u8>, Vec<String>) {
    let (mut audio, mut texts, mut rest) = (Vec::new(), Vec::new(), bytes);
    while rest.len() > metaint {
        audio.extend_from_slice(&rest[..metaint]);
        let text_bytes = usize::from(rest[metaint]) * 16;
        let text = &rest[metaint + 1..metaint + 1 + text_bytes];
        texts.push(String::from_utf8(text.to_vec()).unwrap().trim_end_matches('\0').to_owned());
        rest = &rest[metaint + 1 + text_bytes..];
    }
    audio.extend_from_slice(rest);
    (audio, texts)
}

#[test]
fn a_block_is_padded_to_its_length() {
    assert_eq!(&block("a")[..], b"\x01StreamTitle='a';");
    assert_eq!(&block("ab")[..], b"\x02StreamTitle='ab';\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(&block("")[..], b"\x01StreamTitle='';\0");
    assert_eq!(&block("it's\n1")[..19], b"\x02StreamTitle='it's ");
}

#[test]
fn a_long_title_is_cut_between_characters() {
    for title in ["é".repeat(5000), format!("a{}", "é".repeat(5000)), "x".repeat(4065), "日".repeat(2000)] {
        let block = block(&title);
        assert_eq!((block[0], block.len()), (255, 4081));
        let text = std::str::from_utf8(&block[1..]).unwrap().trim_end_matches('\0');
        let cut = text.strip_prefix("StreamTitle='").unwrap().strip_suffix("';").unwrap();
        assert!(title.starts_with(cut));
    }
}

#[test]
fn a_title_is_sent_once_until_it_changes() {
    let mut inserter = IcyInserter::new(4);
    let mut sent = Vec::new();
    for title in [Some("a"), Some("a"), Some("b"), None, Some("b"), Some("")] {
        sent.extend(inserter.insert(&Bytes::from_static(b"1234"), title).concat());
    }
    let (audio, texts) = player(&sent, 4);
    assert_eq!(audio, b"1234".repeat(6));
    assert_eq!(texts, ["StreamTitle='a';", "", "StreamTitle='b';", "", "", "StreamTitle='';"]);
    assert_eq!(IcyInserter::new(0).insert(&Bytes::from_static(b"1"), None).concat(), b"1\0");
}

#[test]
fn audio_is_not_copied() {
    let audio = Bytes::from(vec![7; 100]);
    let pieces = IcyInserter::new(60).insert(&audio, Some("t"));
    assert_eq!(pieces[0].as_ptr(), audio.as_ptr());
    assert_eq!(pieces[2].as_ptr(), audio[60..].as_ptr());
    assert_eq!(size_of::<IcyInserter>(), 24);
}

proptest! {
    #[test]
    fn a_player_gets_the_audio_back(
        pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..50), ".{0,40}"), 0..20),
        metaint in 1usize..40,
    ) {
        let mut inserter = IcyInserter::new(metaint);
        let sent: Vec<u8> = pieces
            .iter()
            .flat_map(|(audio, title)| inserter.insert(&Bytes::copy_from_slice(audio), Some(title)).concat())
            .collect();
        let audio: Vec<u8> = pieces.iter().flat_map(|(audio, _)| audio.clone()).collect();
        let (got, texts) = player(&sent, metaint);
        prop_assert_eq!(texts.len(), audio.len() / metaint);
        prop_assert_eq!(got, audio);
    }
}
