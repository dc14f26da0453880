//! How a connection to another node is made. The only place: TLS and what a node shows for itself enter here.

use std::time::Duration;

use tonic::transport::{Endpoint, Uri};

/// The largest message in either direction: a snapshot's piece (3 MiB) or a batch of frames, with room.
pub const MESSAGE_MAX_BYTES: usize = 8 << 20;

/// A node in the same network answers at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A silent connection is probed after this, and given up after as long again.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What one stream may have in flight: two seconds of the richest audio.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// What all streams of a connection may have in flight together.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// The endpoint for a peer URL (`http://host:2380`).
///
/// # Errors
/// What is wrong with the URL.
pub fn endpoint(url: &str) -> Result<Endpoint, String> {
    let uri: Uri = url.parse().map_err(|e| format!("{e}"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err("TLS between nodes is not supported yet; use http://".into()),
        _ => return Err("it must begin with http://".into()),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err("it names no host".into());
    }
    Ok(Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_name_a_host_by_http_are_taken() {
        assert!(endpoint("http://host1:2380").is_ok());
        assert!(endpoint("http://[::1]:2380").is_ok());
        for bad in ["host1:2380", "", "https://host1:2380", "ftp://host1", "http://", "/x"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
