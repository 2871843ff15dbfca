//! The operator's real program, as a process beside the test.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::OnceCell,
};

use super::{DEADLINE, wait::within};
use crate::controlplane::{Process, Watchdog, command, ports};

/// Names a `toolset-controller` to test instead of the one that cargo builds.
const BINARY: &str = "TOOLSET_CONTROLLER";

/// How a controller is started.
#[derive(Clone, Debug, Default)]
pub struct ControllerOptions {
    /// `--watch-namespaces`; `None` is all namespaces of the test's world, and an empty list is no restriction.
    pub watch_namespaces: Option<Vec<String>>,
    /// `--config-namespaces`, likewise.
    pub config_namespaces: Option<Vec<String>>,
    /// Whose rights it has; `None` is the administrator.
    pub kubeconfig: Option<PathBuf>,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Do not wait until it says that it is ready.
    pub do_not_wait: bool,
}

impl ControllerOptions {
    /// All namespaces, for a control plane of the test's own.
    pub fn unrestricted() -> Self {
        Self { watch_namespaces: Some(Vec::new()), config_namespaces: Some(Vec::new()), ..Self::default() }
    }
}

/// A running `toolset-controller`. Dropping it kills it.
#[derive(Debug)]
pub struct Controller {
    process: Process,
    health_port: u16,
    metrics_port: u16,
}

/// Where a controller runs: what its world gives it.
pub(super) struct Place<'a> {
    pub(super) kubeconfig: &'a Path,
    pub(super) namespaces: &'a [String],
    pub(super) log: PathBuf,
    pub(super) watchdog: &'a Watchdog,
}

impl Controller {
    pub(super) async fn start(options: ControllerOptions, place: Place<'_>) -> Result<Self> {
        let (health_port, metrics_port) = (ports::free()?, ports::free()?);
        let mut command = command(binary().await?);
        command
            .env("KUBECONFIG", options.kubeconfig.as_deref().unwrap_or(place.kubeconfig))
            .arg(format!("--health-addr=127.0.0.1:{health_port}"))
            .arg(format!("--metrics-addr=127.0.0.1:{metrics_port}"))
            .args(["--log-format=json", "--log-level=debug", "--cluster-domain=cluster.local"]);
        let restrictions =
            [("--watch-namespaces", &options.watch_namespaces), ("--config-namespaces", &options.config_namespaces)];
        for (flag, wanted) in restrictions {
            let namespaces = wanted.as_deref().unwrap_or(place.namespaces);
            if !namespaces.is_empty() {
                command.arg(format!("{flag}={}", namespaces.join(",")));
            }
        }
        command.args(&options.arguments);
        let process = Process::spawn("toolset-controller", &mut command, place.log, place.watchdog)?;
        let mut controller = Self { process, health_port, metrics_port };
        if !options.do_not_wait {
            controller.ready().await?;
        }
        Ok(controller)
    }

    /// Waits until `/ready` says 200; fails with the end of its log if it ends before.
    pub async fn ready(&mut self) -> Result<()> {
        let port = self.health_port;
        let process = &mut self.process;
        within(DEADLINE, "the controller is ready", async || {
            if process.ended()?.is_some() {
                return Ok(());
            }
            let (status, body) = get(port, "/ready").await?;
            ensure!(status == 200, "/ready says {status}: {body}");
            Ok(())
        })
        .await?;
        self.process.require_running()
    }

    /// Status and body of a path of the health address.
    pub async fn health(&self, path: &str) -> Result<(u16, String)> {
        get(self.health_port, path).await
    }

    /// Everything under `/metrics`.
    pub async fn metrics(&self) -> Result<String> {
        let (status, body) = get(self.metrics_port, "/metrics").await?;
        ensure!(status == 200, "/metrics says {status}: {body}");
        Ok(body)
    }

    /// The value of one series, written as it stands there: `dynamictoolset_tools{type="Grafana",health="Healthy"}`.
    pub async fn metric(&self, series: &str) -> Result<Option<f64>> {
        let metrics = self.metrics().await?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(str::parse).transpose().with_context(|| format!("{series} has no number"))
    }

    /// The process, for its log, its pid and signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Asks it to end as Kubernetes does, and waits until it has.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.process.signal(Signal::TERM)?;
        self.process.wait(DEADLINE).await
    }
}

/// A GET as HTTP/1.0 has it: the answer ends where the connection does.
async fn get(port: u16, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.with_context(|| format!("port {port}"))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer))
        .await
        .with_context(|| format!("no answer to GET {path} within 10 s"))??;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("GET {path}: no HTTP answer"))?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    Ok((status.with_context(|| format!("GET {path}: no status in {head:?}"))?, body.to_owned()))
}

/// The program under test: the one that is named, else the one that cargo makes of this checkout, so that
/// `cargo test -p e2e` never tests an old one.
async fn binary() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    if let Some(path) = env::var_os(BINARY).filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    BUILT.get_or_try_init(async || tokio::task::spawn_blocking(build).await?).await.cloned()
}

fn build() -> Result<PathBuf> {
    let mut cargo = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // For the whole workspace, so that dependencies keep the features that `cargo xtask test` builds them with.
    cargo
        .args(["build", "--quiet", "--workspace", "--bin", "toolset-controller"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo cannot build toolset-controller");
    // target/<profile>/deps/<this test>
    let test = env::current_exe()?;
    let profile = test.ancestors().nth(2).context("the test is in no target folder")?;
    Ok(profile.join("toolset-controller"))
}
