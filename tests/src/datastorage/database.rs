//! A database for each test.

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use tokio::sync::OnceCell;
use tokio_postgres::Client;

use super::{
    Postgres, PostgresOptions, Version, connect,
    postgres::SUPERUSER,
    programs::{datastorage, run},
};

/// The role that owns the schema and changes it.
pub const OWNER: &str = "datastorage_owner";
/// The role of the service, which can neither change nor remove a record.
pub const SERVICE: &str = "datastorage";

/// The database with the current schema that all others are copies of.
const TEMPLATE: &str = "template_datastorage";
/// The same without a schema.
const EMPTY_TEMPLATE: &str = "template_empty";

/// A database that one test uses. Dropping it removes it.
#[derive(Debug)]
pub struct Database {
    name: String,
    port: u16,
    programs: PathBuf,
}

impl Database {
    /// A database with the current schema and no records, on the server that all tests of a run share.
    pub async fn fresh() -> Result<Self> {
        Self::fresh_on(Version::of_the_run()?).await
    }

    /// The same on a version of PostgreSQL.
    pub async fn fresh_on(version: Version) -> Result<Self> {
        Self::copy(shared(version).await?, TEMPLATE).await
    }

    /// A database without a schema. It has the extension pgvector, and the owner may create schemas in it.
    pub async fn empty() -> Result<Self> {
        Self::copy(shared(Version::of_the_run()?).await?, EMPTY_TEMPLATE).await
    }

    /// A database with the current schema on a server of the test's own, which the test may stop and kill.
    pub async fn fresh_in(postgres: &Postgres) -> Result<Self> {
        prepare(postgres).await?;
        Self::copy(postgres, TEMPLATE).await
    }

    /// One more database with the current schema on such a server, after [`fresh_in`](Self::fresh_in).
    pub async fn another_in(postgres: &Postgres) -> Result<Self> {
        Self::copy(postgres, TEMPLATE).await
    }

    /// A database without a schema and without pgvector on a server of the test's own.
    pub async fn bare_in(postgres: &Postgres) -> Result<Self> {
        create_roles(postgres).await?;
        Self::create(postgres, &format!("OWNER {OWNER}")).await
    }

    async fn copy(postgres: &Postgres, template: &str) -> Result<Self> {
        Self::create(postgres, &format!("TEMPLATE {template} STRATEGY wal_log OWNER {OWNER}")).await
    }

    async fn create(postgres: &Postgres, how: &str) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let admin = postgres.connect(SUPERUSER, "postgres").await?;
        admin.batch_execute(&format!("CREATE DATABASE {name} {how}")).await.context("cannot create a database")?;
        Ok(Self { name, port: postgres.port(), programs: postgres.programs().to_owned() })
    }

    /// The database with the same name on another server, such as a standby of its own.
    #[must_use]
    pub fn on(&self, postgres: &Postgres) -> Self {
        Self { name: self.name.clone(), port: postgres.port(), programs: self.programs.clone() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port of its server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL for a role: [`OWNER`], [`SERVICE`] or `postgres`.
    pub fn url(&self, role: &str) -> String {
        self.url_at(role, self.port)
    }

    /// The URL for a role at another port, such as that of a proxy.
    pub fn url_at(&self, role: &str, port: u16) -> String {
        format!("postgresql://{role}@127.0.0.1:{port}/{}", self.name)
    }

    /// Connects as the owner of the schema. Tables need no schema before their names.
    pub async fn owner(&self) -> Result<Client> {
        self.connect(OWNER).await
    }

    /// Connects as the service does.
    pub async fn service(&self) -> Result<Client> {
        self.connect(SERVICE).await
    }

    /// Connects as the superuser.
    pub async fn superuser(&self) -> Result<Client> {
        self.connect(SUPERUSER).await
    }

    /// Runs a subcommand of the program with its arguments as a role, such as `["verify"]`, whatever its exit code.
    pub async fn run(&self, role: &str, arguments: &[&str]) -> Result<Output> {
        run_on(&self.url(role), arguments).await
    }

    /// The same at another URL, such as that of a proxy.
    pub async fn run_at(&self, url: &str, arguments: &[&str]) -> Result<Output> {
        run_on(url, arguments).await
    }

    async fn connect(&self, role: &str) -> Result<Client> {
        connect(&format!("{}?options=-csearch_path%3Ddatastorage,public", self.url(role))).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Tidiness only: it goes with the server anyway. Connections that are still open are closed.
        let mut drop = Command::new(self.programs.join("dropdb"));
        drop.args(["--force", "--if-exists", "-h", "127.0.0.1", "-U", SUPERUSER, "-p"]).arg(self.port.to_string());
        // A primary would wait for its standby, which may be gone.
        _ = drop.arg(&self.name).env("PGOPTIONS", "-c synchronous_commit=local").output();
    }
}

/// The server that tests share. Never dropped: when the test process ends, its watchdog ends the server.
async fn shared(version: Version) -> Result<&'static Postgres> {
    static V16: OnceCell<Postgres> = OnceCell::const_new();
    static V18: OnceCell<Postgres> = OnceCell::const_new();
    let server = match version {
        Version::V16 => &V16,
        Version::V18 => &V18,
    };
    let start = async || {
        let postgres = Postgres::start(version, PostgresOptions::default()).await?;
        prepare(&postgres).await?;
        anyhow::Ok(postgres)
    };
    server.get_or_try_init(start).await
}

/// Creates the roles and the templates. The service's own program creates the schema.
async fn prepare(postgres: &Postgres) -> Result<()> {
    create_roles(postgres).await?;
    let admin = postgres.connect(SUPERUSER, "postgres").await?;
    for template in [TEMPLATE, EMPTY_TEMPLATE] {
        admin.batch_execute(&format!("CREATE DATABASE {template} OWNER {OWNER}")).await?;
        // It is not a trusted extension, so the owner cannot create it.
        postgres.connect(SUPERUSER, template).await?.batch_execute("CREATE EXTENSION vector").await?;
    }
    migrate(&postgres.url(OWNER, TEMPLATE)).await
}

async fn create_roles(postgres: &Postgres) -> Result<()> {
    let admin = postgres.connect(SUPERUSER, "postgres").await?;
    Ok(admin.batch_execute(&format!("CREATE ROLE {OWNER} LOGIN; CREATE ROLE {SERVICE} LOGIN")).await?)
}

/// Brings the schema of a database up to date, with rights for the role [`SERVICE`].
pub async fn migrate(owner_url: &str) -> Result<()> {
    let output = run_on(owner_url, &["migrate"]).await?;
    let log = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "datastorage migrate failed ({}):\n{log}", output.status);
    Ok(())
}

/// Runs a subcommand of the program on the database of a URL, whatever its exit code.
async fn run_on(url: &str, arguments: &[&str]) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let url_file = folder.path().join("url");
    std::fs::write(&url_file, url)?;
    let mut command = datastorage().await?;
    command.args(arguments).arg("--database-url-file").arg(&url_file).env("DATASTORAGE_SERVICE_ROLE", SERVICE);
    run(command).await
}
