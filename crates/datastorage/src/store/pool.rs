//! Connections to the database.

use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;

use super::{
    StoreError,
    connect::{Connection, Connector, Purpose},
    health::Health,
};

/// How long a read waits for a connection.
const WAIT: Duration = Duration::from_secs(2);
/// How long the message that cancels a statement may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections besides those of the pool: the writer's and the one of `/ready`.
const OUTSIDE: usize = 2;

/// How the connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tls {
    /// Do not use TLS.
    Disable,
    /// Use TLS, and do not verify the certificate of the server.
    Require,
    /// Use TLS, and verify the certificate and the host name of the server.
    VerifyFull,
}

/// Where the database is and how to connect to it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The URL, as PostgreSQL defines it.
    pub url: String,
    /// A file with the password. It is read for each new connection.
    pub password_file: Option<PathBuf>,
    /// The certificates that the server's certificate is checked against.
    pub ca: Option<PathBuf>,
    /// How the connection is secured.
    pub tls: Tls,
    /// At most so many connections: one for the writer, one for `/ready`, the others for reading.
    pub connections: usize,
    /// The schema of all tables.
    pub schema: String,
    /// The longest that a reading statement may take.
    pub query_timeout: Duration,
    /// The longest that a write may take.
    pub write_timeout: Duration,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool<Manager>,
    pub(super) connector: Arc<Connector>,
    pub(super) health: Arc<Health>,
    vectors: Arc<AtomicBool>,
    pub(super) query_timeout: Duration,
}

impl Store {
    /// Prepares the pool. Connects when the first connection is needed.
    pub fn new(settings: &Settings) -> Result<Self, StoreError> {
        let connector = Arc::new(Connector::new(settings)?);
        // Fails here, and not with the first request, if the certificates cannot be read.
        drop(connector.tls()?);
        let size = settings.connections.saturating_sub(OUTSIDE).max(1);
        let pool = Pool::builder(Manager(Arc::clone(&connector))).max_size(size).build();
        let pool = pool.map_err(|error| StoreError::unavailable(error.to_string()))?;
        Ok(Self {
            pool,
            connector,
            health: Arc::default(),
            vectors: Arc::default(),
            query_timeout: settings.query_timeout,
        })
    }

    /// A connection for reading. Waits at most two seconds for one. If it is dropped before [`Reading::done`], the running
    /// statement is cancelled in the database.
    pub async fn read(&self) -> Result<Reading, StoreError> {
        match tokio::time::timeout(WAIT, self.pool.get()).await {
            Ok(Ok(pooled)) => Ok(Reading { pooled, connector: Arc::clone(&self.connector), done: false }),
            Ok(Err(PoolError::Backend(error))) => Err(error),
            Ok(Err(PoolError::Closed)) => Err(StoreError::unavailable("the service is stopping")),
            Ok(Err(_)) | Err(_) => {
                let outage = self.connector.gate.outage();
                Err(outage.unwrap_or_else(|| StoreError::unavailable("all connections are in use")))
            }
        }
    }

    /// A connection of its own, outside of the pool.
    pub(crate) async fn connect(&self, purpose: Purpose) -> Result<Connection, StoreError> {
        self.connector.connect(purpose).await
    }

    /// From now on the log says when the database is away and when it is there again. A subcommand says it itself.
    pub fn log_outages(&self) {
        self.connector.gate.log();
    }

    /// Waits at least for a second, and until the next attempt to connect is due, or somebody has connected.
    pub async fn until_an_attempt_is_due(&self) {
        const LOOK: Duration = Duration::from_secs(1);
        tokio::time::sleep(LOOK).await;
        while let Some(rest) = self.connector.gate.rest() {
            tokio::time::sleep(rest.min(LOOK)).await;
        }
    }

    /// The error for a request that needs a new connection, while the database is away and no attempt is due.
    pub(crate) fn refuse(&self) -> Option<StoreError> {
        self.connector.gate.refuse()
    }

    /// How many connections of the pool are in use, and how many are idle.
    pub fn connections(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size.saturating_sub(status.available), status.available)
    }

    /// The schema of all tables.
    pub fn schema(&self) -> &str {
        self.connector.schema()
    }

    /// Whether vectors can be stored and found, as far as [`super::migrate`] and [`Store::look_for_vectors`] saw.
    pub fn has_vectors(&self) -> bool {
        self.vectors.load(Ordering::Acquire)
    }

    /// Notes down whether vectors can be used.
    pub(super) fn found_vectors(&self, found: bool) {
        if self.vectors.swap(found, Ordering::AcqRel) != found {
            // The search path of a session names the schema of the extension only if it was there when the session began.
            self.pool.retain(|_, _| false);
        }
    }

    /// Closes the pool. Connections that are in use end with their use.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// Makes the connections of the pool. deadpool-postgres has a manager, but it fixes the configuration, and so the password, for
/// all connections; its cache of statements is used here.
struct Manager(Arc<Connector>);

/// A connection of the pool.
struct Pooled {
    client: ClientWrapper,
    /// A statement may still run on it, or be cancelled at any time.
    spoiled: bool,
}

impl managed::Manager for Manager {
    type Type = Pooled;
    type Error = StoreError;

    async fn create(&self) -> Result<Pooled, StoreError> {
        // Connecting needs a large future, and a read that finds a connection should not carry it.
        let (client, task) = Box::pin(self.0.connect(Purpose::Read)).await?.into_parts();
        Ok(Pooled { client: ClientWrapper::new(client, task), spoiled: false })
    }

    async fn recycle(&self, pooled: &mut Pooled, _metrics: &Metrics) -> RecycleResult<StoreError> {
        if pooled.spoiled || pooled.client.is_closed() {
            return Err(RecycleError::message("cannot use a connection again"));
        }
        Ok(())
    }
}

/// A connection for reading. See [`Store::read`].
pub struct Reading {
    pooled: Object<Manager>,
    connector: Arc<Connector>,
    done: bool,
}

impl Reading {
    /// Gives the connection back. Nothing is cancelled.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.done || self.pooled.client.is_closed() {
            return;
        }
        // Not to be used again: the cancellation might hit the next statement.
        self.pooled.spoiled = true;
        let (Ok(runtime), Ok(tls)) = (tokio::runtime::Handle::try_current(), self.connector.tls()) else { return };
        let token = self.pooled.client.cancel_token();
        runtime.spawn(async move {
            let cancelled = tokio::time::timeout(CANCEL_TIMEOUT, token.cancel_query(tls)).await;
            if !matches!(cancelled, Ok(Ok(()))) {
                tracing::debug!("cannot cancel a statement; it ends with its timeout");
            }
        });
    }
}

impl Deref for Reading {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.pooled.client
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut ClientWrapper {
        &mut self.pooled.client
    }
}
