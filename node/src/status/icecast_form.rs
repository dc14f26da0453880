//! `/status-json.xsl`: Icecast's own form, with the cluster's totals, so that what reads Icecast's reads ours.

use autoradio_policy::ClusterView;
use serde_json::{Value, json};

use super::picture::{Mount, mounts};
use crate::config::Config;

/// Icecast's object: `source` is an object with one source, a list with several, and absent with none.
pub(super) fn icestats(view: &ClusterView, config: &Config, host: Option<&str>) -> Value {
    let host = host.filter(|host| is_host(host)).or(config.domain.as_deref()).unwrap_or("localhost");
    let mut sources: Vec<Value> =
        mounts(view).iter().filter(|mount| mount.live).map(|mount| source(mount, host)).collect();
    let mut stats = json!({
        "admin": "",
        "host": host,
        "location": "",
        "server_id": format!("autoradio {}", env!("CARGO_PKG_VERSION")),
    });
    let source = match sources.len() {
        0 => return json!({ "icestats": stats }),
        1 => sources.remove(0),
        _ => Value::Array(sources),
    };
    if let Value::Object(stats) = &mut stats {
        stats.insert("source".to_owned(), source);
    }
    json!({ "icestats": stats })
}

fn source(mount: &Mount, host: &str) -> Value {
    json!({
        "bitrate": mount.bitrate_bits_per_s / 1_000,
        "dummy": null,
        "genre": mount.genre,
        "listeners": mount.listeners,
        "listenurl": format!("http://{host}{}", mount.name),
        "server_description": mount.description,
        "server_name": mount.station,
        "server_type": mount.content_type,
        "title": mount.title,
    })
}

/// A `Host` header is repeated only where it is one.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.len() <= 255 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_host() {
        for good in ["radio.test", "radio.test:8000", "[2001:db8::1]:80"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "a b", "a/b", "\"", "a\\b", "<x>"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
