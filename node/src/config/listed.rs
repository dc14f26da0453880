//! `--initial-cluster`, and who this node is in it. The refusals are etcd's (`VerifyBootstrap` and its like in its
//! `etcdserver/config.go`), with what would be right added.

use super::{
    ConfigError, Facts,
    args::Options,
    resolve::wrong,
    urls::{Scheme, url},
};

const OPTION: &str = "initial-cluster";

/// Name and peer URL of each member. The name is empty for one that was added and has not started, as in the list that
/// `etcdctl member add` prints for the next.
pub(super) fn initial_cluster(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let mut list: Vec<(String, String)> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, at) = part.split_once('=').ok_or_else(|| wrong(OPTION, part, "give name=http://host:2380"))?;
        let at = url(OPTION, at, &[Scheme::Https, Scheme::Http])?;
        if list.iter().any(|(known, known_at)| (known == name && !name.is_empty()) || *known_at == at) {
            return Err(wrong(OPTION, part, "each name and each URL may be given once"));
        }
        list.push((name.into(), at));
    }
    Ok(list)
}

/// This node's name and peer URLs: as given, or as the list has them (etcd's environment files often have no
/// `ETCD_NAME`: the peer URL tells), or the host's name and the default URL.
pub(super) fn own(
    options: &Options,
    facts: &Facts,
    list: &[(String, String)],
    given_urls: Vec<String>,
    default_urls: Vec<String>,
) -> Result<(String, Vec<String>), ConfigError> {
    let known_urls = if given_urls.is_empty() { &default_urls } else { &given_urls };
    let by_url = list.iter().find(|(_, url)| known_urls.contains(url));
    let by_url_name = by_url.map(|(name, _)| name.clone()).filter(|name| !name.is_empty());
    let short = || facts.host_name.split('.').next().unwrap_or_default().to_owned();
    let name = options.name.clone().filter(|name| !name.is_empty()).or(by_url_name).unwrap_or_else(short);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(wrong("name", &name, "use 1 to 63 letters, digits, dashes, dots; it is also a name in DNS"));
    }
    let by_name = list.iter().find(|(known, _)| *known == name);
    let urls = match (by_name, by_url) {
        // Its own entry, or one that has no name yet.
        (Some((_, url)), _) if known_urls.contains(url) => known_urls.clone(),
        (None, Some((unnamed, _))) if unnamed.is_empty() => known_urls.clone(),
        (None, None) if list.is_empty() => known_urls.clone(),
        (Some((_, url)), _) if given_urls.is_empty() => vec![url.clone()],
        (Some((_, url)), _) => {
            let given = given_urls.join(",");
            let reason = format!("--initial-cluster has {url} but missing from --initial-advertise-peer-urls={given}");
            return Err(wrong(OPTION, &format!("{name}={url}"), reason));
        }
        (None, _) => {
            let reason = format!(
                "couldn't find local name \"{name}\" in the initial cluster configuration; {name} is not in \
                 --initial-cluster, nor is {} without another name",
                known_urls.join(", ")
            );
            return Err(wrong("name", &name, reason));
        }
    };
    Ok((name, urls))
}

#[cfg(test)]
#[path = "listed_tests.rs"]
mod tests;
