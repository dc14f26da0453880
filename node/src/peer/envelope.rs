//! Who calls whom, in which cluster: on every call between nodes, and refused where it does not fit
//! (ARCHITECTURE §5.8). An address that was given to another node must never be taken for the node it was.

use autoradio_machine::{ClusterId, NodeId};
use autoradio_store::Identity;
use tonic::{Request, Status, metadata::AsciiMetadataValue, service::Interceptor};

const CLUSTER: &str = "autoradio-cluster";
/// etcd's words for a call from another cluster; how such a refusal begins.
pub const CLUSTER_ID_MISMATCH: &str = "etcdserver: cluster ID mismatch";

const TARGET: &str = "autoradio-target";
const FROM: &str = "autoradio-from";

/// Puts cluster id, target id and own id on every call.
#[derive(Clone, Debug)]
pub struct Envelope {
    cluster: AsciiMetadataValue,
    target: AsciiMetadataValue,
    from: AsciiMetadataValue,
}

impl Envelope {
    /// For calls from `me` to `target`.
    #[must_use]
    pub fn new(me: &Identity, target: NodeId) -> Self {
        Self { cluster: hex(me.cluster_id), target: hex(target), from: hex(me.node_id) }
    }
}

fn hex(id: u64) -> AsciiMetadataValue {
    format!("{id:x}").try_into().expect("hex digits are a header value")
}

impl Interceptor for Envelope {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert(CLUSTER, self.cluster.clone());
        metadata.insert(TARGET, self.target.clone());
        metadata.insert(FROM, self.from.clone());
        Ok(request)
    }
}

/// Who called, in a request's extensions; the envelope was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallFrom(pub NodeId);

/// Lets only calls of this cluster to this node in.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckEnvelope {
    pub(super) cluster_id: ClusterId,
    pub(super) node_id: NodeId,
}

impl Interceptor for CheckEnvelope {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let read = |name: &'static str| {
            let value = request.metadata().get(name).and_then(|value| value.to_str().ok());
            value.and_then(|text| u64::from_str_radix(text, 16).ok())
        };
        let missing = || Status::failed_precondition("a call between nodes must say cluster, target and sender");
        let (cluster, target) = (read(CLUSTER).ok_or_else(missing)?, read(TARGET).ok_or_else(missing)?);
        let from = read(FROM).ok_or_else(missing)?;
        if cluster != self.cluster_id {
            let (own, mismatch) = (self.cluster_id, CLUSTER_ID_MISMATCH);
            let text = format!("{mismatch}: this node is of cluster {own:x}, the call is for cluster {cluster:x}");
            return Err(Status::failed_precondition(text));
        }
        if target != self.node_id {
            let text = format!("this is node {:x}, the call is for node {target:x}", self.node_id);
            return Err(Status::failed_precondition(text));
        }
        request.extensions_mut().insert(CallFrom(from));
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(caller: Identity, target: NodeId) -> Result<CallFrom, String> {
        let request = Envelope::new(&caller, target).call(Request::new(())).unwrap();
        let checked = CheckEnvelope { cluster_id: 0xc1, node_id: 2 }.call(request);
        checked.map(|r| *r.extensions().get::<CallFrom>().unwrap()).map_err(|status| {
            assert_eq!(status.code(), tonic::Code::FailedPrecondition);
            status.message().to_owned()
        })
    }

    #[test]
    fn a_mismatch_is_refused_and_both_sides_are_named() {
        assert_eq!(check(Identity { cluster_id: 0xc1, node_id: 1 }, 2), Ok(CallFrom(1)));
        let error = check(Identity { cluster_id: 0xc2, node_id: 1 }, 2).unwrap_err();
        assert!(error.contains("c1") && error.contains("c2"), "{error}");
        assert!(error.starts_with(CLUSTER_ID_MISMATCH), "{error}");
        let error = check(Identity { cluster_id: 0xc1, node_id: 1 }, 0xbeef).unwrap_err();
        assert!(error.contains("node 2") && error.contains("beef"), "{error}");
        let bare = CheckEnvelope { cluster_id: 0xc1, node_id: 2 }.call(Request::new(()));
        assert!(bare.is_err());
    }
}
