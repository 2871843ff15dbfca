//! Runs the program.

// Not every test file uses all of this, and an expectation that fails in a helper fails the test.
#![allow(dead_code, clippy::expect_used)]

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// What a run left behind.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The program, with no cluster to find and no terminal.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-toolset"));
    command
        .env("KUBECONFIG", "/nonexistent")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("NO_COLOR")
        .env("HOME", "/nonexistent");
    command
}

pub fn run(args: &[&str]) -> Run {
    run_with_input(args, "")
}

pub fn run_with_input(args: &[&str], input: &str) -> Run {
    let mut child = program()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that does not read its input closes the pipe early; that is its right.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    Run {
        code: output.status.code().expect("an exit code"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

pub fn fixture(name: &str) -> String {
    path(name).display().to_string()
}

pub fn read_fixture(name: &str) -> String {
    std::fs::read_to_string(path(name)).expect("a fixture")
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

impl Run {
    /// Standard output as JSON, after a run that went well.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_str(&self.stdout).expect("JSON")
    }

    /// Fails unless the run found problems in its input, named all of these on standard error and printed nothing else.
    pub fn refused(&self, named: &[&str]) {
        self.failed(1, named);
    }

    /// As `refused`, for a command line that makes no sense.
    pub fn misused(&self, named: &[&str]) {
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
