//! Starts the parts of the operator, and stops them in order.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tracing::{info, warn};

use crate::{
    admin::{self, Admin},
    agent::{installed::Installed, round::Agents, schedule::Timing},
    api::{
        Writer, client,
        events::Events,
        fence::{Fence, Leadership},
    },
    args::Args,
    audit,
    cluster::{Cluster, PodReader, Prober, Scope, Supervisor, ToolsetConfigs, Triggers},
    dial::local::{ApiServer, Known},
    lease::Elector,
    metrics::Metrics,
    toolset_config::{Workers, report_unreadable, run_controller},
};

/// How much of the shutdown timeout is reserved for releasing the lease.
const FOR_THE_LEASE: Duration = Duration::from_secs(1);

/// How long the Events of the last status may take.
const FOR_EVENTS: Duration = Duration::from_millis(300);

/// Runs the operator until a signal ends it.
///
/// Fails if no cluster is configured or if an address is in use. If the API server cannot be reached, it waits.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut signals = Signals::install()?;
    let (client, url) = client::connect().await?;
    let fence = Arc::new(if args.leader_elect { Fence::with_election() } else { Fence::without_election() });
    let (toolset_configs, changed) = ToolsetConfigs::new();
    let scope = Scope { watch_namespaces: args.watch_namespaces(), config_namespaces: args.config_namespaces() };
    let cluster = Arc::new(Cluster::new(scope, toolset_configs));
    let restores = cluster.restores.clone();
    let (triggers, metrics) = (Arc::new(Triggers::default()), Arc::new(Metrics::new()));
    let admin = Admin::new(cluster.clone(), metrics.clone(), fence.clone());
    let _endpoints = admin::serve(admin.clone(), args.health_addr, args.metrics_addr).await?;
    let (audit, send_records) = audit::start(&args, client.default_namespace())?.unzip();
    if let Some(audit) = &audit {
        metrics.audit(audit);
    }
    let send_records = send_records.map(|sender| tokio::spawn(sender.run()));
    let cluster_domain: Arc<str> = args.cluster_domain().into();
    info!(version = env!("CARGO_PKG_VERSION"), api_server = %url, %cluster_domain, "starting");

    let writer = Writer::new(client.clone(), fence.clone());
    let (events, send_events) = Events::new(writer.clone(), fence.subscribe());
    let mut send_events = tokio::spawn(send_events);
    let mut tasks = JoinSet::new();
    tasks.spawn(report_leadership(metrics.clone(), fence.subscribe()));
    tasks.spawn(report_unreadable(cluster.clone(), metrics.clone(), writer.clone(), events.clone(), fence.subscribe()));
    tasks.spawn(Supervisor::new(cluster.clone(), triggers.clone(), metrics.clone(), client.clone()).run());
    let reader = PodReader {
        cluster: cluster.clone(),
        triggers: triggers.clone(),
        metrics: metrics.clone(),
        client: client.clone(),
        leadership: fence.subscribe(),
    };
    tasks.spawn(reader.run());
    let api_server = ApiServer { url, is_watched: cluster.scope.watches("default") };
    let known = Arc::new(Known::new(client.clone(), api_server.clone()));
    let shared = (cluster.clone(), triggers.clone(), metrics.clone());
    tasks.spawn(Prober::new(shared, client.clone(), (known, cluster_domain.clone()), fence.subscribe())?.run());

    let installed = Installed::new(args.agents_dir.clone());
    let agents = Arc::new(Agents::new(client.clone(), api_server, installed, Timing::of_process()));
    let (stop, stops) = watch::channel(false);
    let workers = Arc::new(Workers {
        cluster,
        cluster_domain,
        triggers,
        metrics,
        writer,
        events,
        agents,
        leadership: fence.subscribe(),
        audit: audit.clone(),
        stop: stops.clone(),
        tasks: Mutex::default(),
    });
    let mut controller_stops = stops;
    let mut controller = tokio::spawn(run_controller(workers.clone(), changed, async move {
        drop(controller_stops.wait_for(|stop| *stop).await);
    }));

    let (stop_election, election_stops) = oneshot::channel::<()>();
    let election = args.leader_elect.then(|| {
        let namespace = args.lease_namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let elector = Elector::new(client.clone(), &namespace, &args.lease_name, fence, restores);
        tokio::spawn(elector.run(async { drop(election_stops.await) }))
    });

    signals.next().await;
    // A twentieth is reserved for the end of the process.
    let grace = args.shutdown_timeout.mul_f64(0.95);
    let deadline = Instant::now() + grace;
    admin.stop();
    let orderly = async {
        // No new reconcile starts. The running reconciles end, with a timeout for each request, and write their status.
        stop.send_replace(true);
        let ended = async {
            // An error means that the Controller has ended already.
            let _ended = (&mut controller).await;
            workers.drain().await;
        };
        if timeout_at(deadline - FOR_THE_LEASE.min(grace / 2), ended).await.is_err() {
            warn!("a write did not complete within the shutdown timeout and was dropped");
        }
        tasks.shutdown().await;
        // Nothing is written any more, so nothing more is recorded. What waits is sent during the next steps.
        if let Some(audit) = &audit {
            audit.close(deadline);
        }
        // The queue closes with its last sender, and then the task ends.
        drop(workers);
        if timeout(FOR_EVENTS, &mut send_events).await.is_err() {
            send_events.abort();
        }
        // The lease is released last, because no other replica may write while a write of this one is in progress.
        if let Some(election) = election {
            let _ended = stop_election.send(());
            if timeout_at(deadline, election).await.is_err() {
                warn!("cannot release the Lease within the shutdown timeout; the Lease expires later");
            }
        }
        if let Some(sending) = send_records {
            // It ends at the deadline by itself, and says how many records are lost.
            let _ended = sending.await;
        }
    };
    tokio::select! {
        () = orderly => info!("ended"),
        () = signals.next() => warn!("exiting immediately because of a second signal"),
    }
    Ok(())
}

/// Updates the metrics when the leader changes, because only the leader reports plans.
async fn report_leadership(metrics: Arc<Metrics>, mut leadership: Leadership) {
    loop {
        let leads = leadership.term().is_some();
        metrics.leader(leads);
        if !leads {
            metrics.forget_all();
        }
        leadership.changed().await;
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Replaces the default handlers, which end the process at once. Fails if the handlers cannot be installed.
    fn install() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        let signal = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        info!(signal, "signal received");
    }
}
