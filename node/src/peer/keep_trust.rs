//! Keeps this node's certificate fresh, the CA's key on voters, and a plain cluster's change to TLS going.

use std::{fmt, time::Duration};

use autoradio_machine::{Command, NodeId, TlsChange, TrustCommand, hex_id};
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use super::certify::{self, NobodyDid};
use crate::{
    raft::{Backoff, RaftError, RaftHandle},
    trust::{Authority, CERTIFICATE_LIFE, Credentials, KeyProof, PeerName, TrustError, Wire, now_ms, random, sign_key},
};

/// How often it is looked at what is to be done.
const TICK: Duration = Duration::from_secs(1);

/// First and longest wait after something failed.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What this node sees.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture {
    wire: Wire,
    /// Whether it has a certificate of the CA that it should be of.
    has_right_certificate: bool,
    is_due: bool,
    has_authority: bool,
    is_voter: bool,
    leads: bool,
    change: Option<TlsChange>,
    /// Whether all members are reached by TLS.
    all_by_tls: bool,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Get a certificate, from this node first if it is not its own CA.
    Certificate(Option<NodeId>),
    /// Get the CA's key.
    Authority,
    /// Say in the log that all speak TLS.
    EndChange(bytes::Bytes),
    /// Refuse plain connections.
    RefusePlain,
}

fn next_step(now: &Picture) -> Option<Step> {
    if let Some(change) = &now.change {
        if !now.has_right_certificate {
            return Some(Step::Certificate(Some(change.holder)));
        }
        if change.done && now.wire == Wire::Both {
            return Some(Step::RefusePlain);
        }
        if !change.done && now.leads && now.all_by_tls && now.wire == Wire::Both {
            return Some(Step::EndChange(change.ca.clone()));
        }
    }
    if now.wire == Wire::Plain {
        return None;
    }
    if now.is_due {
        return Some(Step::Certificate(None));
    }
    (now.is_voter && !now.has_authority).then_some(Step::Authority)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(None) => f.write_str("get a certificate"),
            Self::Certificate(Some(node)) => write!(f, "get a certificate, from node {} first", hex_id(*node)),
            Self::Authority => f.write_str("get the CA's key"),
            Self::EndChange(_) => f.write_str("say that all speak TLS"),
            Self::RefusePlain => f.write_str("refuse plain connections"),
        }
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Nobody(#[from] NobodyDid),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Raft(#[from] RaftError),
    #[error("the certificate that came is of another CA than this cluster's")]
    OtherCa,
}

/// Keeps certificate, CA key and the change to TLS as they should be, until `stop`.
pub async fn keep_trust(raft: RaftHandle, stop: CancellationToken) {
    // Without randomness all renew at the same time, which does no harm.
    let dice = random::<1>().map_or(128, |[dice]| dice);
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        let wait = match next_step(&picture(&raft, dice)) {
            None => TICK,
            Some(step) => {
                let Some(done) = stop.run_until_cancelled(carry_out(&raft, &step)).await else { return };
                match done {
                    Ok(()) => {
                        backoff.reset();
                        tracing::info!(%step, "trust between nodes: done");
                        Duration::ZERO
                    }
                    Err(error) => {
                        tracing::warn!(%step, %error, "trust between nodes: not done yet; trying again");
                        backoff.step()
                    }
                }
            }
        };
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

fn picture(raft: &RaftHandle, dice: u8) -> Picture {
    let keyring = raft.peers().keyring();
    let (credentials, authority) = (keyring.credentials(), keyring.authority());
    let change = raft.read(|machine| machine.trust().change.clone());
    let is_right = |credentials: &Credentials| {
        change.as_ref().is_none_or(|change| change.ca.as_ref() == credentials.ca().as_ref())
    };
    let members = raft.catalog().members;
    let by_tls = |url: &String| url.starts_with("https://");
    Picture {
        wire: keyring.wire(),
        has_right_certificate: credentials.as_deref().is_some_and(is_right),
        is_due: credentials.as_deref().is_some_and(|credentials| now_ms() / 1_000 >= credentials.renew_at_s(dice)),
        has_authority: authority.is_some(),
        is_voter: raft.status().voters.contains(&raft.node_id()),
        leads: raft.leads(),
        all_by_tls: !members.is_empty() && members.values().all(|member| member.peer_urls.iter().all(by_tls)),
        change,
    }
}

async fn carry_out(raft: &RaftHandle, step: &Step) -> Result<(), StepError> {
    match step {
        Step::Certificate(first) => renew(raft, *first).await,
        Step::Authority => {
            let Some(credentials) = raft.peers().keyring().credentials() else { return Ok(()) };
            let key = certify::hand_over(raft.peers(), raft.status().leader).await?;
            let authority = Authority::from_key(raft.cluster_id(), &key, credentials.ca().clone())?;
            Ok(raft.peers().keyring().install_authority(authority)?)
        }
        Step::EndChange(ca) => {
            raft.propose(Command::Trust(TrustCommand::EndTls { ca: ca.clone() })).await?;
            Ok(())
        }
        Step::RefusePlain => Ok(raft.peers().keyring().refuse_plain()?),
    }
}

/// Gets a certificate for a new key, and takes both into use: new connections show it, those there are go on.
async fn renew(raft: &RaftHandle, first: Option<NodeId>) -> Result<(), StepError> {
    let keyring = raft.peers().keyring();
    let wanted = raft.read(|machine| machine.trust().change.clone()).map(|change| change.ca.to_vec());
    let wanted = wanted.map(CertificateDer::from).or_else(|| keyring.credentials().map(|now| now.ca().clone()));
    let failed = |error: rcgen::Error| TrustError::Crypto { what: "making this node's key", reason: error.to_string() };
    let key = KeyPair::generate().map_err(failed)?;
    let public_key = key.public_key_raw();
    let name = PeerName { cluster_id: raft.cluster_id(), node_id: raft.node_id() };
    let own = keyring.authority().filter(|authority| wanted.as_ref() == Some(authority.certificate()));
    let (issued, ca) = match own {
        Some(authority) => {
            let issued = authority.issue(name, public_key, now_ms() / 1_000, CERTIFICATE_LIFE)?;
            (issued, authority.certificate().clone())
        }
        None => {
            let proof = KeyProof { cluster_id: name.cluster_id, node_id: name.node_id, public_key };
            let signed = sign_key(&key, &proof)?;
            let first = first.or(raft.status().leader);
            certify::certify(raft.peers(), first, name.node_id, public_key.to_vec(), signed).await?
        }
    };
    if wanted.is_some_and(|wanted| wanted != ca) {
        return Err(StepError::OtherCa);
    }
    let credentials = Credentials::new(&key, issued, ca)?;
    if credentials.name() != name {
        return Err(StepError::OtherCa);
    }
    Ok(keyring.install(credentials)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled() -> Picture {
        Picture {
            wire: Wire::Tls,
            has_right_certificate: true,
            is_due: false,
            has_authority: true,
            is_voter: true,
            leads: true,
            change: None,
            all_by_tls: true,
        }
    }

    #[test]
    fn a_settled_node_does_nothing_and_what_is_due_is_done() {
        assert_eq!(next_step(&settled()), None);
        let plain = Picture { wire: Wire::Plain, has_right_certificate: false, has_authority: false, ..settled() };
        assert_eq!(next_step(&plain), None, "a plain cluster stays plain");
        assert_eq!(next_step(&Picture { is_due: true, ..settled() }), Some(Step::Certificate(None)));
        assert_eq!(next_step(&Picture { has_authority: false, ..settled() }), Some(Step::Authority));
        assert_eq!(next_step(&Picture { has_authority: false, is_voter: false, ..settled() }), None, "voters only");
    }

    #[test]
    fn a_change_goes_from_certificates_by_all_members_to_the_end() {
        let ca = bytes::Bytes::from_static(b"ca");
        let change = |done| Some(TlsChange { ca: ca.clone(), holder: 3, done });
        let begun = Picture {
            wire: Wire::Plain,
            has_right_certificate: false,
            has_authority: false,
            all_by_tls: false,
            change: change(false),
            ..settled()
        };
        assert_eq!(next_step(&begun), Some(Step::Certificate(Some(3))));
        let certified = Picture { wire: Wire::Both, has_right_certificate: true, has_authority: true, ..begun };
        assert_eq!(next_step(&certified), None, "others are not reached by TLS yet");
        let all = Picture { all_by_tls: true, ..certified };
        assert_eq!(next_step(&all), Some(Step::EndChange(ca.clone())));
        assert_eq!(next_step(&Picture { leads: false, ..all.clone() }), None);
        let ended = Picture { change: change(true), ..all };
        assert_eq!(next_step(&ended), Some(Step::RefusePlain));
        assert_eq!(next_step(&Picture { wire: Wire::Tls, ..ended }), None);
    }
}
