//! The codecs that Ogg carries: what their identification header says and how their granule positions count.

use super::modes::Modes;

/// Opus counts granule positions at this rate, whatever the source's rate was (RFC 7845 §4).
const OPUS_HZ: u32 = 48_000;
/// `OpusHead`'s pre-skip and input sample rate (RFC 7845 §5.1): they say how the start is played and what once was,
/// not how packets are decoded.
const OPUS_HEAD_IGNORED: std::ops::Range<usize> = 10..16;
/// Where `STREAMINFO` starts in the first packet of FLAC in Ogg, after the mapping's head and the block's head.
const FLAC_AT_STREAMINFO: usize = 17;
const US_PER_S: i128 = 1_000_000;

/// What a logical stream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Vorbis {
        rate: u32,
        channels: u8,
        modes: Modes,
    },
    Opus {
        channels: u8,
    },
    /// `packets` header packets after the first; `None` where the stream does not say.
    Flac {
        rate: u32,
        channels: u8,
        packets: Option<u16>,
    },
    Theora {
        width: u32,
        height: u32,
        fps: (u32, u32),
        shift: u32,
    },
    Speex {
        rate: u32,
        channels: u32,
        samples: u32,
        extra_packets: u32,
    },
    /// No audio: an index of the other streams, over when the headers are.
    Skeleton,
    Unknown,
}

fn le32(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn be(data: &[u8], at: usize, len: usize) -> Option<u32> {
    Some(data.get(at..at + len)?.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

impl Codec {
    /// From the packet on a stream's BOS page.
    pub(crate) fn of(packet: &[u8]) -> Self {
        Self::parse(packet).unwrap_or(Self::Unknown)
    }

    fn parse(packet: &[u8]) -> Option<Self> {
        if packet.starts_with(b"\x01vorbis") {
            let rate = le32(packet, 12).filter(|rate| *rate > 0)?;
            let blocks = *packet.get(28)?;
            return Some(Self::Vorbis { rate, channels: *packet.get(11)?, modes: Modes::new(blocks) });
        }
        if packet.starts_with(b"OpusHead") {
            return Some(Self::Opus { channels: *packet.get(9)? });
        }
        if packet.starts_with(b"\x7fFLAC") {
            let format = be(packet, FLAC_AT_STREAMINFO + 10, 4)?;
            let rate = Some(format >> 12).filter(|rate| *rate > 0)?;
            let packets = be(packet, 7, 2).and_then(|count| u16::try_from(count).ok()).filter(|count| *count > 0);
            return Some(Self::Flac { rate, channels: (format >> 9 & 7) as u8 + 1, packets });
        }
        if packet.starts_with(b"\x80theora") {
            let fps = (be(packet, 22, 4)?, be(packet, 26, 4)?);
            let shift = be(packet, 40, 2)? >> 5 & 31;
            let size = (be(packet, 14, 3)?, be(packet, 17, 3)?);
            return (fps.0 > 0 && fps.1 > 0).then_some(Self::Theora { width: size.0, height: size.1, fps, shift });
        }
        if packet.starts_with(b"Speex   ") {
            let rate = le32(packet, 36).filter(|rate| *rate > 0)?;
            let samples = le32(packet, 56)?.saturating_mul(le32(packet, 64)?.max(1));
            return Some(Self::Speex { rate, channels: le32(packet, 48)?, samples, extra_packets: le32(packet, 68)? });
        }
        packet.starts_with(b"fishead\0").then_some(Self::Skeleton)
    }

    /// Header packets after the first; `None` where only the packets tell.
    pub(crate) fn more_headers(&self) -> Option<u32> {
        match self {
            Self::Vorbis { .. } | Self::Theora { .. } => Some(2),
            Self::Opus { .. } => Some(1),
            Self::Flac { packets, .. } => packets.map(u32::from),
            Self::Speex { extra_packets, .. } => Some(extra_packets.saturating_add(1)),
            Self::Skeleton => None,
            Self::Unknown => Some(0),
        }
    }

    /// Whether a packet that stands where the stream's `index`th header packet must be is one.
    pub(crate) fn is_header(&self, index: usize, packet: &[u8]) -> bool {
        match (self, index) {
            (Self::Vorbis { .. }, 1) => packet.starts_with(b"\x03vorbis"),
            (Self::Vorbis { .. }, _) => packet.starts_with(b"\x05vorbis"),
            (Self::Theora { .. }, 1) => packet.starts_with(b"\x81theora"),
            (Self::Theora { .. }, _) => packet.starts_with(b"\x82theora"),
            (Self::Opus { .. }, _) => packet.starts_with(b"OpusTags"),
            // An audio frame starts with a sync code, whose first byte no metadata block has.
            (Self::Flac { .. }, _) => packet.first().is_some_and(|first| *first != 0xff),
            (Self::Speex { .. } | Self::Skeleton | Self::Unknown, _) => true,
        }
    }

    /// What has to be equal for a decoder to go on, from the stream's header packets; `None` where that is unknown.
    pub(crate) fn setup(&self, headers: &[Vec<u8>]) -> Option<Vec<u8>> {
        let first = headers.first()?;
        match self {
            Self::Vorbis { .. } | Self::Theora { .. } => Some([first.as_slice(), headers.get(2)?.as_slice()].concat()),
            Self::Opus { .. } => {
                let mut head = first.clone();
                head.get_mut(OPUS_HEAD_IGNORED)?.fill(0);
                Some(head)
            }
            Self::Flac { .. } => {
                let mut info = first.get(FLAC_AT_STREAMINFO..FLAC_AT_STREAMINFO + 14)?.to_vec();
                // Frame sizes go; of the last byte the upper half stays, the rest begins the count of samples.
                info.get_mut(4..10)?.fill(0);
                *info.get_mut(13)? &= 0xf0;
                Some(info)
            }
            Self::Speex { .. } => Some(first.clone()),
            Self::Skeleton | Self::Unknown => None,
        }
    }

    /// Samples or pictures up to a granule position.
    pub(crate) fn units(&self, granule: i64) -> i64 {
        match self {
            Self::Theora { shift, .. } => (granule >> shift).saturating_add(granule & ((1 << shift) - 1)),
            _ => granule,
        }
    }

    /// A granule position so many samples or pictures later.
    pub(crate) fn shifted(&self, granule: i64, units: i64) -> i64 {
        let out = match self {
            Self::Theora { shift, .. } => {
                let key = (granule >> shift).saturating_add(units).clamp(0, i64::MAX >> shift);
                key << shift | granule & ((1 << shift) - 1)
            }
            _ => granule.saturating_add(units),
        };
        out.max(0)
    }

    /// Units a second, as a fraction; `None` where the stream has no time.
    fn rate(&self) -> Option<(i128, i128)> {
        match self {
            Self::Vorbis { rate, .. } | Self::Flac { rate, .. } | Self::Speex { rate, .. } => {
                Some((i128::from(*rate), 1))
            }
            Self::Opus { .. } => Some((i128::from(OPUS_HZ), 1)),
            Self::Theora { fps, .. } => Some((i128::from(fps.0), i128::from(fps.1))),
            Self::Skeleton | Self::Unknown => None,
        }
    }

    /// The time of so many units in microseconds.
    pub(crate) fn us_of(&self, units: i64) -> Option<i64> {
        let (num, den) = self.rate()?;
        i64::try_from(i128::from(units) * US_PER_S * den / num).ok()
    }

    /// The units in so many microseconds.
    pub(crate) fn units_in(&self, us: i64) -> Option<i64> {
        let (num, den) = self.rate()?;
        i64::try_from(i128::from(us) * num / (US_PER_S * den)).ok()
    }

    /// Units that packets last, by their first bytes; after `before`, the last packet before them, where Vorbis needs
    /// it: each packet there gives a quarter of its own block and of the one before (Vorbis I §4.3.8).
    pub(crate) fn units_of(&self, heads: &[&[u8]], before: Option<u32>) -> i64 {
        match self {
            Self::Vorbis { modes, .. } => modes.samples(heads, before),
            Self::Opus { .. } => heads.iter().map(|head| opus_samples(head)).sum(),
            Self::Flac { .. } => heads.iter().map(|head| flac_samples(head)).sum(),
            Self::Theora { .. } => i64::try_from(heads.len()).unwrap_or(0),
            Self::Speex { samples, .. } => i64::try_from(heads.len()).unwrap_or(0).saturating_mul((*samples).into()),
            Self::Skeleton | Self::Unknown => 0,
        }
    }

    /// The block size of a Vorbis packet; `None` for other codecs.
    pub(crate) fn block(&self, head: &[u8]) -> Option<u32> {
        match self {
            Self::Vorbis { modes, .. } => Some(modes.block(head)),
            _ => None,
        }
    }

    /// For people: `vorbis 44100 Hz stereo`.
    pub(crate) fn describe(&self) -> String {
        let sound = |name: &str, rate: u32, channels: u32| match channels {
            1 => format!("{name} {rate} Hz mono"),
            2 => format!("{name} {rate} Hz stereo"),
            n => format!("{name} {rate} Hz {n} channels"),
        };
        match self {
            Self::Vorbis { rate, channels, .. } => sound("vorbis", *rate, (*channels).into()),
            Self::Opus { channels } => sound("opus", OPUS_HZ, (*channels).into()),
            Self::Flac { rate, channels, .. } => sound("flac", *rate, (*channels).into()),
            Self::Speex { rate, channels, .. } => sound("speex", *rate, *channels),
            Self::Theora { width, height, .. } => format!("theora {width}x{height}"),
            Self::Skeleton => String::new(),
            Self::Unknown => "unknown".into(),
        }
    }
}

/// Samples at 48 kHz of an Opus packet, by its TOC byte (RFC 6716 §3.1).
fn opus_samples(head: &[u8]) -> i64 {
    let Some(toc) = head.first() else { return 0 };
    let (config, frames) = (
        toc >> 3,
        match toc & 3 {
            0 => 1,
            1 | 2 => 2,
            _ => head.get(1).map_or(1, |count| i64::from(count & 63)),
        },
    );
    let samples = match config {
        0..=11 => *[480, 960, 1920, 2880].get(usize::from(config & 3)).unwrap_or(&960),
        12..=15 => 480 << (config & 1),
        _ => 120 << (config & 3),
    };
    frames * samples
}

/// Samples of a FLAC frame, by its head.
fn flac_samples(head: &[u8]) -> i64 {
    let Some(code) = head.get(2).map(|byte| byte >> 4) else { return 0 };
    // The number of the frame or sample is coded as UTF-8: its first byte says how long it is.
    let number = head.get(4).map_or(1, |first| first.leading_ones().max(1) as usize);
    match code {
        1 => 192,
        2..=5 => 576 << (code - 2),
        6 => be(head, 4 + number, 1).map_or(0, |size| i64::from(size) + 1),
        7 => be(head, 4 + number, 2).map_or(0, |size| i64::from(size) + 1),
        8..=15 => 256 << (code - 8),
        _ => 0,
    }
}
