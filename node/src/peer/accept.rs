//! Connections that come in: told apart by their first byte, and let in as the keyring has it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::stream::{Accepted, Caller, Stream, TlsCaller};
use crate::trust::{EXPORTER_BYTES, EXPORTER_LABEL, Keyring, PeerName, Wire, explain};

/// Connections at a time, from all of fifty nodes, with room for such as are being given up.
const CONNECTIONS_MAX: usize = 1_024;

/// Accepted connections that wait to be served.
const WAITING_MAX: usize = 64;

/// How long the other side may take to say something, and then over the handshake.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// After an accept that failed (no descriptors left), rather than spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What TLS begins with: a handshake record (RFC 8446, 5.1). HTTP/2 begins with a letter.
const HANDSHAKE: u8 = 0x16;

/// Refusals are logged so often at most: they are somebody else's to cause.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Accepts until `stop`, into a channel that the server reads.
pub(super) fn accept(
    listener: TcpListener,
    keyring: Keyring,
    stop: CancellationToken,
) -> mpsc::Receiver<io::Result<Accepted>> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let (slots, tasks) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), TaskTracker::new());
        // Cancelled when plain connections are refused.
        let plain = CancellationToken::new();
        tasks.spawn(stop.clone().run_until_cancelled_owned(cut_plain(keyring.clone(), plain.clone())));
        let mut told: Option<Instant> = None;
        let (refused, mut refusals) = mpsc::channel::<(SocketAddr, String)>(1);
        loop {
            let next = async {
                let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
                (slot, listener.accept().await)
            };
            let (slot, accepted) = tokio::select! {
                () = stop.cancelled() => break,
                Some((addr, reason)) = refusals.recv() => {
                    tell(addr, &reason, &mut told);
                    continue;
                }
                next = next => next,
            };
            match accepted {
                Ok((stream, addr)) => {
                    let greeted = greet(stream, addr, keyring.clone(), plain.clone(), slot);
                    let (sender, refused) = (sender.clone(), refused.clone());
                    tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
                        match greeted.await {
                            // A receiver that is gone is a server that has stopped.
                            Ok(accepted) => drop(sender.send(Ok(accepted)).await),
                            // One at a time is told; the others are lost.
                            Err(reason) => drop(refused.try_send((addr, reason))),
                        }
                    }));
                }
                Err(error) => {
                    tracing::debug!(%error, "a peer's connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        tasks.close();
        tasks.wait().await;
    });
    receiver
}

fn tell(addr: SocketAddr, reason: &str, told: &mut Option<Instant>) {
    if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
        *told = Some(Instant::now());
        tracing::warn!(from = %addr.ip(), "a connection to the peers' port was refused: {reason}");
    } else {
        tracing::debug!(from = %addr.ip(), "a connection to the peers' port was refused: {reason}");
    }
}

/// Ends all plain connections when the cluster has changed to TLS.
async fn cut_plain(keyring: Keyring, plain: CancellationToken) {
    let mut wire = keyring.watch_wire();
    if wire.wait_for(|wire| *wire == Wire::Tls).await.is_ok() {
        plain.cancel();
    }
}

async fn greet(
    stream: TcpStream,
    addr: SocketAddr,
    keyring: Keyring,
    plain: CancellationToken,
    slot: OwnedSemaphorePermit,
) -> Result<Accepted, String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut first = [0];
    let said = timeout(GREETING_TIMEOUT, stream.peek(&mut first)).await;
    let said = said.map_err(|_| "it says nothing")?.map_err(|error| error.to_string())?;
    let wire = keyring.wire();
    match (said == 1 && first[0] == HANDSHAKE, wire) {
        (true, Wire::Both | Wire::Tls) => {
            let (stream, tls) = handshake(stream, &keyring).await?;
            let caller = Caller { addr, tls: Some(tls) };
            // Never cut: the token is nobody's.
            let cut = Box::pin(CancellationToken::new().cancelled_owned());
            Ok(Accepted { stream, caller, cut, _slot: slot })
        }
        (true, Wire::Plain) => Err("it speaks TLS, and this cluster was founded without".into()),
        (false, Wire::Tls) => Err("it does not speak TLS".into()),
        (false, Wire::Plain | Wire::Both) => {
            let cut = Box::pin(plain.cancelled_owned());
            Ok(Accepted { stream: Stream::Plain(stream), caller: Caller { addr, tls: None }, cut, _slot: slot })
        }
    }
}

async fn handshake(stream: TcpStream, keyring: &Keyring) -> Result<(Stream, TlsCaller), String> {
    let config = keyring.server_config().ok_or("this node has no certificate")?;
    let greeted = timeout(GREETING_TIMEOUT, TlsAcceptor::from(config).accept(stream)).await;
    let stream = greeted.map_err(|_| "the handshake took too long")?.map_err(|error| explain(&error))?;
    let connection = stream.get_ref().1;
    let exporter = connection
        .export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None)
        .map_err(|error| error.to_string())?;
    let name = match connection.peer_certificates().and_then(<[_]>::first) {
        Some(certificate) => Some(PeerName::of(certificate).ok_or("its certificate names no node")?),
        None => None,
    };
    Ok((Stream::Tls(Box::new(TlsStream::from(stream))), TlsCaller { name, exporter }))
}
