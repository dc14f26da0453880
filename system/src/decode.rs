//! What real decoders say of a recording.

use std::{path::Path, process::Command};

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
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Said of every raw MP3 or AAC that has no header with its length; not about the stream.
    said.lines().filter(|l| !l.contains("Estimating duration from bitrate")).collect::<Vec<_>>().join("\n")
}

/// What mpv says at warning level when it plays the file to nowhere; empty is right.
///
/// # Panics
/// When mpv is missing.
#[must_use]
pub fn mpv_complaints(path: &Path) -> String {
    let output = Command::new("mpv")
        .args(["--no-config", "--no-video", "--ao=null", "--untimed", "--msg-level=all=warn", "--no-terminal"])
        .args(["--log-file=/dev/stderr"])
        .arg(path)
        .output()
        .expect("mpv runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The log file holds every level: keep warnings, errors and fatal ones.
    said.lines()
        .filter(|l| ["][w][", "][e][", "][f]["].iter().any(|mark| l.contains(mark)))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The time stamps of a recording's packets, in milliseconds, in the order of the file.
///
/// # Panics
/// When ffprobe is missing.
#[must_use]
pub fn packet_times_ms(path: &Path) -> Vec<i64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "a:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .expect("ffprobe runs");
    #[allow(clippy::cast_possible_truncation, reason = "a recording of minutes in milliseconds")]
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok())
        .map(|seconds| (seconds * 1000.0).round() as i64)
        .collect()
}
