//! What `cargo xtask demo` shows.
//!
//! ```text
//! stage: a control plane, or the user's cluster ──► stack: examples/*.yaml ──► the operator ──► sightings of the
//! ConfigMap acts: the steps, in order, with what the screen says of each        changes: what is done, and how long
//! the answer took          records: Data Storage, if the user asked for it
//! ```
//!
//! After an error or Ctrl-C, the demo also deletes what it created.

mod acts;
mod changes;
mod excerpt;
mod keep;
mod programs;
mod records;
mod screen;
mod sightings;
mod stack;
mod stage;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use self::{
    acts::Acts,
    records::Records,
    screen::{Ink, Screen, time},
    stack::Stack,
    stage::Stage,
};
use crate::{controlplane::Programs, stop::Stop};

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Leave everything running until Ctrl-C.
    pub keep: bool,
    /// A context of the user's kubeconfig instead of a control plane of the demo's own.
    pub context: Option<String>,
    /// The operator is an optimised build.
    pub optimised: bool,
    /// Start Data Storage beside the operator.
    pub with_data_storage: bool,
}

/// How the demo ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// To the end.
    Shown,
    /// The user interrupted it.
    Interrupted,
}

/// Shows everything and cleans up.
///
/// Fails with [`MissingTool`](crate::controlplane::MissingTool) where the control plane has to be built and there is no
/// Go, and with whatever went wrong in a step; the cleaning up happens all the same.
pub async fn run(options: Options) -> Result<Ended> {
    let mut stop = Stop::listen()?;
    let mut screen = Screen::new();
    screen.heading("The toolset operator: from the Services of a cluster to the file that an AI agent loads");

    let opened = tokio::select! {
        opened = open(&mut screen, options.context.as_deref()) => opened?,
        _ = stop.asked() => return Ok(Ended::Interrupted),
    };
    let mut stage = opened;
    let healthy = stage.can_play_pods();
    let stack = Stack::read(stage.prefix(), healthy)?;

    let outcome = {
        let mut acts =
            Acts { stage: &mut stage, stack: &stack, screen: &mut screen, optimised: options.optimised, records: None };
        tokio::select! {
            outcome = show(&mut acts, &options) => outcome.map(|()| Ended::Shown),
            _ = stop.asked() => Ok(Ended::Interrupted),
        }
    };
    let cleaned = clean_up(&stage, &mut screen, &mut stop, outcome.is_err()).await;
    let outcome = outcome?;
    cleaned.map(|()| if options.keep { Ended::Shown } else { outcome })
}

async fn open(screen: &mut Screen, context: Option<&str>) -> Result<Stage> {
    let started = Instant::now();
    if let Some(name) = context {
        screen.step(&format!("Your cluster: context {name}"));
        let stage = Stage::of_context(name).await?;
        let version = stage.client().apiserver_version().await?;
        screen.done(&format!("Kubernetes {} answers", version.git_version));
        return Ok(stage);
    }
    screen.step("Start a Kubernetes control plane on this machine");
    screen.say("It has no nodes, so no container runs. To use one yourself:");
    screen.command("cargo xtask cluster");
    // Before it starts, so that minutes of building are not counted as its start.
    tokio::task::spawn_blocking(Programs::locate).await??;
    let building = started.elapsed();
    let started = Instant::now();
    let stage = Stage::own().await?;
    let version = stage.client().apiserver_version().await?;
    let took = time(started.elapsed());
    let build =
        if building > Duration::from_secs(5) { format!(" (built in {})", time(building)) } else { String::new() };
    screen.done(&format!("Kubernetes {} started in {took}{build}", version.git_version));
    Ok(stage)
}

async fn show(acts: &mut Acts<'_>, options: &Options) -> Result<()> {
    acts.install_crd().await?;
    acts.apply_stack().await?;
    if options.with_data_storage {
        acts.records = Some(Records::start(acts.screen).await?);
    }
    let mut controller = acts.start_operator().await?;
    let outcome = acts.rest(&mut controller, options.keep).await;
    if outcome.is_err() {
        acts.screen.heading("The end of the operator's log");
        acts.screen.block(&controller.process().log_tail(15), Ink::Dim);
    }
    outcome
}

async fn clean_up(stage: &Stage, screen: &mut Screen, stop: &mut Stop, failed: bool) -> Result<()> {
    screen.heading("Cleaning up");
    if stage.is_own() {
        screen.done("the operator and the control plane are stopped, and their data is removed");
        if !failed {
            screen.gap();
        }
        return Ok(());
    }
    screen.say("Deleting the namespaces. Ctrl-C skips this.");
    let started = Instant::now();
    let cleaned = tokio::select! {
        cleaned = stage.clean_up() => cleaned.with_context(|| stage.by_hand()),
        _ = stop.asked() => Err(anyhow::anyhow!("interrupted while cleaning up; {}", stage.by_hand())),
    };
    if cleaned.is_ok() {
        screen.done(&format!("the namespaces are deleted ({})", time(started.elapsed())));
        screen.gap();
    }
    cleaned
}
