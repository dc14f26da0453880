//! Encoders on the testbed's client host.

use std::path::{Path, PathBuf};

use crate::{
    ask::Credentials,
    testbed::{Host, Job, Testbed, program},
};

/// A codec that real encoders send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// MP3.
    Mp3,
    /// AAC in ADTS.
    Aac,
    /// Ogg Vorbis.
    Vorbis,
    /// Ogg Opus.
    Opus,
    /// WebM with Opus.
    WebM,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Mp3, Self::Aac, Self::Vorbis, Self::Opus, Self::WebM];

    /// The MIME type.
    #[must_use]
    pub fn mime(self) -> &'static str {
        match self {
            Self::Mp3 => "audio/mpeg",
            Self::Aac => "audio/aac",
            Self::Vorbis | Self::Opus => "application/ogg",
            Self::WebM => "audio/webm",
        }
    }

    /// A file name's ending.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Aac => "aac",
            Self::Vorbis => "ogg",
            Self::Opus => "opus",
            Self::WebM => "webm",
        }
    }

    fn ffmpeg(self) -> &'static [&'static str] {
        match self {
            Self::Mp3 => {
                &["-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"]
            }
            Self::Aac => &["-c:a", "aac", "-b:a", "96k", "-f", "adts"],
            Self::Vorbis => &["-c:a", "libvorbis", "-b:a", "96k", "-page_duration", "100000", "-f", "ogg"],
            Self::Opus => &["-c:a", "libopus", "-b:a", "64k", "-page_duration", "100000", "-f", "ogg"],
            Self::WebM => &["-c:a", "libopus", "-b:a", "64k", "-cluster_time_limit", "500", "-f", "webm"],
        }
    }

    /// Makes a file of `seconds` whose every frame differs from every other (noise over a sweep).
    ///
    /// # Panics
    /// When ffmpeg fails.
    #[must_use]
    pub fn make_file(self, folder: &Path, seconds: u32) -> PathBuf {
        let path = folder.join(format!("unique.{}", self.ending()));
        let noise = format!("anoisesrc=d={seconds}:c=pink:r=44100:a=0.3:s=7");
        let status = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i", &noise, "-ac", "2"])
            .args(self.ffmpeg())
            // Not to a file of its own: a WebM whose length is known is no live stream.
            .arg("pipe:1")
            .stdout(std::fs::File::create(&path).expect("the file can be made"))
            .status()
            .expect("ffmpeg runs");
        assert!(status.success(), "ffmpeg makes {}", path.display());
        path
    }
}

/// ffmpeg in a loop: when its connection dies it is started again towards the next host, as stations do.
#[derive(Debug)]
pub struct FfmpegLoop {
    _job: Job,
}

impl FfmpegLoop {
    /// Starts it on the client host.
    #[must_use]
    pub fn start(testbed: &Testbed, encoding: Encoding, credentials: &Credentials, hosts: &[Host]) -> Self {
        let urls: Vec<_> = hosts
            .iter()
            .map(|h| {
                format!("'icecast://{}:{}@{}{}'", credentials.username, credentials.password, h.ip(), credentials.mount)
            })
            .collect();
        let script = format!(
            "while :; do for url in {}; do ffmpeg -v error -nostdin -re -f lavfi -i \
             anoisesrc=c=pink:r=48000:a=0.3 -ac 2 {} -content_type {} -flush_packets 1 \"$url\"; \
             sleep 0.2; done; done",
            urls.join(" "),
            encoding.ffmpeg().join(" "),
            encoding.mime(),
        );
        let log = format!("encoder{}.log", credentials.mount.replace('/', "_"));
        Self { _job: testbed.spawn(Host::Client, &log, &["bash", "-c", &script]) }
    }
}

/// Our own encoder: sends a file's frames in real time and goes on with the next frame at the next host when a
/// connection dies, so that the frames that arrive can be named one by one.
#[derive(Debug)]
pub struct RawSource {
    _job: Job,
}

impl RawSource {
    /// Starts it on the client host.
    #[must_use]
    pub fn start(testbed: &Testbed, mime: &str, file: &Path, credentials: &Credentials, hosts: &[Host]) -> Self {
        let binary = program("raw-source");
        let file = file.display().to_string();
        let ips: Vec<_> = hosts.iter().map(|h| h.ip()).collect();
        let mut line = vec![binary.to_str().expect("a plain path"), mime, file.as_str(), credentials.mount.as_str()];
        line.extend([credentials.username.as_str(), credentials.password.as_str()]);
        line.extend(ips.iter().map(String::as_str));
        let log = format!("raw-source{}.log", credentials.mount.replace('/', "_"));
        Self { _job: testbed.spawn(Host::Client, &log, &line) }
    }
}
