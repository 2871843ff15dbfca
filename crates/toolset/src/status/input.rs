//! All that the status is computed from.

use std::collections::{BTreeMap, BTreeSet};

use crd_types::{AgentStatus, HealthMode, NamespacesFrom, Reason, ToolsetConfig, Trust};
use detectors::ServiceKey;
use k8s_openapi::jiff::Timestamp;

use crate::{plan::Plan, render::Rendered};

/// A kind of objects that the operator watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// Services.
    Service,
    /// EndpointSlices.
    EndpointSlice,
    /// Namespaces.
    Namespace,
    /// ToolsetConfigs.
    ToolsetConfig,
    /// The `ConfigMap` that is written, and the base file.
    ConfigMap,
}

impl Input {
    /// The objects of the kind, as in messages.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Service => "Services",
            Self::EndpointSlice => "EndpointSlices",
            Self::Namespace => "Namespaces",
            Self::ToolsetConfig => "ToolsetConfigs",
            Self::ConfigMap => "ConfigMaps",
        }
    }

    /// The kind's name, as in metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Namespace => "Namespace",
            Self::ToolsetConfig => "ToolsetConfig",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

/// The state of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputState {
    /// The first list is not complete.
    Pending,
    /// It is listed and up to date.
    Synced,
    /// The operator may not list or watch it.
    Forbidden {
        /// The API server's message.
        message: String,
    },
    /// There was no news for three watch timeouts.
    Stale {
        /// The last error.
        message: String,
    },
}

/// The state of the inputs that a `ToolsetConfig` needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// By kind. Synced ones may be left out.
    pub states: BTreeMap<Input, InputState>,
    /// The namespaces in which an input cannot be read, although it can be read in others.
    pub held_namespaces: BTreeMap<String, (Input, InputState)>,
    /// The namespaces that a source names and the operator does not watch, with that source.
    pub unwatched_namespaces: BTreeMap<String, String>,
    /// The namespaces in which the Pods of Services cannot be read. They are evidence, and no required input.
    pub unreadable_pods: BTreeSet<String>,
}

impl From<BTreeMap<Input, InputState>> for Inputs {
    fn from(states: BTreeMap<Input, InputState>) -> Self {
        Self { states, ..Self::default() }
    }
}

/// The inputs that a `ToolsetConfig` needs before its output is written. These are always Services and its own
/// `ConfigMap`; `EndpointSlices` unless `health.mode` is None and no source is Tenant; and `Namespaces` only if a source
/// selects them by label.
pub fn required_inputs(config: &ToolsetConfig) -> Vec<Input> {
    let mut inputs = vec![Input::Service, Input::ConfigMap];
    let tenants = config.spec.sources.iter().any(|source| source.trust == Trust::Tenant);
    if config.spec.health.mode != HealthMode::None || tenants {
        inputs.push(Input::EndpointSlice);
    }
    if config.spec.sources.iter().any(|source| source.namespaces.from == NamespacesFrom::Selector) {
        inputs.push(Input::Namespace);
    }
    inputs
}

/// The state of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputState {
    /// The `ConfigMap` is as rendered.
    Applied,
    /// `mode: Preview`.
    Preview,
    /// `mode: Suspended`.
    Suspended,
    /// The first lists of the required inputs are not complete.
    Waiting,
    /// An input is forbidden or stale, so no Service is added to the output.
    Held {
        /// Why.
        message: String,
        /// Whether the `ConfigMap` is as rendered, without the tools that the spec excludes.
        written: bool,
    },
    /// The `ConfigMap` belongs to somebody else.
    Conflict {
        /// To whom, and what to do.
        message: String,
    },
    /// The API server refused, or did not answer.
    Failed {
        /// How.
        message: String,
    },
    /// Another field manager keeps reverting it.
    Contested {
        /// Who.
        message: String,
    },
    /// The `ConfigMap` is being deleted, and a finalizer delays the deletion.
    Terminating {
        /// Which finalizer.
        message: String,
        /// Whether it is as rendered.
        written: bool,
    },
}

impl OutputState {
    /// Whether the `ConfigMap` holds what was rendered.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Applied | Self::Terminating { written: true, .. } | Self::Held { written: true, .. })
    }
}

/// The state of the agent's reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadState {
    /// `reload: None`.
    NotAsked,
    /// The agent's Deployment has the hash of the output.
    Current,
    /// A restart is due and has not been made yet.
    Pending {
        /// Why it waits.
        message: String,
    },
    /// The last attempt failed, and none has succeeded since.
    Failed {
        /// What failed, and what to do.
        message: String,
    },
}

/// What the running agent has loaded, for the status and the condition `AgentLoaded`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentReport {
    /// `status.agent`. `None` if no replica has answered.
    pub status: Option<AgentStatus>,
    /// Whether every replica has loaded the output. `None` if that is not known yet.
    pub loaded: Option<bool>,
    /// Why.
    pub reason: Reason,
    /// What is wrong, and what to do.
    pub message: String,
}

/// All that the status is computed from.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// Now, in whole seconds. It is used only where something changed.
    pub now: Timestamp,
    /// The plan. `None` if there is none yet, or if the mode is Suspended.
    pub plan: Option<&'a Plan>,
    /// What was rendered.
    pub rendered: Option<&'a Rendered>,
    /// The Services that the `ConfigMap` still lists, if it was reduced without a plan.
    pub left: Option<&'a BTreeSet<ServiceKey>>,
    /// The required inputs.
    pub inputs: &'a Inputs,
    /// The state of the output.
    pub output: OutputState,
    /// What became of the reload.
    pub reload: ReloadState,
    /// What the running agent has loaded. `None` if the spec does not ask for it.
    pub agent: Option<&'a AgentReport>,
}
