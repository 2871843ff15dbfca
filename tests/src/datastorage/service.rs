//! The service's real program, as a process beside the test.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{ApiClient, Database, database::SERVICE, programs::datastorage};
use crate::{
    controlplane::{Process, Watchdog, ports},
    harness::{DEADLINE, within},
};

/// How many lines of its log a failed test shows.
const LOG_LINES: usize = 60;

/// How a service is started.
#[derive(Clone, Debug, Default)]
pub struct ServiceOptions {
    /// Further arguments. They are the last ones, so they win.
    pub arguments: Vec<String>,
    /// Further environment variables.
    pub environment: Vec<(String, String)>,
    /// The URL of the database; `None` is the database of the test, as the role [`SERVICE`].
    pub database_url: Option<String>,
    /// Do not pass `--auth=none`.
    pub with_authentication: bool,
    /// Do not wait until it says that it is ready.
    pub do_not_wait: bool,
    /// Do not print the end of its log when it is dropped. For programs that are not tests.
    pub quiet: bool,
}

impl ServiceOptions {
    /// With these further arguments.
    pub fn arguments(arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(), ..Self::default() }
    }
}

/// A running `datastorage serve`. Dropping it kills it, and prints the end of its log, which only a failed test shows.
#[derive(Debug)]
pub struct Service {
    // Dropped before the folder is removed.
    process: Process,
    /// The same again, for [`Service::start_again`].
    command: Command,
    api: ApiClient,
    ports: Ports,
    watchdog: Watchdog,
    folder: TempDir,
    quiet: bool,
}

/// Ports of 127.0.0.1.
#[derive(Clone, Copy, Debug)]
struct Ports {
    api: u16,
    health: u16,
    metrics: u16,
}

impl Service {
    /// Starts it on a database, without authentication and with further arguments, and waits until it is ready.
    pub async fn start(database: &Database, arguments: &[&str]) -> Result<Self> {
        Self::start_with(database, ServiceOptions::arguments(arguments)).await
    }

    /// The same with other options.
    pub async fn start_with(database: &Database, options: ServiceOptions) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("datastorage-service-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .context("cannot create a temporary folder")?;
        let watchdog = Watchdog::start(folder.path())?;
        let url_file = folder.path().join("url");
        fs::write(&url_file, options.database_url.unwrap_or_else(|| database.url(SERVICE)))?;

        let ports = Ports { api: ports::free()?, health: ports::free()?, metrics: ports::free()? };
        let mut command = datastorage().await?;
        command.arg("serve").arg("--database-url-file").arg(&url_file);
        command.arg(format!("--listen=127.0.0.1:{}", ports.api));
        command.arg(format!("--health-addr=127.0.0.1:{}", ports.health));
        command.arg(format!("--metrics-addr=127.0.0.1:{}", ports.metrics));
        if !options.with_authentication {
            command.arg("--auth=none");
        }
        // No endpoints have to leave a load balancer.
        command.env("DATASTORAGE_SHUTDOWN_DELAY", "0s");
        command.args(&options.arguments);
        command.envs(options.environment.iter().map(|(name, value)| (name, value)));
        let process = spawn(&mut command, &folder, &watchdog)?;
        let mut service =
            Self { process, command, api: ApiClient::new(ports.api), ports, watchdog, folder, quiet: options.quiet };
        if !options.do_not_wait {
            service.ready().await?;
        }
        Ok(service)
    }

    /// Ends it at once, as the death of its node does.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it with the same arguments after it has ended, and waits until it is ready.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.process.ended()?.is_some(), "datastorage still runs");
        self.process = spawn(&mut self.command, &self.folder, &self.watchdog)?;
        self.ready().await
    }

    /// Waits until `/ready` says 200. Fails with the end of its log if it ends before.
    pub async fn ready(&mut self) -> Result<()> {
        let health = self.health();
        let process = &mut self.process;
        within(DEADLINE, "Data Storage is ready", async || {
            if process.ended()?.is_some() {
                return Ok(());
            }
            health.get("/ready").await?.require(200).map(drop)
        })
        .await?;
        self.process.require_running()
    }

    /// A client of the API, without a token.
    pub fn api(&self) -> &ApiClient {
        &self.api
    }

    /// A client of the port of `/health` and `/ready`.
    pub fn health(&self) -> ApiClient {
        ApiClient::new(self.ports.health)
    }

    /// The port of the API.
    pub fn port(&self) -> u16 {
        self.ports.api
    }

    /// Everything under `/metrics`.
    pub async fn metrics(&self) -> Result<String> {
        Ok(ApiClient::new(self.ports.metrics).get("/metrics").await?.require(200)?.text())
    }

    /// The value of one series, such as `datastorage_write_total{table="execution_audit",status="success"}`. None if there is
    /// no such series.
    pub async fn metric(&self, series: &str) -> Result<Option<f64>> {
        let metrics = self.metrics().await?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(str::parse).transpose().with_context(|| format!("{series} has no number"))
    }

    /// What it has logged.
    pub fn log(&self) -> Result<String> {
        let log = fs::read(self.process.log()).context("cannot read the log of Data Storage")?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// A folder that goes with the service.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file with a content in the folder of the service, such as a key.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The process, for its pid and signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Asks it to end as Kubernetes does, and waits until it has.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.process.signal(Signal::TERM)?;
        self.process.wait(DEADLINE).await
    }

    /// Asks it to end, and fails unless it ends with success.
    pub async fn stop(mut self) -> Result<()> {
        let status = self.terminate().await?;
        ensure!(status.success(), "datastorage ended with {status}:\n{}", self.process.log_tail(LOG_LINES));
        Ok(())
    }
}

fn spawn(command: &mut Command, folder: &TempDir, watchdog: &Watchdog) -> Result<Process> {
    Process::spawn("datastorage", command, folder.path().join("log"), watchdog)
}

impl Drop for Service {
    #[allow(clippy::print_stderr, reason = "libtest shows what is printed this way with the failed test")]
    fn drop(&mut self) {
        if self.quiet {
            return;
        }
        eprintln!("--- the end of the log of Data Storage on port {}:", self.ports.api);
        eprintln!("{}", self.process.log_tail(LOG_LINES));
    }
}
