//! The operator's real program, as a process beside the test.

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use kube::config::Kubeconfig;
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    DEADLINE,
    net::{Door, Network},
    programs,
    wait::within,
};
use crate::controlplane::{Process, Watchdog, command, ports};

/// How a controller is started.
#[derive(Clone, Debug, Default)]
pub struct ControllerOptions {
    /// `--watch-namespaces`; `None` is all namespaces of the test's world, and an empty list is no restriction.
    pub watch_namespaces: Option<Vec<String>>,
    /// `--config-namespaces`, likewise.
    pub config_namespaces: Option<Vec<String>>,
    /// Whose rights it has; `None` is the administrator.
    pub kubeconfig: Option<PathBuf>,
    /// `--log-level`; `None` is `debug`, for the reports of failed tests.
    pub log_level: Option<String>,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further environment variables.
    pub environment: Vec<(String, String)>,
    /// These arguments and no others, such as those of a Deployment. Both addresses must be among them.
    pub exactly: Option<Vec<String>>,
    /// The network in which it runs; `None` is that of the test.
    pub network: Option<Network>,
    /// Do not wait until it says that it is ready.
    pub do_not_wait: bool,
}

impl ControllerOptions {
    /// All namespaces, for a control plane of the test's own.
    pub fn unrestricted() -> Self {
        Self { watch_namespaces: Some(Vec::new()), config_namespaces: Some(Vec::new()), ..Self::default() }
    }

    /// The ToolsetConfigs of one namespace, and the Services of all namespaces, also of those of other tests.
    pub fn for_configs_in(namespace: &str) -> Self {
        Self { config_namespaces: Some(vec![namespace.to_owned()]), ..Self::unrestricted() }
    }
}

/// A running `toolset-controller`. Dropping it kills it.
#[derive(Debug)]
pub struct Controller {
    process: Process,
    health_port: u16,
    metrics_port: u16,
    /// How the test reaches these ports in another network.
    _doors: Vec<Door>,
}

/// Where a controller runs: what its world gives it.
pub(crate) struct Place<'a> {
    pub(crate) kubeconfig: &'a Path,
    pub(crate) namespaces: &'a [String],
    pub(crate) log: PathBuf,
    pub(crate) watchdog: &'a Watchdog,
}

impl Controller {
    pub(crate) async fn start(options: ControllerOptions, place: Place<'_>) -> Result<Self> {
        let arguments = match &options.exactly {
            Some(arguments) => arguments.clone(),
            None => arguments(&options, place.namespaces)?,
        };
        let health_port = port(&arguments, "--health-addr=")?;
        let metrics_port = port(&arguments, "--metrics-addr=")?;
        let mut command = command(programs::toolset_controller().await?);
        let kubeconfig = options.kubeconfig.as_deref().unwrap_or(place.kubeconfig);
        command.env("KUBECONFIG", kubeconfig).args(arguments);
        command.envs(options.environment.iter().map(|(name, value)| (name, value)));
        let spawn = || Process::spawn("toolset-controller", &mut command, place.log, place.watchdog);
        let (process, doors) = match &options.network {
            None => (spawn()?, Vec::new()),
            Some(network) => {
                network.offer(port_of_server(kubeconfig)?)?;
                let doors = [health_port, metrics_port].map(|port| network.expose(port));
                (network.inside(spawn)?, doors.into_iter().collect::<Result<_>>()?)
            }
        };
        let mut controller = Self { process, health_port, metrics_port, _doors: doors };
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

    /// The port of `/health` and `/ready`.
    pub fn health_port(&self) -> u16 {
        self.health_port
    }

    /// The port of `/metrics`.
    pub fn metrics_port(&self) -> u16 {
        self.metrics_port
    }

    /// Where `/metrics` is answered.
    pub fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.metrics_port)
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

    /// The sum over all series of a metric: `dynamictoolset_reconciles_total`, whatever came of them.
    pub async fn total(&self, metric: &str) -> Result<f64> {
        let metrics = self.metrics().await?;
        let series = metrics.lines().filter_map(|line| line.strip_prefix(metric)?.split_once(' '));
        let of_metric = series.filter(|(labels, _)| labels.is_empty() || labels.starts_with('{'));
        let values: Vec<f64> = of_metric.map(|(_, value)| value.parse()).collect::<Result<_, _>>()?;
        ensure!(!values.is_empty(), "there is no metric {metric}");
        Ok(values.iter().sum())
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

/// What the harness starts a controller with.
fn arguments(options: &ControllerOptions, namespaces: &[String]) -> Result<Vec<String>> {
    let mut arguments = vec![
        format!("--health-addr=127.0.0.1:{}", ports::free()?),
        format!("--metrics-addr=127.0.0.1:{}", ports::free()?),
        format!("--log-level={}", options.log_level.as_deref().unwrap_or("debug")),
        "--log-format=json".to_owned(),
        "--cluster-domain=cluster.local".to_owned(),
    ];
    let restrictions =
        [("--watch-namespaces", &options.watch_namespaces), ("--config-namespaces", &options.config_namespaces)];
    for (flag, wanted) in restrictions {
        let namespaces = wanted.as_deref().unwrap_or(namespaces);
        if !namespaces.is_empty() {
            arguments.push(format!("{flag}={}", namespaces.join(",")));
        }
    }
    arguments.extend_from_slice(&options.arguments);
    Ok(arguments)
}

/// The port of the API server of a kubeconfig.
fn port_of_server(kubeconfig: &Path) -> Result<u16> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let url = file.clusters.first().and_then(|named| named.cluster.as_ref()?.server.as_deref());
    let url: http::Uri = url.with_context(|| format!("{} names no server", kubeconfig.display()))?.parse()?;
    url.port_u16().with_context(|| format!("{url} has no port"))
}

/// The port of an address among the arguments.
fn port(arguments: &[String], flag: &str) -> Result<u16> {
    let address = arguments.iter().find_map(|argument| argument.strip_prefix(flag));
    let (_, port) = address.and_then(|address| address.rsplit_once(':')).with_context(|| format!("no {flag}…"))?;
    port.parse().with_context(|| format!("{flag}: {port} is no port"))
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
