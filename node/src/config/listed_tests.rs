use super::*;

const LIST: &str = "node1=http://host1:2380,=http://host2:2380,host3=http://host3:2380";

/// Name and URLs of a node with this `--name`, these `--initial-advertise-peer-urls` and this list.
fn find(name: &str, urls: &[&str], list: &str) -> Result<(String, Vec<String>), String> {
    let options = Options { name: Some(name.into()), ..Options::default() };
    let facts = Facts { host_name: "thishost.example".into(), ..Facts::default() };
    let list = initial_cluster(list).map_err(|error| error.to_string())?;
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    own(&options, &facts, &list, urls, vec!["http://192.0.2.1:2380".into()]).map_err(|error| error.to_string())
}

fn name(name: &str, urls: &[&str], list: &str) -> Result<String, String> {
    find(name, urls, list).map(|(name, _)| name)
}

#[test]
fn the_peer_url_tells_the_name() {
    assert_eq!(name("", &["http://host1:2380"], LIST).unwrap(), "node1");
    assert_eq!(name("", &["http://host3:2380"], LIST).unwrap(), "host3");
    assert_eq!(name("", &["http://other:2380", "http://host3:2380"], LIST).unwrap(), "host3");
    assert_eq!(name("", &[], "a=http://192.0.2.1:2380").unwrap(), "a", "the default URL counts, too");
    assert_eq!(name("", &[], "").unwrap(), "thishost");
}

#[test]
fn a_member_that_was_added_may_have_no_name_in_the_list() {
    assert_eq!(name("", &["http://host2:2380"], LIST).unwrap(), "thishost");
    assert_eq!(name("host2", &["http://host2:2380"], LIST).unwrap(), "host2");
    let two = "a=http://a:1,=http://b:1,=http://c:1";
    assert_eq!(initial_cluster(two).unwrap().len(), 3, "several may have been added");
}

#[test]
fn a_name_in_the_list_gives_the_url_where_none_is_given() {
    assert_eq!(find("host3", &[], LIST).unwrap().1, ["http://host3:2380"]);
    assert_eq!(find("host3", &["http://host3:2380", "http://x:1"], LIST).unwrap().1.len(), 2);
}

#[test]
fn what_does_not_fit_is_refused_in_etcds_words() {
    let stranger = name("", &["http://host9:2380"], LIST).unwrap_err();
    assert!(
        stranger.contains("couldn't find local name \"thishost\" in the initial cluster configuration"),
        "{stranger}"
    );
    let renamed = name("x", &["http://host1:2380"], LIST).unwrap_err();
    assert!(renamed.contains("couldn't find local name \"x\""), "{renamed}");
    let moved = name("node1", &["http://host9:2380"], LIST).unwrap_err();
    let etcds =
        "--initial-cluster has http://host1:2380 but missing from --initial-advertise-peer-urls=http://host9:2380";
    assert!(moved.contains(etcds), "{moved}");
}
