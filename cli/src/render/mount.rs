//! Mounts: all of them, one, and one's new password.

use std::time::Duration;

use autoradio_proto::admin::{MountInfo, MountSettings};

use super::{
    Look,
    table::{Column, pairs, table},
    units::{count, kbit},
};
use crate::{clean, duration, json::playlist_urls};

/// All mounts, a line each.
pub(crate) fn list(mounts: &[MountInfo], look: Look) -> String {
    if mounts.is_empty() {
        return "No mounts yet. Make one: radioctl create-mount /live.mp3\n".into();
    }
    let columns = [
        ("MOUNT", Column::Cut),
        ("ORIGIN", Column::Text),
        ("CODEC", Column::Text),
        ("LISTENERS", Column::Number),
        ("NOW", Column::Cut),
    ];
    let row = |mount: &MountInfo| {
        vec![mount.name.clone(), origin(mount), codec(mount), count(mount.listeners), mount.title.clone()]
    };
    table(look, &columns, mounts.iter().map(row).collect())
}

/// One mount, as it is and as it is set.
pub(crate) fn show(mount: &MountInfo) -> String {
    let mut out = format!("{}\n", clean::line(&mount.name));
    let mut rows = vec![("on air", if mount.origin.is_empty() { "no source".into() } else { on_air(mount) })];
    rows.extend(said("now", &mount.title));
    if !mount.origin.is_empty() {
        rows.extend([("codec", codec(mount)), ("type", mount.content_type.clone())]);
        rows.push(("copies at", if mount.followers.is_empty() { "-".into() } else { mount.followers.join(", ") }));
    }
    rows.push(("listeners", count(mount.listeners)));
    out += &pairs(&rows);
    out += "\nSettings\n";
    out += &pairs(&settings(&mount.username, &mount.settings.clone().unwrap_or_default()));
    out + &urls(mount)
}

/// A new mount with its password.
pub(crate) fn created(mount: &MountInfo, password: &str) -> String {
    let made = format!("{} is ready: send to any node, listen at any node.\n", clean::line(&mount.name));
    made + &encoder(mount, password) + &listeners(mount)
}

/// A mount with its new password.
pub(crate) fn reset(mount: &MountInfo, password: &str) -> String {
    let name = clean::line(&mount.name);
    format!("{name} has a new password; the old one is not taken any more.\n") + &encoder(mount, password)
}

fn encoder(mount: &MountInfo, password: &str) -> String {
    let mut rows = vec![("user", mount.username.clone()), ("password", password.to_owned())];
    if let Some((server, port)) = server_of(&mount.source_url) {
        rows.extend([("server", server), ("port", port), ("mount", mount.name.clone())]);
    }
    if let Some(icecast) = icecast_url(mount, password) {
        rows.push(("as URL", icecast));
    }
    let name = clean::line(&mount.name);
    let once = "The password is shown this once: only its hash is kept.";
    format!("\nEncoder (Icecast 2)\n{}  {once}\n  Lost? radioctl reset-password {name}\n", pairs(&rows))
}

fn listeners(mount: &MountInfo) -> String {
    let playlists = playlist_urls(mount).into_iter().map(|url| ("playlist", url));
    let rows: Vec<_> = playlists.chain(mount.listen_urls.iter().cloned().map(|url| ("stream", url))).collect();
    if rows.is_empty() { String::new() } else { format!("\nListeners\n{}", pairs(&rows)) }
}

fn urls(mount: &MountInfo) -> String {
    let source = said("send to", &mount.source_url);
    let text = listeners(mount);
    match source {
        Some(row) => format!("\nEncoder\n{}{text}", pairs(&[row])),
        None => text,
    }
}

fn origin(mount: &MountInfo) -> String {
    if mount.origin.is_empty() { "silent".into() } else { mount.origin.clone() }
}

fn on_air(mount: &MountInfo) -> String {
    let from = said(" from ", &mount.source).map_or_else(String::new, |(word, source)| format!("{word}{source}"));
    let by = said("", &mount.user_agent).map_or_else(String::new, |(_, agent)| format!(" ({agent})"));
    format!("at {}{from}{by}", mount.origin)
}

fn codec(mount: &MountInfo) -> String {
    // A codec of constant bit rate says it itself.
    let known = mount.bitrate_bits_per_s == 0 || mount.codec.ends_with("kbit/s");
    let bitrate = if known { String::new() } else { kbit(mount.bitrate_bits_per_s) };
    let both = format!("{} {bitrate}", mount.codec);
    if both.trim().is_empty() { "-".into() } else { both.trim().to_owned() }
}

fn said<'a>(name: &'a str, value: &str) -> Option<(&'a str, String)> {
    (!value.is_empty()).then(|| (name, value.to_owned()))
}

fn settings(username: &str, settings: &MountSettings) -> Vec<(&'static str, String)> {
    let time = |ms: Option<u32>| ms.map(|ms| duration::show(Duration::from_millis(ms.into())));
    let or_default = |value: Option<String>| value.unwrap_or_else(|| "default".into());
    let mut rows = vec![
        ("user", username.to_owned()),
        ("burst", or_default(time(settings.burst_ms))),
        ("hold", or_default(time(settings.hold_ms))),
        ("max-listeners", settings.max_listeners.map_or_else(|| "no limit".into(), count)),
        ("public", if settings.public == Some(true) { "yes".into() } else { "no".into() }),
    ];
    let texts = [
        ("title", &settings.title),
        ("description", &settings.description),
        ("genre", &settings.genre),
        ("url", &settings.url),
    ];
    rows.extend(texts.into_iter().filter_map(|(name, text)| text.clone().map(|text| (name, text))));
    rows
}

/// Host and port of an HTTP URL, as encoders ask for them.
fn server_of(url: &str) -> Option<(String, String)> {
    let authority = url.strip_prefix("http://")?.split('/').next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
        _ => (authority, "80"),
    };
    (!host.is_empty()).then(|| (host.trim_matches(['[', ']']).to_owned(), port.to_owned()))
}

/// What ffmpeg takes.
fn icecast_url(mount: &MountInfo, password: &str) -> Option<String> {
    let rest = mount.source_url.strip_prefix("http://")?;
    Some(format!("icecast://{}:{}@{rest}", escape(&mount.username), escape(password)))
}

/// Percent-escapes what has a meaning in a URL's user part.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::example, *};

    #[test]
    fn a_new_mount() {
        insta::assert_snapshot!(created(&example::mount("/live.mp3"), "tT4kNq7wXc2LmR9dVfaH"));
    }

    #[test]
    fn a_new_password_and_a_user_with_blanks() {
        let mount = MountInfo { username: "anna b@c".into(), ..example::mount("/live.mp3") };
        insta::assert_snapshot!(reset(&mount, "tT4kNq7wXc2LmR9dVfaH"));
    }

    #[test]
    fn a_mount_on_air() {
        insta::assert_snapshot!(show(&example::on_air()));
    }

    #[test]
    fn a_silent_mount() {
        insta::assert_snapshot!(show(&example::mount("/talk.ogg")));
        insta::assert_snapshot!(list(&[example::mount("/talk.ogg")], Look { width: Some(80), colour: false }));
    }

    #[test]
    fn no_mounts() {
        assert!(list(&[], Look::default()).contains("create-mount"));
    }

    #[test]
    fn servers_have_hosts_and_ports() {
        let both = |host: &str, port: &str| Some((host.to_owned(), port.to_owned()));
        assert_eq!(server_of("http://radio.test/a"), both("radio.test", "80"));
        assert_eq!(server_of("http://[2001:db8::1]:8080/a"), both("2001:db8::1", "8080"));
        assert_eq!(server_of("http://[2001:db8::1]/a"), both("2001:db8::1", "80"));
        assert_eq!(server_of(""), None);
    }
}
