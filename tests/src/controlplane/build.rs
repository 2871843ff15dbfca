//! `go build` of the control plane: one program, which acts as the program by whose name it is called.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use thiserror::Error;

use super::{
    programs::{Module, NAMES},
    progress::Progress,
};

/// How it is built: part of the cache's key. The compiler writes no debug information, because the linker would drop it.
pub(super) const RECIPE: [&str; 4] = ["-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags=-s -w"];

/// The program, before it has links.
const PROGRAM: &str = "controlplane";

/// A tool of the machine that is not there. The message is one line and says what to install.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct MissingTool(String);

/// Builds the program into `folder`, with a link for each of its names.
pub(super) fn programs(module: &Module, folder: &Path) -> Result<()> {
    require_go(module)?;
    let version = &module.kubernetes;
    let (major, minor) = major_minor(version).with_context(|| format!("{version} is not a version of Kubernetes"))?;
    let stamp = [("gitVersion", version.as_str()), ("gitMajor", major), ("gitMinor", minor), ("gitTreeState", "clean")]
        .map(|(name, value)| format!("-X k8s.io/component-base/version.{name}={value}"));
    let [flags @ .., linker] = RECIPE;
    let linker = format!("{linker} {}", stamp.join(" "));

    let mut progress = Progress::new(version);
    let result = (|| {
        // What the compiler has in its cache is not compiled again.
        let mut list = go(module);
        list.args(["list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"]).args(flags).args([&linker, "."]);
        let mut packages = 0;
        run(&mut list, &mut progress, |_, line| packages += usize::from(is_package(line)))?;
        progress.compiles(packages);
        let mut build = go(module);
        build.args(["build", "-v"]).args(flags).args([&linker, "-o"]).arg(folder.join(PROGRAM)).arg(".");
        run(&mut build, &mut progress, |progress, line| {
            if is_package(line) {
                progress.compiled();
            }
        })
    })();
    progress.finish(result.is_ok());
    result?;
    for name in NAMES {
        symlink(PROGRAM, folder.join(name)).with_context(|| format!("cannot create the link {name}"))?;
    }
    Ok(())
}

fn go(module: &Module) -> Command {
    let mut command = Command::new("go");
    // A workspace or vendor mode of the user's would resolve other versions than those that go.mod pins.
    command.current_dir(&module.folder).env("CGO_ENABLED", "0").env("GOWORK", "off").env_remove("GOFLAGS");
    command
}

/// Asks Go for its version inside the module: a Go that is too old downloads the right one or says that it may not.
fn require_go(module: &Module) -> Result<()> {
    let wanted = fs::read_to_string(module.folder.join("go.mod"))?
        .lines()
        .find_map(|line| line.strip_prefix("go ").map(str::to_owned))
        .context("go.mod names no version of Go")?;
    let need = format!(
        "Go {wanted} or newer is needed once, to build the Kubernetes control plane: install it from https://go.dev/dl \
         (or name a folder of prebuilt programs in KUBEBUILDER_ASSETS)"
    );
    match go(module).args(["env", "GOVERSION"]).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            bail!(MissingTool(format!("{need}. The one in PATH says: {said}")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(MissingTool(need)),
        Err(error) => Err(error).context("cannot run go"),
    }
}

fn major_minor(version: &str) -> Option<(&str, &str)> {
    let mut numbers = version.strip_prefix('v')?.split('.');
    Some((numbers.next()?, numbers.next()?))
}

/// Runs Go and passes every line that it prints to `look`. `go build -v` names each package as it compiles it.
fn run(
    command: &mut Command,
    progress: &mut Progress<'_>,
    mut look: impl FnMut(&mut Progress<'_>, &str),
) -> Result<()> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot run go")?;
    let (sender, lines) = mpsc::channel();
    let readers = [
        read(child.stdout.take().context("go has no standard output")?, sender.clone()),
        read(child.stderr.take().context("go has no standard error")?, sender),
    ];
    let mut said = Vec::new();
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) if line.starts_with("go: downloading") => progress.downloads(),
            Ok(line) => {
                look(progress, &line);
                if !is_package(&line) {
                    said.push(line);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        progress.draw();
    }
    let status = child.wait()?;
    // The channel is closed, so the threads are at their end; what they return says nothing.
    _ = readers.map(thread::JoinHandle::join);
    let tail = said.len().saturating_sub(20);
    ensure!(status.success(), "go cannot build the control plane ({status}):\n{}", said[tail..].join("\n"));
    Ok(())
}

/// Sends every line.
fn read(from: impl Read + Send + 'static, to: Sender<String>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                break;
            }
        }
    })
}

/// A line of `go build -v` that is a package's import path; everything else is a message.
fn is_package(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#') && !line.contains([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_from_messages() {
        assert!(is_package("k8s.io/kubernetes/pkg/apis/core"));
        assert!(is_package("net/http"));
        assert!(!is_package("# k8s.io/kubernetes/pkg/apis/core"));
        assert!(!is_package("go: downloading k8s.io/api v0.36.3"));
        assert!(!is_package("pkg/x.go:3:4: undefined: y"));
    }

    #[test]
    fn a_version_has_a_major_and_a_minor_number() {
        assert_eq!(major_minor("v1.36.3"), Some(("1", "36")));
        assert_eq!(major_minor("1.36.3"), None);
    }
}
