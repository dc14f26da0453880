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
    /// Revisions at which the mounts were created: a mount that was deleted and made anew is another, and every epoch of
    /// its own is beyond.
    pub created: Arc<BTreeMap<MountName, u64>>,
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
    /// The revision at which a mount was created; 0 where there is no such mount.
    #[must_use]
    pub fn created(&self, mount: &MountName) -> u64 {
        self.created.get(mount).copied().unwrap_or(0)
    }

    /// Takes over what changed.
    pub(crate) fn follow(&mut self, revision: Revision, events: &[Event]) {
        self.revision = revision;
        for event in events {
            // Foreign keys are no matter here, and ours were checked before they were written.
            let Ok(kind) = schema::kind(&event.kv.key) else { continue };
            let put = (event.kind == EventKind::Put).then_some(&event.kv);
            match kind {
                Kind::Mount(name) => {
                    let (mounts, created) = (Arc::make_mut(&mut self.mounts), Arc::make_mut(&mut self.created));
                    match put.and_then(|kv| Some((Mount::from_json(&kv.value).ok()?, kv.create_revision))) {
                        Some((mount, revision)) => {
                            created.insert(name.clone(), revision.unsigned_abs());
                            mounts.insert(name, Arc::new(mount));
                        }
                        None => {
                            created.remove(&name);
                            mounts.remove(&name);
                        }
                    }
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
