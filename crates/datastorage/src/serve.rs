//! `datastorage serve`: start, service and end.

use std::{net::SocketAddr, num::NonZeroU32, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use embedding::Provider;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    api::{self, App, Bodies, EXPORTS, Readiness},
    args::{AuthMode, Database, EmbeddingMode, Serve},
    auth::{self, Auth, ReadTokens},
    commands,
    embeddings::Embeddings,
    limits::Limits,
    mcp,
    metrics::Metrics,
    server::Port,
    store::{self, Found, MigrateError, MigrateOptions, Store, StoreError},
    tls::Certificates,
    worker::Worker,
    writer::{self, Writer},
};

/// The most connections of the API.
const CONNECTIONS: usize = 1024;
/// The most connections of the other ports. The kubelet needs one, and each Prometheus one.
const FEW_CONNECTIONS: usize = 64;
/// How long requests that are under way may take after SIGINT, which somebody at a terminal sends.
const INTERRUPT: Duration = Duration::from_secs(2);
/// How often the months ahead are made, and how often vectors are looked for while there are none.
const UPKEEP: Duration = Duration::from_secs(60);

/// Serves until SIGTERM or SIGINT. Fails if it cannot start, or if it had to end before everything was answered.
pub async fn serve(database: &Database, flags: &Serve) -> Result<()> {
    flags.check()?;
    let mut signals = Signals::new()?;
    let store = Store::new(&database.settings()?)?;
    store.log_outages();
    let keys = Arc::new(audit::chain::Keys::from_files(&flags.chain_key_files)?);
    let tls = match (&flags.tls_cert, &flags.tls_key) {
        (Some(cert), Some(key)) => Some(Arc::new(Certificates::read(cert, key)?)),
        _ => None,
    };
    let metrics = Arc::new(Metrics::new());
    let auth = authentication(flags, &metrics).await?;
    let embeddings = embeddings(flags, &metrics)?;
    let listeners = Listeners::bind(flags).await?;
    let settings = writer::Settings {
        keys: Arc::clone(&keys),
        timeout: database.write_timeout,
        embedding: embeddings.clone(),
        metrics: Arc::clone(&metrics),
    };
    let app = App {
        writer: Writer::start(store.clone(), settings),
        store,
        auth,
        limits: Limits::new(flags.limits(database.database_connections as usize)),
        metrics,
        cluster: flags.cluster.as_str().into(),
        embedding: embeddings,
        query_timeout: database.query_timeout,
        retention: flags.retention,
        bodies: Bodies::default(),
        exports: Arc::new(Semaphore::new(EXPORTS)),
        readiness: Readiness::default(),
    };

    let (stop, stopped) = watch::channel(false);
    let mut side = JoinSet::new();
    side.spawn(listeners.health.serve(api::health_routes(app.clone()), None, (FEW_CONNECTIONS, None), stopped.clone()));
    side.spawn(listeners.metrics.serve(
        api::metrics_routes(app.clone()),
        None,
        (FEW_CONNECTIONS, None),
        stopped.clone(),
    ));

    let options = MigrateOptions {
        mode: flags.migrate,
        vectors: flags.vector,
        service_role: None,
        retention: Some((flags.retention, flags.retention_floor)),
    };
    let found = tokio::select! {
        found = migrated(&app.store, &options) => found?,
        _ = signals.next() => return Ok(()),
    };
    log_found(&app.store, &found);
    app.store.check_keys(&keys).await?;
    app.store.writes_with(keys.current());
    side.spawn(upkeep(app.store.clone(), options));
    side.spawn(commands::print_checkpoints(app.store.clone()));
    if let Some(embeddings) = app.embedding.clone() {
        let mut worker = Worker::new(app.store.clone(), embeddings, Arc::clone(&app.metrics));
        worker.prepare().await;
        side.spawn(worker.run(app.writer.new_jobs()));
    }
    app.readiness.start();

    let routes = api::routes(app.clone(), |api| mcp::router(api, flags.mcp_allowed_origins.clone()));
    let per_address = flags.per_address();
    let (stop_api, api_stopped) = watch::channel(false);
    let mut api = pin!(listeners.api.serve(routes, tls, (CONNECTIONS, per_address), api_stopped));
    let signal = while_all_run(api.as_mut(), &app.writer, &mut side, signals.next()).await?;
    let deadline = Instant::now() + flags.shutdown_timeout;
    app.readiness.stop();
    tracing::info!(signal = signal.name(), "the service is stopping");
    let mut deadline = deadline;
    if signal == Asked::Terminate {
        // Requests still come until all clients know that this endpoint is gone.
        let gone = timeout(flags.shutdown_delay, signals.next());
        drop(while_all_run(api.as_mut(), &app.writer, &mut side, gone).await?);
    } else {
        deadline = deadline.min(Instant::now() + INTERRUPT);
    }
    stop_api.send_replace(true);
    let answered = timeout_at(deadline, api).await.is_ok();
    let written = timeout_at(deadline, app.writer.clone().stop()).await.is_ok();
    app.store.close();
    stop.send_replace(true);
    side.abort_all();
    if !(answered && written) {
        bail!("the service stopped before it answered all requests; clients can send them again with the same ids");
    }
    tracing::info!("the service has stopped");
    Ok(())
}

/// Waits for `until`. Fails if something ends before that the service cannot do without, so that the process ends and Kubernetes starts
/// it again: the port of the API, the task that writes, or one of the tasks at its `side`, which have no end of their own.
async fn while_all_run<T>(
    api: impl Future<Output = ()>,
    writer: &Writer,
    side: &mut JoinSet<()>,
    until: impl Future<Output = T>,
) -> Result<T> {
    tokio::select! {
        () = api => bail!("the listener of the API has ended"),
        () = writer.ended() => bail!("the writer task has ended because of a panic; see the log"),
        Some(_) = side.join_next() => bail!("a background task has ended because of a panic; see the log"),
        reached = until => Ok(reached),
    }
}

/// The provider of vectors, unless `--embedding` is off.
fn embeddings(flags: &Serve, metrics: &Arc<Metrics>) -> Result<Option<Embeddings>> {
    let (EmbeddingMode::Http, Some(url)) = (flags.embedding, &flags.embedding_url) else { return Ok(None) };
    let provider = Provider::new(&embedding::Settings {
        url: url.clone(),
        model: flags.embedding_model.clone(),
        dimensions: flags.embedding_dimensions.into(),
        token_file: flags.embedding_token_file.clone(),
        ca: flags.embedding_ca.clone(),
        cache_bytes: flags.cache_bytes,
        cache_ttl: flags.cache_ttl,
    })?;
    Ok(Some(Embeddings::new(provider, Arc::clone(metrics))))
}

async fn authentication(flags: &Serve, metrics: &Arc<Metrics>) -> Result<Auth> {
    if flags.auth == AuthMode::None {
        tracing::warn!("--auth=none: everyone with access to the loopback addresses can read and write records");
        return Ok(Auth::none());
    }
    let readers = flags.read_token_file.as_deref().map(ReadTokens::load).transpose()?;
    Auth::kubernetes(auth::connect().await?, &flags.auth_audience, readers, Arc::clone(metrics))
}

/// Migrates or checks the schema. Waits for a database that does not answer, because it may start later than the service.
async fn migrated(store: &Store, options: &MigrateOptions) -> Result<Found> {
    loop {
        match store::migrate(store, options).await {
            Ok(found) => return Ok(found),
            Err(MigrateError::Store(error)) if error.is_told() => {}
            Err(MigrateError::Store(error @ (StoreError::Unavailable { .. } | StoreError::Timeout))) => {
                tracing::warn!(%error, "cannot use the database yet, trying again");
            }
            Err(error) => return Err(error.into()),
        }
        store.until_an_attempt_is_due().await;
    }
}

fn log_found(store: &Store, found: &Found) {
    tracing::info!(
        postgres = found.postgres,
        schema = store.schema(),
        schema_version = found.schema_version,
        pgvector = found.vectors.as_ref().ok(),
        without_vectors = found.vectors.as_ref().err(),
        "the database can be used"
    );
}

/// Makes the months ahead, and the tables of vectors when the extension appears.
async fn upkeep(store: Store, options: MigrateOptions) {
    loop {
        if let Err(error) = store.ensure_months().await
            && !error.is_told()
        {
            tracing::warn!(%error, "cannot create the partitions of the next months, trying again");
        }
        if options.vectors != store::Vectors::Off && !store.has_vectors() {
            match store.look_for_vectors(&options).await {
                Ok(Ok(version)) => tracing::info!(pgvector = version, "vectors are available now"),
                Ok(Err(reason)) => tracing::debug!(reason, "vectors are not available yet"),
                Err(MigrateError::Store(error)) if error.is_told() => {}
                Err(error) => tracing::warn!(%error, "cannot check whether vectors are available, trying again"),
            }
        }
        sleep(UPKEEP).await;
    }
}

struct Listeners {
    api: Listener,
    health: Listener,
    metrics: Listener,
}

struct Listener(TcpListener);

impl Listeners {
    async fn bind(flags: &Serve) -> Result<Self> {
        Ok(Self {
            api: Listener::bind("listen", flags.listen).await?,
            health: Listener::bind("health-addr", flags.health_addr).await?,
            metrics: Listener::bind("metrics-addr", flags.metrics_addr).await?,
        })
    }
}

impl Listener {
    async fn bind(flag: &'static str, address: SocketAddr) -> Result<Self> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on --{flag} {address}"))?;
        let address = listener.local_addr().with_context(|| format!("cannot listen on --{flag} {address}"))?;
        tracing::info!(flag, %address, "listening");
        Ok(Self(listener))
    }

    async fn serve(
        self,
        routes: axum::Router,
        tls: Option<Arc<Certificates>>,
        (connections, per_address): (usize, Option<NonZeroU32>),
        mut stopped: watch::Receiver<bool>,
    ) {
        let port = Port { listener: self.0, tls, routes, connections, per_address };
        let stop = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
        port.serve(stop).await;
    }
}

/// Who asked the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Kubernetes.
    Terminate,
    /// Somebody at a terminal.
    Interrupt,
}

impl Asked {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Terminate,
            _ = self.interrupt.recv() => Asked::Interrupt,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_service_whose_writer_has_panicked_ends() {
        let (writer, mut side) = (Writer::that_panics(), JoinSet::new());
        side.spawn(pending());
        // Nobody has to write for it: the panic alone ends the service.
        let ended = while_all_run(pending(), &writer, &mut side, pending::<()>()).await;
        assert!(ended.unwrap_err().to_string().contains("the writer task has ended"));
    }

    #[tokio::test]
    async fn a_service_whose_task_in_the_background_has_panicked_ends() {
        let (writer, mut side) = (Writer::that_waits(), JoinSet::new());
        side.spawn(pending());
        side.spawn(async { panic!("as a fault would") });
        let ended = while_all_run(pending(), &writer, &mut side, pending::<()>()).await;
        assert!(ended.unwrap_err().to_string().contains("a background task has ended"));
    }

    #[tokio::test]
    async fn a_service_whose_tasks_all_run_ends_when_it_is_asked_to() {
        let (writer, mut side) = (Writer::that_waits(), JoinSet::new());
        side.spawn(pending());
        let asked = while_all_run(pending(), &writer, &mut side, ready(Asked::Terminate)).await;
        assert_eq!(asked.unwrap(), Asked::Terminate);
        let closed = while_all_run(ready(()), &writer, &mut side, pending::<()>()).await;
        assert!(closed.unwrap_err().to_string().contains("the listener of the API"));
    }
}
