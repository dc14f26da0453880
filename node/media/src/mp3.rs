//! MPEG audio: layers I to III of MPEG 1, 2 and 2.5.

use bytes::Bytes;

use crate::{
    Cut,
    sync::{Codec, Found, FrameScanner, Header, channels_name},
};

#[cfg(test)]
mod tests;

const HEADER_BYTES: usize = 4;

/// kbit/s by the header's index, which counts from 1. Index 0 is "free format": the length is not in the header, no
/// encoder of streams makes it and few players play it, so it is passed over as no frame. Index 15 is forbidden.
type BitRates = [u16; 14];
const MPEG1_LAYER1: BitRates = [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448];
const MPEG1_LAYER2: BitRates = [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
const MPEG1_LAYER3: BitRates = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const MPEG2_LAYER1: BitRates = [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
const MPEG2_LAYER2_3: BitRates = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/// Samples a second of MPEG 1; MPEG 2 has half as many, MPEG 2.5 a quarter.
const MPEG1_RATES_HZ: [u32; 3] = [44_100, 48_000, 32_000];

/// The bits of a header that stay the same in a stream: version, layer (byte 1), sample rate (byte 2).
const KEY_MASK: u32 = 0x001e_0c00;

/// MPEG audio's headers.
#[derive(Debug, Default)]
pub(crate) struct MpegAudio;

impl Codec for MpegAudio {
    fn header(bytes: &[u8]) -> Found {
        if let Some(header) = bytes.first_chunk::<HEADER_BYTES>() {
            return parse(u32::from_be_bytes(*header)).map_or(Found::Nothing, Found::Header);
        }
        match bytes {
            [] | [0xff] => Found::NeedMore,
            [0xff, second, ..] if second & 0xe0 == 0xe0 => Found::NeedMore,
            _ => Found::Nothing,
        }
    }

    /// The first frame of a file by LAME and others, with silence and a Xing, Info or VBRI header in it: how long the
    /// file is, and its seek table.
    fn is_about_file(header: &Header, frame: &[u8]) -> bool {
        if layer(header.key) != 3 {
            return false;
        }
        let side_info_bytes = match (version(header.key), header.channels) {
            (Version::Mpeg1, 1) => 17,
            (Version::Mpeg1, _) => 32,
            (_, 1) => 9,
            _ => 17,
        };
        // With a checksum after the header, encoders do and do not count it in.
        let places = [(side_info_bytes, 0), (side_info_bytes, 2), (32, 0)];
        places.into_iter().any(|(zeros, checksum_bytes)| {
            let start = HEADER_BYTES + checksum_bytes;
            let silent = frame.get(start..start + zeros).is_some_and(|info| info.iter().all(|byte| *byte == 0));
            let name = frame.get(start + zeros..start + zeros + 4);
            silent && matches!(name, Some(b"Xing" | b"Info" | b"VBRI"))
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Mpeg1,
    Mpeg2,
    Mpeg25,
}

/// The version in a header (or its key); a reserved one counts as 2.5, which [`parse`] has refused before.
fn version(header: u32) -> Version {
    match header >> 19 & 3 {
        3 => Version::Mpeg1,
        2 => Version::Mpeg2,
        _ => Version::Mpeg25,
    }
}

/// The layer in a header (or its key); 4 for a reserved one.
fn layer(header: u32) -> u32 {
    4 - (header >> 17 & 3)
}

fn parse(header: u32) -> Option<Header> {
    if header >> 21 != 0x7ff || header >> 19 & 3 == 1 {
        return None;
    }
    let (version, layer) = (version(header), layer(header));
    let rates = match (version, layer) {
        (Version::Mpeg1, 1) => MPEG1_LAYER1,
        (Version::Mpeg1, 2) => MPEG1_LAYER2,
        (Version::Mpeg1, 3) => MPEG1_LAYER3,
        (_, 1) => MPEG2_LAYER1,
        (_, 2 | 3) => MPEG2_LAYER2_3,
        _ => return None,
    };
    let kbit_per_s = u32::from(*rates.get((header >> 12 & 15).checked_sub(1)? as usize)?);
    let mpeg1_rate_hz = *MPEG1_RATES_HZ.get((header >> 10 & 3) as usize)?;
    let rate_hz = match version {
        Version::Mpeg1 => mpeg1_rate_hz,
        Version::Mpeg2 => mpeg1_rate_hz / 2,
        Version::Mpeg25 => mpeg1_rate_hz / 4,
    };
    let samples = match (version, layer) {
        (_, 1) => 384,
        (Version::Mpeg1, _) | (_, 2) => 1152,
        _ => 576,
    };
    // Padding is one slot, which is 4 bytes in layer I and 1 in the others.
    let slot_bytes = if layer == 1 { 4 } else { 1 };
    let slots = samples / 8 * kbit_per_s * 1000 / rate_hz / slot_bytes + (header >> 9 & 1);
    let channels = if header >> 6 & 3 == 3 { 1 } else { 2 };
    Some(Header { key: header & KEY_MASK, len: (slots * slot_bytes) as usize, samples, rate_hz, channels, kbit_per_s })
}

/// Cuts MPEG audio into its frames.
#[derive(Debug, Default)]
pub(crate) struct Mp3Parser(FrameScanner<MpegAudio>);

impl Mp3Parser {
    pub(crate) fn push(&mut self, bytes: &Bytes) -> Vec<Cut> {
        self.0.push(bytes)
    }

    pub(crate) fn finish(&mut self) -> Vec<Cut> {
        self.0.finish()
    }

    /// `mp3 44100 Hz stereo 128 kbit/s`, without the bit rate where it varies.
    pub(crate) fn describe(&self) -> String {
        let Some(header) = self.0.last() else { return String::new() };
        let channels = channels_name(header.channels);
        let bit_rate = self.0.constant_kbit_per_s().map(|rate| format!(" {rate} kbit/s")).unwrap_or_default();
        format!("mp{} {} Hz{channels}{bit_rate}", layer(header.key), header.rate_hz)
    }

    pub(crate) fn skipped_bytes(&self) -> u64 {
        self.0.skipped_bytes()
    }
}
