//! Runs the program.

#![allow(dead_code, reason = "not every test file uses everything in this module")]
#![allow(clippy::expect_used, reason = "a failed `expect` in a helper function fails the test")]

pub(crate) mod cluster;
pub(crate) mod server;
#[cfg(feature = "ui")]
pub(crate) mod ui;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// The result of a run.
pub(crate) struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The program in an environment without a cluster and without a terminal.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-toolset"));
    command
        .env("KUBECONFIG", "/nonexistent")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("NO_COLOR")
        .env_remove("COLUMNS")
        .env("HOME", "/nonexistent");
    command
}

pub(crate) fn run(args: &[&str]) -> Run {
    run_with_input(args, "")
}

pub(crate) fn run_with_input(args: &[&str], input: &str) -> Run {
    let mut child = program()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // The program may close the pipe before it has read all of its input.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    Run::from(child.wait_with_output().expect("the program ends"))
}

pub(crate) fn fixture(name: &str) -> String {
    path(name).display().to_string()
}

pub(crate) fn read_fixture(name: &str) -> String {
    std::fs::read_to_string(path(name)).expect("a fixture")
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("an exit code"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Run {
    /// Runs a program without input.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.stdin(Stdio::null()).output().expect("the program ends"))
    }

    /// Fails unless the run succeeded and all of `named` are on standard output.
    pub(crate) fn says(&self, named: &[&str]) {
        assert_eq!(self.code, 0, "{}", self.stderr);
        for text in named {
            assert!(self.stdout.contains(text), "{text:?} is not in\n{}", self.stdout);
        }
    }

    /// Standard output as JSON. Fails if the run failed.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_str(&self.stdout).expect("JSON")
    }

    /// Fails unless the run reported problems in its input. All of `named` must be on standard error, and standard
    /// output must be empty.
    pub(crate) fn refused(&self, named: &[&str]) {
        self.failed(1, named);
    }

    /// As `refused`, for a wrong command line.
    pub(crate) fn misused(&self, named: &[&str]) {
        self.failed(2, named);
    }

    fn failed(&self, code: i32, named: &[&str]) {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "", "nothing goes to standard output");
        for text in named {
            assert!(self.stderr.contains(text), "{text:?} is not in {:?}", self.stderr);
        }
    }
}
