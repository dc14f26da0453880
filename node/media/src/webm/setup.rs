//! What a stream's header says: the tracks, and the unit of its time codes.

use super::ebml::{self, id};

/// Nanoseconds of a time code's unit where the header does not say (RFC 9559 §5.1.2.9).
const TIMECODE_SCALE: u64 = 1_000_000;
/// Tracks beyond these are not taken: no live stream has nearly so many, and what is kept for each is bounded so.
const TRACKS_MAX: usize = 32;
/// A video track's type (RFC 9559 §5.1.4.1.3).
const TYPE_VIDEO: u64 = 1;
/// An audio track's type.
const TYPE_AUDIO: u64 = 2;

/// What has to be equal for one stream to go on in another's place. Identifiers, names and what programs call
/// themselves are no part of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setup {
    /// Nanoseconds of a time code's unit.
    pub(crate) scale_ns: u64,
    /// In order of their number.
    tracks: Vec<Track>,
}

/// A TrackEntry (RFC 9559 §5.1.4.1).
#[derive(Clone, Debug, Default, PartialEq)]
struct Track {
    number: u64,
    kind: u64,
    codec: String,
    private: Private,
    delay_ns: u64,
    encodings: Vec<u8>,
    audio: Option<Audio>,
    video: Option<Video>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Audio {
    rate_hz: f64,
    output_rate_hz: Option<f64>,
    channels: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Video {
    width: u64,
    height: u64,
    /// All of the Video element.
    settings: Vec<u8>,
}

/// CodecPrivate, without what may differ.
#[derive(Clone, Debug, Default, PartialEq)]
enum Private {
    #[default]
    None,
    Whole(Vec<u8>),
    /// Vorbis' identification and setup headers: the comment header between them changes with every title.
    Vorbis {
        identification: Vec<u8>,
        setup: Vec<u8>,
    },
}

impl Setup {
    /// From the payload of an Info element, if there is one, and that of Tracks; `None` where no track is usable.
    pub(crate) fn new(info: Option<&[u8]>, tracks: &[u8]) -> Option<Self> {
        let scale = info.and_then(|info| ebml::children(info).find(|child| child.id == id::TIMECODE_SCALE));
        let scale_ns = scale.and_then(|scale| ebml::uint(scale.payload)).filter(|&scale| scale > 0);
        let entries = ebml::children(tracks).filter(|child| child.id == id::TRACK_ENTRY).take(TRACKS_MAX);
        let mut tracks: Vec<_> =
            entries.map(|entry| Track::new(entry.payload)).filter(|track| track.number > 0).collect();
        tracks.sort_by_key(|track| track.number);
        (!tracks.is_empty()).then_some(Self { scale_ns: scale_ns.unwrap_or(TIMECODE_SCALE), tracks })
    }

    /// From the bytes of a header cut.
    pub(crate) fn of_header(header: &[u8]) -> Option<Self> {
        let segment = ebml::children(header).find(|child| child.id == id::SEGMENT)?;
        let payload = |id| ebml::children(segment.payload).find(|child| child.id == id).map(|child| child.payload);
        Self::new(payload(id::INFO), payload(id::TRACKS)?)
    }

    /// Whether there is such a track.
    pub(crate) fn has_track(&self, number: u64) -> bool {
        self.tracks.iter().any(|track| track.number == number)
    }

    /// The number of the track whose key frames a listener has to wait for.
    pub(crate) fn video_track(&self) -> Option<u64> {
        self.tracks.iter().find(|track| track.kind == TYPE_VIDEO).map(|track| track.number)
    }

    /// So many microseconds in units of the time codes, to the nearest.
    pub(crate) fn ticks(&self, us: u64) -> i64 {
        let ticks = (u128::from(us) * 1000 + u128::from(self.scale_ns) / 2) / u128::from(self.scale_ns);
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }

    /// So many units of the time codes in microseconds, 0 for less than none.
    pub(crate) fn us(&self, ticks: i64) -> u64 {
        let us = u128::from(u64::try_from(ticks).unwrap_or(0)) * u128::from(self.scale_ns) / 1000;
        u64::try_from(us).unwrap_or(u64::MAX)
    }

    /// A time code of another stream in this one's units, not before it.
    pub(crate) fn ticks_of(&self, ticks: i64, other: &Self) -> i64 {
        let ns = i128::from(ticks) * i128::from(other.scale_ns);
        let scale = i128::from(self.scale_ns);
        i64::try_from((ns + scale - 1).div_euclid(scale)).unwrap_or(i64::MAX)
    }

    /// For people: `webm vp8 640x480 + vorbis 48000 Hz stereo`.
    pub(crate) fn describe(&self) -> String {
        let tracks: Vec<_> = self.tracks.iter().map(Track::describe).collect();
        format!("webm {}", tracks.join(" + "))
    }
}

impl Track {
    fn new(entry: &[u8]) -> Self {
        let mut track = Self::default();
        let mut private: &[u8] = &[];
        for child in ebml::children(entry) {
            let number = || ebml::uint(child.payload).unwrap_or(0);
            match child.id {
                id::TRACK_NUMBER => track.number = number(),
                id::TRACK_TYPE => track.kind = number(),
                id::CODEC_DELAY => track.delay_ns = number(),
                id::CODEC_ID => track.codec = String::from_utf8_lossy(child.payload).trim_end_matches('\0').to_owned(),
                id::CODEC_PRIVATE => private = child.payload,
                id::CONTENT_ENCODINGS => track.encodings = child.payload.to_vec(),
                id::AUDIO => track.audio = Some(Audio::new(child.payload)),
                id::VIDEO => track.video = Some(Video::new(child.payload)),
                _ => {}
            }
        }
        track.private = Private::new(&track.codec, private);
        track
    }

    fn describe(&self) -> String {
        // Codec identifiers are `V_VP8`, `A_OPUS`, `A_AAC/MPEG4/LC` (RFC 9559 §5.1.4.1.21); what comes from outside
        // must not reach a terminal as it is.
        let name = self.codec.split_once('_').map_or(self.codec.as_str(), |(_, name)| name);
        let codec: String = name.chars().filter(char::is_ascii_graphic).take(32).collect();
        let codec = codec.to_ascii_lowercase();
        match (&self.video, &self.audio) {
            (Some(video), _) if self.kind == TYPE_VIDEO => format!("{codec} {}x{}", video.width, video.height),
            (_, Some(audio)) if self.kind == TYPE_AUDIO => {
                let channels = match audio.channels {
                    1 => "mono".to_owned(),
                    2 => "stereo".to_owned(),
                    more => format!("{more} channels"),
                };
                format!("{codec} {} Hz {channels}", audio.rate_hz as u64)
            }
            _ => codec,
        }
    }
}

impl Audio {
    fn new(payload: &[u8]) -> Self {
        // The defaults of RFC 9559 §5.1.4.1.29.
        let mut audio = Self { rate_hz: 8000.0, output_rate_hz: None, channels: 1 };
        for child in ebml::children(payload) {
            match child.id {
                id::SAMPLING_FREQUENCY => audio.rate_hz = ebml::float(child.payload).unwrap_or(0.0),
                id::OUTPUT_SAMPLING_FREQUENCY => audio.output_rate_hz = ebml::float(child.payload),
                id::CHANNELS => audio.channels = ebml::uint(child.payload).unwrap_or(0),
                _ => {}
            }
        }
        audio
    }
}

impl Video {
    fn new(payload: &[u8]) -> Self {
        let number = |id| ebml::children(payload).find(|child| child.id == id);
        let number = |id| number(id).and_then(|child| ebml::uint(child.payload)).unwrap_or(0);
        Self { width: number(id::PIXEL_WIDTH), height: number(id::PIXEL_HEIGHT), settings: payload.to_vec() }
    }
}

impl Private {
    fn new(codec: &str, bytes: &[u8]) -> Self {
        match vorbis_headers(bytes).filter(|_| codec == "A_VORBIS") {
            Some((identification, setup)) => {
                Self::Vorbis { identification: identification.to_vec(), setup: setup.to_vec() }
            }
            None if bytes.is_empty() => Self::None,
            None => Self::Whole(bytes.to_vec()),
        }
    }
}

/// The first and the last of the three headers in a Vorbis track's CodecPrivate: their number less one, the sizes of
/// all but the last in Xiph lacing, then the headers.
fn vorbis_headers(private: &[u8]) -> Option<(&[u8], &[u8])> {
    let (2, mut rest) = private.split_first().map(|(&count, rest)| (count, rest))? else { return None };
    let mut sizes = [0usize; 2];
    for size in &mut sizes {
        loop {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            *size += usize::from(byte);
            if byte < u8::MAX {
                break;
            }
        }
    }
    let (identification, rest) = rest.split_at_checked(sizes[0])?;
    Some((identification, rest.get(sizes[1]..)?))
}
