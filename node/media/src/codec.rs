//! Which codec a source's MIME type announces.

/// How a stream is cut into frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Container {
    /// MPEG audio layer I to III.
    Mp3,
    /// AAC in ADTS.
    Adts,
    /// Ogg with Vorbis, Opus, FLAC, Theora.
    Ogg,
    /// WebM and Matroska.
    WebM,
    /// Anything else: passes as bytes, cut anywhere.
    #[default]
    Bytes,
}

impl Container {
    /// The container for a `Content-Type` (parameters and case are ignored).
    #[must_use]
    pub fn of_mime(content_type: &str) -> Self {
        let mime = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match mime.as_str() {
            "audio/mpeg" | "audio/mp3" | "audio/x-mpeg" | "audio/mpeg3" | "audio/x-mp3" => Self::Mp3,
            "audio/aac" | "audio/aacp" | "audio/x-aac" | "audio/x-hx-aac-adts" => Self::Adts,
            "application/ogg" | "audio/ogg" | "video/ogg" | "audio/opus" | "audio/x-ogg" | "application/x-ogg" => {
                Self::Ogg
            }
            "video/webm" | "audio/webm" | "video/x-matroska" | "audio/x-matroska" => Self::WebM,
            _ => Self::Bytes,
        }
    }
}
