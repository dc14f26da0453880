//! `autoradio-node`.

mod descriptors;

use std::{io::IsTerminal, process::ExitCode};

use autoradio_node::{
    config::{
        EnvironmentFiles,
        args::{Cli, CliCommand, LogFormat, Options},
        with_environment,
    },
    daemon,
};
use clap::Parser;
use tracing_subscriber::EnvFilter;

/// What other people's crates say matters when it goes wrong.
const QUIET: &str = "h2=warn,hyper=warn,hickory_server=warn,openraft=warn,sled=warn,tonic=warn,tower=warn";

fn main() -> ExitCode {
    autoradio_node::tls::install_provider();
    let descriptors = descriptors::raise();
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let variable = |name: &str| std::env::var(name).ok();
    let files = EnvironmentFiles::read(variable);
    // A variable that is set to nothing says “none”, whatever the files say.
    let cli = Cli::parse_from(with_environment(words, |name| variable(name).or_else(|| files.get(name))));
    if let CliCommand::Run(options) | CliCommand::Init(options) | CliCommand::Join { options, .. } = &cli.command {
        log(options);
        if let Some(complaint) = descriptors {
            tracing::warn!("{complaint}");
        }
        for complaint in &files.complaints {
            tracing::warn!("{complaint}");
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime did not start: {error}")),
    };
    match runtime.block_on(daemon::run(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            fail(&format!("{error:#}"));
            daemon::exit_code(&error)
        }
    }
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("autoradio-node: {reason}");
    ExitCode::FAILURE
}

fn log(options: &Options) {
    let filter = EnvFilter::new(format!("{QUIET},{}", options.log_level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours only where somebody looks at them.
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    match options.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Journal => lines.without_time().with_ansi(false).init(),
    }
}
