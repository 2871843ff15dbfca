//! What this process knows, in one place: written by the inputs, read by the reconciler.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crd_types::ToolsetConfig;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use toolset::{Change, Index};

use crate::{
    args::Args,
    configs::Configs,
    inputs::{ConfigMaps, Inputs, Scope},
    metrics::Metrics,
    wake::{Signals, Wakes},
};

/// What this process knows. Locks are held for moments and never across an await.
pub struct World {
    /// Which namespaces are looked at.
    pub scope: Scope,
    /// The domain of Service names.
    pub cluster_domain: String,
    /// When this process began: the health stage counts from then.
    pub started: Instant,
    index: Mutex<Index>,
    /// What each watch is worth.
    pub inputs: Inputs,
    /// The ToolsetConfigs.
    pub configs: Configs,
    /// The ConfigMaps that are written, and base files.
    pub config_maps: ConfigMaps,
    /// Who has to look again.
    pub wakes: Wakes,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether this replica writes.
    pub leading: watch::Receiver<bool>,
    /// The set of ToolsetConfigs changed: other watches may be needed.
    pub needs: Notify,
}

/// What drives the controller.
pub struct Triggers {
    /// ToolsetConfigs that changed.
    pub root: Signals<ToolsetConfig>,
    /// ToolsetConfigs that something else concerns.
    pub one: Signals<kube::runtime::reflector::ObjectRef<ToolsetConfig>>,
    /// Something concerns all of them.
    pub all: Signals<()>,
}

impl World {
    /// An empty world.
    pub fn new(args: &Args, leading: watch::Receiver<bool>) -> (Self, Triggers) {
        let (wakes, one, all) = Wakes::new();
        let (configs, root) = Configs::new();
        let world = Self {
            scope: Scope {
                watch_namespaces: args.watch_namespaces.clone(),
                config_namespaces: args.config_namespaces.clone(),
            },
            cluster_domain: args.cluster_domain(),
            started: Instant::now(),
            index: Mutex::default(),
            inputs: Inputs::default(),
            configs,
            config_maps: ConfigMaps::default(),
            wakes,
            metrics: Metrics::new(),
            leading,
            needs: Notify::new(),
        };
        (world, Triggers { root, one, all })
    }

    /// The cluster as far as it has been seen.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this replica writes.
    pub fn is_leading(&self) -> bool {
        *self.leading.borrow()
    }

    /// Wakes those whom a change of the index concerns.
    pub fn changed(&self, change: Change, received: Instant) {
        match change {
            Change::Nothing => {}
            Change::Unrecognised => {
                for config in self.configs.all() {
                    if !config.spec.signatures.is_empty() {
                        self.wakes.one(&crate::object::ObjectName::of(&*config), Some(received));
                    }
                }
            }
            Change::Matters => self.wakes.all(Some(received)),
        }
    }
}
