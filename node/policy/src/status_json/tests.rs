use super::*;
use crate::example::Example;

fn on_air() -> Example {
    let mut it = Example::nodes(3);
    it.on_air("/a.mp3", 2, 7, 9, &[2, 3]);
    it.load(2).mounts.get_mut(&crate::example::name("/a.mp3")).unwrap().title = "Nina \"S\"".into();
    for (id, listeners) in [(2, 5), (3, 7)] {
        it.log("/a.mp3", id, 7, 9).listeners = listeners;
        it.load(id).listeners = listeners;
        it.load(id).sent_bytes_per_s = 16_000 * u64::from(listeners);
    }
    it.load(2).mounts.get_mut(&crate::example::name("/a.mp3")).unwrap().title = "Nina \"S\"".into();
    it.mount("/b.ogg").genre = Some("jazz".into());
    it
}

const SERVER: IcecastServer<'_> = IcecastServer {
    admin: "a@radio.test",
    host: "radio.test",
    location: "here",
    server_id: "autoradio 0.1.0",
    start_iso8601: "2026-11-24T09:00:00Z",
};

fn icecast(it: &Example) -> Value {
    serde_json::from_str(&icecast_status_json(&it.view, &SERVER)).unwrap()
}

#[test]
fn ours() {
    insta::assert_snapshot!(status_json(&on_air().view));
}

#[test]
fn the_dead_do_not_count() {
    let mut it = on_air();
    it.heard(3).age_ms = 5_000;
    let found = status(&it.view);
    assert_eq!((found.cluster.listeners, found.mounts[0].listeners), (5, 5));
    assert_eq!((found.nodes[2].is_alive, found.cluster.health), (false, HealthWord::Degraded));
    assert_eq!(found.nodes[2].state, "it was not heard for 5 s");
    it.heard(2).age_ms = 5_000;
    assert_eq!(status(&it.view).mounts[0].state, "held");
    assert_eq!(status(&it.view).mounts[1].state, "silent");
}

#[test]
fn icecasts_form() {
    let mut it = on_air();
    insta::assert_snapshot!(serde_json::to_string_pretty(&icecast(&it)).unwrap(), @r##"
    {
      "icestats": {
        "admin": "a@radio.test",
        "host": "radio.test",
        "location": "here",
        "server_id": "autoradio 0.1.0",
        "server_start_iso8601": "2026-11-24T09:00:00Z",
        "source": {
          "bitrate": 128,
          "dummy": null,
          "listeners": 12,
          "listenurl": "http://radio.test/a.mp3",
          "server_name": "Radio X",
          "server_type": "audio/mpeg",
          "title": "Nina \"S\""
        }
      }
    }
    "##);
    it.on_air("/b.ogg", 1, 8, 1, &[1]);
    let several = icecast(&it);
    let list = several["icestats"]["source"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[1]["genre"], "jazz");
    assert_eq!(list[1]["listenurl"], "http://radio.test/b.ogg");
    let none = icecast(&Example::nodes(3));
    assert!(none["icestats"].get("source").is_none());
}
