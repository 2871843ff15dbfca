//! What ends our processes when we cannot: after SIGKILL, a crash or a closed terminal no destructor runs.
//!
//! A shell in a process group of its own reads the pids that it guards from a pipe whose other end only we hold. When we
//! are gone, however that came, the pipe is at its end: the shell kills what it still guards and removes the folder.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};

// Killed processes may still be writing when the first `rm` walks the folder. A database that is killed leaves shared memory
// behind, so it is asked first, and ends within milliseconds.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
pids=
databases=
without() {
  left=
  for each in $1; do [ "$each" = "$2" ] || left="$left $each"; done
}
while read -r word pid; do
  case $word in
    guard) pids="$pids $pid" ;;
    database)
      without "$pids" "$pid"; pids=$left
      databases="$databases $pid" ;;
    release)
      without "$pids" "$pid"; pids=$left
      without "$databases" "$pid"; databases=$left ;;
  esac
done
for each in $databases; do kill -QUIT "$each"; done
for each in $pids; do kill -KILL "$each"; done
for each in $databases; do
  tries=0
  while kill -0 "$each" && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -KILL "$each"
done
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"#;

/// Kills the guarded processes and removes a folder when this process has ended.
#[derive(Clone, Debug)]
pub(crate) struct Watchdog(Arc<Mutex<Shell>>);

#[derive(Debug)]
struct Shell {
    child: Child,
    /// `None` once it is closed, which ends the shell.
    pids: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts guarding; `folder` is removed at the end.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "control-plane-watchdog"])
            .arg(folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        let pids = child.stdin.take();
        Ok(Self(Arc::new(Mutex::new(Shell { child, pids }))))
    }

    /// Kills this process should we die before [`release`](Self::release).
    pub(crate) fn guard(&self, pid: u32) -> Result<()> {
        self.say("guard", pid)
    }

    /// Ends a guarded process with SIGQUIT, and with SIGKILL only if it still runs after 5 s.
    pub(crate) fn ask_first(&self, pid: u32) -> Result<()> {
        self.say("database", pid)
    }

    /// Forgets a process that has ended, before its pid is used again.
    pub(crate) fn release(&self, pid: u32) -> Result<()> {
        self.say("release", pid)
    }

    fn say(&self, word: &str, pid: u32) -> Result<()> {
        let mut shell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = shell.pids.as_mut().context("the watchdog has ended")?;
        writeln!(pipe, "{word} {pid}").context("the watchdog does not listen")
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.pids.take());
        // It has closed its eyes and ears; waiting only spares a zombie.
        _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::process::ExitStatusExt as _};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    #[test]
    fn the_end_of_the_pipe_kills_what_is_guarded_and_removes_the_folder() {
        let folder = tempfile::tempdir().unwrap().keep();
        fs::write(folder.join("data"), "x").unwrap();
        let watchdog = Watchdog::start(&folder).unwrap();
        let (mut guarded, mut released) = (sleeper(), sleeper());
        watchdog.guard(guarded.id()).unwrap();
        watchdog.guard(released.id()).unwrap();
        watchdog.release(released.id()).unwrap();

        drop(watchdog);

        assert_eq!(guarded.wait().unwrap().signal(), Some(9));
        assert!(!folder.exists());
        assert_eq!(released.try_wait().unwrap(), None);
        released.kill().unwrap();
        released.wait().unwrap();
    }
    #[test]
    fn a_process_that_is_asked_first_can_end_in_order() {
        let folder = tempfile::tempdir().unwrap().keep();
        let watchdog = Watchdog::start(&folder).unwrap();
        let mut asked = sleeper();
        watchdog.guard(asked.id()).unwrap();
        watchdog.ask_first(asked.id()).unwrap();

        let waiter = std::thread::spawn(move || asked.wait().unwrap().signal());
        drop(watchdog);

        assert_eq!(waiter.join().unwrap(), Some(3));
        assert!(!folder.exists());
    }
}
