//! etcd's v3 API on the client port: etcdctl and etcd's client libraries work against any node.
//!
//! Each service in a file of its own; what their messages mean in terms of the machine is in `convert` and
//! `answer`, and what clients are told when something fails in `error`. Behaviour follows etcd's API reference
//! (<https://etcd.io/docs/v3.5/learning/api/>) and what real etcd was seen to do.

pub(crate) mod alarms;
mod answer;
mod answers;
mod auth;
mod bells;
mod calls;
mod cluster;
mod convert;
mod election;
mod error;
mod event;
pub mod gateway;
mod health;
mod hub;
mod kv;
mod lease;
mod limits;
mod lock;
mod maintenance;
pub mod metrics;
mod observe;
mod parts;
mod queue;
mod require_leader;
mod room;
mod snapshot;
mod watch;
mod watch_server;
mod watcher;
mod words;

pub use calls::{Calls, count};
pub use hub::WatchHub;
pub use limits::{CLUSTER_VERSION, SERVER_VERSION};
pub use room::Room;

use autoradio_machine::Revision;
use autoradio_proto::{
    etcd::{
        etcdserverpb::{
            ResponseHeader, auth_server::AuthServer, cluster_server::ClusterServer, kv_server::KvServer,
            lease_server::LeaseServer, maintenance_server::MaintenanceServer,
        },
        v3electionpb::election_server::ElectionServer,
        v3lockpb::lock_server::LockServer,
    },
    health::health_server::HealthServer,
};
use tonic::service::{Routes, interceptor::InterceptedService};

use self::require_leader::RequireLeader;
use crate::{context::Context, raft::RaftHandle};

/// Adds etcd's services to `routes`.
#[must_use]
pub fn add_services(routes: Routes, context: &Context) -> Routes {
    let most = limits::MESSAGE_MAX_BYTES;
    let (raft, stop, tasks) = (context.raft.clone(), context.stop.clone(), context.tasks.clone());
    let led = RequireLeader { raft: raft.clone() };
    let kv = KvServer::new(kv::KvService { raft: raft.clone() }).max_decoding_message_size(most);
    let watch = watch_server::WatchServer::new(watch::WatchService { context: context.clone() });
    let lease = lease::LeaseService { raft: raft.clone(), stop: stop.clone(), tasks: tasks.clone() };
    let lease = LeaseServer::new(lease).max_decoding_message_size(most);
    let cluster = cluster::ClusterService { context: context.clone() };
    let cluster = ClusterServer::new(cluster).max_decoding_message_size(most);
    let maintenance = maintenance::MaintenanceService { context: context.clone() };
    let queues = queue::Queues::new(context.clone());
    let lock = LockServer::new(lock::LockService { queues: queues.clone() }).max_decoding_message_size(most);
    let election = ElectionServer::new(election::ElectionService { queues }).max_decoding_message_size(most);
    routes
        .add_service(InterceptedService::new(kv, led.clone()))
        .add_service(InterceptedService::new(watch, led.clone()))
        .add_service(InterceptedService::new(lease, led.clone()))
        .add_service(InterceptedService::new(cluster, led.clone()))
        .add_service(InterceptedService::new(lock, led.clone()))
        .add_service(InterceptedService::new(election, led))
        .add_service(MaintenanceServer::new(maintenance).max_decoding_message_size(most))
        .add_service(AuthServer::new(auth::AuthService { raft }).max_decoding_message_size(most))
        .add_service(HealthServer::new(health::HealthService { stop, tasks }).max_decoding_message_size(most))
        .add_service(reflection().build_v1().expect(SOUND).max_decoding_message_size(most))
        .add_service(reflection().build_v1alpha().expect(SOUND).max_decoding_message_size(most))
}

const SOUND: &str = "the build made the descriptors";

/// gRPC's reflection: what grpcurl and its like ask for services, methods and messages.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(autoradio_proto::DESCRIPTORS)
}

/// The header of an answer given at `revision`.
fn header(raft: &RaftHandle, revision: Revision) -> ResponseHeader {
    ResponseHeader { cluster_id: raft.cluster_id(), member_id: raft.node_id(), revision, raft_term: raft.term() }
}

/// The header of an answer at the revision that this node has now.
fn header_now(raft: &RaftHandle) -> ResponseHeader {
    header(raft, raft.read(autoradio_machine::Machine::revision))
}
