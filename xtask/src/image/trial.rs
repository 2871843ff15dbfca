//! Runs the program once as a container would: its layer is the whole file system, and it is nobody in particular.

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

use super::{layer::Layer, layout::digest};
use crate::workspace;

const USER: u32 = 65532;
/// How long it may take to answer, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);
/// An API server that is not there: the program starts, sets up TLS and goes on trying. The image has no certificates of the
/// system's; in a pod the cluster's is mounted, and here one whose key nobody has.
const KUBECONFIG: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "c",
 "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
 "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority": "/ca.pem"}}],
 "users": [{"name": "u", "user": {"token": "t"}}]}"#;

/// Unpacks the layer of the layout into `root`, and there asks the program for its version, which is returned, and lets it
/// live for a moment.
///
/// Fails if it does not run, answer and end when asked to; without the rights to change the root, a user namespace is made.
pub(super) fn run(root: &Path, layout: &Path, layer: &Layer, program: &str) -> Result<String> {
    fs::create_dir_all(root)?;
    // From the file, not from memory: what is tried is what is shipped.
    let blob = layout.join("blobs/sha256").join(digest(&layer.compressed));
    workspace::succeed(
        workspace::command("tar").args(["--extract", "--gzip", "--file"]).arg(blob).arg("-C").arg(root),
    )?;
    let program = format!("/{program}");
    let version = said(inside(root)?.arg(&program).arg("--version"))?;
    lives_and_ends(root, &program)?;
    Ok(version)
}

/// A command that will run in `root` as nobody in particular.
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

/// Starts it as a pod does, waits until it answers, and asks it to end.
fn lives_and_ends(root: &Path, program: &str) -> Result<()> {
    fs::write(root.join("kubeconfig"), KUBECONFIG)?;
    fs::write(root.join("ca.pem"), include_str!("trial-ca.pem"))?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut command = inside(root)?;
    command
        .arg(program)
        .arg(format!("--health-addr=127.0.0.1:{port}"))
        .args(["--metrics-addr=127.0.0.1:0", "--lease-namespace=default", "--leader-elect=true"])
        .env("KUBECONFIG", "/kubeconfig")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start the program")?;
    let answered = wait_for_health(&mut child, port);
    workspace::status(workspace::command("kill").args(["-TERM", &child.id().to_string()]).stderr(Stdio::null()))?;
    let ended = child.wait_with_output()?;
    answered.with_context(|| String::from_utf8_lossy(&ended.stderr).into_owned())?;
    ensure!(ended.status.success(), "asked to end, it ended with {}", ended.status);
    Ok(())
}

fn wait_for_health(child: &mut Child, port: u16) -> Result<()> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("the program ended by itself ({status})");
        }
        match health(port) {
            Ok(answer) if answer.split_whitespace().nth(1) == Some("200") => return Ok(()),
            last if started.elapsed() > DEADLINE => bail!("/health does not say 200 within {DEADLINE:?}: {last:?}"),
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

fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the program does not run from its root ({}): {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
