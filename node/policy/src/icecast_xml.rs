//! icecast.xml for the Icecast that a node runs beside itself. The same input gives the same bytes, so that a changed
//! text means a changed configuration.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use autoradio_machine::{Mount, MountName};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

use crate::head::bounded_text;

/// Icecast's own default burst, in bytes.
pub const DEFAULT_BURST_BYTES: u64 = 65_536;
/// Bounds of a mount's burst, in bytes.
pub const BURST_BYTES: (u64, u64) = (16 * 1024, 2 * 1024 * 1024);
/// Icecast's own default for how far a listener may lag, in bytes.
const QUEUE_BYTES: u64 = 512 * 1024;
/// Sources allowed beyond the number of mounts: a new feed may come before the old one's end is noticed.
const SPARE_SOURCES: usize = 8;
/// The longest text that is written into an element, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// What a node's Icecast is to be.
#[derive(Clone, Debug)]
pub struct IcecastConfig {
    /// The name in Icecast's own URLs.
    pub hostname: String,
    /// Whom to write to.
    pub admin: String,
    /// Where it is, as text.
    pub location: String,
    /// The address to listen on; `None` for all.
    pub bind: Option<IpAddr>,
    /// The port to listen on.
    pub port: u16,
    /// The password with which the daemon feeds mounts.
    pub source_password: String,
    /// The password of the user `admin`.
    pub admin_password: String,
    /// The password of relays.
    pub relay_password: String,
    /// At most so many connections.
    pub max_clients: u32,
    /// How long a source may say nothing, in seconds; more than the longest hold.
    pub source_timeout_s: u32,
    /// Where Icecast's own files are.
    pub base_dir: String,
    /// Where the log files go; must be writable by Icecast's user.
    pub log_dir: String,
    /// Icecast's web pages.
    pub web_root: String,
    /// Icecast's admin pages.
    pub admin_root: String,
}

/// Writes the configuration. `bitrates_bits_per_s` has the mounts whose bit rate is known.
#[must_use]
pub fn icecast_xml(
    config: &IcecastConfig,
    mounts: &BTreeMap<MountName, Arc<Mount>>,
    bitrates_bits_per_s: &BTreeMap<MountName, u64>,
) -> String {
    let mut doc = Doc(Writer::new_with_indent(Vec::new(), b' ', 2));
    doc.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    doc.event(Event::Comment(BytesText::new(" Made by autoradio; changes are lost. ")));
    doc.element("icecast", &[], |doc| {
        doc.leaf("location", &config.location);
        doc.leaf("admin", &config.admin);
        limits(doc, config, mounts.len());
        doc.element("authentication", &[], |doc| {
            doc.leaf("source-password", &config.source_password);
            doc.leaf("relay-password", &config.relay_password);
            doc.leaf("admin-user", "admin");
            doc.leaf("admin-password", &config.admin_password);
        });
        doc.leaf("hostname", &config.hostname);
        doc.element("listen-socket", &[], |doc| {
            doc.leaf("port", &config.port.to_string());
            if let Some(bind) = config.bind {
                doc.leaf("bind-address", &bind.to_string());
            }
        });
        doc.element("http-headers", &[], |doc| {
            doc.empty("header", &[("name", "Access-Control-Allow-Origin"), ("value", "*")]);
        });
        for (name, settings) in mounts {
            mount(doc, name, settings, bitrates_bits_per_s.get(name).copied());
        }
        doc.leaf("fileserve", "0");
        paths(doc, config);
        doc.element("logging", &[], |doc| {
            doc.leaf("accesslog", "access.log");
            doc.leaf("errorlog", "error.log");
            doc.leaf("loglevel", "3");
            // In KiB: small, because nobody looks after this folder.
            doc.leaf("logsize", "10000");
        });
        doc.element("security", &[], |doc| doc.leaf("chroot", "0"));
    });
    doc.finish()
}

fn limits(doc: &mut Doc, config: &IcecastConfig, mounts: usize) {
    doc.element("limits", &[], |doc| {
        doc.leaf("clients", &config.max_clients.to_string());
        doc.leaf("sources", &mounts.saturating_add(SPARE_SOURCES).to_string());
        doc.leaf("queue-size", &QUEUE_BYTES.to_string());
        doc.leaf("client-timeout", "30");
        doc.leaf("header-timeout", "15");
        doc.leaf("source-timeout", &config.source_timeout_s.to_string());
        doc.leaf("burst-size", &DEFAULT_BURST_BYTES.to_string());
    });
}

fn paths(doc: &mut Doc, config: &IcecastConfig) {
    doc.element("paths", &[], |doc| {
        doc.leaf("basedir", &config.base_dir);
        doc.leaf("logdir", &config.log_dir);
        doc.leaf("webroot", &config.web_root);
        doc.leaf("adminroot", &config.admin_root);
        doc.empty("alias", &[("source", "/"), ("destination", "/status.xsl")]);
    });
}

/// One mount, with every value written out: Icecast 2.4 keeps old values of a running source where a reload says
/// nothing of them.
fn mount(doc: &mut Doc, name: &MountName, mount: &Mount, bitrate_bits_per_s: Option<u64>) {
    let burst = burst_bytes(mount.burst_ms, bitrate_bits_per_s);
    doc.element("mount", &[("type", "normal")], |doc| {
        doc.leaf("mount-name", name.as_str());
        // -1 is Icecast's "no bound".
        doc.leaf("max-listeners", &mount.max_listeners.map_or_else(|| "-1".to_owned(), |n| n.to_string()));
        doc.leaf("burst-size", &burst.to_string());
        doc.leaf("queue-size", &QUEUE_BYTES.max(burst.saturating_mul(2)).to_string());
        doc.leaf("public", if mount.public { "1" } else { "0" });
        let texts = [
            ("stream-name", &mount.title),
            ("stream-description", &mount.description),
            ("genre", &mount.genre),
            ("stream-url", &mount.url),
        ];
        for (element, text) in texts {
            if let Some(text) = text.as_ref().filter(|t| !t.is_empty()) {
                doc.leaf(element, text);
            }
        }
    });
}

/// The burst in bytes: Icecast's default unless a burst is set and the bit rate known. A power of two, so that a bit
/// rate that wavers does not change the configuration each second.
fn burst_bytes(burst_ms: Option<u32>, bitrate_bits_per_s: Option<u64>) -> u64 {
    match (burst_ms, bitrate_bits_per_s) {
        (Some(0), _) => 0,
        (Some(ms), Some(rate)) if rate > 0 => {
            let bytes = u64::from(ms).saturating_mul(rate) / 8_000;
            bytes.clamp(BURST_BYTES.0, BURST_BYTES.1).next_power_of_two()
        }
        _ => DEFAULT_BURST_BYTES,
    }
}

/// An XML document in memory.
struct Doc(Writer<Vec<u8>>);

impl Doc {
    fn event(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("writing to memory cannot fail");
    }

    fn element(&mut self, name: &str, attributes: &[(&str, &str)], inside: impl FnOnce(&mut Self)) {
        self.event(Event::Start(BytesStart::new(name).with_attributes(attributes.iter().copied())));
        inside(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.event(Event::Empty(BytesStart::new(name).with_attributes(attributes.iter().copied())));
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.event(Event::Start(BytesStart::new(name)));
        // Control characters are not allowed in XML 1.0, not even escaped.
        let clean: String = bounded_text(text, MAX_TEXT_BYTES).replace(['\u{fffe}', '\u{ffff}'], "");
        self.event(Event::Text(BytesText::new(&clean)));
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn finish(self) -> String {
        let mut text = String::from_utf8(self.0.into_inner()).expect("only text was written");
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests;
