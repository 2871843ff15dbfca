//! Runs the program once as in a container: the layer is the root file system, and the user has no special permissions.

mod data_storage;
mod operator;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Image, layer::Layer, layout::digest};
use crate::workspace;

const USER: u32 = 65532;
/// The deadline for an answer. It is long, because the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(30);

/// Unpacks the layer to `root` and runs the program there. The first run prints the version, which is returned. The
/// others try what the program needs in a cluster.
///
/// Fails if the program does not run, does not answer or does not stop. Without root permissions it runs in a user
/// namespace.
pub(super) fn run(image: Image, root: &Path, layout: &Path, layer: &Layer) -> Result<String> {
    fs::create_dir_all(root)?;
    // Unpacks the file that is shipped, not the layer in memory.
    let blob = layout.join("blobs/sha256").join(digest(&layer.compressed));
    workspace::succeed(
        workspace::command("tar").args(["--extract", "--gzip", "--file"]).arg(blob).arg("-C").arg(root),
    )?;
    let program = format!("/{}", image.contents().program);
    let version = stdout_of(inside(root)?.arg(&program).arg("--version"))?;
    match image {
        Image::ToolsetOperator => operator::run(root, &program)?,
        Image::DataStorage => data_storage::run(root, &program)?,
    }
    Ok(version)
}

/// A command that runs in `root` as a user without special permissions.
fn inside(root: &Path) -> Result<Command> {
    let is_root = workspace::output(workspace::command("id").arg("-u"))?.trim() == "0";
    let mut command = workspace::command(if is_root { "chroot" } else { "unshare" });
    if is_root {
        command.arg(format!("--userspec={USER}:{USER}")).arg(root);
    } else {
        command.args(["--user", &format!("--map-user={USER}"), &format!("--map-group={USER}"), "--root"]).arg(root);
    }
    Ok(command)
}

/// Starts a program as in a pod, waits until it answers on this port and does something else, and stops it.
fn start_and_stop(command: &mut Command, port: u16, also: impl FnOnce(&mut Child) -> Result<()>) -> Result<()> {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start the program")?;
    let answered = wait_for_health(&mut child, port).and_then(|()| also(&mut child));
    workspace::status(workspace::command("kill").args(["-TERM", &child.id().to_string()]).stderr(Stdio::null()))?;
    let ended = child.wait_with_output()?;
    answered.with_context(|| String::from_utf8_lossy(&ended.stderr).into_owned())?;
    ensure!(ended.status.success(), "the program stopped with {} after SIGTERM", ended.status);
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn wait_for_health(child: &mut Child, port: u16) -> Result<()> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("the program stopped unexpectedly ({status})");
        }
        match health(port) {
            Ok(answer) if answer.split_whitespace().nth(1) == Some("200") => return Ok(()),
            last if started.elapsed() > DEADLINE => {
                bail!("/health did not answer with status 200 within {DEADLINE:?}: {last:?}")
            }
            _ => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn health(port: u16) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn stdout_of(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the program does not run from the unpacked layer ({}): {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
