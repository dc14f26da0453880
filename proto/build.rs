//! Compiles the .proto files with protox: no protoc is needed.

const FILES: [&str; 14] = [
    "proto/peer.proto",
    "proto/admin.proto",
    "proto/keep.proto",
    "proto/etcd/mvccpb.proto",
    "proto/etcd/authpb.proto",
    "proto/etcd/kv.proto",
    "proto/etcd/watch.proto",
    "proto/etcd/lease.proto",
    "proto/etcd/cluster.proto",
    "proto/etcd/maintenance.proto",
    "proto/etcd/auth.proto",
    "proto/etcd/lock.proto",
    "proto/etcd/election.proto",
    "proto/grpc/health.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
