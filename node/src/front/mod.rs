//! The HTTP front: sources in, listeners out.
//!
//! Heads are read by hand, since encoders do what hyper cannot carry; what is neither a source, a listener nor a title
//! goes to hyper with the bytes put back.

mod accept;
mod admission;
mod auth;
mod body;
mod claim;
mod connection;
mod date;
mod error;
mod listener;
mod metadata;
mod pages;
mod playlist;
mod pump;
mod source;

use std::{net::SocketAddr, sync::Arc};

pub use error::FrontError;

use crate::{context::Context, onair::Elsewhere, peer};

/// Starts the front on all its addresses; returns those, with the ports that the system chose.
///
/// # Errors
/// [`FrontError::Bind`].
pub fn start(context: &Context, elsewhere: Arc<dyn Elsewhere>) -> Result<Vec<SocketAddr>, FrontError> {
    let bind = |&addr| peer::bind(addr).map_err(|source| FrontError::Bind { addr, source });
    let listeners = context.config.http_listen.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let front = connection::Front::new(context.clone(), elsewhere);
    let slots = accept::slots(context.config.max_clients);
    for listener in listeners {
        context.tasks.spawn(accept::accept(front.clone(), slots.clone(), listener));
    }
    context.tasks.spawn(claim::sweep(context.clone()));
    Ok(addresses)
}
