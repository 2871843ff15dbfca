//! The programs that the tests of identity probes use: real programs from Debian's packages, and recorded responses of
//! other real programs. Debian's Alertmanager does not start without the files of its package under `/usr`, and Debian
//! has no Thanos and no VictoriaLogs.

use std::{
    collections::BTreeMap,
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use e2e::harness::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::AbortHandle,
};

/// A running program. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    port: u16,
}

/// The paths of the programs from Debian's packages. `cargo xtask test api` sets the variables.
pub(crate) struct Debian {
    prometheus: PathBuf,
    pushgateway: PathBuf,
    node_exporter: PathBuf,
    folder: PathBuf,
}

impl Debian {
    /// `None` if a package is missing.
    pub(crate) fn find(folder: &Path) -> Option<Self> {
        let program = |variable: &str, name: &str| {
            let path = PathBuf::from(env::var_os(variable)?).join(name);
            path.is_file().then_some(path)
        };
        Some(Self {
            prometheus: program("PROMETHEUS", "prometheus")?,
            pushgateway: program("PUSHGATEWAY", "prometheus-pushgateway")?,
            node_exporter: program("NODE_EXPORTER", "prometheus-node-exporter")?,
            folder: folder.to_owned(),
        })
    }

    pub(crate) async fn prometheus(&self, arguments: &[&str]) -> Result<Program> {
        let port = free_port()?;
        let folder = self.folder.join(format!("prometheus-{port}"));
        fs::create_dir(&folder)?;
        let config = folder.join("prometheus.yml");
        fs::write(&config, "global: {}\n")?;
        let mut command = Command::new(&self.prometheus);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.args(arguments);
        Program::start(command, port).await
    }

    /// Prometheus with a self-signed certificate.
    pub(crate) async fn prometheus_with_tls(&self) -> Result<Program> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["prometheus.example".to_owned()])?.self_signed(&key)?;
        let [certificate_file, key_file, config] =
            ["tls.crt", "tls.key", "web.yml"].map(|name| self.folder.join(name).display().to_string());
        fs::write(&certificate_file, certificate.pem())?;
        fs::write(&key_file, key.serialize_pem())?;
        let tls = format!("tls_server_config: {{cert_file: {certificate_file}, key_file: {key_file}}}\n");
        fs::write(&config, tls)?;
        self.prometheus(&[&format!("--web.config.file={config}")]).await
    }

    pub(crate) async fn pushgateway(&self) -> Result<Program> {
        let mut command = Command::new(&self.pushgateway);
        // The package is not installed, so the program does not find its files.
        let usr = self.pushgateway.ancestors().nth(2).context("the package has no folder usr")?;
        command.arg(format!("--web.local-assets={}", usr.join("share/prometheus/pushgateway").display()));
        Program::start(command, free_port()?).await
    }

    pub(crate) async fn node_exporter(&self) -> Result<Program> {
        let mut command = Command::new(&self.node_exporter);
        command.arg("--collector.disable-defaults");
        Program::start(command, free_port()?).await
    }
}

impl Program {
    /// Starts the program, and waits until it listens.
    async fn start(mut command: Command, port: u16) -> Result<Self> {
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let name = command.get_program().display().to_string();
        let child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        let mut program = Self { child, port };
        eventually(&format!("{name} listens"), async || {
            TcpStream::connect(("127.0.0.1", port)).await?;
            Ok(())
        })
        .await?;
        ensure!(program.child.try_wait()?.is_none(), "{name} has ended");
        Ok(program)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A server that gives the recorded responses of a real program. Dropping it closes its port.
pub(crate) struct Recording {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

#[derive(Deserialize)]
struct Recorded {
    http: BTreeMap<String, Response>,
}

#[derive(Clone, Deserialize)]
struct Response {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

impl Recording {
    /// Starts a server with the responses in `crates/detectors/tests/probe/recorded/<name>.json`.
    pub(crate) async fn start(name: &str) -> Result<Self> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/detectors/tests/probe/recorded");
        let file = format!("{folder}/{name}.json");
        let text = fs::read_to_string(&file).with_context(|| file.clone())?;
        let Recorded { http } = serde_json::from_str(&text).with_context(|| file.clone())?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let (port, answers) = (listener.local_addr()?.port(), Arc::new(http));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, answers.clone(), seen.clone()));
            }
        });
        Ok(Self { port, requests, task: task.abort_handle() })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The first lines of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    mut stream: TcpStream,
    answers: Arc<BTreeMap<String, Response>>,
    seen: Arc<Mutex<Vec<String>>>,
) -> Result<()> {
    let mut request = vec![0; 8192];
    let read = stream.read(&mut request).await?;
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.lines().next().unwrap_or_default().to_owned());
    let none = Response { status: 404, headers: BTreeMap::new(), body: String::new() };
    let Response { status, headers, body } = answers.get(path).cloned().unwrap_or(none);
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in &headers {
        head.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
    }
    head.push_str("\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    Ok(())
}
