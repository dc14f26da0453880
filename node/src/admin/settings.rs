//! A mount's settings, from radioctl's form to the stored one and back. Pure.

use autoradio_machine::Mount;
use autoradio_proto::admin::MountSettings;

/// The longest burst, in milliseconds: what a mount's log holds.
const BURST_MAX_MS: u32 = 30_000;

/// The longest hold, in milliseconds: an hour, as `--hold`.
const HOLD_MAX_MS: u32 = 3_600_000;

/// Longest text of a setting, in bytes: it goes into response headers.
const TEXT_MAX: usize = 1_024;

/// Longest username, in bytes.
const USERNAME_MAX: usize = 64;

/// The username where none is given; what encoders suggest.
pub(super) const USERNAME: &str = "source";

/// Applies the settings that are present.
pub(super) fn apply(mount: &mut Mount, settings: MountSettings) -> Result<(), String> {
    bound("burst", settings.burst_ms, BURST_MAX_MS)?;
    bound("hold", settings.hold_ms, HOLD_MAX_MS)?;
    for (name, text) in [
        ("title", &settings.title),
        ("description", &settings.description),
        ("genre", &settings.genre),
        ("url", &settings.url),
    ] {
        check_text(name, text.as_deref().unwrap_or_default())?;
    }
    mount.burst_ms = settings.burst_ms.or(mount.burst_ms);
    mount.hold_ms = settings.hold_ms.or(mount.hold_ms);
    mount.max_listeners = settings.max_listeners.or(mount.max_listeners);
    mount.public = settings.public.unwrap_or(mount.public);
    mount.title = settings.title.or(mount.title.take());
    mount.description = settings.description.or(mount.description.take());
    mount.genre = settings.genre.or(mount.genre.take());
    mount.url = settings.url.or(mount.url.take());
    Ok(())
}

/// Sets a setting back to its default.
pub(super) fn clear(mount: &mut Mount, name: &str) -> Result<(), String> {
    match name {
        "burst" | "burst_ms" => mount.burst_ms = None,
        "hold" | "hold_ms" => mount.hold_ms = None,
        "max_listeners" | "max-listeners" => mount.max_listeners = None,
        "public" => mount.public = false,
        "title" => mount.title = None,
        "description" => mount.description = None,
        "genre" => mount.genre = None,
        "url" => mount.url = None,
        other => {
            return Err(format!(
                "there is no setting {other:?}; there are burst, hold, max_listeners, public, title, description, \
                 genre and url"
            ));
        }
    }
    Ok(())
}

/// A username that Basic authentication can carry.
pub(super) fn check_username(name: &str) -> Result<(), String> {
    let plain = name.chars().all(|c| !c.is_control() && c != ':');
    if name.is_empty() || name.len() > USERNAME_MAX || !plain {
        return Err(format!("a username has 1 to {USERNAME_MAX} bytes and neither colons nor control characters"));
    }
    Ok(())
}

fn bound(name: &str, value: Option<u32>, most_ms: u32) -> Result<(), String> {
    match value {
        Some(ms) if ms > most_ms => Err(format!("{name} may be at most {} s", most_ms / 1_000)),
        _ => Ok(()),
    }
}

fn check_text(name: &str, text: &str) -> Result<(), String> {
    if text.len() > TEXT_MAX || text.chars().any(char::is_control) {
        return Err(format!("{name} may have at most {TEXT_MAX} bytes and no control characters"));
    }
    Ok(())
}

/// The stored settings, those that are set.
pub(super) fn to_wire(mount: &Mount) -> MountSettings {
    MountSettings {
        burst_ms: mount.burst_ms,
        hold_ms: mount.hold_ms,
        max_listeners: mount.max_listeners,
        public: Some(mount.public),
        title: mount.title.clone(),
        description: mount.description.clone(),
        genre: mount.genre.clone(),
        url: mount.url.clone(),
    }
}

/// A mount with default settings.
pub(super) fn new_mount(username: String, password_hash: String) -> Mount {
    Mount {
        username,
        password_hash,
        burst_ms: None,
        hold_ms: None,
        max_listeners: None,
        public: false,
        title: None,
        description: None,
        genre: None,
        url: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_present_is_changed_and_cleared_is_default() {
        let mut mount = new_mount("source".into(), "hash".into());
        let first = MountSettings { burst_ms: Some(2_000), title: Some("One".into()), ..MountSettings::default() };
        apply(&mut mount, first).unwrap();
        apply(&mut mount, MountSettings { genre: Some("Jazz".into()), ..MountSettings::default() }).unwrap();
        assert_eq!(
            (mount.burst_ms, mount.title.as_deref(), mount.genre.as_deref()),
            (Some(2_000), Some("One"), Some("Jazz"))
        );
        for name in ["burst", "title", "genre"] {
            clear(&mut mount, name).unwrap();
        }
        assert_eq!(mount, new_mount("source".into(), "hash".into()));
        assert!(clear(&mut mount, "password").is_err());
    }

    #[test]
    fn bounds_hold_and_nothing_is_changed_then() {
        let mut mount = new_mount("source".into(), "hash".into());
        let before = mount.clone();
        for bad in [
            MountSettings { burst_ms: Some(30_001), ..MountSettings::default() },
            MountSettings { hold_ms: Some(3_600_001), ..MountSettings::default() },
            MountSettings { title: Some("a\r\nb".into()), ..MountSettings::default() },
            MountSettings { url: Some("x".repeat(1_025)), ..MountSettings::default() },
        ] {
            assert!(apply(&mut mount, bad).is_err());
        }
        assert_eq!(mount, before);
        for bad in ["", "a:b", "a\n", &"x".repeat(65)] {
            assert!(check_username(bad).is_err());
        }
    }
}
