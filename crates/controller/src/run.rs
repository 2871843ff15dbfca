//! Puts the parts together, and takes them apart in order.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use kube::runtime::{Controller, controller, controller::Action};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tracing::{info, warn};

use crate::{
    admin::{self, Admin},
    args::Args,
    client,
    events::Events,
    inputs::Supervisor,
    lease::{Elector, Fence},
    reconcile::{Reconciler, reconcile},
    shutdown::Signals,
    unreadable,
    world::{Triggers, World},
    writer::Writer,
};

/// How many ToolsetConfigs are looked at at once.
const CONCURRENCY: u16 = 4;
/// What is kept of the shutdown timeout for giving the lease up.
const FOR_THE_LEASE: Duration = Duration::from_secs(1);

/// Runs the operator until it is told to end.
///
/// Fails if it cannot start: no cluster configured, or an address that is taken. An API server that cannot be reached is
/// waited for.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut signals = Signals::install()?;
    let (client, url) = client::connect().await?;
    let (leading, is_leading) = watch::channel(!args.leader_elect);
    let fence = Arc::new(if args.leader_elect { Fence::closed() } else { Fence::open() });
    let (world, triggers) = World::new(&args, is_leading);
    let world = Arc::new(world);
    let admin = Admin::new(world.clone());
    let _endpoints = admin::serve(admin.clone(), args.health_addr, args.metrics_addr).await?;
    info!(version = env!("CARGO_PKG_VERSION"), api_server = %url, cluster_domain = %world.cluster_domain, "starting");

    let writer = Writer::new(client.clone(), fence.clone());
    let (events, send_events) = Events::new(writer.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(send_events);
    tasks.spawn(unreadable::report(world.clone(), writer.clone(), events.clone()));
    tasks.spawn(follow_leadership(world.clone()));
    tasks.spawn(Supervisor::new(world.clone(), client.clone()).run());

    let (stop_election, election_stops) = oneshot::channel::<()>();
    // Without an election the channel stays as it is; it must not close either.
    let election = args.leader_elect.then(|| {
        let namespace = args.lease_namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let elector = Elector::new(client.clone(), &namespace, &args.lease_name, fence, leading.clone());
        tokio::spawn(elector.run(async { drop(election_stops.await) }))
    });

    let (stop_looking, looking_stops) = oneshot::channel::<()>();
    let reconciler = Arc::new(Reconciler { world, writer, events });
    let mut looking = tokio::spawn(look(reconciler, triggers, looking_stops));

    signals.next().await;
    // A twentieth is kept for the end itself.
    let timeout = args.shutdown_timeout.mul_f64(0.95);
    let deadline = Instant::now() + timeout;
    admin.stop();
    let orderly = async {
        // No new look starts; the running ones end, each request within its own timeout.
        // Refused only if it ended by itself.
        let _ended = stop_looking.send(());
        if timeout_at(deadline - FOR_THE_LEASE.min(timeout / 2), &mut looking).await.is_err() {
            warn!("a write did not end in time and is dropped");
            looking.abort();
        }
        tasks.shutdown().await;
        // Only now: nobody else may write while a write of ours is under way.
        if let Some(election) = election {
            let _ended = stop_election.send(());
            if timeout_at(deadline, election).await.is_err() {
                warn!("the lease could not be given up in time; it expires by itself");
            }
        }
    };
    tokio::select! {
        () = orderly => info!("ended"),
        () = signals.next() => warn!("ended at once, as asked for"),
    }
    drop(leading);
    Ok(())
}

/// The controller. Its streams carry no errors, so none of them can hold up another.
async fn look(reconciler: Arc<Reconciler>, triggers: Triggers, stop: oneshot::Receiver<()>) {
    let store = reconciler.world.configs.store();
    Controller::for_stream(triggers.root.map(Ok), store)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(triggers.one)
        .reconcile_all_on(triggers.all)
        .graceful_shutdown_on(async { drop(stop.await) })
        .run(reconcile, |_, never, _| match *never {}, reconciler)
        .for_each(|_looked: Result<(_, Action), _>| std::future::ready(()))
        .await;
}

/// Tells everybody when this replica begins to lead: what it knows may not be written yet.
async fn follow_leadership(world: Arc<World>) {
    let mut leading = world.leading.clone();
    loop {
        let leads = *leading.borrow_and_update();
        world.metrics.leader(leads);
        if leads {
            world.wakes.all(None);
        } else {
            // What is planned is told, and what was written is known, by the replica that writes.
            world.metrics.forget_all();
            world.configs.forget_work();
        }
        if leading.changed().await.is_err() {
            return;
        }
    }
}
