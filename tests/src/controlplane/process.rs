//! A program that runs beside us, its log in a file.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::watchdog::Watchdog;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    watchdog: Watchdog,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts a program with standard output and error appended to `log`, in a process group of its own: Ctrl-C reaches
    /// us alone, and we end it in order.
    pub(crate) fn spawn(name: &str, command: &mut Command, log: PathBuf, watchdog: &Watchdog) -> Result<Self> {
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot open {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let process = Self { name: name.to_owned(), child, log, watchdog: watchdog.clone(), ended: None };
        process.watchdog.guard(process.child.id())?;
        Ok(process)
    }

    /// The process id, valid until the process is seen to have ended.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().with_context(|| format!("cannot ask for the state of {}", self.name))?;
            if self.ended.is_some() {
                self.watchdog.release(self.child.id())?;
            }
        }
        Ok(self.ended)
    }

    /// Fails, with the end of its log, if it has ended.
    pub fn require_running(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}):\n{}", self.name, self.log_tail(20)),
        }
    }

    /// The last lines of its log, or why they cannot be read.
    pub fn log_tail(&self, lines: usize) -> String {
        match fs::read(&self.log) {
            Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes), lines),
            Err(error) => format!("(cannot read {}: {error})", self.log.display()),
        }
    }

    /// Sends a signal; an ended process gets none.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a pid is positive")?;
        kill_process(pid, signal).with_context(|| format!("cannot send {signal:?} to {}", self.name))
    }

    /// Waits until it has ended by itself or after a signal; fails, with the end of its log, at the deadline.
    pub async fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if started.elapsed() > within {
                bail!("{} still runs after {within:?}:\n{}", self.name, self.log_tail(20));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it at once with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
            self.ended = Some(self.child.wait()?);
            self.watchdog.release(self.child.id())?;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A destructor cannot fail; the watchdog still guards what could not be killed here.
        _ = self.kill();
    }
}

/// A command whose environment is ours without what would point Kubernetes clients elsewhere, and without what cargo said
/// about this program: build scripts such as ring's are run anew when it changes.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if NOT_FOR_CHILDREN.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// How the names of such variables begin.
const NOT_FOR_CHILDREN: [&str; 7] = [
    "KUBECONFIG",
    "KUBERNETES_SERVICE_",
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_PRIMARY_",
];

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn shell(script: &str, folder: &Path) -> Process {
        let watchdog = Watchdog::start(&folder.join("nothing")).unwrap();
        Process::spawn("the script", Command::new("sh").args(["-c", script]), folder.join("log"), &watchdog).unwrap()
    }

    #[tokio::test]
    async fn a_program_that_dies_is_reported_with_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("echo out; echo the reason >&2; exit 3", folder.path());

        assert_eq!(process.wait(Duration::from_secs(10)).await.unwrap().code(), Some(3));
        let error = process.require_running().unwrap_err().to_string();
        assert!(error.starts_with("the script ended"), "{error}");
        assert!(error.ends_with("out\nthe reason"), "{error}");
    }

    #[tokio::test]
    async fn a_signal_reaches_the_program_and_waiting_for_its_end_has_a_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("exec sleep 600", folder.path());

        assert!(process.wait(Duration::from_millis(1)).await.is_err());
        process.signal(Signal::TERM).unwrap();
        let status = process.wait(Duration::from_secs(10)).await.unwrap();
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
    }
}
