//! A network of its own: a network namespace of Linux. It vanishes with the last process and the last file that refer to
//! it, so a test that fails leaves nothing behind.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::controlplane::command;

/// A network namespace.
#[derive(Debug)]
pub(super) struct Namespace(File);

/// The process that a namespace was made with. `ip` moves an interface to the namespace of a process.
#[derive(Debug)]
pub(super) struct Maker(Child);

impl Namespace {
    /// Creates a namespace. `None` if this user may not, or if the program `unshare` is missing.
    pub(super) fn create() -> Result<Option<(Self, Maker)>> {
        let mut unshare = command("unshare");
        // It ends when its input does.
        unshare.args(["--net", "sh", "-c", "echo ready; read -r _"]);
        let spawned = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut child) = spawned else { return Ok(None) };
        let output = child.stdout.take().context("no standard output")?;
        let maker = Maker(child);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line.trim() != "ready" {
            return Ok(None);
        }
        let path = format!("/proc/{}/ns/net", maker.pid());
        let file = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        Ok(Some((Self(file), maker)))
    }

    /// Does something inside. A socket belongs to the namespace in which it was made, and a process to that of the thread
    /// that started it.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let moved = || {
            move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
                .context("cannot move into the network namespace")?;
            work()
        };
        // A thread of its own, because a thread cannot share a namespace with the work of the runtime.
        thread::scope(|scope| scope.spawn(moved).join()).map_err(|_| anyhow!("the work in the namespace panicked"))?
    }

    /// Runs `ip`, with its arguments separated by spaces.
    pub(super) fn ip(&self, arguments: &str) -> Result<()> {
        self.inside(|| {
            let output = Command::new("ip").args(arguments.split(' ')).output().context("cannot run ip")?;
            ensure!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
            Ok(())
        })
    }
}

impl Maker {
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Waiting only spares a zombie.
        _ = self.0.wait();
    }
}
