use super::*;

/// Reads a head that must be whole, at every cut of its bytes too.
pub(crate) fn whole(text: &str) -> RequestHead {
    let bytes = text.as_bytes();
    let HeadResult::Head { head, body_offset } = parse_head(bytes) else { panic!("{:?}: {text}", parse_head(bytes)) };
    for cut in 0..body_offset {
        assert_eq!(parse_head(&bytes[..cut]), HeadResult::Incomplete, "cut at {cut} of {text}");
    }
    head
}

fn status(text: &str) -> u16 {
    match parse_head(text.as_bytes()) {
        HeadResult::Bad { status, .. } => status,
        other => panic!("{text:?} gave {other:?}"),
    }
}

#[test]
fn a_put_of_ffmpeg_is_read() {
    let text = "PUT /live.ogg HTTP/1.1\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\nExpect: 100-continue\r\nConnection: close\r\n\
         Host: 10.0.0.1:80\r\nContent-Type: application/ogg\r\nIcy-MetaData: 1\r\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\r\n\
         Ice-Public: 0\r\nIce-Name: Radio\r\nIce-Description: two\r\nIce-URL: http://x/\r\nIce-Genre: talk\r\n\r\nOggS";
    let head = whole(text);
    assert_eq!((head.method.as_str(), head.path.as_str(), head.version), ("PUT", "/live.ogg", Version::Http11));
    assert!(head.expects_continue() && !head.is_chunked() && head.wants_icy_metadata() && !head.wants_range());
    assert_eq!(head.basic_auth(), Some(("source".into(), "hackme".into())));
    assert_eq!(head.content_type().as_deref(), Some("application/ogg"));
    assert_eq!(head.user_agent(), "Lavf/59.27.100");
    let ice: Vec<_> = head.ice().into_iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(ice, ["description=two", "genre=talk", "name=Radio", "public=0", "url=http://x/"]);
    let HeadResult::Head { body_offset, .. } = parse_head(text.as_bytes()) else { panic!() };
    assert_eq!(&text[body_offset..], "OggS");
}

#[test]
fn ice_headers_are_cleaned_and_bounded() {
    let long = "x".repeat(2000);
    let many: String = (0..40).map(|n| format!("icy-x{n}: 1\r\n")).collect();
    let head = whole(&format!(
        "SOURCE /a ICE/1.0\r\nicy-name: old\r\nice-name: new\r\nicy-br:128\r\nicy-pub:1\r\nice-audio-info: a=b;c=d\r\nice-description: {long}\r\n{many}\r\n"
    ));
    let ice = head.ice();
    assert_eq!(ice["name"], "new");
    assert_eq!(ice["bitrate"], "128");
    assert_eq!(ice["public"], "1");
    assert_eq!(ice["audio-info"], "a=b;c=d");
    assert_eq!(ice["description"].len(), MAX_ICE_VALUE_BYTES);
    assert_eq!(ice.len(), MAX_ICE_HEADERS);
}

#[test]
fn latin1_names_are_kept() {
    let HeadResult::Head { head, .. } = parse_head(b"SOURCE /a HTTP/1.0\r\nice-name: caf\xe9\r\n\r\n") else {
        panic!()
    };
    assert_eq!(head.ice()["name"], "café");
}

#[test]
fn lenient_where_it_does_no_harm() {
    assert_eq!(whole("\r\nGET /a HTTP/1.0\r\n\r\n").path, "/a");
    assert_eq!(whole("GET /a HTTP/1.0\n\n").path, "/a");
    assert_eq!(whole("SOURCE /a ICE/1.0\r\nHost:x\r\n\r\n").version, Version::Ice10);
    let head = whole("GET /admin.cgi?mode=updinfo&song=Nina Simone - Sinnerman HTTP/1.0\r\n\r\n");
    assert_eq!(head.parameter("song"), Some("Nina Simone - Sinnerman"));
    assert_eq!(whole("PUT /a HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n").content_length(), Some(5));
    assert!(whole("SOURCE /a HTTP/1.1\r\n\r\n").header("host").is_none());
}

#[test]
fn refused_where_readers_could_disagree() {
    let get = |headers: &str| format!("GET /a HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n");
    for (headers, expected) in [
        ("Content-Length : 5", 400),
        ("X: a\rb", 400),
        ("X: a\0b", 400),
        ("Content-Length: 5\r\nContent-Length: 6", 400),
        ("Content-Length: 5, 5", 400),
        ("Content-Length: +5", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: 99999999999999999999999", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 501),
        ("Host: y", 400),
        ("X: a\r\n folded", 400),
        ("Authorization: Basic YQ==\r\nAuthorization: Basic YQ==", 400),
    ] {
        assert_eq!(status(&get(headers)), expected, "{headers:?}");
    }
    assert_eq!(status("PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    assert_eq!(status("GET /a HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(status("GET /a HTTP/2.0\r\n\r\n"), 505);
    assert_eq!(status("GET /a\r\n\r\n"), 400);
    assert_eq!(status("GET /a XTTP/1.0\r\n\r\n"), 400);
    assert_eq!(status("hackme\r\n"), 400);
    assert_eq!(status("\x16\x03\x01"), 400);
    assert_eq!(status(" GET / HTTP/1.0\r\n\r\n"), 400);
    assert_eq!(status("GET /a\0b HTTP/1.0\r\n\r\n"), 400);
    assert_eq!(status("GET /a%00b HTTP/1.0\r\n\r\n"), 400);
    assert_eq!(status(&"A".repeat(100)), 400);
}

#[test]
fn heads_are_bounded() {
    assert_eq!(status(&format!("GET /{} HTTP/1.0\r\n", "a".repeat(MAX_HEAD_BYTES))), 431);
    let many: String = (0..65).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(status(&format!("GET /a HTTP/1.0\r\n{many}\r\n")), 431);
    let room: String = (0..64).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(whole(&format!("GET /a HTTP/1.0\r\n{room}\r\n")).headers.len(), MAX_HEADERS);
    assert_eq!(status(&"\n".repeat(MAX_HEAD_BYTES)), 400);
}

#[test]
fn credentials_are_read_with_and_without_padding() {
    let auth = |value: &str| whole(&format!("PUT /a HTTP/1.1\r\nAuthorization: {value}\r\n\r\n")).basic_auth();
    let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
    assert_eq!(auth("Basic c291cmNlOmhhY2ttZQ=="), pair("source", "hackme"));
    assert_eq!(auth("basic  c291cmNlOmhhY2ttZQ"), pair("source", "hackme"));
    assert_eq!(auth("BASIC c291cmNlOmE6Yjpj"), pair("source", "a:b:c"));
    assert_eq!(auth("Basic Og=="), pair("", ""));
    for refused in ["Basic", "Bearer c291cmNlOmhhY2ttZQ==", "Basic !!!", "Basic c291cmNl", "Basic YQA6Yg=="] {
        assert_eq!(auth(refused), None, "{refused}");
    }
    assert_eq!(auth(&format!("Basic {}", "QUFB".repeat(300))), None);
}

#[test]
fn accept_is_understood() {
    let head = |accept: &str| whole(&format!("GET / HTTP/1.0\r\nAccept: {accept}\r\n\r\n"));
    assert!(head("text/html,application/xhtml+xml;q=0.9").accepts("text/html"));
    assert!(head("audio/*").accepts("audio/mpeg") && !head("audio/*").accepts("text/html"));
    assert!(head("*/*;q=0.1").accepts("text/html"));
    assert!(whole("GET / HTTP/1.0\r\n\r\n").accepts("text/html"));
}

proptest::proptest! {
    #[test]
    fn never_panics(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let _ = parse_head(&raw);
        let mut framed = b"GET /".to_vec();
        framed.extend(&raw);
        framed.extend(b" HTTP/1.0\r\nX: 1\r\n\r\n");
        if let HeadResult::Head { head, body_offset } = parse_head(&framed) {
            proptest::prop_assert!(body_offset <= framed.len());
            let _ = (head.basic_auth(), head.ice(), crate::route::route(&head));
        }
    }
}
