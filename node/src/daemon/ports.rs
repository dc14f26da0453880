//! The node's ports, bound before anything else is done.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, time::Instant};

use super::StartError;
use crate::peer;

/// How long a port in use is waited for: that of a daemon that was killed a moment ago becomes free when it is gone.
const PORT_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Binds all of them, or says which cannot be and by what option it is set.
pub(super) async fn bind_all(
    addrs: &[SocketAddr],
    what: &'static str,
    option: &'static str,
) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::new();
    let deadline = Instant::now() + PORT_PATIENCE;
    for &addr in addrs {
        listeners.push(loop {
            match peer::bind(addr) {
                Ok(listener) => break listener,
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(source) => return Err(StartError::Listen { addr, what, option, source }),
            }
        });
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_becomes_free_in_a_moment_is_waited_for_and_one_that_does_not_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let bound = tokio::spawn(async move { bind_all(&[addr], "peers", "--listen-peer-urls").await });
        tokio::time::sleep(LOOK_EVERY * 2).await;
        drop(taken);
        let bound = bound.await.unwrap().unwrap();
        let again = bind_all(&[addr], "peers", "--listen-peer-urls").await.unwrap_err();
        assert!(again.to_string().contains("--listen-peer-urls"), "{again}");
        drop(bound);
    }
}
