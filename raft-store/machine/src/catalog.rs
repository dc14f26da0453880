//! The machine's view for policy: what the keys below `autoradio/` mean.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Member, Mount, MountName, NodeId, Origin, Revision};

/// Mounts, members and origins at one revision. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The revision that this is a picture of.
    pub revision: Revision,
    /// Mounts by name.
    pub mounts: Arc<BTreeMap<MountName, Arc<Mount>>>,
    /// Members by id.
    pub members: Arc<BTreeMap<NodeId, Arc<Member>>>,
    /// Source leases by mount.
    pub origins: Arc<BTreeMap<MountName, Claim>>,
}

/// A source lease that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The fencing number: mod revision of the key.
    pub epoch: u64,
    /// Who holds it.
    pub origin: Arc<Origin>,
}
