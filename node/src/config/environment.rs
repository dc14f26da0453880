//! Options from the environment, put behind those of the command line.
//!
//! Done here and not by clap, since etcd's options have two names, an empty variable means none (as in
//! `/etc/default` files), and all of it can be tested without a process.

use clap::CommandFactory;

use super::args::Cli;

/// etcd's own options, which are also read as `ETCD_*`.
const ETCD: [&str; 16] = [
    "name",
    "data-dir",
    "listen-peer-urls",
    "listen-client-urls",
    "initial-advertise-peer-urls",
    "advertise-client-urls",
    "initial-cluster",
    "initial-cluster-state",
    "initial-cluster-token",
    "quota-backend-bytes",
    "auto-compaction-mode",
    "auto-compaction-retention",
    "cert-file",
    "key-file",
    "trusted-ca-file",
    "client-cert-auth",
];

/// Subcommands that take options.
const WITH_OPTIONS: [&str; 3] = ["run", "init", "join"];

/// The command line with what the environment says of options that it does not name. A flag beats the environment,
/// `AUTORADIO_*` beats `ETCD_*`; empty variables are none.
#[must_use]
pub fn with_environment(arguments: Vec<String>, variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let Some(command) = arguments.get(1).filter(|word| WITH_OPTIONS.contains(&word.as_str())) else {
        return arguments;
    };
    let variable = |name: String| variable(&name).filter(|value| !value.trim().is_empty());
    let cli = Cli::command();
    let options = cli.find_subcommand(command).into_iter().flat_map(clap::Command::get_arguments);
    let mut all = arguments.clone();
    for long in options.filter_map(clap::Arg::get_long) {
        let flag = format!("--{long}");
        if arguments
            .iter()
            .any(|word| word.strip_prefix(&flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
        {
            continue;
        }
        let name = long.replace('-', "_").to_uppercase();
        let etcd = || if ETCD.contains(&long) { variable(format!("ETCD_{name}")) } else { None };
        let domain =
            || if long == "domain" { variable("DOMAIN".into()).map(|value| bare_domain(&value)) } else { None };
        if let Some(value) = variable(format!("AUTORADIO_{name}")).or_else(etcd).or_else(domain) {
            all.push(format!("{flag}={}", value.trim()));
        }
    }
    all
}

/// The earlier system's `/etc/default/autoradio` has `DOMAIN="--domain=example.com"`.
fn bare_domain(value: &str) -> String {
    value.trim().trim_start_matches("--domain").trim_start_matches(['=', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(arguments: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        with_environment(arguments, find)
    }

    #[test]
    fn a_flag_beats_ours_beats_etcds() {
        let both = [("AUTORADIO_NAME", "ours"), ("ETCD_NAME", "theirs")];
        assert_eq!(with(&["x", "run", "--name=mine"], &both), ["x", "run", "--name=mine"]);
        assert_eq!(with(&["x", "run", "--name", "mine"], &both), ["x", "run", "--name", "mine"]);
        assert_eq!(with(&["x", "run"], &both), ["x", "run", "--name=ours"]);
        assert_eq!(with(&["x", "run"], &both[1..]), ["x", "run", "--name=theirs"]);
    }

    #[test]
    fn only_etcds_own_are_read_as_etcds() {
        assert_eq!(with(&["x", "run"], &[("ETCD_DOMAIN", "a.example"), ("ETCD_HOLD", "1s")]), ["x", "run"]);
        assert_eq!(with(&["x", "join", "h"], &[("ETCD_DATA_DIR", "/d")]), ["x", "join", "h", "--data-dir=/d"]);
    }

    #[test]
    fn empty_is_none_and_other_commands_take_nothing() {
        assert_eq!(with(&["x", "run"], &[("AUTORADIO_NAME", " ")]), ["x", "run"]);
        assert_eq!(with(&["x", "version"], &[("AUTORADIO_NAME", "a")]), ["x", "version"]);
    }

    #[test]
    fn the_earlier_systems_domain_variable_is_understood() {
        for value in ["--domain=radio.example", "--domain radio.example", "radio.example"] {
            assert_eq!(with(&["x", "run"], &[("DOMAIN", value)]), ["x", "run", "--domain=radio.example"]);
        }
    }
}
