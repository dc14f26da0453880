use super::*;
use crate::head::{HeadResult, parse_head};

/// Decides on a head in one line: `|` stands for a line end.
fn decide(text: &str) -> String {
    let bytes = format!("{}\r\n\r\n", text.replace('|', "\r\n"));
    let HeadResult::Head { head, .. } = parse_head(bytes.as_bytes()) else {
        panic!("{text}: {:?}", parse_head(bytes.as_bytes()))
    };
    match route(&head) {
        Route::Source { mount, passthrough } => {
            format!("source {mount}{}", if passthrough { " passthrough" } else { "" })
        }
        Route::Listen { mount, head_only, passthrough } => {
            format!(
                "listen {mount}{}{}",
                if head_only { " head" } else { "" },
                if passthrough { " passthrough" } else { "" }
            )
        }
        Route::Playlist { mount, kind, head_only } => {
            format!("playlist {mount} {kind:?}{}", if head_only { " head" } else { "" })
        }
        Route::Metadata { mount, title, password } => format!("title {mount} {title:?} {password:?}"),
        Route::Options => "options".into(),
        Route::Poke => "poke".into(),
        Route::Http => "http".into(),
        Route::Bad { status, .. } => format!("bad {status}"),
    }
}

/// Heads of encoders: those of ffmpeg 5.1, curl 7.88 and GStreamer 1.22 (libshout 2.4.6) are recorded, the port
/// changed to 80; the others are written after what is known of them.
#[test]
fn real_sources() {
    for (who, head, expected) in [
        (
            "ffmpeg",
            "PUT /live.ogg HTTP/1.1|User-Agent: Lavf/59.27.100|Accept: */*|Expect: 100-continue|Connection: close|Host: 127.0.0.98:80|Content-Type: application/ogg|Icy-MetaData: 1|Ice-Name: x|Ice-Public: 0|Authorization: Basic c291cmNlOmhhY2ttZQ==",
            "source /live.ogg",
        ),
        (
            "ffmpeg legacy",
            "SOURCE /live.mp3 HTTP/1.1|User-Agent: Lavf/59.27.100|Accept: */*|Connection: close|Host: 127.0.0.98:80|Content-Type: audio/mpeg|Icy-MetaData: 1|Ice-Public: 0|Authorization: Basic c291cmNlOmhhY2ttZQ==",
            "source /live.mp3",
        ),
        (
            "gstreamer, first SOURCE",
            "SOURCE /live.ogg HTTP/1.0|Host: 127.0.0.98:80|User-Agent: GStreamer 1.22.0|Content-Type: application/ogg|Content-Length: 0|Connection: Keep-Alive|ice-public: 0|ice-name: |ice-description: |ice-genre: |Prefer: return=minimal",
            "source /live.ogg",
        ),
        (
            "ezstream, first",
            "SOURCE /live.ogg HTTP/1.0|Host: radio.test:80|User-Agent: ezstream/1.0.2|Content-Type: application/ogg|Content-Length: 0|Connection: Keep-Alive|Prefer: return=minimal|ice-name: x|ice-public: 0|ice-audio-info: bitrate=128;channels=2",
            "source /live.ogg",
        ),
        (
            "gstreamer (libshout) upgrade",
            "OPTIONS * HTTP/1.1|Host: 127.0.0.98:80|User-Agent: GStreamer 1.22.0|Connection: Upgrade|Upgrade: TLS/1.0, HTTP/1.1",
            "options",
        ),
        ("gstreamer poke", "GET /admin/!POKE HTTP/1.1|Host: 127.0.0.98:80|User-Agent: GStreamer 1.22.0", "poke"),
        (
            "gstreamer, second SOURCE",
            "SOURCE /live.ogg HTTP/1.0|Authorization: Basic c291cmNlOmhhY2ttZQ==|Host: 127.0.0.98:80|User-Agent: GStreamer 1.22.0|Content-Type: application/ogg|ice-public: 0|ice-name: |ice-description: |ice-genre: |Prefer: return=minimal",
            "source /live.ogg",
        ),
        (
            "liquidsoap",
            "SOURCE /live.mp3 HTTP/1.0|Host: radio.test|Authorization: Basic c291cmNlOmhhY2ttZQ==|User-Agent: Liquidsoap/2.1.3 (Unix; OCaml 4.13.1)|Content-Type: audio/mpeg|ice-name: x|ice-public: 1",
            "source /live.mp3",
        ),
        (
            "curl -T -",
            "PUT /live.mp3 HTTP/1.1|Host: 127.0.0.98:80|Authorization: Basic c291cmNlOmhhY2ttZQ==|User-Agent: curl/7.88.1|Accept: */*|Transfer-Encoding: chunked|Content-Type: audio/mpeg|Expect: 100-continue",
            "source /live.mp3",
        ),
        (
            "old icecast source",
            "SOURCE /live.mp3 ICE/1.0|content-type: audio/mpeg|Authorization: Basic c291cmNlOmhhY2ttZQ==",
            "source /live.mp3",
        ),
        ("pass through", "PUT /_stream/dir/live.mp3 HTTP/1.1|Host: x", "source /dir/live.mp3 passthrough"),
    ] {
        assert_eq!(decide(head), expected, "{who}");
    }
}

/// Heads of players: mpv's is recorded, the others are written after what is known of them.
#[test]
fn real_players_and_title_senders() {
    for (who, head, expected) in [
        (
            "mpv",
            "GET /live.ogg HTTP/1.1|User-Agent: libmpv|Accept: */*|Range: bytes=0-|Connection: close|Host: 127.0.0.98:80|Icy-MetaData: 1",
            "listen /live.ogg",
        ),
        (
            "VLC",
            "GET /live.ogg HTTP/1.1|Host: radio.test:80|Accept: */*|Accept-Language: en_US|User-Agent: VLC/3.0.18 LibVLC/3.0.18|Range: bytes=0-",
            "listen /live.ogg",
        ),
        (
            "Chromium",
            "GET /live.ogg HTTP/1.1|Host: radio.test|Connection: keep-alive|Accept-Encoding: identity;q=1, *;q=0|User-Agent: Mozilla/5.0|Accept: */*|Range: bytes=0-",
            "listen /live.ogg",
        ),
        ("kitchen radio", "GET /live.mp3 HTTP/1.0|Icy-MetaData: 1", "listen /live.mp3"),
        ("head", "HEAD /live.mp3 HTTP/1.0", "listen /live.mp3 head"),
        ("relayed", "GET /_stream/live.mp3 HTTP/1.0", "listen /live.mp3 passthrough"),
        (
            "libshout title",
            "GET /admin/metadata?mode=updinfo&mount=/live.mp3&song=Nina+Simone&charset=UTF-8 HTTP/1.0|User-Agent: libshout/2.4.6",
            "title /live.mp3 \"Nina Simone\" None",
        ),
        (
            "artist and title",
            "GET /admin/metadata.xsl?mode=updinfo&mount=%2Flive.mp3&artist=A&title=B HTTP/1.0",
            "title /live.mp3 \"A - B\" None",
        ),
        (
            "shoutcast title",
            "GET /admin.cgi?pass=hackme&mode=updinfo&mount=/_stream/a.mp3&song=A B HTTP/1.0",
            "title /a.mp3 \"A B\" Some(\"hackme\")",
        ),
        (
            "only a title",
            "GET /admin/metadata?mode=updinfo&mount=/a.mp3&title=B%0A HTTP/1.0",
            "title /a.mp3 \"B\" None",
        ),
        ("no title", "GET /admin/metadata?mode=updinfo&mount=/a.mp3 HTTP/1.0", "title /a.mp3 \"\" None"),
    ] {
        assert_eq!(decide(head), expected, "{who}");
    }
}

#[test]
fn paths() {
    for (head, expected) in [
        ("GET / HTTP/1.0", "http"),
        ("GET /status.json HTTP/1.0", "http"),
        ("GET /status-json.xsl HTTP/1.0", "http"),
        ("GET /metrics HTTP/1.0", "http"),
        ("GET /healthz?x=1 HTTP/1.0", "http"),
        ("GET /admin/stats HTTP/1.0", "http"),
        ("POST /admin/thing HTTP/1.0", "http"),
        ("GET /administration.ogg HTTP/1.0", "listen /administration.ogg"),
        ("GET /a/b.m3u HTTP/1.0", "playlist /a/b M3u"),
        ("GET /live.ogg.m3u HTTP/1.0", "playlist /live.ogg M3u"),
        ("HEAD /live.ogg.pls HTTP/1.0", "playlist /live.ogg Pls head"),
        ("GET /_stream/live.ogg.xspf HTTP/1.0", "playlist /live.ogg Xspf"),
        ("GET http://radio.test/live.ogg HTTP/1.0", "listen /live.ogg"),
        ("OPTIONS /live.ogg HTTP/1.0", "options"),
        ("POST /live.ogg HTTP/1.0", "bad 405"),
        ("DELETE /live.ogg HTTP/1.0", "bad 405"),
        ("CONNECT http://x/ HTTP/1.0", "bad 400"),
        ("GET * HTTP/1.0", "bad 400"),
        ("GET /a/../b HTTP/1.0", "bad 404"),
        ("GET /%2e%2e/b HTTP/1.0", "bad 404"),
        ("GET /_stream/metrics HTTP/1.0", "bad 404"),
        ("PUT /../b HTTP/1.0", "bad 404"),
        ("PUT / HTTP/1.0", "bad 403"),
        ("SOURCE /status.json HTTP/1.0", "bad 403"),
        ("PUT /admin/metadata HTTP/1.0", "bad 403"),
        ("PUT /_stream HTTP/1.0", "bad 403"),
        ("PUT /live.ogg.m3u HTTP/1.0", "bad 403"),
        ("SOURCE /admin.cgi HTTP/1.0", "bad 403"),
        ("PUT /_stream/_stream/a HTTP/1.0", "bad 403"),
        ("GET /admin/metadata?mount=/a HTTP/1.0", "bad 400"),
        ("GET /admin/metadata?mode=updinfo HTTP/1.0", "bad 400"),
        ("GET /admin/metadata?mode=updinfo&mount=a HTTP/1.0", "bad 400"),
    ] {
        assert_eq!(decide(head), expected, "{head}");
    }
    assert_eq!(decide(&format!("GET /{} HTTP/1.0", "a".repeat(255))), "bad 404");
    assert_eq!(decide(&format!("PUT /{} HTTP/1.0", "a".repeat(254))), format!("source /{}", "a".repeat(254)));
}
