//! The machine as openraft drives it.
#![allow(clippy::result_large_err, reason = "openraft's errors are as large as they are")]

use std::{
    io::Cursor,
    sync::{Arc, RwLock},
};

use autoradio_machine::{Command, Machine};
use openraft::{
    AnyError, EntryPayload, ErrorSubject, ErrorVerb, OptionalSend, RaftSnapshotBuilder, StorageIOError,
    storage::RaftStateMachine,
};

use crate::{
    Observer,
    applied::Applied,
    snapshot::{Kept, Snapshots},
    types::{Entry, LogId, Membership, Outcome, Reply, Snapshot, SnapshotMeta, StorageError, TypeConfig},
    unsynced::Unsynced,
};

/// The machine, readable from anywhere; only openraft's task writes.
pub(crate) type SharedMachine = Arc<RwLock<Machine>>;

/// The machine with what openraft must know of it.
pub(crate) struct StateMachine {
    machine: SharedMachine,
    applied: Option<LogId>,
    reached: Applied,
    membership: Membership,
    snapshots: Snapshots,
    observer: Arc<dyn Observer>,
    unsynced: Unsynced,
}

const UNPOISONED: &str = "nothing panics while it holds the machine";

impl StateMachine {
    pub(crate) fn new(
        kept: Option<(SnapshotMeta, Machine)>,
        snapshots: Snapshots,
        observer: Arc<dyn Observer>,
        unsynced: Unsynced,
    ) -> Self {
        let (meta, machine) = kept.unwrap_or_default();
        let index = meta.last_log_id.map_or(0, |id| id.index);
        observer.restored(&machine, index);
        let reached = Applied::default();
        reached.reached(index);
        Self {
            machine: Arc::new(RwLock::new(machine)),
            applied: meta.last_log_id,
            reached,
            membership: meta.last_membership,
            snapshots,
            observer,
            unsynced,
        }
    }

    pub(crate) fn machine(&self) -> SharedMachine {
        self.machine.clone()
    }

    /// How far this has come, for who waits for it.
    pub(crate) fn reached(&self) -> Applied {
        self.reached.clone()
    }

    fn apply_all(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<Vec<Reply>, StorageError> {
        let (mut replies, mut events, mut index) = (Vec::new(), Vec::new(), 0);
        {
            let mut machine = self.machine.write().expect(UNPOISONED);
            for entry in entries {
                index = entry.log_id.index;
                self.applied = Some(entry.log_id);
                let mut outcomes = Vec::new();
                match entry.payload {
                    EntryPayload::Blank => {}
                    EntryPayload::Membership(membership) => {
                        self.membership = Membership::new(Some(entry.log_id), membership);
                    }
                    EntryPayload::Normal(payload) => {
                        for command in &payload.0 {
                            // Never skipped: a node that cannot read an entry must stop, or it would differ from others.
                            let command = Command::decode(command)
                                .map_err(|e| StorageIOError::apply(entry.log_id, AnyError::new(&e)))?;
                            let applied = machine.apply(index, &command);
                            events.extend(applied.events);
                            outcomes.push(Outcome { revision: applied.revision, result: applied.result });
                        }
                    }
                }
                replies.push(Reply(outcomes));
            }
        }
        if !replies.is_empty() {
            self.tell(|observer, machine| observer.applied(machine, index, &events));
            self.reached.reached(index);
        }
        Ok(replies)
    }

    fn tell(&self, tell: impl FnOnce(&dyn Observer, &Machine)) {
        let machine = self.machine.read().expect(UNPOISONED);
        tell(self.observer.as_ref(), &machine);
    }
}

fn failed(verb: ErrorVerb, error: &(impl std::error::Error + 'static)) -> StorageError {
    StorageIOError::new(ErrorSubject::Snapshot(None), verb, AnyError::new(error)).into()
}

/// A snapshot about to be written: the state was taken when this was made.
pub(crate) struct Builder {
    kept: Option<Kept>,
    snapshots: Snapshots,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let missing = || failed(ErrorVerb::Write, &std::io::Error::other("a snapshot is built once"));
        let kept = self.kept.take().ok_or_else(missing)?;
        let written = self.snapshots.run(move |snapshots| snapshots.write(&kept).map(|()| kept));
        let kept =
            written.await.map_err(|e| failed(ErrorVerb::Write, &e))?.map_err(|e| failed(ErrorVerb::Write, &e))?;
        Ok(Snapshot { meta: kept.meta, snapshot: Box::new(Cursor::new(kept.machine)) })
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<_> = entries.into_iter().collect();
        if let Some(last) = entries.last() {
            let settled = self.unsynced.settled(last.log_id.index).await;
            settled.map_err(|error| StorageIOError::write_logs(AnyError::new(&error)))?;
        }
        self.apply_all(entries)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let machine = self.machine.read().expect(UNPOISONED).to_snapshot();
        let snapshot_id = self.applied.map_or_else(|| "empty".into(), |id| format!("{}-{}", id.index, id.leader_id));
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone(), snapshot_id };
        Builder { kept: Some(Kept { meta, machine }), snapshots: self.snapshots.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let kept = Kept { meta: meta.clone(), machine: snapshot.into_inner() };
        let written = self.snapshots.run(move |snapshots| {
            let machine = Machine::from_snapshot(&kept.machine).map_err(|e| failed(ErrorVerb::Read, &e))?;
            snapshots.write(&kept).map_err(|e| failed(ErrorVerb::Write, &e))?;
            Ok::<_, StorageError>(machine)
        });
        let machine = written.await.map_err(|e| failed(ErrorVerb::Write, &e))??;
        *self.machine.write().expect(UNPOISONED) = machine;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        let index = meta.last_log_id.map_or(0, |id| id.index);
        self.tell(|observer, machine| observer.restored(machine, index));
        self.reached.reached(index);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let (kept, wrong) = self
            .snapshots
            .run(Snapshots::newest)
            .await
            .map_err(|e| failed(ErrorVerb::Read, &e))?
            .map_err(|e| failed(ErrorVerb::Read, &e))?;
        if !wrong.is_empty() {
            // One that is older than the log's beginning would be of no use to anybody; the state is here.
            tracing::warn!(wrong = %wrong.join("; "), "the newest snapshot cannot be read; it is written anew");
            return self.get_snapshot_builder().await.build_snapshot().await.map(Some);
        }
        Ok(kept.map(|kept| Snapshot { meta: kept.meta, snapshot: Box::new(Cursor::new(kept.machine)) }))
    }
}
