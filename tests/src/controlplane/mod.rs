//! A real Kubernetes control plane in seconds, without containers.
//!
//! ```text
//! Programs::locate ──► etcd ◄── kube-apiserver ──► CRDs ──► kube-controller-manager
//!  (built once,                 127.0.0.1, a free port,     garbage collection, EndpointSlices,
//!   cached)                     data in a temporary folder  namespaces, ServiceAccounts, Deployments
//! ```
//!
//! Everything is as in a cluster but for nodes: no Pod ever runs. Nothing outlives the process that started it, however
//! that ends (see `watchdog.rs`).

mod audit;
mod build;
mod cluster;
mod crds;
mod keys;
mod kubeconfig;
pub mod ports;
mod process;
mod programs;
mod progress;
mod watchdog;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use rustix::process::Signal;
use tempfile::TempDir;

pub use self::{
    audit::AuditedRequest,
    build::MissingTool,
    cluster::{Cluster, client},
    crds::{folder as crds_folder, install as install_crds},
    process::{Process, command},
    programs::{Programs, controllers_run},
};
use self::{keys::SigningKey, kubeconfig::Endpoint};
pub(crate) use self::{keys::nonce, kubeconfig::write_private, watchdog::Watchdog};

/// How long the control plane may take to start. It takes 4 s on 2 idle cores; on busy ones it must not fail.
const START: Duration = Duration::from_secs(120);

/// What runs in the controller manager: all that a cluster without nodes has work for. Each further one costs watches.
const CONTROLLERS: [&str; 9] = [
    "namespace-controller",
    "garbage-collector-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "replicaset-controller",
];

/// Every request at its end, without bodies: who, which verb on which object, and what came of it.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
 "rules": [{"level": "Metadata"}]}"#;

/// What differs between one control plane and the next.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder of CustomResourceDefinitions to install. They are there before the controller manager starts: its garbage
    /// collector looks for new kinds only every 30 s.
    pub crds: Option<PathBuf>,
    /// Write every request to [`ControlPlane::audit_log`].
    pub audit_log: bool,
    /// An admission plugin of the API server that Kubernetes enables only on request.
    pub admission: Option<&'static str>,
}

impl Default for Options {
    /// The project's own CustomResourceDefinitions, no audit log, Kubernetes' own admission plugins.
    fn default() -> Self {
        Self { crds: Some(crds::folder()), audit_log: false, admission: None }
    }
}

/// A running control plane. Dropping it ends its processes and removes its data.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: whoever talks to another goes first.
    controller_manager: Option<Process>,
    kube_apiserver: Option<Process>,
    etcd: Process,
    cluster: Cluster,
    programs: Programs,
    layout: Layout,
    watchdog: Watchdog,
    _folder: TempDir,
}

/// The data of a control plane at one time.
#[derive(Debug)]
pub struct Backup(TempDir);

/// The files and ports of one control plane.
#[derive(Debug)]
struct Layout {
    folder: PathBuf,
    etcd_port: u16,
    api_port: u16,
    audit_log: bool,
    admission: Option<&'static str>,
}

impl ControlPlane {
    /// Finds or builds the programs, starts them and waits until the API server and the controllers do their work.
    ///
    /// Fails with [`MissingTool`] where the programs have to be built and there is no Go, and with the end of a program's
    /// log if it dies.
    pub async fn start(options: Options) -> Result<Self> {
        let programs = Programs::locate()?;
        let folder = tempfile::Builder::new()
            .prefix("toolset-control-plane-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .context("cannot create a temporary folder")?;
        let layout = Layout {
            folder: folder.path().to_owned(),
            etcd_port: ports::free()?,
            api_port: ports::free()?,
            audit_log: options.audit_log,
            admission: options.admission,
        };
        let watchdog = Watchdog::start(&layout.folder)?;
        layout.write_secrets()?;

        // Both at once: the API server waits for etcd.
        let etcd = spawn_etcd(&layout, &programs, &watchdog)?;
        let kube_apiserver = spawn_api_server(&layout, &programs, &watchdog)?;
        let cluster = Cluster::new(layout.kubeconfig());
        let mut plane = Self {
            controller_manager: None,
            kube_apiserver: Some(kube_apiserver),
            etcd,
            cluster,
            programs,
            layout,
            watchdog,
            _folder: folder,
        };
        plane.wait_until_ready().await?;
        if let Some(folder) = options.crds {
            crds::install(&plane.cluster.client().await?, &folder).await?;
        }
        plane.start_controllers().await?;
        Ok(plane)
    }

    /// The API server, as its administrator sees it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A new client of the administrator's.
    pub async fn client(&self) -> Result<Client> {
        self.cluster.client().await
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        self.cluster.kubeconfig()
    }

    /// The programs that this control plane was started from, `kubectl` among them.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// One audit event in JSON per line, if [`Options::audit_log`] asked for it.
    pub fn audit_log(&self) -> Option<PathBuf> {
        self.layout.audit_log.then(|| self.layout.audit_file())
    }

    /// The requests in the audit log, in the order in which they were answered.
    ///
    /// Fails if [`Options::audit_log`] did not ask for one.
    pub fn audited_requests(&self) -> Result<Vec<AuditedRequest>> {
        audit::read(&self.audit_log().context("this control plane keeps no audit log")?)
    }

    /// Ends the API server at once, as a crash does: connections break, data stays in etcd.
    pub fn stop_apiserver(&mut self) -> Result<()> {
        match self.kube_apiserver.take() {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// Starts the API server again, at the same address and with the same data, and waits until it is ready.
    pub async fn start_apiserver(&mut self) -> Result<()> {
        if self.kube_apiserver.is_none() {
            self.kube_apiserver = Some(spawn_api_server(&self.layout, &self.programs, &self.watchdog)?);
        }
        self.wait_until_ready().await
    }

    /// Copies the data of etcd, as a backup does. The API server is restarted.
    pub async fn back_up(&mut self) -> Result<Backup> {
        let backup = Backup(tempfile::tempdir().context("cannot create a temporary folder")?);
        self.stop_apiserver()?;
        self.stop_etcd().await?;
        copy(&self.layout.data(), backup.0.path())?;
        self.start_all().await?;
        Ok(backup)
    }

    /// Restores the data of etcd from a backup, and restarts everything, as an administrator does. What was written since
    /// then is lost, and the resource versions are lower.
    pub async fn restore(&mut self, backup: &Backup) -> Result<()> {
        self.controller_manager = None;
        self.stop_apiserver()?;
        self.stop_etcd().await?;
        fs::remove_dir_all(self.layout.data())?;
        copy(backup.0.path(), &self.layout.data())?;
        self.start_all().await?;
        self.start_controllers().await
    }

    /// Ends etcd in order, so that its data is complete.
    async fn stop_etcd(&mut self) -> Result<()> {
        self.etcd.signal(Signal::TERM)?;
        self.etcd.wait(START).await.map(drop)
    }

    async fn start_all(&mut self) -> Result<()> {
        self.etcd = spawn_etcd(&self.layout, &self.programs, &self.watchdog)?;
        self.start_apiserver().await
    }

    /// Fails, with the end of its log, if one of the programs has died.
    pub fn require_running(&mut self) -> Result<()> {
        let others = self.kube_apiserver.iter_mut().chain(self.controller_manager.iter_mut());
        others.chain([&mut self.etcd]).try_for_each(Process::require_running)
    }

    /// Waits for `/readyz` and, before that, for the certificate that the API server makes itself.
    async fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        let mut problem = anyhow::anyhow!("it has made no certificate yet");
        loop {
            self.require_running()?;
            if self.layout.certificate().is_file() {
                match ready(&self.cluster).await {
                    Ok(()) => return Ok(()),
                    Err(error) => problem = error,
                }
            }
            if started.elapsed() > START {
                return Err(problem.context(format!("the API server is not ready after {START:?}")));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    async fn start_controllers(&mut self) -> Result<()> {
        let Some(program) = &self.programs.kube_controller_manager else { return Ok(()) };
        let log = self.layout.log("kube-controller-manager");
        let mut command = self.layout.controller_manager(program);
        let process = Process::spawn("kube-controller-manager", &mut command, log, &self.watchdog)?;
        let process = self.controller_manager.insert(process);
        // The first thing that controllers are seen to do.
        let accounts: Api<ServiceAccount> = Api::namespaced(self.cluster.client().await?, "default");
        let started = Instant::now();
        while accounts.get_opt("default").await?.is_none() {
            process.require_running()?;
            if started.elapsed() > START {
                bail!("the controller manager has done nothing in {START:?}:\n{}", process.log_tail(20));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }
}

fn spawn_etcd(layout: &Layout, programs: &Programs, watchdog: &Watchdog) -> Result<Process> {
    Process::spawn("etcd", &mut layout.etcd(programs), layout.log("etcd"), watchdog)
}

/// Copies the files and folders in a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let file = file?;
        let target = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy(&file.path(), &target)?;
        } else {
            fs::copy(file.path(), target)?;
        }
    }
    Ok(())
}

fn spawn_api_server(layout: &Layout, programs: &Programs, watchdog: &Watchdog) -> Result<Process> {
    let mut command = layout.api_server(&programs.kube_apiserver);
    Process::spawn("kube-apiserver", &mut command, layout.log("kube-apiserver"), watchdog)
}

async fn ready(cluster: &Cluster) -> Result<()> {
    let client = cluster.client().await?;
    client.request_text(http::Request::get("/readyz").body(Vec::new())?).await?;
    Ok(())
}

impl Layout {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn log(&self, program: &str) -> PathBuf {
        self.folder.join(format!("{program}.log"))
    }

    fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// The certificate that the API server makes for itself; the file holds the authority's certificate too.
    fn certificate(&self) -> PathBuf {
        self.path("certificates/apiserver.crt")
    }

    /// The data of etcd.
    fn data(&self) -> PathBuf {
        self.path("etcd")
    }

    fn audit_file(&self) -> PathBuf {
        self.path("audit.log")
    }

    fn write_secrets(&self) -> Result<()> {
        let key = SigningKey::generate()?;
        write_private(&self.path("service-accounts.key"), key.private_pem.as_bytes())?;
        write_private(&self.path("service-accounts.pub"), key.public_pem.as_bytes())?;
        write_private(&self.path("audit-policy.json"), AUDIT_POLICY.as_bytes())?;
        let token = keys::token()?;
        write_private(&self.path("tokens.csv"), format!("{token},admin,admin,system:masters\n").as_bytes())?;
        let endpoint =
            Endpoint { url: format!("https://127.0.0.1:{}", self.api_port), certificate_authority: self.certificate() };
        endpoint.write(&self.kubeconfig(), "admin", &token)
    }

    fn etcd(&self, programs: &Programs) -> Command {
        let url = format!("http://127.0.0.1:{}", self.etcd_port);
        let mut command = command(&programs.etcd);
        command
            .arg("--data-dir")
            .arg(self.data())
            .args(["--unsafe-no-fsync", "--log-level=warn", "--listen-peer-urls=http://127.0.0.1:0"])
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        command
    }

    fn api_server(&self, program: &Path) -> Command {
        let mut command = command(program);
        command
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"])
            .arg(format!("--secure-port={}", self.api_port))
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port))
            .arg("--cert-dir")
            .arg(self.path("certificates"))
            .args(["--service-cluster-ip-range=10.96.0.0/12", "--authorization-mode=RBAC", "--profiling=false"])
            // It only refuses Pods until their ServiceAccount exists and mounts tokens that no container reads.
            .arg("--disable-admission-plugins=ServiceAccount")
            .arg("--token-auth-file")
            .arg(self.path("tokens.csv"))
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .arg("--service-account-key-file")
            .arg(self.path("service-accounts.pub"))
            .arg("--service-account-signing-key-file")
            .arg(self.path("service-accounts.key"));
        if let Some(plugin) = self.admission {
            command.arg(format!("--enable-admission-plugins={plugin}"));
        }
        if self.audit_log {
            command
                .arg("--audit-policy-file")
                .arg(self.path("audit-policy.json"))
                .arg("--audit-log-path")
                .arg(self.audit_file());
        }
        command
    }

    fn controller_manager(&self, program: &Path) -> Command {
        let mut command = command(program);
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .arg("--root-ca-file")
            .arg(self.certificate())
            .arg(format!("--controllers={}", CONTROLLERS.join(",")))
            // With the default limit of 20 requests per second, tests that delete namespaces side by side would wait.
            .args(["--kube-api-qps=2000", "--kube-api-burst=4000", "--leader-elect=false", "--secure-port=0"]);
        command
    }
}
