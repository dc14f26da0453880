//! What a listener lost or got twice: its bytes, compared with the loop's pieces.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::sound::{Form, MP3_FRAME, Sound, body, page_length};

/// The most that is kept of what cannot be cut yet; a page has at most 65,307 bytes.
const MAX_PENDING: usize = 256 * 1024;

/// Counts of one listener. Bytes are the loop's own: frames, or bodies of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes that came in their place, or later.
    pub heard: u64,
    /// Bytes that never came.
    pub lost: u64,
    /// Bytes that came a second time.
    pub repeated: u64,
    /// Bytes that are no piece of the loop; an Ogg stream's two header pages are left out.
    pub foreign: u64,
}

/// Follows one listener's stream.
#[derive(Debug)]
pub struct Tally {
    sound: Sound,
    places: BTreeMap<Bytes, usize>,
    pending: BytesMut,
    expected: Option<usize>,
    counts: Counts,
}

impl Tally {
    /// A tally that has heard nothing.
    #[must_use]
    pub fn new(sound: Sound) -> Self {
        let places = (0..sound.len()).map(|index| (sound.key(index), index)).collect();
        Self { sound, places, pending: BytesMut::new(), expected: None, counts: Counts::default() }
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The listener had to connect again: what comes next starts at a join point somewhere near the live edge, so
    /// only its place counts, not the cut in the bytes.
    pub fn reconnected(&mut self) {
        self.pending.clear();
        self.expected = None;
    }

    /// Takes the next bytes of the stream.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        while let Some(key) = self.cut() {
            self.place(&key);
        }
        if self.pending.len() > MAX_PENDING {
            self.counts.foreign += u64::try_from(self.pending.len()).unwrap_or_default();
            self.pending.clear();
        }
    }

    /// Cuts the next piece, and skips what is none.
    fn cut(&mut self) -> Option<Bytes> {
        loop {
            let (start, length) = match self.sound.form {
                Form::Mp3 => (self.find(&[0xff, 0xfb])?, Some(MP3_FRAME)),
                Form::Opus => {
                    let start = self.find(b"OggS")?;
                    (start, page_length(self.pending.get(start..).unwrap_or_default()))
                }
            };
            let skipped = self.pending.split_to(start);
            self.counts.foreign += u64::try_from(skipped.len()).unwrap_or_default();
            let length = length.filter(|length| *length <= self.pending.len())?;
            if self.sound.form == Form::Opus {
                return Some(body(&self.pending.split_to(length).freeze()));
            }
            // Two bytes may look like a frame's beginning anywhere: only a whole known frame is one.
            let known = self.pending.get(..length).is_some_and(|frame| self.places.contains_key(frame));
            if known {
                return Some(self.pending.split_to(length).freeze());
            }
            drop(self.pending.split_to(1));
            self.counts.foreign += 1;
        }
    }

    fn find(&self, start: &[u8]) -> Option<usize> {
        self.pending.windows(start.len()).position(|window| window == start)
    }

    fn place(&mut self, key: &Bytes) {
        if key.starts_with(b"OpusHead") || key.starts_with(b"OpusTags") {
            return;
        }
        let size = u64::try_from(key.len()).unwrap_or_default();
        let Some(&index) = self.places.get(key) else {
            self.counts.foreign += size;
            return;
        };
        let round = self.sound.len();
        let expected = self.expected.unwrap_or(index);
        let ahead = (index + round - expected) % round;
        // Nearer from behind than from ahead means that it came before: more than half a round is never lost at once
        // without the listener being dropped.
        if ahead > round / 2 {
            self.counts.repeated += size;
            return;
        }
        let missing = (0..ahead).map(|step| self.sound.key((expected + step) % round).len()).sum::<usize>();
        self.counts.lost += u64::try_from(missing).unwrap_or_default();
        self.counts.heard += size;
        self.expected = Some((index + 1) % round);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(sound: &Sound, indices: impl IntoIterator<Item = usize>) -> Vec<u8> {
        let mut bytes: Vec<u8> = sound.headers(7).concat();
        for (sent, index) in (0..).zip(indices) {
            bytes.extend_from_slice(&sound.piece(index, sent, 7));
        }
        bytes
    }

    fn counts(form: Form, indices: impl IntoIterator<Item = usize>) -> Counts {
        let sound = Sound::new(form);
        let mut tally = Tally::new(sound.clone());
        // In pieces that fit nothing.
        stream(&sound, indices).chunks(1_000).for_each(|chunk| tally.hear(chunk));
        tally.counts()
    }

    #[test]
    fn two_rounds_lose_and_repeat_nothing() {
        let two = counts(Form::Mp3, (100..500).chain(0..500));
        assert_eq!(two, Counts { heard: 900 * 192, ..Counts::default() });
        let two = counts(Form::Opus, (30..60).chain(0..60));
        assert_eq!((two.lost, two.repeated, two.foreign), (0, 0, 0));
        assert_eq!(two.heard, 90 * 800);
    }

    #[test]
    fn a_gap_is_lost_and_a_step_back_is_repeated() {
        let gap = counts(Form::Mp3, (490..500).chain(3..10));
        assert_eq!((gap.lost, gap.repeated), (3 * 192, 0));
        let back = counts(Form::Mp3, (10..20).chain(15..30));
        assert_eq!((back.lost, back.repeated, back.heard), (0, 5 * 192, 20 * 192));
        assert_eq!(counts(Form::Opus, [1, 2, 5]).lost, 2 * 800);
    }

    #[test]
    fn what_is_not_the_loop_is_counted_apart() {
        let sound = Sound::new(Form::Mp3);
        let mut tally = Tally::new(sound.clone());
        let mut bytes = stream(&sound, 0..2);
        bytes.splice(192..192, [0xff, 0xfb, 1, 2, 3]);
        tally.hear(&bytes);
        assert_eq!(tally.counts(), Counts { heard: 384, foreign: 5, ..Counts::default() });
    }

    proptest! {
        #[test]
        fn random_bytes_are_counted_and_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..5_000)) {
            for form in [Form::Mp3, Form::Opus] {
                let mut tally = Tally::new(Sound::new(form));
                tally.hear(&bytes);
                tally.hear(b"OggS");
                prop_assert!(tally.pending.len() <= MAX_PENDING);
                prop_assert_eq!(tally.counts().heard, 0);
            }
        }
    }
}
