//! Heads that Icecast is sent. Pure text.

use std::{fmt::Write, net::SocketAddr};

use base64::Engine;

use super::{feed::Beginning, secrets::Password};

/// The longest header value sent; Icecast's own lists cut far earlier.
const MAX_VALUE: usize = 255;

/// The head of a source connection. `SOURCE` and not `PUT`: its body is raw, and its answer is one line.
pub(super) fn source(mount: &str, address: SocketAddr, password: &Password, beginning: &Beginning) -> String {
    let mut head = format!(
        "SOURCE {} HTTP/1.0\r\nHost: {address}\r\nAuthorization: {}\r\nUser-Agent: autoradio/{}\r\nContent-Type: {}\r\n",
        encode_path(mount),
        basic("source", password),
        env!("CARGO_PKG_VERSION"),
        tidy(&beginning.content_type),
    );
    for (name, value) in &beginning.ice {
        if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !name.is_empty() {
            let _ = write!(head, "ice-{name}: {}\r\n", tidy(value));
        }
    }
    head.push_str("\r\n");
    head
}

/// The head that sets a title. The admin password, since Icecast refuses the source's from another address.
pub(super) fn metadata(mount: &str, address: SocketAddr, password: &Password, title: &str) -> String {
    format!(
        "GET /admin/metadata?mode=updinfo&charset=UTF-8&mount={}&song={} HTTP/1.0\r\nHost: {address}\r\n\
         Authorization: {}\r\n\r\n",
        encode(mount),
        encode(tidy(title).trim()),
        basic("admin", password),
    )
}

/// The status of an answer's head.
pub(super) fn status(answer: &str) -> Option<u16> {
    let mut words = answer.lines().next()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}

/// Whether titles are told apart from the stream.
pub(super) fn takes_titles(content_type: &str) -> bool {
    use autoradio_media::Container;
    matches!(Container::of_mime(content_type), Container::Mp3 | Container::Adts)
}

fn basic(user: &str, password: &Password) -> String {
    let both = format!("{user}:{}", password.reveal());
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(both))
}

/// Without what would end a header line, and not too long.
fn tidy(value: &str) -> String {
    let mut tidy = String::new();
    for c in value.chars().filter(|c| !c.is_control()) {
        if tidy.len() + c.len_utf8() > MAX_VALUE {
            break;
        }
        tidy.push(c);
    }
    tidy
}

fn encode_path(path: &str) -> String {
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::icecast::secrets::Secrets;

    #[test]
    fn nothing_from_outside_ends_a_line() {
        let secrets = Secrets::random().unwrap();
        let beginning = Beginning {
            content_type: "audio/mpeg\r\nX: y".into(),
            ice: vec![
                ("name".into(), "Rádio\r\nEvil: 1".into()),
                ("a b".into(), "dropped".into()),
                ("genre".into(), "x".repeat(10_000)),
            ],
            title: String::new(),
        };
        let head = source("/a b\r\n.mp3", ([127, 0, 0, 1], 8000).into(), &secrets.source, &beginning);
        assert!(head.starts_with("SOURCE /a%20b%0D%0A.mp3 HTTP/1.0\r\n"), "{head}");
        assert!(head.ends_with("\r\n\r\n"));
        let names: Vec<&str> =
            head.trim_end().lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0)).collect();
        assert_eq!(names, ["Host", "Authorization", "User-Agent", "Content-Type", "ice-name", "ice-genre"]);
        assert!(head.lines().all(|line| line.len() < 300));
    }

    #[test]
    fn a_title_is_a_query() {
        let secrets = Secrets::random().unwrap();
        let head = metadata("/live.mp3", ([127, 0, 0, 1], 8000).into(), &secrets.admin, "A & B = ü\r\n");
        assert!(head.contains("mount=%2Flive.mp3&song=A%20%26%20B%20%3D%20%C3%BC HTTP/1.0\r\n"), "{head}");
    }

    #[test]
    fn answers() {
        assert_eq!(status("HTTP/1.0 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status("HTTP/1.0 403 Forbidden\r\n"), Some(403));
        for bad in ["", "200", "HTTP/1.0", "ICY 200 OK", "HTTP/1.0 x"] {
            assert_eq!(status(bad), None, "{bad}");
        }
        assert!(takes_titles("audio/mpeg") && takes_titles("audio/aac") && !takes_titles("application/ogg"));
    }
}
