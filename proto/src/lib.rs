//! The wire of autoradio: services between nodes, the administrator's, and etcd's. Generated from `proto/*.proto`.
#![allow(missing_docs, clippy::all, clippy::too_many_lines, unreachable_pub)]

pub mod codec;

/// What clients see (all but `peer`), as an encoded `FileDescriptorSet`: for reflection, and to turn it into JSON.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("descriptors");

/// Between nodes.
pub mod peer {
    tonic::include_proto!("autoradio.peer.v1");
}

/// For radioctl.
pub mod admin {
    tonic::include_proto!("autoradio.admin.v1");
}

/// For radioctl: who is a member, and what is kept.
pub mod keep {
    tonic::include_proto!("autoradio.keep.v1");
}

/// etcd's v3 API. Its packages refer to each other as siblings.
pub mod etcd {
    /// Pairs and events.
    pub mod mvccpb {
        tonic::include_proto!("mvccpb");
    }

    /// Users and roles.
    pub mod authpb {
        tonic::include_proto!("authpb");
    }

    /// The services.
    pub mod etcdserverpb {
        tonic::include_proto!("etcdserverpb");
    }

    /// Locks.
    pub mod v3lockpb {
        tonic::include_proto!("v3lockpb");
    }

    /// Elections.
    pub mod v3electionpb {
        tonic::include_proto!("v3electionpb");
    }
}

/// gRPC's health checks.
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}
