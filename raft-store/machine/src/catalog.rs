//! The machine's view for policy: what the keys below `autoradio/` mean.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Event, EventKind, KeyValue, Member, Mount, MountName, NodeId, Origin, Revision,
    mvcc::Mvcc,
    schema::{self, Kind},
    span::Span,
};

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

impl Catalog {
    /// Takes over what changed.
    pub(crate) fn follow(&mut self, revision: Revision, events: &[Event]) {
        self.revision = revision;
        for event in events {
            // Foreign keys are no matter here, and ours were checked before they were written.
            let Ok(kind) = schema::kind(&event.kv.key) else { continue };
            let put = (event.kind == EventKind::Put).then_some(&event.kv);
            match kind {
                Kind::Mount(name) => {
                    let mounts = Arc::make_mut(&mut self.mounts);
                    match put.and_then(|kv| Mount::from_json(&kv.value).ok()) {
                        Some(mount) => mounts.insert(name, Arc::new(mount)),
                        None => mounts.remove(&name),
                    };
                }
                Kind::Origin(name) => {
                    let origins = Arc::make_mut(&mut self.origins);
                    match put.and_then(Claim::of) {
                        Some(claim) => origins.insert(name, claim),
                        None => origins.remove(&name),
                    };
                }
                Kind::Member => self.follow_member(event),
                Kind::Job | Kind::Foreign => {}
            }
        }
    }

    fn follow_member(&mut self, event: &Event) {
        let members = Arc::make_mut(&mut self.members);
        if event.kind == EventKind::Put {
            if let Some(member) = Member::from_json(&event.kv.value) {
                members.insert(member.id, Arc::new(member));
            }
        } else if let Some(gone) = event.prev_kv.as_ref().and_then(|kv| Member::from_json(&kv.value)) {
            // A renamed member's new key is written in the same revision, after its old one was deleted.
            members.remove(&gone.id);
        }
    }

    /// Reads everything anew.
    pub(crate) fn read(&mut self, store: &Mvcc) {
        let span = Span { start: schema::ROOT.as_bytes(), end: schema::ROOT_END };
        let puts: Vec<_> = store.newest(span).map(|kv| Event { kind: EventKind::Put, kv, prev_kv: None }).collect();
        *self = Self::default();
        self.follow(store.current(), &puts);
    }
}

impl Claim {
    fn of(kv: &KeyValue) -> Option<Self> {
        let origin = Arc::new(Origin::from_json(&kv.value).ok()?);
        Some(Self { epoch: u64::try_from(kv.mod_revision).ok()?, origin })
    }
}
