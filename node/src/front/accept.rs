//! Accepting connections, within bounds.

use std::{sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::connection::{Front, serve};

/// Connections beyond `--max-clients`: sources, pages, heads on their way, and those about to be refused.
const SPARE_CONNECTIONS: usize = 2_048;
/// After an accept that failed (no descriptors left), rather than spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A connection that is silent is probed after this and each further `KEEP_ALIVE_EVERY`; a machine that died without a
/// word is noticed this way while nothing is written.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(20);
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
/// What is written and not acknowledged for so long ends a connection.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// Places for connections, of all the node's addresses together.
pub(super) fn slots(max_clients: u32) -> Arc<Semaphore> {
    let bound = usize::try_from(max_clients).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(bound.saturating_add(SPARE_CONNECTIONS).min(Semaphore::MAX_PERMITS)))
}

/// What the kernel holds for a client that does not read (it counts its own bookkeeping, so about half of this is audio):
/// a quarter of a minute at 128 kbit/s, and enough for 10 Mbit/s to another continent. Left alone it grows to megabytes a
/// listener, and one that stopped reading would not be noticed for minutes.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Accepts until the node stops.
pub(super) async fn accept(front: Front, slots: Arc<Semaphore>, listener: TcpListener) {
    let stop = front.context().stop.clone();
    loop {
        let accepted = stop.run_until_cancelled(async {
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            (slot, listener.accept().await)
        });
        let Some((slot, accepted)) = accepted.await else { return };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "the connection ended as it began");
            continue;
        }
        let (front, stop) = (front.clone(), stop.clone());
        front.context().tasks.clone().spawn(async move {
            let _slot = slot;
            stop.run_until_cancelled(serve(front, stream, from)).await;
        });
    }
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE_AFTER).with_interval(KEEP_ALIVE_EVERY))?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))
}
