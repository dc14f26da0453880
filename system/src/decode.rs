//! What real decoders say of a recording.

use std::{path::Path, process::Command};

use serde_json::Value;

/// Said of MP3 and AAC without a header that holds their length; not about the stream.
const OF_EVERY_RAW_STREAM: &str = "Estimating duration from bitrate";

/// What ffmpeg says at warning level when it decodes the file whole; empty is right.
///
/// # Panics
/// When ffmpeg is missing.
#[must_use]
pub fn decoder_complaints(path: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-nostdin", "-i"])
        .arg(path)
        .args(["-f", "null", "-"])
        .output()
        .expect("ffmpeg runs");
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().filter(|l| !l.contains(OF_EVERY_RAW_STREAM)).collect::<Vec<_>>().join("\n")
}

/// What mpv says at warning level when it plays the file to nowhere; empty is right.
///
/// # Panics
/// When mpv is missing.
#[must_use]
pub fn mpv_complaints(path: &Path) -> String {
    let output = Command::new("mpv")
        .args([
            "--no-config",
            "--no-video",
            "--ao=null",
            "--ao-null-untimed=yes",
            "--msg-level=all=warn",
            "--no-terminal",
        ])
        .args(["--log-file=/dev/stderr"])
        .arg(path)
        .output()
        .expect("mpv runs");
    let said = String::from_utf8_lossy(&output.stderr);
    // The log file holds every level: keep warnings, errors and fatal ones.
    said.lines()
        .filter(|l| ["][w][", "][e][", "][f]["].iter().any(|mark| l.contains(mark)))
        .filter(|l| !l.contains(OF_EVERY_RAW_STREAM))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A piece of audio in its container, as ffprobe takes it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The hash of its bytes: a packet by name.
    pub hash: String,
    /// When it is played.
    pub time_ms: i64,
    /// How long it plays; 0 where the container does not say.
    pub duration_ms: i64,
}

/// A recording's packets in the order of the file.
///
/// # Panics
/// When ffprobe is missing.
#[must_use]
pub fn packets(path: &Path) -> Vec<Packet> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "a:0", "-show_data_hash", "md5", "-of", "json"])
        .args(["-show_entries", "packet=pts_time,duration_time,data_hash"])
        .arg(path)
        .output()
        .expect("ffprobe runs");
    let shown: Value = serde_json::from_slice(&output.stdout).expect("ffprobe's JSON");
    #[allow(clippy::cast_possible_truncation, reason = "a recording of minutes in milliseconds")]
    let ms = |packet: &Value, field: &str| {
        packet[field].as_str().and_then(|s| s.parse::<f64>().ok()).map(|s| (s * 1000.0).round() as i64)
    };
    let packets = shown["packets"].as_array().into_iter().flatten();
    packets
        .map(|packet| Packet {
            hash: packet["data_hash"].as_str().unwrap_or_default().to_owned(),
            time_ms: ms(packet, "pts_time").unwrap_or_default(),
            duration_ms: ms(packet, "duration_time").unwrap_or_default(),
        })
        .collect()
}
