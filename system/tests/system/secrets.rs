//! Secrets stay where they belong, and the admin socket lets in whom it should.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use autoradio_system::{Cluster, Encoding, FfmpegLoop, Host, own_etc, program, wait_until};

const SOON: Duration = Duration::from_secs(20);
/// The group `autoradio` on the first host, which no other host has.
const GROUP: u32 = 64_321;
/// The password of a user that is made by etcdctl.
const PASSWORD: &str = "correct-horse-battery";

/// Two hosts; on the first there is the group `autoradio`.
fn cluster_with_a_group() -> Cluster {
    // Whatever is worth a line is written.
    let mut cluster = Cluster::idle(2, &["--log-level", "trace"]);
    for (n, groups) in [(1, format!("autoradio:x:{GROUP}:\n")), (2, String::new())] {
        let words = own_etc(&cluster.testbed.folder(&format!("etc{n}")), &groups);
        cluster.run_by(n, words);
    }
    // The way to the sockets is open to all: only the sockets themselves keep people out.
    let top = cluster.testbed.folder("run1").parent().expect("it has one above").to_owned();
    fs::set_permissions(top, fs::Permissions::from_mode(0o711)).expect("the testbed's folder is ours");
    cluster.found();
    cluster.join(2);
    cluster.wait_voters(1, 2);
    cluster
}

/// `radioctl status` as a user who is nobody, with these groups; exit code and what was said.
fn as_nobody(cluster: &Cluster, n: usize, groups: &str) -> (i32, String) {
    // Where everybody may run it.
    let radioctl = cluster.testbed.folder("bin").join("radioctl");
    if !radioctl.exists() {
        fs::copy(program("radioctl"), &radioctl).expect("a copy of radioctl");
    }
    let (radioctl, socket) = (radioctl.display().to_string(), cluster.socket(n).display().to_string());
    let line = ["setpriv", "--reuid=65534", "--regid=65534", groups, &radioctl, "--socket", &socket, "status"];
    let (code, out, err) = cluster.exec(n, &line);
    (code, out + &err)
}

fn only_root_and_the_group_open_the_socket(cluster: &Cluster) {
    let member = format!("--groups={GROUP}");
    for (n, groups) in [(1, "--clear-groups"), (2, "--clear-groups"), (2, &member)] {
        let (code, said) = as_nobody(cluster, n, groups);
        assert!(code == 5 && said.contains("may not be opened by this user"), "host{n} {groups}: {code} {said}");
    }
    let (code, said) = as_nobody(cluster, 1, &member);
    // Healthy or not yet: answered.
    assert!([0, 8].contains(&code) && said.contains("host1"), "a member of the group: {code} {said}");
    assert!(cluster.log(2).contains("there is no group autoradio"), "the log says so");
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Whether anybody on the machine can read the file: by its own mode and those of the folders up to `top`.
fn is_open_to_all(file: &Path, top: &Path) -> bool {
    let mode = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.mode());
    let ways = file.ancestors().skip(1).take_while(|folder| folder.starts_with(top));
    mode(file) & 0o004 != 0 && ways.into_iter().all(|folder| mode(folder) & 0o001 != 0)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The command lines and environments of all processes on the nodes' hosts, with what they are.
fn processes(cluster: &Cluster) -> Vec<(String, Vec<u8>)> {
    let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let hosts: Vec<_> = [1, 2].map(|n| network(&cluster.pid(n).to_string())).into_iter().flatten().collect();
    assert_eq!(hosts.len(), 2);
    let pids = fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.file_name());
    let pids = pids.filter_map(|name| name.into_string().ok()).filter(|name| name.parse::<u32>().is_ok());
    let here = pids.filter(|pid| network(pid).is_some_and(|network| hosts.contains(&network)));
    here.flat_map(|pid| ["cmdline", "environ"].map(|what| format!("/proc/{pid}/{what}")))
        .filter_map(|path| fs::read(&path).ok().map(|bytes| (path, bytes)))
        .collect()
}

fn nothing_leaks(cluster: &Cluster, secrets: &[(&str, String)]) {
    let running = processes(cluster);
    // Two daemons and two Icecasts.
    assert!(running.len() >= 8, "{:?}", running.iter().map(|(path, _)| path).collect::<Vec<_>>());
    for (what, secret) in secrets {
        assert!(secret.len() >= 16, "{what} is no secret: {secret}");
        for n in [1, 2] {
            assert!(!cluster.log(n).contains(secret), "{what} in host{n}'s log");
            let data = cluster.data_dir(n);
            let all = files(&data);
            assert!(all.len() > 5, "{all:?}");
            for file in all {
                let bytes = fs::read(&file).unwrap_or_default();
                assert!(!holds(&bytes, secret), "{what} in {}", file.display());
            }
        }
        for (path, bytes) in &running {
            assert!(!holds(bytes, secret), "{what} in {path}");
        }
    }
    // What is kept of passwords, and keys, is for the daemon's user alone.
    for n in [1, 2] {
        let data = cluster.data_dir(n);
        let (mut hashes, mut keys) = (0, 0);
        for file in files(&data) {
            let bytes = fs::read(&file).unwrap_or_default();
            let (hash, key) = (holds(&bytes, "$argon2"), holds(&bytes, "PRIVATE KEY"));
            hashes += usize::from(hash);
            keys += usize::from(key);
            assert!(!(hash || key) || !is_open_to_all(&file, &data), "everybody reads {}", file.display());
        }
        assert!(hashes > 0 && keys > 0, "they were looked for in the right place: {hashes} {keys}");
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn no_secret_is_in_logs_command_lines_or_files_and_the_socket_is_for_the_group() {
    let cluster = cluster_with_a_group();
    only_root_and_the_group_open_the_socket(&cluster);

    let open = cluster.radioctl_well(1, &["token", "create"]).trim().to_owned();
    let used = fs::read_to_string(cluster.testbed.folder("tokens").join("token2")).expect("the token of host2");
    let mount = cluster.create_mount(1, "/live.mp3");
    let _encoder = FfmpegLoop::start(&cluster.testbed, Encoding::Mp3, &mount, &[Host::Node(2)]);
    wait_until("on air", SOON, || (cluster.origin(1, "/live.mp3")? == "host2").then_some(()));
    let url = format!("http://x:{PASSWORD}@10.77.0.1/live.mp3");
    let wrong = cluster.testbed.exec(Host::Client, &["curl", "--silent", "--max-time", "2", "-T", "/dev/null", &url]);
    assert!(!String::from_utf8_lossy(&wrong.stdout).contains("200 OK"), "{wrong:?}");
    let out = cluster.radioctl_well(1, &["-o", "json", "user", "add", "olga", "--role", "owner"]);
    let olga: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let olga = olga.pointer("/user/password").and_then(|text| text.as_str()).expect("a password").to_owned();
    let (code, _, said) = cluster.etcdctl(1, &["user", "add", &format!("root:{PASSWORD}")]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(cluster.etcdctl(1, &["user", "grant-role", "root", "root"]).0, 0);
    assert_eq!(cluster.etcdctl(1, &["auth", "enable"]).0, 0);
    let (code, out, said) = cluster.etcdctl(2, &["--user", &format!("root:{PASSWORD}"), "get", "", "--prefix"]);
    assert_eq!(code, 0, "{said}");
    let (code, _, _) = cluster.etcdctl(2, &["--user", "root:wrong-horse-battery-x", "get", "k"]);
    assert_ne!(code, 0);
    let audit = cluster.radioctl_well(1, &["audit", "-n", "0", "-o", "json"]);

    // The token's last part is its secret and its checksum.
    let secret_of = |token: &str| token.trim()[token.trim().len() - 24..].to_owned();
    let secrets = [
        ("an open token", secret_of(&open)),
        ("a used token", secret_of(&used)),
        ("a mount's password", mount.password),
        ("an etcd user's password", PASSWORD.to_owned()),
        ("a wrong password", "wrong-horse-battery-x".to_owned()),
        ("an owner's password", olga),
    ];
    for (what, secret) in &secrets {
        assert!(!out.contains(secret) && !audit.contains(secret), "{what} in the store or the audit log");
    }
    nothing_leaks(&cluster, &secrets);
}
