use super::*;
use crate::example;

const DATE: &str = "Tue, 24 Nov 2026 09:00:00 GMT";

/// An answer as text; every line end is checked to be CRLF up to the body.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(head.matches('\n').count(), head.matches("\r\n").count());
    format!("{}\n\n{body}", head.replace("\r\n", "\n"))
}

fn listener(ice: &[(&str, &str)], mount: &Mount, icy_metadata: bool) -> String {
    let ice = ice.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    text(&listener_head(&ListenerAnswer { date: DATE, content_type: "audio/mpeg", ice: &ice, mount, icy_metadata }))
}

#[test]
fn listeners() {
    let ice =
        [("name", "Radio X"), ("audio-info", "ice-samplerate=44100;ice-bitrate=128"), ("public", "1"), ("url", "")];
    let mut mount = example::mount();
    mount.genre = Some("talk".into());
    mount.url = Some("https://radio.test/".into());
    mount.title = Some("not shown".into());
    mount.public = true;
    insta::assert_snapshot!(listener(&ice, &mount, true), @r##"
    HTTP/1.0 200 OK
    Server: autoradio
    Connection: Close
    Date: Tue, 24 Nov 2026 09:00:00 GMT
    Content-Type: audio/mpeg
    Cache-Control: no-cache, no-store
    Expires: Mon, 26 Jul 1997 05:00:00 GMT
    Pragma: no-cache
    Access-Control-Allow-Origin: *
    icy-br: 128
    icy-genre: talk
    icy-name: Radio X
    icy-pub: 1
    icy-url: https://radio.test/
    icy-metadata: 1
    icy-metaint: 16000
    "##);
    insta::assert_snapshot!(listener(&[], &example::mount(), false), @r##"
    HTTP/1.0 200 OK
    Server: autoradio
    Connection: Close
    Date: Tue, 24 Nov 2026 09:00:00 GMT
    Content-Type: audio/mpeg
    Cache-Control: no-cache, no-store
    Expires: Mon, 26 Jul 1997 05:00:00 GMT
    Pragma: no-cache
    Access-Control-Allow-Origin: *
    icy-pub: 0
    "##);
}

#[test]
fn nobody_can_smuggle_lines_into_a_head() {
    let mut mount = example::mount();
    mount.genre = Some("a\r\nX-Evil: 1\r\n\r\nbody".into());
    let long = "ü".repeat(2000);
    let head = listener(&[("name", "x\nX-Evil: 2"), ("description", &long)], &mount, false);
    assert!(!head.contains("\nX-Evil"), "{head}");
    assert!(head.contains("icy-genre: aX-Evil: 1body\n"));
    assert!(head.lines().all(|line| line.len() < 600));
    let refused = text(&refusal(&Refuse::Other(400, "a\r\n\r\nb".into()), "x\r\ny", true));
    assert!(refused.contains("Date: xy\n") && refused.ends_with("\n\nab\n"), "{refused}");
}

#[test]
fn sources() {
    assert_eq!(SOURCE_CONTINUE, [&b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n"[..], SOURCE_OK].concat());
}

#[test]
fn refusals() {
    let found: Vec<String> = [
        Refuse::Unauthorized,
        Refuse::MountInUse,
        Refuse::UnknownMount,
        Refuse::SilentMount,
        Refuse::Busy("this node has as many listeners as --max-clients allows".into()),
        Refuse::Other(405, "only GET".into()),
    ]
    .iter()
    .map(|r| {
        let whole = text(&refusal(r, DATE, true));
        let lines = whole.lines().filter(|l| {
            !NOT_CACHED.contains(*l) && !["Server", "Date", "Content-", "Connection"].iter().any(|n| l.starts_with(n))
        });
        lines.collect::<Vec<_>>().join(" | ")
    })
    .collect();
    insta::assert_snapshot!(found.join("\n"), @r##"
    HTTP/1.0 401 Authentication Required | WWW-Authenticate: Basic realm="autoradio" | You need to authenticate with the mount's username and password
    HTTP/1.0 403 Mountpoint in use | Mountpoint in use: another source is sending to it
    HTTP/1.0 404 File Not Found | The file you requested could not be found: there is no such mount
    HTTP/1.0 404 File Not Found | The mount exists, but no source is sending to it now; try again later
    HTTP/1.0 503 Service Unavailable | Retry-After: 5 | this node has as many listeners as --max-clients allows
    HTTP/1.0 405 Method Not Allowed | Allow: GET, HEAD, PUT, SOURCE, OPTIONS | only GET
    "##);
    assert!(text(&poke(DATE)).starts_with("HTTP/1.0 400 Bad Request\n"));
    assert!(text(&refusal(&Refuse::UnknownMount, DATE, false)).ends_with("Access-Control-Allow-Origin: *\n\n"));
}

#[test]
fn documents() {
    insta::assert_snapshot!(text(&metadata(METADATA_TAKEN, DATE)), @r##"
    HTTP/1.0 200 OK
    Server: autoradio
    Connection: Close
    Date: Tue, 24 Nov 2026 09:00:00 GMT
    Content-Type: text/xml; charset=utf-8
    Content-Length: 113
    Cache-Control: no-cache, no-store
    Expires: Mon, 26 Jul 1997 05:00:00 GMT
    Pragma: no-cache
    Access-Control-Allow-Origin: *

    <?xml version="1.0"?>
    <iceresponse><message>Metadata update successful</message><return>1</return></iceresponse>
    "##);
    insta::assert_snapshot!(text(&options(DATE)), @r##"
    HTTP/1.0 200 OK
    Server: autoradio
    Connection: Close
    Date: Tue, 24 Nov 2026 09:00:00 GMT
    Allow: GET, HEAD, PUT, SOURCE, OPTIONS
    Access-Control-Allow-Methods: GET, HEAD, OPTIONS
    Access-Control-Allow-Headers: Origin, Accept, X-Requested-With, Content-Type, Icy-MetaData, Range
    Access-Control-Max-Age: 600
    Content-Type: text/plain; charset=utf-8
    Content-Length: 0
    Cache-Control: no-cache, no-store
    Expires: Mon, 26 Jul 1997 05:00:00 GMT
    Pragma: no-cache
    Access-Control-Allow-Origin: *
    "##);
    assert!(text(&metadata("<a>&", DATE)).contains("<message>&lt;a&gt;&amp;</message>"));
    let head = text(&document(DATE, "audio/x-mpegurl", "http://x/\n", false));
    assert!(head.contains("Content-Length: 10\n") && head.ends_with("\n\n"));
}
