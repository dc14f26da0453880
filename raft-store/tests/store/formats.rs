//! Folders of every format there was open in this program.
//!
//! `tests/fixtures/NAME.folder` is a node's folder, packed, in whose store the key `kept` has the value `NAME`. A new one is
//! made by `AUTORADIO_FIXTURE=NAME cargo test -p autoradio-store --test store keep_this_format -- --ignored`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use autoradio_store::{Consensus, StoreError};

use crate::Cluster;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
/// Shorter runs of a byte are not worth being told apart.
const RUN_MIN: usize = 16;

/// A file: its path, its bytes as runs of one byte, or as they are.
#[derive(serde::Serialize, serde::Deserialize)]
struct Packed {
    path: String,
    parts: Vec<Part>,
}

#[derive(serde::Serialize, serde::Deserialize)]
enum Part {
    Run(u8, usize),
    Bytes(Vec<u8>),
}

fn pack(bytes: &[u8]) -> Vec<Part> {
    let (mut parts, mut plain) = (Vec::new(), Vec::new());
    for run in bytes.chunk_by(|a, b| a == b) {
        if run.len() < RUN_MIN {
            plain.extend_from_slice(run);
            continue;
        }
        if !plain.is_empty() {
            parts.push(Part::Bytes(std::mem::take(&mut plain)));
        }
        parts.push(Part::Run(run[0], run.len()));
    }
    if !plain.is_empty() {
        parts.push(Part::Bytes(plain));
    }
    parts
}

fn unpack(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            Part::Run(byte, count) => bytes.resize(bytes.len() + count, *byte),
            Part::Bytes(plain) => bytes.extend_from_slice(plain),
        }
    }
    bytes
}

fn pack_folder(dir: &Path, below: &str, packed: &mut Vec<Packed>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            pack_folder(&entry.path(), &format!("{path}/"), packed);
        } else {
            packed.push(Packed { path, parts: pack(&fs::read(entry.path()).unwrap()) });
        }
    }
}

fn unpack_folder(packed: &[Packed], dir: &Path) {
    for file in packed {
        let path = dir.join(&file.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, unpack(&file.parts)).unwrap();
    }
    // sled wants it, and an empty folder is not packed.
    fs::create_dir_all(dir.join("log/blobs")).unwrap();
}

fn fixtures() -> Vec<(String, Vec<Packed>)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(FIXTURES).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "folder"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, postcard::from_bytes(&fs::read(&path).unwrap()).unwrap())
    };
    paths.into_iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_of_each_format_opens_with_all_it_had() {
    let all = fixtures();
    assert!(all.iter().any(|(name, _)| name == "format-1"), "the first format is kept");
    for (name, packed) in all {
        let dir = tempfile::tempdir().unwrap();
        unpack_folder(&packed, &dir.path().join("unpacked"));
        let identity = Consensus::identity(&dir.path().join("unpacked")).unwrap().unwrap();
        let mut cluster = Cluster::below(dir.path(), 20);
        cluster.cluster_id = identity.cluster_id;
        cluster.homes.insert(identity.node_id, dir.path().join("unpacked"));
        // Twice: what an older program wrote, and what this one made of it.
        for round in 0..2 {
            cluster.start(identity.node_id).await.unwrap_or_else(|error| panic!("{name}, {round}: {error}"));
            cluster.leader().await;
            cluster.put("after", "1").await;
            assert_eq!(cluster.get(identity.node_id, "kept").as_deref(), Some(name.as_str()));
            assert_eq!(cluster.get(identity.node_id, "large").map_or(0, |large| large.len()), 150_000, "{name}");
            cluster.stop(identity.node_id).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_a_newer_format_says_what_to_do() {
    let mut cluster = Cluster::with(1, 20).await;
    cluster.put("a", "1").await;
    cluster.node(1).snapshot_now(crate::PATIENCE).await.unwrap();
    cluster.stop(1).await;
    for entry in fs::read_dir(cluster.folder(1).join("snapshots")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let body = bytes.len() - 4;
        bytes[7] += 1;
        let checksum = crc32c::crc32c(&bytes[..body]).to_be_bytes();
        bytes[body..].copy_from_slice(&checksum);
        fs::write(path, bytes).unwrap();
    }
    let error = cluster.start(1).await.expect_err("it is newer");
    assert!(matches!(error, StoreError::Newer { .. }) && error.to_string().contains("upgrade autoradio"), "{error}");
    assert!(cluster.folder(1).join("log").exists(), "it is not damaged, and stays where it is");
}

/// Packs the folder that `AUTORADIO_FIXTURE_FROM` names, or that of a node that lives a little now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "makes a fixture"]
async fn keep_this_format() {
    let name = std::env::var("AUTORADIO_FIXTURE").expect("AUTORADIO_FIXTURE is the fixture's name");
    let mut packed = Vec::new();
    if let Ok(from) = std::env::var("AUTORADIO_FIXTURE_FROM") {
        pack_folder(Path::new(&from), "", &mut packed);
    } else {
        let mut cluster = Cluster::with(1, 20).await;
        cluster.put("large", &"x".repeat(150_000)).await;
        for i in 0..30 {
            cluster.put("a", &i.to_string()).await;
        }
        cluster.stop(1).await;
        cluster.start(1).await.unwrap();
        cluster.leader().await;
        cluster.put("kept", &name).await;
        cluster.stop(1).await;
        pack_folder(&cluster.folder(1), "", &mut packed);
    }
    fs::create_dir_all(FIXTURES).unwrap();
    fs::write(Path::new(FIXTURES).join(format!("{name}.folder")), postcard::to_allocvec(&packed).unwrap()).unwrap();
}
