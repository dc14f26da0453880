//! Authoritative DNS for the cluster's domain, over UDP and TCP. The answers are `autoradio_policy::dns`'s.

mod handler;
mod limit;
mod reply;
mod server;
mod sockets;
mod zone;

#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr};

use self::{handler::Handler, server::Server, zone::ClusterZone};
use crate::context::Context;

/// Why DNS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// A socket.
    #[error(
        "cannot listen for DNS on {address}: {error}{}",
        match error.kind() {
            io::ErrorKind::AddrInUse => "; another name server has it: stop it, or choose another --dns-listen",
            io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE: run as the service does, or choose another --dns-listen",
            io::ErrorKind::AddrNotAvailable => "; no interface has this address: correct --dns-listen",
            _ => "",
        }
    )]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
}

/// Serves the domain on all of `config.dns_listen`, until the node stops. Gives the addresses, with their real ports;
/// none where no domain is configured.
///
/// # Errors
/// A socket cannot be bound; none is left open then.
#[allow(clippy::unused_async, reason = "sockets must be made inside the runtime")]
pub async fn start(ctx: &Context) -> Result<Vec<SocketAddr>, DnsError> {
    let Some(domain) = &ctx.config.domain else { return Ok(Vec::new()) };
    let mut bound = Vec::new();
    for &address in &ctx.config.dns_listen {
        bound.push(sockets::bind(address).map_err(|error| DnsError::Bind { address, error })?);
    }
    let zone = ClusterZone::new(domain, &ctx.config.nameservers, ctx.view.clone());
    let server = Server::new(Handler::new(zone), ctx.metrics.clone(), ctx.stop.clone(), ctx.tasks.clone());
    let addresses = bound.iter().map(|sockets| sockets.address).collect();
    for sockets in bound {
        server.serve(sockets);
    }
    Ok(addresses)
}
