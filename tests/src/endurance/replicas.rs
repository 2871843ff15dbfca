//! Two replicas of the operator, each behind a proxy of its own, and what happens to the one that leads.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use rustix::process::Signal;
use tokio::time::{Instant, sleep, sleep_until};

use super::usage_over_time::Sample;
use crate::{
    harness::{Controller, ControllerOptions, Faults, FaultyProxy, Traffic, World},
    random::Random,
    usage,
};

/// How soon after a start a replica is ready without faults.
const READY: Duration = Duration::from_secs(60);
/// How long a replica that was killed stays away.
const AWAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// How long a replica is stopped. The lease lasts 15 s.
const STOPPED: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(22));
/// How much of a log is shown if something is wrong.
const LOG_LINES: usize = 200;
/// The number of all reconciles, whatever came of them.
const RECONCILES: &str = "dynamictoolset_reconciles_total";

/// What happens to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// Nothing.
    Nothing,
    /// It is stopped for a while, or until the end.
    Stopped,
    /// It is killed, and started again after a while. The first replica is stopped instead, so that one process lives
    /// long enough to compare its memory.
    Killed,
    /// It is killed, also if it is the first replica.
    KilledWhoever,
    /// Both are killed, and somebody deletes the lease. So one of them leads before it has seen anything.
    AllKilled,
}

/// Both replicas.
pub(super) struct Replicas {
    both: Vec<Replica>,
    options: ControllerOptions,
    /// Where their lease is.
    lease_namespace: String,
    /// How often each disturbance has happened.
    pub(super) stops: usize,
    pub(super) kills: usize,
}

struct Replica {
    proxy: FaultyProxy,
    controller: Option<Controller>,
    stopped: bool,
    /// How often it has been started.
    starts: usize,
}

impl Replicas {
    /// Starts both, without faults. `options` are those of each.
    pub(super) async fn start(
        world: &mut World,
        mut options: ControllerOptions,
        lease_namespace: &str,
        seed: u64,
    ) -> Result<Self> {
        options.arguments = vec!["--leader-elect".to_owned(), format!("--lease-namespace={lease_namespace}")];
        let mut replicas = Vec::new();
        for name in ["first", "second"] {
            let proxy = world.faulty_proxy(seed, name).await?;
            replicas.push(Replica { proxy, controller: None, stopped: false, starts: 0 });
        }
        let mut this =
            Self { both: replicas, options, lease_namespace: lease_namespace.to_owned(), stops: 0, kills: 0 };
        this.restore(world).await?;
        Ok(this)
    }

    /// From now on these faults happen between the replicas and the API server.
    pub(super) fn faults(&self, faults: Faults) {
        for replica in &self.both {
            replica.proxy.set(faults);
        }
    }

    /// Disturbs the leader once, within this time. A replica that is stopped or away afterwards stays so.
    pub(super) async fn disturb(
        &mut self,
        world: &mut World,
        disturbance: Disturbance,
        random: &mut Random,
        time: Duration,
    ) -> Result<()> {
        let end = Instant::now() + time;
        sleep(random.between(time / 10, time / 3)).await;
        let Some(leader) = self.leader() else { return Ok(()) };
        match disturbance {
            Disturbance::Nothing => {}
            Disturbance::AllKilled => {
                for replica in &mut self.both {
                    if let Some(mut controller) = replica.controller.take() {
                        controller.process().kill()?;
                        self.kills += 1;
                    }
                }
                self.leases(world).delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
                self.restore(world).await?;
            }
            Disturbance::Killed | Disturbance::KilledWhoever
                if leader > 0 || disturbance == Disturbance::KilledWhoever =>
            {
                let replica = &mut self.both[leader];
                if let Some(mut controller) = replica.controller.take() {
                    controller.process().kill()?;
                    self.kills += 1;
                }
                let back = Instant::now() + random.between(AWAY.0, AWAY.1);
                if back < end {
                    sleep_until(back).await;
                    self.restore(world).await?;
                }
            }
            Disturbance::Stopped | Disturbance::Killed | Disturbance::KilledWhoever => {
                self.both[leader].stop()?;
                self.stops += 1;
                let back = Instant::now() + random.between(STOPPED.0, STOPPED.1);
                if back < end {
                    sleep_until(back).await;
                    self.both[leader].go_on()?;
                }
            }
        }
        sleep_until(end).await;
        Ok(())
    }

    fn leases(&self, world: &World) -> Api<Lease> {
        world.api(&self.lease_namespace)
    }

    /// Starts or continues each replica that does not run.
    pub(super) async fn restore(&mut self, world: &mut World) -> Result<()> {
        for replica in &mut self.both {
            replica.go_on()?;
            if let Some(controller) = &mut replica.controller {
                controller.process().require_running()?;
                continue;
            }
            replica.proxy.restarted();
            let options = ControllerOptions {
                kubeconfig: Some(replica.proxy.kubeconfig().to_owned()),
                do_not_wait: true,
                ..self.options.clone()
            };
            replica.controller = Some(world.start_controller(options).await?);
            replica.starts += 1;
        }
        Ok(())
    }

    /// The replica that has renewed the lease last.
    fn leader(&self) -> Option<usize> {
        let renewed = self.both.iter().enumerate().filter_map(|(number, one)| Some((one.proxy.renewed()?, number)));
        renewed.max().map(|(_, number)| number)
    }

    /// Fails unless every replica sees this number of Services.
    pub(super) async fn see(&mut self, services: usize) -> Result<()> {
        for (number, replica) in self.both.iter_mut().enumerate() {
            let controller = replica.running()?;
            controller.process().require_running()?;
            let seen = controller.metric("dynamictoolset_services_watched").await?.unwrap_or_default();
            let must = f64::from(u32::try_from(services)?);
            ensure!((seen - must).abs() < 0.5, "replica {number} sees {seen} Services of {services}");
        }
        Ok(())
    }

    /// Waits until both are ready.
    pub(super) async fn ready(&mut self) -> Result<()> {
        for replica in &mut self.both {
            let controller = replica.running()?;
            crate::harness::within(READY, "a replica is ready", async || {
                controller.process().require_running()?;
                let (status, body) = controller.health("/ready").await?;
                ensure!(status == 200, "/ready says {status}: {body}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// What each has sent since the last call.
    pub(super) fn traffic(&self) -> Vec<Traffic> {
        self.both.iter().map(|replica| replica.proxy.traffic()).collect()
    }

    /// How often they have reconciled.
    pub(super) async fn reconciles(&mut self) -> Result<f64> {
        let mut all = 0.0;
        for replica in &mut self.both {
            let metrics = replica.running()?.metrics().await?;
            let series = metrics.lines().filter(|line| line.starts_with(RECONCILES));
            let values = series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            all += values.sum::<f64>();
        }
        Ok(all)
    }

    /// What each uses at present.
    pub(super) fn samples(&mut self) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for (number, replica) in self.both.iter_mut().enumerate() {
            let process = (number, replica.starts);
            let pid = replica.running()?.process().pid();
            let (memory, descriptors) = (usage::Memory::of(pid)?, usage::descriptors(pid)?);
            samples.push(Sample { process, memory: usage::mebibytes(memory.resident), descriptors });
        }
        Ok(samples)
    }

    /// The ends of the logs.
    pub(super) fn logs(&mut self) -> Result<Vec<String>> {
        self.both.iter_mut().map(|replica| Ok(replica.running()?.process().log_tail(LOG_LINES))).collect()
    }

    /// Empties the logs, which would fill the disk in an hour.
    pub(super) fn forget_logs(&mut self) -> Result<()> {
        for replica in &mut self.both {
            let log = replica.running()?.process().log().to_owned();
            // It is open for appending, so the next line is its first.
            std::fs::OpenOptions::new().write(true).truncate(true).open(log)?;
        }
        Ok(())
    }
}

impl Replica {
    fn running(&mut self) -> Result<&mut Controller> {
        self.controller.as_mut().context("a replica does not run")
    }

    fn stop(&mut self) -> Result<()> {
        self.stopped = true;
        self.running()?.process().signal(Signal::STOP)
    }

    fn go_on(&mut self) -> Result<()> {
        if let Some(controller) = self.controller.as_mut().filter(|_| self.stopped) {
            self.proxy.continued();
            controller.process().signal(Signal::CONT)?;
        }
        self.stopped = false;
        Ok(())
    }
}
