//! How a node came to be: kept in a file from before its first start until the log says it, so that a crash on the
//! way is made up for by starting again.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
};

use autoradio_machine::{ClusterId, InitRequest, Member, NodeId};
use autoradio_store::Identity;
use sha2::{Digest, Sha256};

/// The file's name in the data folder.
const FILE: &str = "birth.json";

/// A member as it is known at birth.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FirstMember {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its peer URL.
    pub peer_url: String,
}

/// How a node came to be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Birth {
    /// Who it is.
    pub identity: Identity,
    /// Whether it is one of the first members of a new cluster, which `members` are; otherwise it joined these.
    pub founder: bool,
    /// The members that are known.
    pub members: Vec<FirstMember>,
}

impl Birth {
    /// A new cluster of one, with an id from `random`.
    #[must_use]
    pub fn alone(random: [u8; 16], name: &str, peer_url: &str) -> Self {
        let cluster_id = number(&[b"cluster", &random]);
        Self::of_list(cluster_id, &random, &[(name.into(), peer_url.into())], name)
            .expect("the list has the node's own name")
    }

    /// A new cluster of a list that all its members were given (etcd's static bootstrap): each computes the same ids.
    /// `None` where `name` is not in the list.
    #[must_use]
    pub fn listed(token: &str, list: &[(String, String)], name: &str) -> Option<Self> {
        let mut sorted = list.to_vec();
        sorted.sort();
        let text = sorted.iter().map(|(name, url)| format!("{name}={url}")).collect::<Vec<_>>().join(",");
        let cluster_id = number(&[b"cluster", token.as_bytes(), text.as_bytes()]);
        Self::of_list(cluster_id, text.as_bytes(), &sorted, name)
    }

    fn of_list(cluster_id: ClusterId, salt: &[u8], list: &[(String, String)], name: &str) -> Option<Self> {
        let members: Vec<FirstMember> = list
            .iter()
            .map(|(name, url)| {
                let id = number(&[b"node", &cluster_id.to_be_bytes(), salt, name.as_bytes(), url.as_bytes()]);
                FirstMember { id, name: name.clone(), peer_url: url.clone() }
            })
            .collect();
        let me = members.iter().find(|member| member.name == name)?;
        Some(Self { identity: Identity { cluster_id, node_id: me.id }, founder: true, members })
    }

    /// The voters of a new cluster.
    #[must_use]
    pub fn urls(&self) -> BTreeMap<NodeId, String> {
        self.members.iter().map(|member| (member.id, member.peer_url.clone())).collect()
    }

    /// The first command of a new cluster.
    #[must_use]
    pub fn init_request(&self) -> InitRequest {
        let member = |first: &FirstMember| Member {
            id: first.id,
            name: first.name.clone(),
            peer_urls: vec![first.peer_url.clone()],
            ..Member::default()
        };
        InitRequest { cluster_id: self.identity.cluster_id, members: self.members.iter().map(member).collect() }
    }

    /// Reads the file in `data_dir`, if there is one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(data_dir: &Path) -> std::io::Result<Option<Self>> {
        match std::fs::read(path(data_dir)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the file, whole or not at all, and on the disk when this returns.
    ///
    /// # Errors
    /// The system's.
    pub fn store(&self, data_dir: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(data_dir)?;
        let mut file = tempfile::NamedTempFile::new_in(data_dir)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.as_file().sync_all()?;
        file.persist(path(data_dir)).map_err(|error| error.error)?;
        std::fs::File::open(data_dir)?.sync_all()
    }

    /// Removes the file: the log says it all now.
    ///
    /// # Errors
    /// The system's.
    pub fn forget(data_dir: &Path) -> std::io::Result<()> {
        match std::fs::remove_file(path(data_dir)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// The first eight bytes of a hash over the parts (each with its length, so that no two lists are alike), never 0.
fn number(parts: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let first = digest.first_chunk::<8>().expect("32 bytes have 8 first ones");
    u64::from_be_bytes(*first).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).into(), format!("http://{name}:2380"))).collect()
    }

    #[test]
    fn all_of_a_list_compute_the_same_cluster_in_any_order() {
        let a = Birth::listed("t", &list(&["a", "b", "c"]), "a").unwrap();
        let b = Birth::listed("t", &list(&["c", "b", "a"]), "b").unwrap();
        assert_eq!(a.identity.cluster_id, b.identity.cluster_id);
        assert_ne!(a.identity.node_id, b.identity.node_id);
        assert_eq!((a.urls(), a.init_request()), (b.urls(), b.init_request()));
        assert_eq!(Birth::listed("t", &list(&["a"]), "x"), None);
    }

    #[test]
    fn token_and_list_tell_clusters_apart() {
        let id = |token, names: &[&str]| Birth::listed(token, &list(names), "a").unwrap().identity.cluster_id;
        assert_ne!(id("t", &["a", "b"]), id("u", &["a", "b"]));
        assert_ne!(id("t", &["a", "b"]), id("t", &["a"]));
    }

    #[test]
    fn it_comes_back_from_its_file_and_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("new");
        assert_eq!(Birth::load(&data).unwrap(), None);
        let birth = Birth::alone([7; 16], "a", "http://a:2380");
        birth.store(&data).unwrap();
        assert_eq!(Birth::load(&data).unwrap(), Some(birth));
        Birth::forget(&data).unwrap();
        Birth::forget(&data).unwrap();
        assert_eq!(Birth::load(&data).unwrap(), None);
    }
}
