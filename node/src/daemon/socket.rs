//! The admin socket: made for the owner and the group `autoradio`, and taken over only from a daemon that is gone.

use std::{
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tonic::transport::{Channel, Endpoint};

use super::StartError;

/// Who may write to it administers the cluster: the owner, and where it is there the group.
const GROUP: &str = "autoradio";
/// The owner and the group.
const MODE: u32 = 0o660;
/// The owner alone.
const MODE_ALONE: u32 = 0o600;
/// Bytes of the system's list of groups that are looked at.
const GROUPS_BYTES_MAX: usize = 1 << 20;

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
    admit(path, group_id())?;
    Ok(listener)
}

/// Lets the owner in, and the group where there is one. For the owner alone first: whoever had the group before it was
/// changed must not slip in.
fn admit(path: &Path, group: Option<u32>) -> Result<(), StartError> {
    let set = |mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
    set(MODE_ALONE).map_err(|error| wrong(path, error.to_string()))?;
    let alone = |why: &str| {
        tracing::info!(path = %path.display(), "the admin socket is its owner's alone: {why}");
    };
    let Some(group) = group else {
        alone("there is no group autoradio");
        return Ok(());
    };
    match chown(path, None, Some(group)) {
        Ok(()) => set(MODE).map_err(|error| wrong(path, error.to_string())),
        Err(error) => {
            alone(&format!("it could not be given to the group autoradio ({error})"));
            Ok(())
        }
    }
}

/// The group's number.
fn group_id() -> Option<u32> {
    let list = std::fs::read("/etc/group").ok()?;
    id_of(&String::from_utf8_lossy(&list[..list.len().min(GROUPS_BYTES_MAX)]), GROUP)
}

/// A group's number by its name, in `group(5)`'s format.
fn id_of(list: &str, name: &str) -> Option<u32> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn groups_are_found_by_name() {
        let list = "root:x:0:\nbroken\nautoradio-x:x:7:\nautoradio:x:997:anna,bert\n";
        assert_eq!(id_of(list, "autoradio"), Some(997));
        assert_eq!(id_of(list, "nobody"), None);
    }

    #[tokio::test]
    async fn the_socket_is_the_owners_and_the_groups_and_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let _listener = bind(&path).await.unwrap();
        let mode = || std::fs::metadata(&path).unwrap().mode() & 0o777;
        assert!(mode() == MODE || mode() == MODE_ALONE);
        assert_eq!(mode() & 0o007, 0);
        admit(&path, None).unwrap();
        assert_eq!(mode(), MODE_ALONE);
        // One's own group can always be given.
        let own = std::fs::metadata(dir.path()).unwrap().gid();
        admit(&path, Some(own)).unwrap();
        assert_eq!((mode(), std::fs::metadata(&path).unwrap().gid()), (MODE, own));
    }
}
