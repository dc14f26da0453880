use super::*;
use crate::example::{self, name};

fn config() -> IcecastConfig {
    IcecastConfig {
        hostname: "host1.radio.test".into(),
        admin: "admin@radio.test".into(),
        location: "here".into(),
        bind: Some(IpAddr::from([192, 0, 2, 1])),
        port: 8000,
        source_password: "s3cret&<".into(),
        admin_password: "adm1n".into(),
        relay_password: "r3lay".into(),
        max_clients: 500,
        source_timeout_s: 60,
        base_dir: "/usr/share/icecast2".into(),
        log_dir: "/var/lib/autoradio/icecast".into(),
        web_root: "/usr/share/icecast2/web".into(),
        admin_root: "/usr/share/icecast2/admin".into(),
    }
}

#[test]
fn the_whole_file() {
    let mut live = example::mount();
    live.title = Some("Tom & \"Jerry\" <live>".into());
    live.genre = Some("talk]]>\u{1}\u{0}".into());
    live.url = Some("https://radio.test/?a=1&b=2".into());
    live.burst_ms = Some(4_000);
    live.public = true;
    live.max_listeners = Some(20);
    let mounts: BTreeMap<_, _> =
        [(name("/z'é.ogg"), Arc::new(example::mount())), (name("/a&b.mp3"), Arc::new(live))].into();
    let rates = [(name("/a&b.mp3"), 128_000)].into();
    let text = icecast_xml(&config(), &mounts, &rates);
    insta::assert_snapshot!(text);
    assert_eq!(text, icecast_xml(&config(), &mounts, &rates));
}

#[test]
fn bursts() {
    assert_eq!(burst_bytes(None, Some(128_000)), 65_536);
    assert_eq!(burst_bytes(Some(4_000), None), 65_536);
    assert_eq!(burst_bytes(Some(0), Some(128_000)), 0);
    assert_eq!(burst_bytes(Some(4_000), Some(128_000)), 65_536);
    assert_eq!(burst_bytes(Some(4_000), Some(131_000)), 65_536);
    assert_eq!(burst_bytes(Some(10_000), Some(128_000)), 262_144);
    assert_eq!(burst_bytes(Some(1), Some(1)), BURST_BYTES.0);
    assert_eq!(burst_bytes(Some(u32::MAX), Some(u64::MAX)), BURST_BYTES.1);
}

proptest::proptest! {
    /// Whatever people type comes back from a reader of XML as it was, without control characters.
    #[test]
    fn hostile_texts_are_read_back(title in "\\PC{0,40}", description in proptest::string::string_regex("(?s).{0,40}").unwrap()) {
        let mut settings = example::mount();
        settings.title = Some(title.clone());
        settings.description = Some(description.clone());
        let text = icecast_xml(&config(), &[(name("/a"), Arc::new(settings))].into(), &BTreeMap::new());
        let mut reader = quick_xml::Reader::from_str(&text);
        let (mut inside, mut found) = (String::new(), BTreeMap::<String, String>::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => inside = start.name().as_ref().to_owned(),
                Event::End(_) => inside.clear(),
                Event::Text(piece) => found.entry(inside.clone()).or_default().push_str(&piece),
                Event::GeneralRef(entity) => {
                    let reference = format!("&{};", &*entity);
                    found.entry(inside.clone()).or_default().push_str(&quick_xml::escape::unescape(&reference).unwrap());
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let clean = |text: &str| text.chars().filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')).collect::<String>();
        proptest::prop_assert_eq!(found.get("stream-name").cloned().unwrap_or_default(), clean(&title));
        proptest::prop_assert_eq!(found.get("stream-description").cloned().unwrap_or_default(), clean(&description));
    }
}
