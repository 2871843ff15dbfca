//! All that the status is computed from.

use std::collections::BTreeMap;

use crd_types::{HealthMode, NamespacesFrom, ToolsetConfig};
use k8s_openapi::jiff::Timestamp;

use crate::{plan::Plan, render::Rendered};

/// A watch that feeds the operator.
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
    /// The `ConfigMap` that is written, and the base.
    ConfigMap,
}

impl Input {
    /// The kind's name, as in messages and metric labels.
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

/// How a watch is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputState {
    /// It has not listed yet.
    Pending,
    /// It has listed and is heard from.
    Synced,
    /// The operator may not list or watch it.
    Forbidden {
        /// The API server's words.
        message: String,
    },
    /// Not heard from for three watch timeouts.
    Stale {
        /// The last error, in words.
        message: String,
    },
}

/// The inputs that a `ToolsetConfig` needs before anything is written for it: Services and its own `ConfigMap` always,
/// `EndpointSlices` unless health is off, `Namespaces` only if a source selects them by label.
pub fn required_inputs(config: &ToolsetConfig) -> Vec<Input> {
    let mut inputs = vec![Input::Service, Input::ConfigMap];
    if config.spec.health.mode != HealthMode::None {
        inputs.push(Input::EndpointSlice);
    }
    if config.spec.sources.iter().any(|source| source.namespaces.from == NamespacesFrom::Selector) {
        inputs.push(Input::Namespace);
    }
    inputs
}

/// What became of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputState {
    /// The `ConfigMap` is as rendered.
    Applied,
    /// `mode: Preview`.
    Preview,
    /// `mode: Suspended`.
    Suspended,
    /// Not all required inputs have listed.
    Waiting,
    /// An input is forbidden or stale, and the last output stands (or, if there is none, its absence).
    Held {
        /// In words.
        message: String,
    },
    /// The name is taken.
    Conflict {
        /// By whom and what to do.
        message: String,
    },
    /// The API server refused, or did not answer.
    Failed {
        /// How.
        message: String,
    },
    /// Another writer keeps reverting it.
    Contested {
        /// Who, and since which key.
        message: String,
    },
}

/// What became of the agent's reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadState {
    /// `reload: None`.
    NotAsked,
    /// The agent's Deployment carries the hash of what is written.
    Current,
    /// A restart is due and waits for its time.
    Due {
        /// Why it waits.
        message: String,
    },
    /// It failed.
    Failed {
        /// How.
        message: String,
    },
}

/// All that the status is computed from.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// Now, in whole seconds; only ever written where something changed.
    pub now: Timestamp,
    /// The plan; `None` where none could be made (waiting, suspended).
    pub plan: Option<&'a Plan>,
    /// What was rendered.
    pub rendered: Option<&'a Rendered>,
    /// The required inputs that are not simply synced.
    pub inputs: &'a BTreeMap<Input, InputState>,
    /// What became of the output.
    pub output: OutputState,
    /// What became of the reload.
    pub reload: ReloadState,
}
