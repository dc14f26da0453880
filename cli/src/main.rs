//! `radioctl`: the administrator's command line of autoradio.

mod args;
mod clean;
mod command;
mod confirm;
mod connect;
mod duration;
mod error;
mod exit;
mod json;
mod keep;
mod login;
mod people;
mod render;
mod tls;
mod trust;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;

use crate::{
    args::{Args, Command, Output},
    command::Session,
    connect::Target,
    error::CliError,
    exit::Exit,
    login::Login,
    render::Look,
};

/// Between two screens of `status --watch`.
const WATCH: Duration = Duration::from_secs(2);

/// Clears the terminal and goes to its top left corner.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Width of a terminal that does not tell.
const WIDTH: u16 = 80;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return misused(&error).into(),
    };
    let output = args.output;
    run(args).unwrap_or_else(|error| report(&error, output)).into()
}

fn run(args: Args) -> Result<Exit, CliError> {
    let env = |name: &str| std::env::var(name).ok();
    let watch = matches!(args.command, Command::Status { watch: true });
    let session = Session {
        target: Target::choose(args.socket, args.server.as_deref(), tls::Files::choose(args.tls, env), env)?,
        login: Login::choose(args.login, env)?,
        timeout: args.timeout,
        output: args.output,
        look: look(),
        one_line: watch,
    };
    if let Command::DeleteMount { name, yes } = &args.command {
        confirm::delete(name, *yes)?;
    }
    if let Command::Node(command) = &args.command {
        confirm::node(command)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Output)?;
    let ended = runtime.block_on(async {
        if watch {
            return self::watch(&session, &args.command).await;
        }
        let outcome = session.run(&args.command).await?;
        print(&outcome.text)?;
        Ok(outcome.exit)
    });
    // A name that is still being looked up would keep the process beyond its time limit.
    runtime.shutdown_background();
    ended
}

/// Shows it again and again, until it is interrupted or nobody reads it any more.
async fn watch(session: &Session, command: &Command) -> Result<Exit, CliError> {
    let clear = if session.output == Output::Table && io::stdout().is_terminal() { CLEAR } else { "" };
    loop {
        match session.run(command).await {
            Ok(outcome) => print(&format!("{clear}{}", outcome.text))?,
            Err(error @ CliError::Usage(_)) => return Err(error),
            // A node that restarts is what one watches for.
            Err(error) => {
                print(clear)?;
                report(&error, session.output);
            }
        }
        tokio::time::sleep(WATCH).await;
    }
}

fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// Says what went wrong; on standard error, which may be closed: there is nowhere else to say so.
fn report(error: &CliError, output: Output) -> Exit {
    let exit = error.exit();
    if matches!(error, CliError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
        return exit;
    }
    let _ = writeln!(io::stderr(), "{}", failure(exit, &error.to_string(), output));
    exit
}

fn failure(exit: Exit, message: &str, output: Output) -> String {
    match output {
        Output::Table => format!("radioctl: {}", clean::line(message)),
        Output::Json => {
            let error = json::Fault { code: exit.word(), message: message.into() };
            json::text(&json::Failure { error }, true)
        }
    }
}

/// A command line that makes no sense, or one that asks for help.
fn misused(error: &clap::Error) -> Exit {
    if error.use_stderr() && wants_json(std::env::args()) {
        let message = error.to_string();
        let message = message.trim().trim_start_matches("error: ");
        let _ = writeln!(io::stderr(), "{}", failure(Exit::Usage, message, Output::Json));
    } else {
        let _ = error.print();
    }
    if error.use_stderr() { Exit::Usage } else { Exit::Ok }
}

/// Whether JSON is asked for in a line that could not be understood.
fn wants_json(line: impl Iterator<Item = String>) -> bool {
    let line: Vec<_> = line.collect();
    let joined = line.iter().any(|word| matches!(word.as_str(), "-ojson" | "-o=json" | "--output=json"));
    joined || line.windows(2).any(|pair| matches!(pair[0].as_str(), "-o" | "--output") && pair[1] == "json")
}

/// What standard output can bear.
fn look() -> Look {
    if !io::stdout().is_terminal() {
        return Look::default();
    }
    let width = crossterm::terminal::size().map_or(WIDTH, |(columns, _)| columns);
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    Look { width: Some(if width == 0 { WIDTH } else { width }), colour: !plain && !dumb }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_json_where_json_is_asked_for() {
        let line = |line: &str| wants_json(line.split(' ').map(str::to_owned));
        assert!(line("radioctl -o json bad") && line("radioctl bad --output=json"));
        assert!(!line("radioctl json"));
        let text = failure(Exit::NotFound, "no mount \"/a\"\u{1b}", Output::Json);
        assert_eq!(text, r#"{"error":{"code":"not_found","message":"no mount \"/a\"\u001b"}}"#);
        assert_eq!(failure(Exit::Failed, "a\u{1b}b", Output::Table), "radioctl: a\u{fffd}b");
    }
}
