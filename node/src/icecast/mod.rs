//! The local Icecast: an attachment of the mount logs. Where `icecast2` is installed, the node runs its own as a child
//! with a generated configuration, and feeds it the live mounts, so that `http://node:8000/PATH` plays on every node.

mod child;
mod feed;
mod feeds;
mod log;
mod program;
mod request;
mod secrets;
mod state;
mod xml;

#[cfg(test)]
mod live_tests;

pub use feed::{Beginning, Next, Tap};
pub use state::{SharedState, State};

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use autoradio_machine::MountName;
use autoradio_policy::ClusterView;
use tokio::sync::watch;

use self::{child::Supervisor, feed::Target, program::Program, secrets::Secrets};
use crate::{config::Config, context::Context};

/// Where Icecast's own pages are: Debian's place, and others'.
const SHARES: [&str; 3] = ["/usr/share/icecast2", "/usr/share/icecast", "/usr/local/share/icecast"];

/// Why there is no local Icecast although one was wanted.
#[derive(Debug, thiserror::Error)]
pub enum IcecastError {
    /// No passwords.
    #[error("no passwords can be made for the local Icecast: the system has no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// A local Icecast that is kept running.
#[derive(Clone, Debug)]
pub struct Icecast {
    target: Target,
}

/// Runs the local Icecast until the node stops; its state is `ctx.metrics.icecast`. `None` where it is off or
/// not installed.
///
/// # Errors
/// [`IcecastError`]; what goes wrong later is tried again, and said in the state.
pub fn start(ctx: &Context) -> Result<Option<Icecast>, IcecastError> {
    let Some(path) = program::find(&ctx.config.icecast) else {
        tracing::info!("no icecast2 is run: it is off or not installed");
        return Ok(None);
    };
    let secrets = Secrets::random()?;
    let mut view = ctx.view.watch();
    let (text, config) = watch::channel(configuration(&ctx.config, &secrets, &view.borrow_and_update()));
    let supervisor = Supervisor {
        program: Program::new(path, ctx.config.data_dir.join("icecast")),
        listen: ctx.config.icecast_listen,
        config,
        state: ctx.metrics.icecast.clone(),
        starts: ctx.metrics.icecast_starts_total.clone(),
        stop: ctx.stop.clone(),
    };
    ctx.tasks.spawn(supervisor.run());
    let target = Target {
        address: reachable(ctx.config.icecast_listen),
        secrets: secrets.clone(),
        connections: ctx.metrics.icecast_feeds_total.clone(),
    };
    let (settings, stop) = (ctx.config.clone(), ctx.stop.clone());
    ctx.tasks.spawn(async move {
        loop {
            tokio::select! {
                changed = view.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
            let new = configuration(&settings, &secrets, &view.borrow_and_update());
            text.send_if_modified(|old| {
                let differs = *old != new;
                if differs {
                    *old = new;
                }
                differs
            });
        }
    });
    Ok(Some(Icecast { target }))
}

impl Icecast {
    /// Feeds each mount of `live` (those with frames on this node) with what `tap` opens for it, until the node stops.
    pub fn feed<T: Tap + 'static>(
        &self,
        ctx: &Context,
        live: watch::Receiver<BTreeSet<MountName>>,
        tap: impl Fn(&MountName) -> Option<T> + Send + 'static,
    ) {
        ctx.tasks.spawn(feeds::run(self.target.clone(), live, tap, ctx.stop.clone()));
    }
}

fn configuration(config: &Arc<Config>, secrets: &Secrets, view: &ClusterView) -> String {
    let share = SHARES.map(Path::new).into_iter().find(|share| share.is_dir());
    let settings = xml::Settings {
        listen: config.icecast_listen,
        hostname: config.domain.as_deref().unwrap_or(&config.name),
        max_clients: config.max_clients,
        hold: config.hold,
        share: share.map_or(Path::new(SHARES[0]), |share| share),
        secrets,
    };
    xml::render(&settings, &view.catalog)
}

/// Where a socket on `listen` is reached from this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
