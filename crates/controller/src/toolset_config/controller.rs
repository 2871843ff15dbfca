//! kube's `Controller` for ToolsetConfigs. It keeps one task per ToolsetConfig running, and triggers it if the spec
//! changes.
//!
//! All other changes trigger the task directly, see [`Triggers`]. The Controller's scheduler rounds up to whole
//! milliseconds. This delay is acceptable for a new spec, but not for an event of a Service.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use audit_client::Client;
use futures::{StreamExt as _, stream};
use kube::runtime::{
    Controller as KubeController,
    controller::{Action, Config},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{observer::Observer, reloader::Reloader, reporter::Reporter, worker::Worker};
use crate::{
    agent::round::Agents,
    api::{NamespacedName, Writer, events::Events, fence::Leadership},
    cluster::{Cluster, Root, Triggers},
    metrics::Metrics,
};

/// Runs the Controller until `stop`.
pub(crate) async fn run(
    workers: Arc<Workers>,
    mut changed: mpsc::UnboundedReceiver<Root>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let store = workers.cluster.toolset_configs.store();
    let changed = stream::poll_fn(move |context| changed.poll_recv(context));
    KubeController::for_stream(changed.map(Ok), store)
        .with_config(Config::default().concurrency(1))
        .graceful_shutdown_on(stop)
        .run(reconcile, |_, never: &Infallible, _| match *never {}, workers)
        .for_each(|_| std::future::ready(()))
        .await;
}

async fn reconcile(config: Arc<Root>, workers: Arc<Workers>) -> Result<Action, Infallible> {
    workers.keep(&NamespacedName::of(&*config));
    Ok(Action::await_change())
}

/// The tasks of all ToolsetConfigs.
pub(crate) struct Workers {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) cluster_domain: Arc<str>,
    pub(crate) triggers: Arc<Triggers>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) writer: Writer,
    pub(crate) events: Events,
    pub(crate) agents: Arc<Agents>,
    pub(crate) leadership: Leadership,
    /// Where records are left. `None` if the operator sends none.
    pub(crate) audit: Option<Client>,
    /// True once the program is about to end.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) tasks: Mutex<Tasks>,
}

/// The running tasks.
#[derive(Default)]
pub(crate) struct Tasks {
    running: BTreeSet<NamespacedName>,
    set: JoinSet<()>,
}

impl Workers {
    /// Starts the task of a ToolsetConfig unless it runs, and triggers it.
    fn keep(self: &Arc<Self>, name: &NamespacedName) {
        self.triggers.of(name).reconcile(None);
        let mut tasks = self.tasks();
        while tasks.set.try_join_next().is_some() {}
        if tasks.running.insert(name.clone()) {
            let (workers, name) = (self.clone(), name.clone());
            tasks.set.spawn(async move {
                loop {
                    workers.task(&name).await;
                    if workers.ended(&name) {
                        return;
                    }
                }
            });
        }
    }

    /// The task of one ToolsetConfig. The parts are polled in this order, so the reporter never sees a snapshot before
    /// the reloader and the observer.
    async fn task(&self, name: &NamespacedName) {
        let (snapshots, of_reloader) = watch::channel(None);
        let (of_observer, of_reporter) = (snapshots.subscribe(), snapshots.subscribe());
        let (reload, reload_state) = watch::channel(None);
        let (agent, agent_state) = watch::channel(None);
        let trigger = self.triggers.of(name);
        let worker = Worker {
            name: name.clone(),
            trigger: trigger.clone(),
            cluster: self.cluster.clone(),
            cluster_domain: self.cluster_domain.clone(),
            writer: self.writer.clone(),
            leadership: self.leadership.clone(),
            metrics: self.metrics.clone(),
            audit: self.audit.clone(),
            snapshots,
            stop: self.stop.clone(),
        };
        let reloader = Reloader {
            name: name.clone(),
            writer: self.writer.clone(),
            events: self.events.clone(),
            leadership: self.leadership.clone(),
            snapshots: of_reloader,
            state: reload,
        };
        let observer = Observer {
            name: name.clone(),
            cluster: self.cluster.clone(),
            agents: self.agents.clone(),
            writer: self.writer.clone(),
            leadership: self.leadership.clone(),
            metrics: self.metrics.clone(),
            snapshots: of_observer,
            state: agent,
        };
        let reporter = Reporter {
            name: name.clone(),
            trigger,
            cluster: self.cluster.clone(),
            writer: self.writer.clone(),
            events: self.events.clone(),
            leadership: self.leadership.clone(),
            metrics: self.metrics.clone(),
            snapshots: of_reporter,
            reload: reload_state,
            agent: agent_state,
        };
        futures::join!(worker.run(), reloader.run(), observer.run(), reporter.run());
    }

    /// Whether the task of a ToolsetConfig may end. If an object of that name has been created in the meantime, the
    /// task continues, because the Controller started no other task for it.
    fn ended(&self, name: &NamespacedName) -> bool {
        let mut tasks = self.tasks();
        let gone = *self.stop.borrow() || self.cluster.toolset_configs.get(name).is_none();
        if gone {
            tasks.running.remove(name);
            self.triggers.remove(name);
        }
        gone
    }

    /// Waits until every task has ended, after `stop`.
    pub(crate) async fn drain(&self) {
        let mut set = std::mem::take(&mut self.tasks().set);
        while set.join_next().await.is_some() {}
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
