use clap::Parser;

use super::*;
use crate::config::{
    args::{Cli, CliCommand},
    environment::with_environment,
};

fn facts() -> Facts {
    Facts {
        host_name: "host1.example".into(),
        host_ips: vec!["203.0.113.1".parse().unwrap()],
        route_ips: vec!["203.0.113.9".parse().unwrap()],
        local_ips: vec!["203.0.113.1".parse().unwrap(), "203.0.113.9".parse().unwrap()],
        ipv6: true,
        own_files: Default::default(),
    }
}

fn config_with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
    let words = ["autoradio-node", "run"].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let cli = Cli::try_parse_from(with_environment(words, find)).map_err(|error| error.to_string())?;
    let CliCommand::Run(options) = cli.command else { panic!("run was asked for") };
    resolve(&options, &facts()).map_err(|error| error.to_string())
}

fn config(arguments: &[&str]) -> Result<Config, String> {
    config_with(arguments, &[])
}

#[test]
fn nothing_given_is_enough() {
    let config = config(&[]).unwrap();
    assert_eq!(config.name, "host1");
    assert_eq!(config.peer_urls, ["https://203.0.113.1:2380"]);
    assert_eq!(config.client_urls, ["http://127.0.0.1:2379"]);
    assert_eq!(config.peer_listen, ["0.0.0.0:2380".parse().unwrap()]);
    assert_eq!(config.http_listen.len(), 2);
    assert_eq!(config.dns_listen, [], "no domain, no DNS");
    assert_eq!(config.hold, Duration::from_secs(30));
    assert_eq!(config.data_dir, Path::new("/var/lib/autoradio"));
    assert!(config.admin_socket.is_some());
}

#[test]
fn dns_listens_on_real_addresses() {
    let dns = |arguments: &[&str]| config(arguments).unwrap().dns_listen;
    assert_eq!(dns(&["--domain=Radio.Example."]), ["203.0.113.1:53".parse().unwrap()]);
    let translated = dns(&["--domain=radio.example", "--public-ip=198.51.100.7"]);
    assert_eq!(translated, ["203.0.113.9:53".parse().unwrap()], "the public address is a router's");
    assert_eq!(dns(&["--domain=a.b", "--dns-listen=127.0.0.5:5300"]), ["127.0.0.5:5300".parse().unwrap()]);
}

#[test]
fn the_instructions_environment_finds_the_own_name() {
    let variables = [
        ("ETCD_LISTEN_PEER_URLS", "http://0.0.0.0:2380"),
        ("ETCD_INITIAL_ADVERTISE_PEER_URLS", "http://host1:2380"),
        ("ETCD_LISTEN_CLIENT_URLS", "http://127.0.0.1:2379"),
        ("ETCD_ADVERTISE_CLIENT_URLS", "http://host1:2379/"),
        ("ETCD_INITIAL_CLUSTER_STATE", "new"),
        ("ETCD_INITIAL_CLUSTER", "node1=http://host1:2380,node2=http://host2:2380"),
    ];
    let config = config_with(&[], &variables).unwrap();
    assert_eq!(config.name, "node1");
    assert_eq!(config.client_urls, ["http://host1:2379"]);
    assert_eq!(config.initial_cluster.len(), 2);
}

#[test]
fn the_instructions_file_starts_a_cluster_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("etcd");
    let text = "# See etcd --help\n\
        ETCD_LISTEN_PEER_URLS=\"http://0.0.0.0:2380\"\n\
        ETCD_INITIAL_ADVERTISE_PEER_URLS=\"http://host1:2380\"\n\
        ETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:2379\n\
        ETCD_ADVERTISE_CLIENT_URLS='http://host1:2379'\n\
        ETCD_INITIAL_CLUSTER_STATE=new\n\
        ETCD_INITIAL_CLUSTER=node1=http://host1:2380\n";
    std::fs::write(&path, text).unwrap();
    let files = crate::config::EnvironmentFiles::read(|_| Some(path.display().to_string()));
    let words = ["autoradio-node", "run"].map(str::to_owned).to_vec();
    let cli = Cli::try_parse_from(with_environment(words, |name| files.get(name))).unwrap();
    let CliCommand::Run(options) = cli.command else { panic!("run was asked for") };
    let config = resolve(&options, &facts()).unwrap();
    assert_eq!(config.name, "node1");
    assert_eq!(config.initial_cluster, [("node1".into(), "http://host1:2380".into())]);
    assert_eq!(config.peer_urls, ["http://host1:2380"]);
    assert_eq!(config.initial_cluster_state, ClusterState::New);
}

#[test]
fn each_wrong_option_says_what_would_be_right() {
    let error = |argument: &str| config(&[argument]).unwrap_err();
    insta::assert_snapshot!(error("--https-listen=0.0.0.0:443"), @r#"--https-listen "0.0.0.0:443": TLS is not supported by this version; use --http-listen"#);
    insta::assert_snapshot!(error("--hold=soon"), @r#"--hold "soon": give a time, as 30s, 2m or 500ms"#);
    insta::assert_snapshot!(error("--icecast=icecast2"), @r#"--icecast "icecast2": give auto, off, or the program's whole path"#);
    insta::assert_snapshot!(error("--http-listen=80"), @r#"--http-listen "80": give ADDR:PORT, as 0.0.0.0:80 or [::]:80"#);
    insta::assert_snapshot!(error("--initial-cluster=a"), @r#"--initial-cluster "a": give name=http://host:2380"#);
    insta::assert_snapshot!(error("--initial-cluster=a=http://a:1,a=http://b:1"), @r#"--initial-cluster "a=http://b:1": each name and each URL may be given once"#);
    insta::assert_snapshot!(error("--name=a b"), @r#"--name "a b": use 1 to 63 letters, digits, dashes, dots; it is also a name in DNS"#);
    insta::assert_snapshot!(error("--domain=a..b"), @r#"--domain "a..b": give a domain name, as radio.example.com"#);
    assert!(error("--enable-icecast-proxy=false").contains("leave it out"));
    assert!(error("--max-clients=many").contains("max-clients"));
    assert!(config(&["--name=x", "--initial-cluster=a=http://a:1"]).unwrap_err().contains("not in --initial-cluster"));
}

#[test]
fn times_have_units() {
    let hold = |text: &str| config(&[&format!("--hold={text}")]).map(|config| config.hold.as_millis());
    assert_eq!(hold("500ms"), Ok(500));
    assert_eq!(hold("2m"), Ok(120_000));
    assert_eq!(hold("7"), Ok(7_000));
    assert_eq!(hold("0s"), Ok(0));
    assert!(hold("18446744073709551615m").is_err());
}
