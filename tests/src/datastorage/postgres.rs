//! A server of PostgreSQL beside the test.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::{Version, programs::run};
use crate::{
    controlplane::{Process, Watchdog, command, ports},
    harness::{DEADLINE, within},
};

/// The user and the group that run PostgreSQL if root runs the tests, because PostgreSQL refuses to run as root. On Linux
/// this is `nobody`.
const NOBODY: u32 = 65_534;

/// The database's superuser.
pub(super) const SUPERUSER: &str = "postgres";

/// What differs between one server and the next.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Write to the disk before a commit is answered. Only benchmarks need it: the data survives `kill -9` without it.
    pub fsync: bool,
    /// Further settings, such as `("max_connections", "20")`.
    pub settings: Vec<(String, String)>,
    /// A server on which `CREATE EXTENSION vector` fails, because its files are missing.
    pub without_pgvector: bool,
}

impl PostgresOptions {
    /// The same with one more setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A server with its data in a temporary folder. Dropping it ends it.
#[derive(Debug)]
pub struct Postgres {
    // Dropped before the folder is removed.
    process: Option<Process>,
    options: PostgresOptions,
    programs: PathBuf,
    /// The program of the server. It finds the extensions in a folder beside its own.
    server: PathBuf,
    port: u16,
    watchdog: Watchdog,
    folder: TempDir,
}

impl Postgres {
    /// Creates a server, starts it and waits until it answers.
    pub async fn start(version: Version, options: PostgresOptions) -> Result<Self> {
        Self::start_from(version.programs()?, options).await
    }

    /// The same with the programs of a folder.
    pub async fn start_from(programs: PathBuf, options: PostgresOptions) -> Result<Self> {
        let mut postgres = Self::prepare(programs, options)?;
        postgres.initialise().await?;
        postgres.start_again().await?;
        Ok(postgres)
    }

    /// Starts a hot standby of another server. It follows the other server until it is [promoted](Self::promote).
    pub async fn standby_of(primary: &Self, version: Version) -> Result<Self> {
        let mut standby = Self::prepare(version.programs()?, primary.options.clone())?;
        let mut copy = standby.command("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-U", SUPERUSER, "-p"]).arg(primary.port.to_string());
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-D"]).arg(standby.data());
        let output = run(copy).await?;
        ensure!(output.status.success(), "pg_basebackup failed:\n{}", String::from_utf8_lossy(&output.stderr));
        standby.start_again().await?;
        Ok(standby)
    }

    /// Makes a standby a primary.
    pub async fn promote(&self) -> Result<()> {
        let admin = self.connect(SUPERUSER, "postgres").await?;
        let promoted: bool = admin.query_one("SELECT pg_promote()", &[]).await?.get(0);
        ensure!(promoted, "the standby is not promoted:\n{}", self.log()?);
        Ok(())
    }

    /// A folder, a port and programs.
    fn prepare(programs: PathBuf, options: PostgresOptions) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("datastorage-postgres-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .context("cannot create a temporary folder")?;
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).context("cannot give a folder to nobody")?;
        }
        let server = if options.without_pgvector {
            without_pgvector(&programs, folder.path())?
        } else {
            programs.join("postgres")
        };
        let watchdog = Watchdog::start(folder.path())?;
        Ok(Self { process: None, options, programs, server, port: ports::free()?, watchdog, folder })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with the programs of this server, such as `pgbench`.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The folder with the files of all databases.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The process id of the server, which starts one process for each connection.
    ///
    /// Fails if the server is stopped.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("PostgreSQL is stopped")?.pid())
    }

    /// What the server has logged.
    pub fn log(&self) -> Result<String> {
        let log = fs::read(self.log_file()).context("cannot read the log of PostgreSQL")?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// The URL of a database for a role. No role has a password.
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// Connects to a database as a role.
    pub async fn connect(&self, role: &str, database: &str) -> Result<Client> {
        connect(&self.url(role, database)).await
    }

    /// Ends the server and all its connections at once, as the death of a machine does. The data stays.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Ends the server in order. It closes all connections.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::INT)?;
            process.wait(DEADLINE).await?;
        }
        Ok(())
    }

    /// Starts the server with the same data and the same port, and waits until it answers.
    pub async fn start_again(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let process = self.process.insert(self.spawn()?);
            let answers = ready(process, &format!("postgresql://{SUPERUSER}@127.0.0.1:{}/postgres", self.port)).await;
            match answers {
                Ok(()) => return Ok(()),
                // The processes of the connections end a moment after the server was killed.
                Err(_) if process.ended()?.is_some() && started.elapsed() < DEADLINE => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error.context(process.log_tail(20))),
            }
        }
    }

    /// One of its programs with arguments, as the user that runs the server.
    pub fn command(&self, program: &str) -> Command {
        self.as_its_user(&self.programs.join(program))
    }

    fn as_its_user(&self, program: &Path) -> Command {
        let mut command = command(program);
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).env("LC_ALL", "C.UTF-8");
        if is_root() {
            // This also drops root's further groups.
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    async fn initialise(&self) -> Result<()> {
        let mut initdb = self.command("initdb");
        initdb.arg("-D").arg(self.data());
        initdb.args(["-U", SUPERUSER, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]);
        let output = run(initdb).await?;
        ensure!(output.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn spawn(&self) -> Result<Process> {
        let mut server = self.as_its_user(&self.server);
        server.arg("-D").arg(self.data());
        let port = self.port.to_string();
        let folder = self.folder.path().to_str().context("the temporary folder's path is not UTF-8")?;
        let fsync = if self.options.fsync { "on" } else { "off" };
        let settings = [
            ("port", port.as_str()),
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", folder),
            ("fsync", fsync),
            ("full_page_writes", fsync),
            ("max_connections", "400"),
            // Files in the data folder, which are removed with it.
            ("dynamic_shared_memory_type", "mmap"),
        ];
        let further = self.options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in settings.into_iter().chain(further) {
            server.arg("-c").arg(format!("{name}={value}"));
        }
        let process = Process::spawn("PostgreSQL", &mut server, self.log_file(), &self.watchdog)?;
        self.watchdog.ask_first(process.pid())?;
        Ok(process)
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(process) = &mut self.process else { return };
        // A server that is killed leaves shared memory behind. A destructor cannot fail, and what fails here is killed.
        _ = process.signal(Signal::QUIT);
        let started = Instant::now();
        while matches!(process.ended(), Ok(None)) && started.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Connects to the database of a URL. The connection lives as long as the client.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.with_context(|| format!("cannot connect to {url}"))?;
    // It ends with the client. Its error is also that of the client's next request.
    tokio::spawn(connection);
    Ok(client)
}

/// Waits until the server accepts connections, or has ended.
async fn ready(process: &mut Process, url: &str) -> Result<()> {
    within(DEADLINE, "PostgreSQL answers", async || {
        if process.ended()?.is_some() {
            return Ok(());
        }
        connect(url).await.map(drop)
    })
    .await?;
    process.require_running()
}

/// Copies an installation without the files of pgvector. Returns the program of the server. The other programs would not find
/// their libraries there.
fn without_pgvector(programs: &Path, folder: &Path) -> Result<PathBuf> {
    let installation = programs.parent().context("the folder of PostgreSQL's programs has no parent")?;
    let copy = folder.join("without-pgvector");
    let status = Command::new("cp").arg("-R").arg(installation).arg(&copy).status().context("cannot run cp")?;
    ensure!(status.success(), "cannot copy {}", installation.display());
    let control = copy.join("share/postgresql/extension/vector.control");
    fs::remove_file(&control).with_context(|| format!("cannot remove {}", control.display()))?;
    Ok(copy.join("bin/postgres"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
