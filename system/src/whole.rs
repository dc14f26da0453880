//! Where a recording's last whole frame ends: its listener was ended in the middle of one, and decoders would complain.
//!
//! Frames are walked here from their own headers, apart from the parsers that are tested.

use crate::encoder::Encoding;

/// The length of the whole frames at the start of `bytes`.
///
/// # Panics
/// When something between them is no frame.
#[must_use]
pub fn whole_frames_len(encoding: Encoding, bytes: &[u8]) -> usize {
    let length: fn(&[u8]) -> Option<usize> = match encoding {
        Encoding::Mp3 => mp3,
        Encoding::Aac => adts,
        Encoding::Vorbis | Encoding::Opus => ogg,
        Encoding::WebM => {
            const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];
            return bytes.windows(4).rposition(|w| w == CLUSTER).unwrap_or_default();
        }
    };
    let mut at = 0;
    // No header is longer than Ogg's, 27 bytes and a segment table of 255.
    while bytes.len() - at > 27 + 255 {
        let rest = &bytes[at..];
        let length = length(rest)
            .unwrap_or_else(|| panic!("{encoding:?}: no frame at byte {at} of {}: {:02x?}", bytes.len(), &rest[..16]));
        if length > rest.len() {
            break;
        }
        at += length;
    }
    at
}

fn mp3(bytes: &[u8]) -> Option<usize> {
    const KBIT: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const HZ: [usize; 3] = [44_100, 48_000, 32_000];
    // MPEG 1, layer III: what our encoders make.
    (bytes[0] == 0xff && bytes[1] & 0xfe == 0xfa).then_some(())?;
    let kbit = *KBIT.get(usize::from(bytes[2] >> 4))?;
    let hz = *HZ.get(usize::from(bytes[2] >> 2 & 3))?;
    (kbit > 0).then(|| 144_000 * kbit / hz + usize::from(bytes[2] >> 1 & 1))
}

fn adts(bytes: &[u8]) -> Option<usize> {
    (bytes[0] == 0xff && bytes[1] & 0xf6 == 0xf0).then_some(())?;
    let length = usize::from(bytes[3] & 3) << 11 | usize::from(bytes[4]) << 3 | usize::from(bytes[5] >> 5);
    (length > 7).then_some(length)
}

fn ogg(bytes: &[u8]) -> Option<usize> {
    bytes.starts_with(b"OggS").then_some(())?;
    let segments = usize::from(bytes[26]);
    Some(27 + segments + bytes[27..27 + segments].iter().map(|l| usize::from(*l)).sum::<usize>())
}
