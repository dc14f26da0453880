//! Compiles the .proto files with protox: no protoc is needed.

/// What is between nodes, and between a node and its administrator.
const INSIDE: [&str; 2] = ["proto/peer.proto", "proto/keep.proto"];

/// What clients see: port 2379 serves it, tells of it by reflection, and turns it into JSON.
const CLIENTS: [&str; 12] = [
    "proto/admin.proto",
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
    let files = protox::compile(CLIENTS.into_iter().chain(INSIDE), ["proto"])?;
    tonic_prost_build::configure().bytes(".").codec_path("crate::codec::FittingCodec").compile_fds(files)?;
    let mut clients = protox::Compiler::new(["proto"])?;
    let descriptors = clients.include_imports(true).open_files(CLIENTS)?.encode_file_descriptor_set();
    std::fs::write(std::path::Path::new(&std::env::var("OUT_DIR")?).join("descriptors.bin"), descriptors)?;
    Ok(())
}
