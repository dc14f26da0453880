//! Nodes on a testbed, as an administrator starts them.

use std::{path::PathBuf, time::Duration};

use crate::{
    ask::told,
    testbed::{Host, Job, Testbed, program},
    wait::wait_until,
};

/// A cluster on a testbed.
#[derive(Debug)]
pub struct Cluster {
    // The nodes end before the testbed goes down.
    nodes: Vec<Option<Job>>,
    options: Vec<String>,
    before: Vec<Vec<String>>,
    /// The hosts.
    pub testbed: Testbed,
}

impl Cluster {
    /// `init` on host 1, `join host1` by tokens on the others, until every node votes.
    #[must_use]
    pub fn up(hosts: usize) -> Self {
        Self::up_with(hosts, &["--icecast", "off"])
    }

    /// As [`Cluster::up`], with other options than `--icecast off`.
    #[must_use]
    pub fn up_with(hosts: usize, options: &[&str]) -> Self {
        let mut cluster = Self::idle(hosts, options);
        cluster.found();
        (2..=hosts).for_each(|n| cluster.join(n));
        cluster.wait_voters(1, hosts);
        cluster
    }

    /// Hosts on which nothing runs yet.
    #[must_use]
    pub fn idle(hosts: usize, options: &[&str]) -> Self {
        Self {
            nodes: (0..hosts).map(|_| None).collect(),
            options: options.iter().map(|&o| o.to_owned()).collect(),
            before: vec![Vec::new(); hosts],
            testbed: Testbed::up(hosts),
        }
    }

    /// Puts words before whatever is run for node `n` on its host: a program that runs it, or `env` with variables.
    pub fn run_by(&mut self, n: usize, words: Vec<String>) {
        self.before[n - 1] = words;
    }

    /// Runs a program on node `n`'s host as the node itself is run; exit code, standard output, standard error.
    #[must_use]
    pub fn exec(&self, n: usize, command: &[&str]) -> (i32, String, String) {
        let before: Vec<&str> = self.before[n - 1].iter().map(String::as_str).collect();
        told(&self.testbed.exec(Host::Node(n), &[&before[..], command].concat()))
    }

    /// `init` on host 1.
    pub fn found(&mut self) {
        self.start(1, &["init"]);
        self.wait_log(1, "created");
    }

    /// `join host1` on host `n`, by a token.
    pub fn join(&mut self, n: usize) {
        let token = self.token_file(1, &format!("token{n}"));
        self.start(n, &["join", "host1", "--token-file", token.to_str().expect("a plain path")]);
        self.wait_log(n, "joined in");
    }

    /// Waits until node `n` counts so many voters.
    pub fn wait_voters(&self, n: usize, voters: usize) {
        wait_until(&format!("{voters} voters"), Duration::from_secs(20), || {
            (self.status(n)["voters"].as_u64() == Some(voters as u64)).then_some(())
        });
    }

    fn line(&self, n: usize, verb: &[&str]) -> Vec<String> {
        let ip = Host::Node(n).ip();
        let binary = program("autoradio-node");
        let (data, socket) = (self.data_dir(n).display().to_string(), self.socket(n).display().to_string());
        let (name, clients) = (format!("host{n}"), format!("http://127.0.0.1:2379,http://{ip}:2379"));
        let mut line = vec![binary.to_str().expect("a plain path")];
        line.extend(verb);
        line.extend(["--name", &name, "--data-dir", &data, "--admin-socket", &socket, "--peer-ip", &ip]);
        line.extend(["--public-ip", &ip, "--domain", "radio.test", "--max-clients", "5000"]);
        let mut line: Vec<String> = line.into_iter().map(str::to_owned).collect();
        if !self.options.iter().any(|option| option == "--listen-client-urls") {
            line.extend(["--listen-client-urls".to_owned(), clients]);
        }
        line.extend(self.options.iter().cloned());
        line
    }

    /// Starts node `n` with a verb; its log begins anew.
    pub fn start(&mut self, n: usize, verb: &[&str]) {
        assert!(self.nodes[n - 1].is_none(), "node {n} runs already");
        let line = [self.before[n - 1].clone(), self.line(n, verb)].concat();
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        self.nodes[n - 1] = Some(self.testbed.spawn(Host::Node(n), &format!("node{n}.log"), &line));
    }

    /// Starts a node that ended again with `run`.
    pub fn restart(&mut self, n: usize) {
        self.start(n, &["run"]);
    }

    /// `autoradio-node join host…` on host `n`, whose daemon runs and is part of no cluster; what it said.
    #[must_use]
    pub fn join_anew(&self, n: usize, at: usize) -> String {
        let (token, host) = (self.token_file(at, &format!("again{n}")), format!("host{at}"));
        let line = self.line(n, &["join", &host, "--token-file", token.to_str().expect("a plain path")]);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let (code, out, err) = self.exec(n, &line);
        assert_eq!(code, 0, "join {host} on host{n}: {out}{err}");
        out
    }

    /// A node's data folder.
    #[must_use]
    pub fn data_dir(&self, n: usize) -> PathBuf {
        self.testbed.folder(&format!("data{n}"))
    }

    /// A node's admin socket.
    #[must_use]
    pub fn socket(&self, n: usize) -> PathBuf {
        self.testbed.folder(&format!("run{n}")).join("admin.sock")
    }

    /// What a node wrote since it was started.
    #[must_use]
    pub fn log(&self, n: usize) -> String {
        self.testbed.log(&format!("node{n}.log"))
    }

    /// Waits until a node wrote `text`.
    pub fn wait_log(&self, n: usize, text: &str) {
        wait_until(&format!("{text:?} in node {n}'s log"), Duration::from_secs(30), || {
            self.log(n).contains(text).then_some(())
        });
    }

    /// A running node's process.
    #[must_use]
    pub fn pid(&self, n: usize) -> u32 {
        self.nodes[n - 1].as_ref().expect("the node runs").pid()
    }

    /// `kill -9`.
    pub fn kill(&mut self, n: usize) {
        self.nodes[n - 1].take().expect("the node runs").kill();
    }

    /// Asks a node to end (`SIGTERM`), and waits; its exit code.
    pub fn terminate(&mut self, n: usize) -> i32 {
        self.nodes[n - 1].iter().for_each(|job| job.signal("-TERM"));
        self.wait_exit(n)
    }

    /// Waits until a node has ended; its exit code.
    pub fn wait_exit(&mut self, n: usize) -> i32 {
        self.nodes[n - 1].take().expect("the node runs").wait_exit(Duration::from_secs(20))
    }

    /// `SIGSTOP`: a node that runs stands still, and does not know it.
    pub fn pause(&self, n: usize) {
        self.nodes[n - 1].iter().for_each(|job| job.signal("-STOP"));
    }

    /// `SIGCONT`.
    pub fn resume(&self, n: usize) {
        self.nodes[n - 1].iter().for_each(|job| job.signal("-CONT"));
    }

    /// `kill -9` of all nodes at once.
    pub fn kill_all(&mut self) {
        self.nodes.iter().flatten().for_each(|job| job.signal("-KILL"));
        self.nodes.iter_mut().for_each(|node| *node = None);
    }
}
