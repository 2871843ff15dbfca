//! `kubectl-toolset`: runs the code of the operator on files, on standard input or on a cluster, and changes nothing.
//!
//! ```text
//! files, stdin ──► input ──┐
//!                          ├──► Snapshot ──► the crate toolset ──► render, explain
//! API server ────► live ───┘
//! ```

mod args;
mod check;
mod complete;
mod diff;
mod difference;
mod explain;
mod failure;
mod input;
mod live;
mod outcome;
mod paint;
mod pods;
mod print;
mod render;
mod snapshot;
mod status;
mod table;
mod text;
#[cfg(feature = "ui")]
mod ui;
mod validate;
mod version;

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use args::{Cli, Cluster, Command, Format, From};
use clap::{CommandFactory, Parser, error::ErrorKind};
use failure::Failure;
use live::{Request, Several};
use outcome::Outcome;
use paint::Paint;
use snapshot::Objects;
use text::Text;

fn main() -> ExitCode {
    if let Some(words) = words_to_complete() {
        return write(&complete::run(&words), 0, 1);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and the version, in colour.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            wrong_command_line(&error);
            return ExitCode::from(2);
        }
    };
    // As with kubectl diff, 1 means that there is a difference.
    let error_code = if matches!(cli.command, Command::Diff(_)) { 2 } else { 1 };
    match run(cli) {
        Ok(outcome) => {
            for note in &outcome.notes {
                say(&format!("note: {note}"));
            }
            write(outcome.output.as_str(), outcome.code, error_code)
        }
        Err(failure) => {
            for line in failure.lines() {
                say(line);
            }
            match failure {
                Failure::Input(_) => ExitCode::from(error_code),
                Failure::Usage(_) | Failure::Choice(_) => ExitCode::from(2),
            }
        }
    }
}

/// The words to complete, if kubectl asks for completions: by a script, or by a link with the name that it looks for.
fn words_to_complete() -> Option<Vec<String>> {
    let mut args = env::args_os();
    let program = PathBuf::from(args.next()?);
    let mut words: Vec<String> = args.map(|word| word.to_string_lossy().into_owned()).collect();
    if program.file_stem()? == complete::PROGRAM {
        return Some(words);
    }
    (words.first()? == complete::COMMAND).then(|| words.split_off(1))
}

/// Writes one line to standard error. If standard error is closed, nothing can be reported.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", Text::from(line).as_str());
}

/// Reports what is wrong with the command line. If it is only a value, the usage does not help.
fn wrong_command_line(error: &clap::Error) {
    let text = error.to_string();
    if error.kind() == ErrorKind::ValueValidation {
        say(text.split("\n\n").next().unwrap_or_default());
    } else {
        text.lines().for_each(say);
    }
}

/// Runs the command and returns all of its output, so that a command that fails prints nothing to standard output.
fn run(cli: Cli) -> Result<Outcome, Failure> {
    let paint = Paint::new(cli.color);
    let cluster = &cli.cluster;
    match cli.command {
        Command::Render(args) => {
            let format = render::format_or_default(args.output);
            let several = if format == Format::Table { Several::Preferred } else { Several::One };
            let mut objects = objects(cluster, &args.from, args.from.live, None, several)?;
            render::run(&mut objects, &args.from.cluster_domain, format, paint)
        }
        Command::Explain(args) => {
            let live = args.from.live || args.from.files.is_empty();
            let namespace = cluster.namespace.as_deref();
            let (read, _) = explain::find::parse(&args.service, namespace);
            let mut objects = objects(cluster, &args.from, live, read, Several::All)?;
            explain::run(&mut objects, &args, namespace, paint)
        }
        Command::Diff(args) => diff::run(cluster, &args, paint),
        Command::Status(args) => status::run(cluster, &args, paint),
        Command::Check(args) => check::run(cluster, &args, paint),
        Command::Version(args) => version::run(cluster, &args, paint),
        Command::Validate(args) => validate::run(args.named(), args.output),
        #[cfg(feature = "ui")]
        Command::Ui(args) => ui::run(cluster, &args),
        #[cfg(not(feature = "ui"))]
        Command::NoUi { arguments } => Err(Failure::Usage(format!(
            "error: this build does not contain the page; build it with: cargo run -p cli -- ui {}",
            arguments.join(" ")
        ))),
        Command::Crds => crd_types::crds_yaml().map(Outcome::exact).map_err(|error| Failure::input(error.to_string())),
        Command::Completions { shell } => {
            let Some(shell) = shell.shell() else { return Ok(Outcome::exact(complete::SCRIPT.to_owned())) };
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "kubectl-toolset", &mut script);
            String::from_utf8(script).map(Outcome::exact).map_err(|error| Failure::input(error.to_string()))
        }
    }
}

/// Reads the objects from files or from the cluster. `namespace` is read if the user may not read all of them.
fn objects(
    cluster: &Cluster,
    from: &From,
    live: bool,
    namespace: Option<&str>,
    several: Several,
) -> Result<Objects, Failure> {
    if from.files.is_empty() && !live {
        return Err(Failure::Usage(
            "error: no input was given; use -f FILE, -f - for standard input, or --live for the cluster".to_owned(),
        ));
    }
    if !live {
        return match from.config.as_ref().map(|_| "--config").or(cluster.flag()) {
            Some(flag) => Err(Failure::Usage(format!(
                "error: {flag} requires --live; to use a ToolsetConfig from a file, pass it with -f"
            ))),
            None => input::snapshot(from.named()).map(Objects::of),
        };
    }
    let given = input::config_only(from.named())?;
    if given.is_some() && from.config.is_some() {
        return Err(Failure::Usage(
            "error: --config cannot be used with a ToolsetConfig in -f; remove one of them".to_owned(),
        ));
    }
    live::block_on(async {
        let client = live::connect(cluster).await?;
        live::read(&client, Request { given, named: from.config.as_deref(), namespace, several }).await
    })
}

/// Writes to standard output. A closed pipe is not a failure, because commands such as `head` close it early.
fn write(output: &str, code: u8, error_code: u8) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(output.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::from(code),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: cannot write to standard output: {error}");
            ExitCode::from(error_code)
        }
    }
}
