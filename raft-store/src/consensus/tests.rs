//! openraft's own suite over our log and state machine.

use std::sync::Arc;

use autoradio_machine::{Event, LogIndex, Machine};
use openraft::testing::{StoreBuilder, Suite};

use super::*;
use crate::{log::LogStore, open, state::StateMachine, types::StorageError};

struct Nobody;

impl Observer for Nobody {
    fn applied(&self, _: &Machine, _: LogIndex, _: &[Event]) {}
    fn restored(&self, _: &Machine, _: LogIndex) {}
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = Options::new(folder.path().join("node"));
        let identity = Identity { cluster_id: 1, node_id: 1 };
        let opened = open::folder(&options, &identity).expect("an empty folder opens");
        let (log, snapshots) =
            open::logs(&options.dir, opened.storage, Some(opened.witness), 1).expect("an empty log can be read");
        let state = open::state(&options.dir, &log, &snapshots, Arc::new(Nobody)).expect("an empty state can be read");
        Ok((folder, log, state))
    }
}

#[test]
fn openrafts_suite_passes() {
    Suite::test_all(Builder).expect("the suite passes");
}
