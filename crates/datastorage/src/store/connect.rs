//! A new connection: its password, its TLS and the settings of its session.

use std::{
    future::poll_fn,
    ops::{Deref, DerefMut},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use tokio_postgres::{
    AsyncMessage, Client, Config,
    config::{SslMode, TargetSessionAttrs},
};

use super::{
    Settings, StoreError, Tls,
    error::describe,
    gate::{Gate, When},
    tls,
};

/// The longest attempt to reach one host, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest attempt altogether, with TLS and the password.
const SESSION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long unacknowledged bytes may be on their way before the connection counts as dead, in both directions.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Queries of requests.
    Read,
    /// The writer. There is one per process.
    Write,
    /// `/ready`.
    Health,
    /// Migrations, and what else the owner does by hand.
    Admin,
}

/// Makes connections.
pub(super) struct Connector {
    config: Config,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    tls: Tls,
    schema: String,
    query_timeout: Duration,
    write_timeout: Duration,
    pub(super) gate: Arc<Gate>,
}

/// A connection outside of the pool.
pub(crate) struct Connection {
    client: Client,
    task: JoinHandle<()>,
    warned: Arc<AtomicBool>,
}

impl Connector {
    pub(super) fn new(settings: &Settings) -> Result<Self, StoreError> {
        let mut config: Config = settings.url.parse()?;
        // With several hosts, the one that can be written is the primary.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.ssl_mode(if settings.tls == Tls::Disable { SslMode::Disable } else { SslMode::Require });
        config.tcp_user_timeout(TCP_USER_TIMEOUT);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("datastorage");
        }
        Ok(Self {
            config,
            password_file: settings.password_file.clone(),
            ca: settings.ca.clone(),
            tls: settings.tls,
            schema: settings.schema.clone(),
            query_timeout: settings.query_timeout,
            write_timeout: settings.write_timeout,
            gate: Arc::default(),
        })
    }

    /// A connection, unless the gate refuses it. That of [`Purpose::Health`] is refused only while another attempt is under way.
    pub(super) async fn connect(self: &Arc<Self>, purpose: Purpose) -> Result<Connection, StoreError> {
        let connector = Arc::clone(self);
        let when = if purpose == Purpose::Health { When::Now } else { When::Due };
        let attempt = async move {
            let session = tokio::time::timeout(SESSION_TIMEOUT, connector.try_connect(purpose)).await;
            session.unwrap_or_else(|_| {
                let address = connector.address();
                Err(StoreError::unavailable(format!("cannot connect to {address}: it took too long to open a session")))
            })
        };
        self.gate.attempt(when, attempt).await
    }

    async fn try_connect(&self, purpose: Purpose) -> Result<Connection, StoreError> {
        let mut config = self.config.clone();
        if let Some(file) = &self.password_file {
            let password = std::fs::read_to_string(file).map_err(|error| {
                StoreError::unavailable(format!("cannot read --database-password-file {}: {error}", file.display()))
            })?;
            config.password(password.trim_end_matches(['\r', '\n']));
        }
        let (client, mut connection) = config.connect(self.tls()?).await.map_err(|error| {
            StoreError::unavailable(format!("cannot connect to {}: {}", self.address(), describe(&error)))
        })?;
        let warned = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&warned);
        let task = tokio::spawn(async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notice(notice)) => {
                        tracing::debug!(severity = notice.severity(), "the database says: {}", notice.message());
                        if notice.severity() == "WARNING" {
                            flag.store(true, Ordering::Release);
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!("the connection to the database ended: {}", describe(&error));
                        return;
                    }
                }
            }
        });
        let connection = Connection { client, task, warned };
        connection.client.query(&self.session(purpose), &[]).await?;
        Ok(connection)
    }

    /// Read anew for each connection, because certificates change while the service runs.
    pub(super) fn tls(&self) -> Result<tokio_postgres_rustls::MakeRustlsConnect, StoreError> {
        tls::connector(self.tls, self.ca.as_deref())
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// The hosts with their ports, for messages.
    fn address(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(index, host)| {
            // One port is that of all hosts.
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            match host {
                tokio_postgres::config::Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
            }
        });
        hosts.collect::<Vec<_>>().join(",")
    }

    /// The statement that sets up the session. `set_config` fails where a setting or a value is unknown.
    fn session(&self, purpose: Purpose) -> String {
        let milliseconds = |duration: Duration| duration.as_millis().to_string();
        let (statement, lock, idle) = match purpose {
            Purpose::Read => (self.query_timeout, self.query_timeout, Duration::from_secs(5)),
            Purpose::Health => (Duration::from_secs(1), Duration::from_secs(1), Duration::from_secs(5)),
            // A replica that is stopped while it holds the lock on the head blocks all others until its session ends. Between
            // two statements of the writer there are never more than milliseconds.
            Purpose::Write => (self.write_timeout, self.write_timeout.mul_f64(0.8), Duration::from_secs(3)),
            // A migration that waits for a lock makes all others wait behind it.
            Purpose::Admin => (Duration::ZERO, Duration::from_secs(10), Duration::from_secs(60)),
        };
        let mut settings = vec![
            ("statement_timeout", milliseconds(statement)),
            ("lock_timeout", milliseconds(lock)),
            ("idle_in_transaction_session_timeout", milliseconds(idle)),
            ("tcp_user_timeout", milliseconds(TCP_USER_TIMEOUT)),
            ("default_transaction_isolation", "read committed".to_owned()),
            ("timezone", "UTC".to_owned()),
        ];
        if purpose == Purpose::Write {
            // The statements of the writer find rows by their keys, whatever the statistics of a new table say.
            settings.push(("plan_cache_mode", "force_generic_plan".to_owned()));
            settings
                .extend(["enable_seqscan", "enable_hashjoin", "enable_mergejoin"].map(|name| (name, "off".to_owned())));
        }
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| format!("set_config('{name}', '{value}', false)")).collect();
        // The types and operators of pgvector may be in another schema.
        format!(
            "SELECT {}, set_config('search_path', concat_ws(', ', quote_ident({schema}), (SELECT quote_ident(nspname) \
             FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace \
             WHERE extname = 'vector' AND nspname <> {schema})), false)",
            settings.join(", "),
            schema = literal(&self.schema),
        )
    }
}

/// A string of the configuration as a literal of SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name of the configuration as an identifier of SQL.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Connection {
    /// Whether the database has warned since the last call.
    pub(crate) fn take_warning(&self) -> bool {
        self.warned.swap(false, Ordering::AcqRel)
    }

    /// Closes the socket without another word: nothing is cancelled, nothing is waited for.
    pub(crate) fn abandon(self) {
        self.task.abort();
    }

    pub(super) fn into_parts(self) -> (Client, JoinHandle<()>) {
        (self.client, self.task)
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}
