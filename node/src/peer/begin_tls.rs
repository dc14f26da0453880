//! The beginning of a plain cluster's change to TLS. The rest goes by itself: see `keep_trust`.

use autoradio_machine::{Command, TrustCommand};
use rcgen::KeyPair;
use tonic::Status;

use super::join::unavailable;
use crate::{
    raft::RaftHandle,
    trust::{Authority, CERTIFICATE_LIFE, Credentials, PeerName, TrustError, Wire, now_ms},
};

/// Makes a CA, takes a certificate of it, and says so in the log; nothing where that was done before.
///
/// # Errors
/// The log's, or the disk's.
pub async fn begin_tls(raft: &RaftHandle) -> Result<(), Status> {
    let keyring = raft.peers().keyring();
    if keyring.wire() == Wire::Tls || raft.read(|machine| machine.trust().change.is_some()) {
        return Ok(());
    }
    let failed = |error: TrustError| Status::internal(error.to_string());
    // One that was made, and not told of for lack of a majority, serves again.
    let ca = match keyring.authority() {
        Some(authority) => authority.certificate().clone(),
        None => {
            let now_s = now_ms() / 1_000;
            let authority = Authority::create(raft.cluster_id(), now_s).map_err(failed)?;
            let name = PeerName { cluster_id: raft.cluster_id(), node_id: raft.node_id() };
            let key = KeyPair::generate().map_err(|error| Status::internal(error.to_string()))?;
            let issued = authority.issue(name, key.public_key_raw(), now_s, CERTIFICATE_LIFE).map_err(failed)?;
            let ca = authority.certificate().clone();
            keyring.install(Credentials::new(&key, issued, ca.clone()).map_err(failed)?).map_err(failed)?;
            keyring.install_authority(authority).map_err(failed)?;
            ca
        }
    };
    let begin = TrustCommand::BeginTls { ca: ca.to_vec().into(), holder: raft.node_id() };
    raft.propose(Command::Trust(begin)).await.map_err(|error| unavailable(&error))?;
    tracing::info!("the cluster begins to change to TLS");
    Ok(())
}
