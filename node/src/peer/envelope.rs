//! Who calls whom, in which cluster: on every call between nodes, and refused where it does not fit
//! (ARCHITECTURE §5.8). An address that was given to another node must never be taken for the node it was.

use autoradio_machine::{ClusterId, NodeId};
use autoradio_store::Identity;
use tonic::{Request, Status, metadata::AsciiMetadataValue, service::Interceptor};

use super::Caller;
use crate::trust::PeerName;

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
        let caller = request.extensions().get::<Caller>().copied();
        check_caller(caller, PeerName { cluster_id: cluster, node_id: from })?;
        request.extensions_mut().insert(CallFrom(from));
        Ok(request)
    }
}

/// Whether the certificate says what the call does. Connections without TLS are let in by `accept`, or not.
fn check_caller(caller: Option<Caller>, says: PeerName) -> Result<(), Status> {
    let caller = caller.ok_or_else(|| Status::internal("the connection was not looked at"))?;
    match caller.tls.map(|tls| tls.name) {
        None => Ok(()),
        Some(Some(name)) if name == says => Ok(()),
        Some(Some(name)) => {
            tracing::warn!(from = %caller.addr.ip(), "a call that says it is from {says} has the certificate of {name}");
            let text = format!("the certificate is of {name}, the call says that it is from {says}");
            Err(Status::permission_denied(text))
        }
        Some(None) => Err(Status::unauthenticated(
            "calls between nodes need a node's certificate; without one a node \
             can ask to join, and no more",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDR: std::net::SocketAddr =
        std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    fn check(caller: Identity, target: NodeId) -> Result<CallFrom, String> {
        let mut request = Envelope::new(&caller, target).call(Request::new(())).unwrap();
        request.extensions_mut().insert(Caller { addr: ADDR, tls: None });
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

    #[test]
    fn with_tls_the_certificate_must_be_of_the_node_that_the_call_says() {
        let says = PeerName { cluster_id: 0xc1, node_id: 1 };
        let tls = |name| Some(Caller { addr: ADDR, tls: Some(super::super::TlsCaller { name, exporter: [0; 32] }) });
        assert!(check_caller(tls(Some(says)), says).is_ok());
        let code = |caller| check_caller(caller, says).unwrap_err().code();
        assert_eq!(code(tls(Some(PeerName { node_id: 2, ..says }))), tonic::Code::PermissionDenied);
        assert_eq!(code(tls(Some(PeerName { cluster_id: 2, ..says }))), tonic::Code::PermissionDenied);
        assert_eq!(code(tls(None)), tonic::Code::Unauthenticated);
        assert_eq!(code(None), tonic::Code::Internal);
    }
}
