//! Mounts, kept under `autoradio/mounts/PATH`.

use serde::{Deserialize, Serialize};

/// A mount's path: `/live.ogg`. Always valid: made by [`MountName::parse`] only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MountName(std::sync::Arc<str>);

/// A mount as it is configured. Passwords are kept as argon2id hashes only (PHC strings).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The name that sources log in with.
    pub username: String,
    /// The password's argon2id hash, as a PHC string.
    pub password_hash: String,
    /// Burst on connect, in milliseconds of audio, 0 to 30,000; `None` for the node's default (4,000).
    #[serde(default)]
    pub burst_ms: Option<u32>,
    /// How long listeners are held without a source, in milliseconds; `None` for the node's `--hold`.
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
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks a name.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn parse(name: &str) -> Result<Self, String> {
        if name.starts_with('/') { Ok(Self(name.into())) } else { Err("must start with /".into()) }
    }
}

impl std::fmt::Display for MountName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MountName {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}
