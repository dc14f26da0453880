//! AAC in ADTS.

use bytes::Bytes;

use crate::{
    Cut,
    sync::{Codec, Found, FrameScanner, Header, channels_name},
};

#[cfg(test)]
mod tests;

/// A header without its checksum.
const HEADER_BYTES: usize = 7;
const CHECKSUM_BYTES: usize = 2;
const BLOCK_SAMPLES: u32 = 1024;
/// By the header's index; 13 and 14 are reserved, 15 is forbidden.
const RATES_HZ: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// Channels by the header's configuration; for 0 the stream itself says, deeper than is looked here.
const CHANNELS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 8];

/// ADTS's headers.
#[derive(Debug, Default)]
pub(crate) struct Adts;

impl Codec for Adts {
    fn header(bytes: &[u8]) -> Found {
        if let Some(header) = bytes.first_chunk::<HEADER_BYTES>() {
            return parse(*header).map_or(Found::Nothing, Found::Header);
        }
        match bytes {
            [] | [0xff] => Found::NeedMore,
            [0xff, second, ..] if second & 0xf6 == 0xf0 => Found::NeedMore,
            _ => Found::Nothing,
        }
    }
}

fn parse([sync, flags, codec, upper, middle, lower, blocks]: [u8; HEADER_BYTES]) -> Option<Header> {
    // The sync word's end, and a layer of 0.
    if sync != 0xff || flags & 0xf6 != 0xf0 {
        return None;
    }
    let rate_hz = *RATES_HZ.get(usize::from(codec >> 2 & 15))?;
    let channels = *CHANNELS.get(usize::from((codec & 1) << 2 | upper >> 6))?;
    let len = usize::from(upper & 3) << 11 | usize::from(middle) << 3 | usize::from(lower >> 5);
    let header_bytes = HEADER_BYTES + if flags & 1 == 0 { CHECKSUM_BYTES } else { 0 };
    let samples = BLOCK_SAMPLES * (u32::from(blocks & 3) + 1);
    // Version, profile, rate, channels; not the private bit.
    let key = u32::from_be_bytes([0, flags & 0x08, codec & 0xfd, upper & 0xc0]);
    (len > header_bytes).then_some(Header { key, len, samples, rate_hz, channels, kbit_per_s: 0 })
}

/// Cuts ADTS into its frames.
#[derive(Debug, Default)]
pub(crate) struct AdtsParser(FrameScanner<Adts>);

impl AdtsParser {
    pub(crate) fn push(&mut self, bytes: &Bytes) -> Vec<Cut> {
        self.0.push(bytes)
    }

    pub(crate) fn finish(&mut self) -> Vec<Cut> {
        self.0.finish()
    }

    /// `aac 44100 Hz stereo`: as the core codec sees it, since HE-AAC's doubling is not in the header.
    pub(crate) fn describe(&self) -> String {
        let Some(header) = self.0.last() else { return String::new() };
        format!("aac {} Hz{}", header.rate_hz, channels_name(header.channels))
    }

    pub(crate) fn skipped_bytes(&self) -> u64 {
        self.0.skipped_bytes()
    }
}
