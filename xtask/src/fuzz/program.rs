//! The program with all targets: how it is built and started.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::report::Run;
use crate::{tools, workspace};

/// What rustc adds to the code of a target and of all that it depends on, so that libFuzzer sees which code an input
/// reaches and what is compared with what.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
/// A run of one input that takes longer, in seconds, is a finding: an endless loop. A run takes milliseconds, but on a busy
/// machine a process can wait for its turn for long.
const SLOWEST: u32 = 300;
/// A run that needs more memory, in MiB, is a finding.
const MEMORY: u32 = 2048;
/// The longest input that libFuzzer makes, in bytes. A whole cluster fits into it.
const LONGEST: u32 = 1024;
/// How many inputs of random bytes a target starts with.
const SEEDS: u64 = 16;

/// The built program.
pub(super) struct Program {
    path: PathBuf,
    /// The Python with `PyYAML`, if there is one.
    python: Option<PathBuf>,
    targets: Vec<String>,
}

impl Program {
    /// Builds it. Fails if there is no C++ compiler for libFuzzer.
    pub(super) fn build(python: Option<PathBuf>) -> Result<Self> {
        ensure!(
            tools::cxx().is_some(),
            "a C++ compiler is missing to build libFuzzer; install g++ or clang, or name it in CXX"
        );
        let host = host()?;
        let mut build = workspace::cargo(&["build", "--package", "fuzz", "--features", "libfuzzer", "--bin", "fuzz"]);
        // With an explicit target, the flags are not for build scripts and macros.
        build.args(["--profile", "fuzz", "--target", &host]);
        build.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}")).env_remove("RUSTFLAGS");
        workspace::succeed(&mut build)?;
        let here = workspace::built_here()?;
        let target = here.parent().context("this program is not in a target folder")?;
        let path = target.join(host).join("fuzz/fuzz");
        // libFuzzer warns that there are no sanitizers.
        let listed = workspace::command(&path).env_remove("FUZZ_TARGET").stderr(Stdio::null()).output();
        let listed = listed.with_context(|| format!("cannot run {}", path.display()))?;
        ensure!(listed.status.success(), "{} does not list its targets ({})", path.display(), listed.status);
        let targets = String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect();
        Ok(Self { path, python, targets })
    }

    /// The targets with these names; all for no names.
    pub(super) fn chosen(&self, names: &[String]) -> Result<Vec<String>> {
        if let Some(unknown) = names.iter().find(|name| !self.targets.contains(name)) {
            bail!("there is no fuzz target {unknown:?}; the targets are {}", self.targets.join(", "));
        }
        Ok(if names.is_empty() { self.targets.clone() } else { names.to_vec() })
    }

    /// Runs a target for some time. `folder` is for inputs and findings.
    pub(super) fn run(&self, target: &str, time: Duration, folder: &Path) -> Result<Run> {
        let (corpus, findings) = (folder.join("corpus").join(target), folder.join("findings").join(target));
        for folder in [&corpus, &findings] {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        plant(&corpus)?;
        let started = Instant::now();
        let mut command = self.command(target);
        command.arg(format!("-max_total_time={}", time.as_secs().max(1)));
        command.arg(format!("-timeout={SLOWEST}")).arg(format!("-rss_limit_mb={MEMORY}"));
        command.arg(format!("-max_len={LONGEST}")).args(["-len_control=0", "-print_final_stats=1"]);
        command.arg(format!("-artifact_prefix={}/", findings.display())).arg(&corpus);
        let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output();
        let output = output.with_context(|| format!("cannot run {}", self.path.display()))?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Run::read(target, output.status, log, started.elapsed()))
    }

    /// Runs a target with the input in a file. Returns whether everything holds.
    pub(super) fn repeat(&self, target: &str, input: &Path) -> Result<bool> {
        let status = workspace::status(self.command(target).arg(format!("-timeout={SLOWEST}")).arg(input))?;
        Ok(status.success())
    }

    fn command(&self, target: &str) -> Command {
        let mut command = workspace::command(&self.path);
        command.env("FUZZ_TARGET", target);
        match &self.python {
            Some(python) => command.env("FUZZ_PYTHON", python),
            None => command.env_remove("FUZZ_PYTHON"),
        };
        command
    }
}

/// Gives a target inputs to start with. From nothing, libFuzzer needs long until inputs are long enough for a cluster.
fn plant(corpus: &Path) -> Result<()> {
    for seed in 0..SEEDS {
        let mut state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        let bytes: Vec<u8> = (0..LONGEST / 2).map(|_| next()).collect();
        let path = corpus.join(format!("seed-{seed}"));
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The platform of this machine, as rustc names it.
fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = workspace::output(workspace::command(rustc).arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV does not show its host")?.to_owned())
}
