//! How answers of the consensus travel between nodes.

use autoradio_machine::{NodeId, Refusal, Response};
use autoradio_proto::peer::Refused;
use autoradio_store::ConsensusError;
use tonic::{Code, Status, metadata::AsciiMetadataValue};

/// The format of proposal results that this program writes, and the newest that it reads.
const FORMAT: u8 = 1;

/// On a status that says “I do not lead”: the leader's id in hex, `0` where it is not known.
const NOT_LEADER: &str = "autoradio-not-leader";

/// A proposal's result as bytes: a format version, then postcard.
#[must_use]
pub fn encode_result(result: &Result<Response, Refusal>) -> Vec<u8> {
    postcard::to_extend(result, vec![FORMAT]).expect("a result is plain data, which postcard always encodes")
}

/// Reads [`encode_result`]'s bytes.
///
/// # Errors
/// What is wrong with them.
pub fn decode_result(bytes: &[u8]) -> Result<Result<Response, Refusal>, String> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|e| format!("an answer that cannot be read: {e}")),
        Some((&found, _)) if found > FORMAT => {
            Err(format!("an answer of format {found}, this program reads up to {FORMAT}; upgrade autoradio here"))
        }
        _ => Err("an answer without a format version".into()),
    }
}

/// What a peer is told when the consensus here could not do what it asked.
#[must_use]
pub fn to_status(error: &ConsensusError) -> Status {
    match error {
        ConsensusError::NotLeader { leader } => elsewhere(error, *leader),
        // It leads for nobody: another may soon.
        ConsensusError::NoQuorum => elsewhere(error, None),
        ConsensusError::NoSpace(why) => Status::resource_exhausted(why.clone()),
        ConsensusError::TooLarge { .. } => Status::invalid_argument(error.to_string()),
        ConsensusError::Timeout(_) => Status::deadline_exceeded(error.to_string()),
        ConsensusError::Membership(_) => Status::failed_precondition(error.to_string()),
        ConsensusError::Stopped(_) => Status::unavailable(error.to_string()),
        ConsensusError::Refused(_) => Status::internal(error.to_string()),
    }
}

fn elsewhere(error: &ConsensusError, leader: Option<NodeId>) -> Status {
    not_leading(Status::unavailable(error.to_string()), leader)
}

/// A status that says as well that the node does not lead, and who does as far as it knows.
fn not_leading(mut status: Status, leader: Option<NodeId>) -> Status {
    let value = format!("{:x}", leader.unwrap_or(0));
    let value = AsciiMetadataValue::try_from(value).expect("hex digits are a header value");
    status.metadata_mut().insert(NOT_LEADER, value);
    status
}

/// Whether a peer said that it does not lead, and who does as far as it knows.
#[must_use]
pub fn not_leader(status: &Status) -> Option<Option<NodeId>> {
    let value = status.metadata().get(NOT_LEADER)?.to_str().ok()?;
    let leader = u64::from_str_radix(value, 16).ok()?;
    Some((leader != 0).then_some(leader))
}

/// A status as it travels in an answer.
#[must_use]
pub fn to_refused(status: &Status) -> Refused {
    let leader = not_leader(status).map(|leader| leader.unwrap_or(0));
    Refused { code: status.code() as i32, message: status.message().to_owned(), not_leader: leader }
}

/// What [`to_refused`] was made of.
#[must_use]
pub fn from_refused(refused: Refused) -> Status {
    let status = Status::new(Code::from_i32(refused.code), refused.message);
    match refused.not_leader {
        Some(leader) => not_leading(status, (leader != 0).then_some(leader)),
        None => status,
    }
}

/// Whether a call failed before anything was sent, so that it may be tried again whatever it was.
#[must_use]
pub fn was_never_sent(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return status.code() == Code::Unavailable;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_back_as_they_were() {
        for result in [Ok(Response::Lease { id: 7, ttl_s: 10 }), Err(Refusal::LeaseNotFound), Ok(Response::Done)] {
            assert_eq!(decode_result(&encode_result(&result)), Ok(result));
        }
    }

    #[test]
    fn a_newer_format_says_what_to_do() {
        assert!(decode_result(&[9, 0]).unwrap_err().contains("upgrade"));
        assert!(decode_result(&[]).is_err());
        assert!(decode_result(&[FORMAT, 250, 1]).is_err());
    }

    #[test]
    fn not_leading_is_told_with_the_leader() {
        let status = to_status(&ConsensusError::NotLeader { leader: Some(0xab) });
        assert_eq!(not_leader(&status), Some(Some(0xab)));
        assert_eq!(not_leader(&to_status(&ConsensusError::NotLeader { leader: None })), Some(None));
        assert_eq!(not_leader(&to_status(&ConsensusError::NoQuorum)), Some(None));
        assert_eq!(not_leader(&Status::unavailable("gone")), None);
        for status in [status, to_status(&ConsensusError::NoQuorum), Status::invalid_argument("no")] {
            let back = from_refused(to_refused(&status));
            assert_eq!(
                (back.code(), back.message(), not_leader(&back)),
                (status.code(), status.message(), not_leader(&status))
            );
        }
    }

    #[tokio::test]
    async fn a_closed_port_was_never_sent_to_and_may_be_tried_again() {
        // A port that nobody listens on: taken, and given back.
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", taken.local_addr().unwrap());
        drop(taken);
        let channel = url.parse::<crate::peer::PeerUrl>().unwrap().plain();
        let mut client = autoradio_proto::peer::peer_client::PeerClient::new(channel);
        let status = client.propose(autoradio_proto::peer::ProposeRequest::default()).await.unwrap_err();
        assert!(was_never_sent(&status), "{status:?}");
        assert!(!was_never_sent(&Status::unavailable("broke off")), "what may have been sent is not tried again");
    }
}
