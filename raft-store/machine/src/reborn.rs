//! The state of one cluster as the beginning of another: from a backup, or from what a last node has.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::{ClusterId, Machine, Member, alarm::is_own_key, member, schema, span::Span};

/// How far the revision is set ahead: further than writes can have been made that are not in this state, so that neither a
/// revision that a client has seen nor an epoch that a node has heard of is given twice (etcd's `--bump-revision`).
const REVISIONS_AHEAD: i64 = 1_000_000_000;

impl Machine {
    /// This state, as that of a new cluster with `first` as its only member.
    ///
    /// Mounts and clients' keys stay, with their leases. Members, source leases and jobs go, as do alarms and join tokens; the ids of the
    /// old members are never let in. All history before is compacted: watchers are told so, and read anew.
    #[must_use]
    pub fn reborn(mut self, cluster_id: ClusterId, first: &Member) -> Self {
        let members: Vec<Member> = member::all(&self.store);
        self.removed.extend(members.iter().map(|member| member.id));
        self.removed.remove(&first.id);
        self.store.skip(REVISIONS_AHEAD);
        for key in self.passing_keys(&members) {
            self.store.delete(Span { start: &key, end: b"" });
        }
        self.store.put(&first.key(), first.to_json(), 0);
        self.cluster_id = Some(cluster_id);
        self.alarms.clear();
        self.trust = crate::Trust::default();
        self.commit();
        // Nodes' own leases: nothing hangs on them any more.
        self.leases.retain(|_, lease| lease.keys.iter().any(|key| !is_own_key(key)));
        let revision = self.store.current();
        self.store.compact(revision).expect("a revision that was just made is not compacted yet");
        self.catalog.read(&self.store);
        self
    }

    /// Keys that mean nothing in another cluster: members, and what hangs on a lease below `autoradio/`.
    fn passing_keys(&self, members: &[Member]) -> BTreeSet<Bytes> {
        let span = Span { start: schema::ROOT.as_bytes(), end: schema::ROOT_END };
        let leased = self.store.newest(span).filter(|kv| kv.lease != 0).map(|kv| kv.key);
        members.iter().map(Member::key).chain(leased).collect()
    }
}
