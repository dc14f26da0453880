//! Mounts, kept under `autoradio/mounts/PATH`.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Keys of mounts are this and the mount's name: `autoradio/mounts/live.ogg`.
pub const MOUNTS_PREFIX: &str = "autoradio/mounts";

/// A longer name would not fit etcd's tools' lines, nor many encoders' settings.
const NAME_BYTES_MAX: usize = 255;
/// Descriptions are sent in HTTP headers.
const TEXT_BYTES_MAX: usize = 1_024;
const USERNAME_BYTES_MAX: usize = 64;
const BURST_MS_MAX: u32 = 30_000;
const HOLD_MS_MAX: u32 = 3_600_000;

/// What the front itself uses, with everything below.
const RESERVED: [&str; 11] = [
    "/_stream",
    "/admin",
    "/admin.cgi",
    "/metrics",
    "/healthz",
    "/status.json",
    "/status-json.xsl",
    "/.well-known",
    "/api",
    "/static",
    "/favicon.ico",
];
/// Endings that name a playlist of a mount.
const PLAYLISTS: [&str; 4] = [".m3u", ".m3u8", ".pls", ".xspf"];

/// A mount's path: `/live.ogg`. Always valid: made by [`MountName::parse`] only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MountName(Arc<str>);

/// A mount as it is configured. Passwords are kept as argon2id hashes only (PHC strings).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// The name that sources log in with.
    pub username: String,
    /// The password's argon2id hash, as a PHC string.
    pub password_hash: String,
    /// Burst on connect, in milliseconds of audio, 0 to 30,000; `None` for the node's default (4,000).
    #[serde(default)]
    pub burst_ms: Option<u32>,
    /// How long listeners are held without a source, in milliseconds, up to an hour; `None` for the node's `--hold`.
    #[serde(default)]
    pub hold_ms: Option<u32>,
    /// At most so many listeners in the cluster; `None` for no bound.
    #[serde(default)]
    pub max_listeners: Option<u32>,
    /// Whether directories may list it.
    #[serde(default)]
    pub public: bool,
    /// The station's name, unless the source says one.
    #[serde(default)]
    pub title: Option<String>,
    /// A description.
    #[serde(default)]
    pub description: Option<String>,
    /// A genre.
    #[serde(default)]
    pub genre: Option<String>,
    /// A web page.
    #[serde(default)]
    pub url: Option<String>,
}

impl MountName {
    /// Checks a name.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn parse(name: &str) -> Result<Self, String> {
        if !name.starts_with('/') {
            return Err(format!("{name:?} must start with a slash: /live.mp3"));
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(format!("is {} bytes long; at most {NAME_BYTES_MAX} are possible", name.len()));
        }
        let unfit = |c: char| c.is_control() || c.is_whitespace() || "?#%\\\"<>".contains(c);
        if let Some(c) = name.chars().find(|c| unfit(*c)) {
            return Err(format!("must not contain {c:?}; letters, digits and .-_ are right"));
        }
        for segment in name[1..].split('/') {
            match segment {
                "" => return Err("must name something between and after its slashes: /show/live.mp3".into()),
                "." | ".." => return Err(format!("must not contain the path segment {segment:?}")),
                _ => {}
            }
        }
        let below =
            |reserved: &str| name == reserved || name.strip_prefix(reserved).is_some_and(|r| r.starts_with('/'));
        if let Some(reserved) = RESERVED.iter().find(|r| below(r)) {
            return Err(format!("{reserved} is used by the node itself; choose another path"));
        }
        if let Some(ending) = PLAYLISTS.iter().find(|e| name.ends_with(*e)) {
            return Err(format!("must not end in {ending}, which names a mount's playlist"));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that the mount is kept under.
    #[must_use]
    pub fn key(&self) -> Bytes {
        Bytes::from(format!("{MOUNTS_PREFIX}{}", self.0))
    }

    /// The name from a mount's or an origin's key, given the prefix.
    pub(crate) fn from_key(prefix: &str, key: &[u8]) -> Result<Self, String> {
        let name = key.strip_prefix(prefix.as_bytes()).ok_or("is no key of a mount")?;
        Self::parse(std::str::from_utf8(name).map_err(|_| "is not UTF-8")?)
    }
}

impl fmt::Display for MountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MountName {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

impl Mount {
    /// The mount as it is stored.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("a mount is plain data").into()
    }

    /// A stored mount, checked.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let mount: Self = serde_json::from_slice(json).map_err(|e| format!("is not a mount's JSON: {e}"))?;
        mount.check()?;
        Ok(mount)
    }

    /// Checks the settings' ranges.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn check(&self) -> Result<(), String> {
        let user = &self.username;
        if user.is_empty() || user.len() > USERNAME_BYTES_MAX || user.chars().any(|c| c == ':' || c.is_control()) {
            return Err(format!("the username must be 1 to {USERNAME_BYTES_MAX} bytes without a colon"));
        }
        if !self.password_hash.starts_with("$argon2id$") || self.password_hash.len() > TEXT_BYTES_MAX {
            return Err("password_hash must be an argon2id hash ($argon2id$…); radioctl makes it".into());
        }
        if self.burst_ms.is_some_and(|ms| ms > BURST_MS_MAX) {
            return Err(format!("burst_ms must be at most {BURST_MS_MAX}"));
        }
        if self.hold_ms.is_some_and(|ms| ms > HOLD_MS_MAX) {
            return Err(format!("hold_ms must be at most {HOLD_MS_MAX}"));
        }
        if self.max_listeners == Some(0) {
            return Err("max_listeners must be at least 1; leave it out for no bound".into());
        }
        for (what, text) in
            [("title", &self.title), ("description", &self.description), ("genre", &self.genre), ("url", &self.url)]
        {
            let text = text.as_deref().unwrap_or_default();
            if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
                return Err(format!("the {what} must be at most {TEXT_BYTES_MAX} bytes without control characters"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_be_and_names_that_cannot() {
        for good in ["/live.ogg", "/a/b/c", "/über.mp3", "/administration.mp3", "/_streams", "/a.m3u.mp3"] {
            assert_eq!(MountName::parse(good).unwrap().as_str(), good);
        }
        let long = format!("/{}", "x".repeat(255));
        for bad in [
            "",
            "/",
            "live",
            "/a//b",
            "/a/",
            "/../a",
            "/a/./b",
            "/a b",
            "/a\n",
            "/a?b",
            "/a%20",
            "/_stream/a",
            "/admin",
            "/admin/metadata",
            "/metrics",
            "/x.m3u",
            "/x.pls",
            "/x.xspf",
            "/.well-known/x",
            "/a\u{7f}",
            &long,
        ] {
            assert!(MountName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let good = r#"{"username":"source","password_hash":"$argon2id$v=19$m=1$x"}"#;
        let mount = Mount::from_json(good.as_bytes()).unwrap();
        assert_eq!(Mount::from_json(&mount.to_json()).unwrap(), mount);
        for bad in [
            r#"{"username":"source","password_hash":"secret"}"#,
            r#"{"username":"so:urce","password_hash":"$argon2id$x"}"#,
            r#"{"username":"","password_hash":"$argon2id$x"}"#,
            r#"{"username":"source","password_hash":"$argon2id$x","burst_ms":30001}"#,
            r#"{"username":"source","password_hash":"$argon2id$x","hold_ms":3600001}"#,
            r#"{"username":"source","password_hash":"$argon2id$x","max_listeners":0}"#,
            r#"{"username":"source","password_hash":"$argon2id$x","genre":"a\nb"}"#,
            r#"{"username":"source","password_hash":"$argon2id$x","colour":"red"}"#,
            "null",
            "",
            "[",
        ] {
            assert!(Mount::from_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
