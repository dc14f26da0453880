//! The admin socket: made for the owner and its group, and taken over only from a daemon that is gone.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tonic::transport::{Channel, Endpoint};

use super::StartError;

/// Owner and group; whoever may write to it administers the cluster.
const MODE: u32 = 0o660;

/// A daemon that was killed a moment ago still answers until the kernel has let go of what it had.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn wrong(path: &Path, reason: impl Into<String>) -> StartError {
    StartError::Socket { path: path.into(), reason: reason.into() }
}

/// Binds the socket; its folder is made if missing.
pub(super) async fn bind(path: &Path) -> Result<UnixListener, StartError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| wrong(path, error.to_string()))?;
    }
    let deadline = Instant::now() + PATIENCE;
    while UnixStream::connect(path).await.is_ok() {
        if Instant::now() >= deadline {
            return Err(wrong(path, "another autoradio-node answers there"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    remove(path);
    let listener = UnixListener::bind(path).map_err(|error| wrong(path, error.to_string()))?;
    let mode = std::fs::Permissions::from_mode(MODE);
    std::fs::set_permissions(path, mode).map_err(|error| wrong(path, error.to_string()))?;
    Ok(listener)
}

/// Removes the socket of a daemon that is gone.
pub(super) fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "the old admin socket could not be removed");
        }
        _ => {}
    }
}

/// A channel to the daemon that answers on `path`; `None` where none does.
///
/// # Errors
/// There is a socket, but it may not be used.
pub(super) async fn connect(path: &Path) -> Result<Option<Channel>, StartError> {
    match UnixStream::connect(path).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(wrong(path, "permission denied; run this as root, or as a member of the socket's group"));
        }
        Err(_) => return Ok(None),
    }
    let path: PathBuf = path.into();
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // The host is not used: the connector knows where to go.
    Ok(Some(Endpoint::from_static("http://admin.sock").connect_with_connector_lazy(connector)))
}
