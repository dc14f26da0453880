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

    /// Whether a stream of the one `Content-Type` can go on as one of the other: encoders call the same container by
    /// different names.
    #[must_use]
    pub fn same_stream(one: &str, other: &str) -> bool {
        one == other || (Self::of_mime(one) != Self::Bytes && Self::of_mime(one) == Self::of_mime(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_under_another_name_of_its_container() {
        for (one, other, same) in [
            ("application/ogg", "audio/ogg", true),
            ("audio/mpeg", "audio/mp3", true),
            ("audio/mpeg", "audio/aac", false),
            ("application/x-a", "application/x-b", false),
            ("application/x-a", "application/x-a", true),
        ] {
            assert_eq!(Container::same_stream(one, other), same, "{one} {other}");
        }
    }
}
