//! The loop that the binary carries, cut into the pieces that an encoder sends.

use std::time::Duration;

use bytes::Bytes;

/// Twelve spoken seconds: 500 MP3 frames of 24 ms. Made by `scripts/demo-audio`.
const MP3: &[u8] = include_bytes!("assets/loop.mp3");
/// The same as Opus in Ogg: two header pages, and pages of 200 ms.
const OPUS: &[u8] = include_bytes!("assets/loop.opus");

/// Bytes of each MP3 frame: 64 kbit/s at 48 kHz divides evenly.
pub(super) const MP3_FRAME: usize = 192;
/// Bytes of a page's head before its lacing values.
const PAGE_HEAD: usize = 27;

/// In what form the loop is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// MPEG audio layer III.
    Mp3,
    /// Opus in Ogg.
    Opus,
}

impl Form {
    /// The MIME type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Mp3 => "audio/mpeg",
            Self::Opus => "application/ogg",
        }
    }
}

/// The loop in one form.
#[derive(Clone, Debug)]
pub struct Sound {
    /// The form.
    pub form: Form,
    /// What a stream starts with.
    headers: Vec<Bytes>,
    /// Whole frames, or whole pages.
    pieces: Vec<Bytes>,
    /// How long each piece plays.
    piece_time: Duration,
}

impl Sound {
    /// The loop in a form.
    #[must_use]
    pub fn new(form: Form) -> Self {
        let (headers, pieces, piece_time) = match form {
            Form::Mp3 => {
                let frame = |at: usize| Bytes::from_static(MP3.get(at..at + MP3_FRAME).unwrap_or_default());
                (Vec::new(), (0..MP3.len()).step_by(MP3_FRAME).map(frame).collect(), Duration::from_millis(24))
            }
            Form::Opus => {
                let mut pages = Vec::new();
                let mut rest = Bytes::from_static(OPUS);
                while let Some(length) = page_length(&rest) {
                    pages.push(rest.split_to(length));
                }
                let audio = pages.split_off(pages.len().min(2));
                (pages, audio, Duration::from_millis(200))
            }
        };
        Self { form, headers, pieces, piece_time }
    }

    /// How many pieces a round has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there is nothing in it: never, but clippy asks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How long each piece plays.
    #[must_use]
    pub fn piece_time(&self) -> Duration {
        self.piece_time
    }

    /// What of a piece is the same whoever carried it: a frame, or a page's body.
    #[must_use]
    pub fn key(&self, index: usize) -> Bytes {
        let piece = self.pieces.get(index).cloned().unwrap_or_default();
        match self.form {
            Form::Mp3 => piece,
            Form::Opus => piece.slice(page_body(&piece)..),
        }
    }

    /// What a stream starts with, under a serial number.
    #[must_use]
    pub fn headers(&self, serial: u32) -> Vec<Bytes> {
        let place = |(sequence, page): (u32, &Bytes)| numbered(page, serial, sequence, 0);
        (0..).zip(&self.headers).map(place).collect()
    }

    /// The piece at `index` of the loop as the `sent`th of its stream.
    #[must_use]
    pub fn piece(&self, index: usize, sent: u64, serial: u32) -> Bytes {
        let piece = self.pieces.get(index % self.len().max(1)).cloned().unwrap_or_default();
        match self.form {
            Form::Mp3 => piece,
            Form::Opus => {
                // Ogg's sequence wraps; the granule position is at the page's end, in samples of 48 kHz.
                let headers = u64::try_from(self.headers.len()).unwrap_or_default();
                let sequence = u32::try_from((sent + headers) & u64::from(u32::MAX)).unwrap_or_default();
                let samples = u64::try_from(self.piece_time.as_millis()).unwrap_or_default() * 48;
                numbered(&piece, serial, sequence, (sent + 1) * samples)
            }
        }
    }
}

/// Where a page's body begins.
fn page_body(page: &[u8]) -> usize {
    PAGE_HEAD + usize::from(page.get(26).copied().unwrap_or_default())
}

/// The length of the page at the beginning of `bytes`, where there is a whole one.
pub(super) fn page_length(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(b"OggS") {
        return None;
    }
    let lacing = bytes.get(PAGE_HEAD..PAGE_HEAD + usize::from(*bytes.get(26)?))?;
    let length = PAGE_HEAD + lacing.len() + lacing.iter().map(|size| usize::from(*size)).sum::<usize>();
    (bytes.len() >= length).then_some(length)
}

/// The body of a whole page.
pub(super) fn body(page: &Bytes) -> Bytes {
    page.slice(page_body(page).min(page.len())..)
}

/// The page with other numbers, and without the flag of a stream's end.
fn numbered(page: &[u8], serial: u32, sequence: u32, granule: u64) -> Bytes {
    let mut page = page.to_vec();
    let mut set = |at: usize, bytes: &[u8]| {
        if let Some(field) = page.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    };
    set(6, &granule.to_le_bytes());
    set(14, &serial.to_le_bytes());
    set(18, &sequence.to_le_bytes());
    set(22, &[0; 4]);
    if let Some(flags) = page.get_mut(5) {
        *flags &= !4;
    }
    let crc = crc(&page);
    if let Some(field) = page.get_mut(22..26) {
        field.copy_from_slice(&crc.to_le_bytes());
    }
    page.into()
}

/// Ogg's checksum: CRC-32 with polynomial 0x04c11db7, not reflected, from 0 (RFC 3533 §6).
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 24), |crc: u32, _| {
            if crc & 0x8000_0000 == 0 { crc << 1 } else { (crc << 1) ^ 0x04c1_1db7 }
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_piece_is_told_from_each_other_and_a_round_is_twelve_seconds() {
        for (form, count) in [(Form::Mp3, 500), (Form::Opus, 60)] {
            let sound = Sound::new(form);
            assert_eq!(sound.len(), count);
            assert_eq!(sound.piece_time() * u32::try_from(count).unwrap(), Duration::from_secs(12));
            let keys: BTreeSet<Bytes> = (0..count).map(|index| sound.key(index)).collect();
            assert_eq!(keys.len(), count);
        }
        assert!(MP3.len() + OPUS.len() <= 150_000, "the binary carries it");
    }

    #[test]
    fn frames_need_no_other_frame() {
        let sound = Sound::new(Form::Mp3);
        for index in 0..sound.len() {
            let frame = sound.key(index);
            assert_eq!(&frame[..2], &[0xff, 0xfb]);
            let main_data_begin = (u16::from(frame[4]) << 1) | u16::from(frame[5] >> 7);
            assert_eq!(main_data_begin, 0, "the bit reservoir is off");
        }
    }

    #[test]
    fn numbering_a_page_as_it_was_gives_it_as_it_was() {
        let sound = Sound::new(Form::Opus);
        let page = &sound.pieces[0];
        let serial = u32::from_le_bytes(page[14..18].try_into().unwrap());
        assert_eq!(sound.piece(0, 0, serial), page, "the checksum is the one that ffmpeg wrote");
        assert_ne!(sound.piece(0, 60, serial), page);
        assert_eq!(body(&sound.piece(7, 67, 9)), sound.key(7));
    }
}
