//! Who is let in, and who is not: real processes, Debian's openssl, curl and etcdctl.

use std::time::{Duration, SystemTime};

use autoradio_system::{Cluster, Host, OwnCa, Writer, own_etc, wait_until};

const SOON: Duration = Duration::from_secs(20);
/// Without writes while a cluster changes to TLS: nothing is restarted, no leader changes.
const CHANGED_MAX: Duration = Duration::from_secs(1);

/// Runs a program on the client host; exit code, and all that it said.
fn at_client(cluster: &Cluster, line: &[&str]) -> (i32, String) {
    let output = cluster.testbed.exec(Host::Client, line);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

/// What `etcdctl member add` prints for the new member's environment.
fn member_add(cluster: &Cluster, n: usize) -> Vec<String> {
    let (name, url) = (format!("host{n}"), format!("--peer-urls=http://{}:2380", Host::Node(n).ip()));
    let (code, out, err) = cluster.etcdctl(1, &["member", "add", &name, &url]);
    assert_eq!(code, 0, "{out}{err}");
    let variables = out.lines().filter(|line| line.starts_with("ETCD_")).map(|line| line.replace('"', ""));
    std::iter::once("env".to_owned()).chain(variables).collect()
}

/// Three nodes by etcd's own words, without TLS.
fn plain_cluster() -> Cluster {
    let mut cluster = Cluster::idle(3, &["--icecast", "off"]);
    cluster.run_by(1, ["env", "ETCD_INITIAL_CLUSTER=host1=http://10.77.0.1:2380"].map(str::to_owned).to_vec());
    cluster.restart(1);
    wait_until("a cluster of one", SOON, || (cluster.status(1)["quorum"] == true).then_some(()));
    for n in [2, 3] {
        let words = member_add(&cluster, n);
        cluster.run_by(n, words);
        cluster.restart(n);
        cluster.wait_voters(1, n);
    }
    (1..=3).for_each(|n| assert!(cluster.log(n).contains("not encrypted"), "it warns: {}", cluster.log(n)));
    cluster
}

/// Whether the peers' port of node `n` talks to who speaks HTTP/2 without TLS.
fn talks_plain(cluster: &Cluster, n: usize) -> bool {
    let url = format!("http://{}:2380/", Host::Node(n).ip());
    let line = ["curl", "--silent", "--max-time", "3", "--http2-prior-knowledge", &url];
    at_client(cluster, &line).0 == 0
}

/// What a call of the peers' service at host1, in host2's name, is answered with over TLS, with the certificate and key
/// in these files or without. Exit code of curl, and what came.
fn call_peer(cluster: &Cluster, method: &str, pair: Option<(&str, &str)>) -> (i32, String) {
    let url = format!("https://{}:2380/autoradio.peer.v1.{method}", Host::Node(1).ip());
    let mut line = vec!["curl", "--silent", "--show-error", "--insecure", "--max-time", "3", "--http2", "--include"];
    line.extend(["--header", "content-type: application/grpc", "--header", "te: trailers"]);
    let status = cluster.status(2);
    let id = |name: &str| cluster.member(2, name)["id"].as_str().unwrap_or_default().to_owned();
    let says = [
        format!("autoradio-cluster: {}", status["cluster_id"].as_str().unwrap_or_default()),
        format!("autoradio-target: {}", id("host1")),
        format!("autoradio-from: {}", id("host2")),
    ];
    line.extend(says.iter().flat_map(|header| ["--header", header.as_str()]));
    if let Some((cert, key)) = pair {
        line.extend(["--cert", cert, "--key", key]);
    }
    // Without a message: who may not call is refused before one is read, and curl does not bear to be answered meanwhile.
    line.extend(["--request", "POST", &url]);
    at_client(cluster, &line)
}

/// A node's own certificate and key, as files.
fn pair_of(cluster: &Cluster, n: usize) -> (String, String) {
    let text = std::fs::read_to_string(cluster.data_dir(n).join("tls/node.json")).expect("the node has a certificate");
    let stored: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let [cert, key] = ["certificate", "key"].map(|what| {
        let file = cluster.testbed.folder("pairs").join(format!("host{n}.{what}"));
        std::fs::write(&file, stored[what].as_str().expect("PEM")).expect("a file in the testbed's folder");
        file.display().to_string()
    });
    (cert, key)
}

/// TLS 1.2 is no way in, nor is another CA's certificate, nor another node's; without one, nothing but joining is answered.
fn strangers_are_refused(cluster: &Cluster) {
    let peer = format!("{}:2380", Host::Node(1).ip());
    let (code, said) = at_client(cluster, &["timeout", "3", "openssl", "s_client", "-tls1_2", "-connect", &peer]);
    assert!(code != 0 && said.contains("alert protocol version"), "{code} {said}");
    let eve = OwnCa::make(&cluster.testbed.folder("eve"));
    eve.certify("eve", "DNS:host2");
    let (code, said) = call_peer(cluster, "Peer/Raft", Some((&eve.path("eve.pem"), &eve.path("eve.key"))));
    // curl hears of it when it reads, when it writes, or in the handshake.
    assert!([35, 55, 56].contains(&code) && !said.contains("grpc-status"), "another CA's: {code} {said}");
    let refused = |what: &str, said: &str| said.contains(what);
    let (code, said) = call_peer(cluster, "Peer/Raft", None);
    assert!(code == 0 && refused("grpc-status: 16", &said), "without a certificate: {code} {said}");
    for (n, other) in [(3, true), (2, false)] {
        let (cert, key) = pair_of(cluster, n);
        let (code, said) = call_peer(cluster, "Peer/Raft", Some((&cert, &key)));
        assert!(code == 0 && refused("grpc-status: 7", &said) == other, "host{n}'s certificate: {code} {said}");
        assert!(!refused("grpc-status: 16", &said), "{said}");
    }
    let (code, said) = call_peer(cluster, "Join/Join", None);
    assert!(code == 0 && !refused("grpc-status: 16", &said), "joining is asked without one: {code} {said}");
    cluster.wait_log(1, "a connection to the peers' port was refused");
    cluster.wait_log(1, "has the certificate of");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_plain_cluster_changes_to_tls_while_clients_write_and_then_refuses_all_others() {
    let mut cluster = plain_cluster();
    (1..=3).for_each(|n| assert!(talks_plain(&cluster, n), "as the administrator wanted it"));
    let (code, _, said) = cluster.radioctl(1, &["token", "create"]);
    assert!(code == 1 && said.contains("radioctl cluster secure"), "{code} {said}");
    let writer = Writer::start(&cluster.testbed, &[1, 2, 3].map(Host::Node));
    let since = SystemTime::now();
    let said = cluster.radioctl_well(2, &["cluster", "secure"]);
    assert!(said.contains("All 3 nodes speak TLS"), "{said}");
    for n in 1..=3 {
        wait_until("plain connections are refused", SOON, || (!talks_plain(&cluster, n)).then_some(()));
    }
    writer.wait_more(40);
    let gap = writer.longest_gap(since);
    println!("the change to TLS: no write for {gap:?} at most");
    assert!(gap < CHANGED_MAX, "{gap:?}");

    strangers_are_refused(&cluster);
    // What stands in its environment may stay as it is: it comes back by TLS, and warns no more.
    assert_eq!(cluster.terminate(1), 0);
    cluster.restart(1);
    wait_until("host1 is back", SOON, || (cluster.status(1)["health"] == "healthy").then_some(()));
    assert!(!cluster.log(1).contains("not encrypted"), "{}", cluster.log(1));
    assert!(!talks_plain(&cluster, 1));
    let _ = cluster.token_file(3, "after");
}

/// etcdctl on the client host over TLS, with a certificate of `ca` for `name` or without.
fn etcdctl_tls(cluster: &Cluster, ca: &OwnCa, name: Option<&str>, words: &[&str]) -> (i32, String) {
    let cacert = ca.path("ca.pem");
    let mut line = vec!["env", "ETCDCTL_API=3", "etcdctl", "--endpoints=https://10.77.0.1:2379", "--cacert", &cacert];
    line.extend(["--command-timeout=3s", "--dial-timeout=2s"]);
    let files = name.map(|name| [ca.path(&format!("{name}.pem")), ca.path(&format!("{name}.key"))]);
    if let Some([cert, key]) = &files {
        line.extend(["--cert", cert, "--key", key]);
    }
    line.extend(words);
    at_client(cluster, &line)
}

/// The serial number of the certificate that the client port shows.
fn serial_shown(cluster: &Cluster) -> String {
    let script = "openssl s_client -connect 10.77.0.1:2379 </dev/null 2>/dev/null | openssl x509 -noout -serial";
    at_client(cluster, &["timeout", "5", "bash", "-c", script]).1
}

#[test]
#[ignore = "needs root and network namespaces"]
fn certificates_of_ones_own_ca_in_etc_autoradio_are_demanded_shown_and_renewed() {
    const REACHED_AT: &str = "DNS:localhost,DNS:host1,IP:127.0.0.1,IP:10.77.0.1";
    let mut cluster = Cluster::idle(1, &["--icecast", "off", "--listen-client-urls", "https://0.0.0.0:2379"]);
    let etc = cluster.testbed.folder("etc1");
    let (ca, eve) = (OwnCa::make(&cluster.testbed.folder("ca")), OwnCa::make(&cluster.testbed.folder("eve")));
    ca.certify("host1", REACHED_AT);
    ca.certify("anna", "DNS:anna");
    eve.certify("eve", "DNS:eve");
    std::fs::copy(eve.path("eve.pem"), ca.path("eve.pem")).expect("a copy");
    std::fs::copy(eve.path("eve.key"), ca.path("eve.key")).expect("a copy");
    ca.install("host1", &etc);
    cluster.run_by(1, own_etc(&etc, ""));
    cluster.found();

    let (code, said) = etcdctl_tls(&cluster, &ca, Some("anna"), &["put", "k", "v"]);
    assert!(code == 0 && said.contains("OK"), "{code} {said}");
    for stranger in [None, Some("eve")] {
        let (code, said) = etcdctl_tls(&cluster, &ca, stranger, &["put", "k", "w"]);
        assert!(code != 0 && !said.contains("OK"), "{stranger:?}: {code} {said}");
    }
    let (code, said) = at_client(&cluster, &["curl", "--silent", "--max-time", "3", "http://10.77.0.1:2379/health"]);
    assert!(code == 0 && said.contains("an HTTP request to an HTTPS server"), "no plain client: {code} {said}");
    // radioctl finds the same files by itself; where they are not, it has no certificate to show.
    let program = autoradio_system::program("radioctl").display().to_string();
    let line = [program.as_str(), "--server", "host1", "status"];
    let (code, out, err) = cluster.exec(1, &line);
    assert_eq!(code, 0, "{out}{err}");
    let cacert = ca.path("ca.pem");
    let (code, said) = at_client(&cluster, &[&line[..], &["--cacert", &cacert]].concat());
    assert!(code != 0, "radioctl without a certificate: {code} {said}");

    // A renewed certificate is shown to who connects from then on, without a restart.
    let (before, pid) = (serial_shown(&cluster), cluster.pid(1));
    assert!(before.starts_with("serial="), "{before}");
    ca.certify("host1", REACHED_AT);
    ca.install("host1", &etc);
    let (_, took) = wait_until("the new certificate", SOON, || {
        let shown = serial_shown(&cluster);
        (shown != before && shown.starts_with("serial=")).then_some(())
    });
    println!("a certificate that was exchanged is shown after {took:?}");
    assert_eq!(cluster.pid(1), pid);
    let (code, said) = etcdctl_tls(&cluster, &ca, Some("anna"), &["get", "k", "--print-value-only"]);
    assert!(code == 0 && said.trim() == "v", "nobody else has written: {code} {said}");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_token_lets_one_in_also_where_two_show_it_at_once_and_none_when_it_has_ended() {
    let mut cluster = Cluster::idle(3, &["--icecast", "off"]);
    cluster.found();
    let token = cluster.token_file(1, "one");
    let join = ["join", "host1", "--token-file", token.to_str().expect("a plain path")];
    [2, 3].into_iter().for_each(|n| cluster.start(n, &join));
    let late = [2, 3].into_iter().find(|&n| {
        let settled = || {
            let said = cluster.log(n);
            if said.contains("joined in") { Some(false) } else { said.contains("token was used").then_some(true) }
        };
        wait_until("it is let in or not", SOON, settled).0
    });
    let late = late.expect("one of the two is refused");
    assert_eq!(cluster.wait_exit(late), 1, "{}", cluster.log(late));
    cluster.wait_voters(1, 2);
    let tokens = cluster.json(1, &["token", "list"]);
    assert_eq!(tokens.pointer("/tokens/0/state"), Some(&"used".into()), "{tokens}");

    // One that was revoked, one whose time is over, and one in the command line.
    let revoked = cluster.token_file(1, "revoked");
    let tokens = cluster.json(1, &["token", "list"]);
    let id = tokens.pointer("/tokens/1/id").and_then(serde_json::Value::as_str).expect("its number").to_owned();
    let _ = cluster.radioctl_well(1, &["token", "revoke", &id]);
    let short = cluster.testbed.folder("tokens").join("short");
    std::fs::write(&short, cluster.radioctl_well(1, &["token", "create", "--ttl", "1ms"])).expect("a token's file");
    for (file, words) in [(revoked, "the join token was revoked"), (short, "the join token ended")] {
        cluster.start(late, &["join", "host1", "--token-file", file.to_str().expect("a plain path")]);
        assert_eq!(cluster.wait_exit(late), 1);
        assert!(cluster.log(late).contains(words), "{words}: {}", cluster.log(late));
    }
    let secret = std::fs::read_to_string(cluster.token_file(1, "argv")).expect("a token");
    cluster.start(late, &["join", "host1", secret.trim()]);
    assert_eq!(cluster.wait_exit(late), 1);
    assert!(cluster.log(late).contains("does not belong into a command line"), "{}", cluster.log(late));
    cluster.join(late);
    cluster.wait_voters(1, 3);
}
