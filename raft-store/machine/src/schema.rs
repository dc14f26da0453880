//! What may stand below `autoradio/`: checked in `apply`, so that it holds whoever writes.

use bytes::Bytes;

use crate::{
    LeaseId, Mount, MountName, Origin, Refusal,
    member::MEMBERS_PREFIX,
    mount::MOUNTS_PREFIX,
    mvcc::Mvcc,
    origin::{ORIGINS_PREFIX, origin_key},
    span::Span,
};

/// Everything of ours.
pub(crate) const ROOT: &str = "autoradio/";
/// The end of the range of all keys below [`ROOT`]: `0` follows `/`.
pub(crate) const ROOT_END: &[u8] = b"autoradio0";
/// Leases of cluster-wide jobs: theirs to fill.
const JOBS_PREFIX: &str = "autoradio/jobs/";

/// Whose key it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Foreign,
    Mount(MountName),
    Origin(MountName),
    Member,
    Job,
}

/// What a key below `autoradio/` means.
pub(crate) fn kind(key: &[u8]) -> Result<Kind, Refusal> {
    if !key.starts_with(ROOT.as_bytes()) {
        return Ok(Kind::Foreign);
    }
    let below = |prefix: &str| key.strip_prefix(prefix.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"));
    if below(MOUNTS_PREFIX) {
        MountName::from_key(MOUNTS_PREFIX, key).map(Kind::Mount).map_err(|reason| invalid(key, reason))
    } else if below(ORIGINS_PREFIX) {
        MountName::from_key(ORIGINS_PREFIX, key).map(Kind::Origin).map_err(|reason| invalid(key, reason))
    } else if key.starts_with(MEMBERS_PREFIX.as_bytes()) {
        Ok(Kind::Member)
    } else if key.starts_with(JOBS_PREFIX.as_bytes()) {
        Ok(Kind::Job)
    } else {
        Err(invalid(key, "autoradio/ is the cluster's own; other data belongs under another prefix"))
    }
}

/// Checks a put.
pub(crate) fn check_put(store: &Mvcc, key: &[u8], value: &[u8], lease: LeaseId) -> Result<(), Refusal> {
    match kind(key)? {
        Kind::Foreign | Kind::Job => Ok(()),
        Kind::Mount(_) => Mount::from_json(value).map(drop).map_err(|reason| invalid(key, reason)),
        Kind::Member => {
            Err(invalid(key, "members are changed with `etcdctl member` or `radioctl`, not by writing keys"))
        }
        Kind::Origin(mount) => {
            let origin = Origin::from_json(value).map_err(|reason| invalid(key, reason))?;
            if store.get(&mount.key()).is_none() {
                return Err(invalid(key, format!("there is no mount {mount}; create it first")));
            }
            if crate::member::find(store, origin.node).is_none() {
                return Err(invalid(key, format!("{:x} is not a member", origin.node)));
            }
            if lease == 0 {
                return Err(invalid(key, "a source lease must hang on a lease"));
            }
            Ok(())
        }
    }
}

/// Checks a delete, and names what must go with it.
pub(crate) fn check_delete(store: &Mvcc, span: Span<'_>) -> Result<Vec<Bytes>, Refusal> {
    let mut with = Vec::new();
    for kv in store.newest(span).filter(|kv| kv.key.starts_with(ROOT.as_bytes())) {
        match kind(&kv.key)? {
            Kind::Member => return Err(invalid(&kv.key, "members are removed with `etcdctl member remove`")),
            Kind::Mount(mount) => with.push(origin_key(&mount)),
            Kind::Origin(_) | Kind::Job | Kind::Foreign => {}
        }
    }
    Ok(with)
}

fn invalid(key: &[u8], reason: impl Into<String>) -> Refusal {
    Refusal::Invalid { key: String::from_utf8_lossy(key).into_owned(), reason: reason.into() }
}
