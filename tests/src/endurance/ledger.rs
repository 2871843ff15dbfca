//! What has been done to the cluster since the last quiet moment, when every output was as planned.

use std::collections::{BTreeMap, BTreeSet};

use detectors::ServiceKey;

use super::services::State;

/// Every entry is made before the change that it is about, so no output can be ahead of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// The Services that may have changed, and the endpoints that each of them may have had.
    touched: BTreeMap<ServiceKey, BTreeSet<String>>,
    /// The `ToolsetConfigs` whose spec, or whose namespaces' labels, may have changed.
    configs: BTreeSet<String>,
    /// The versions of ConfigMaps and `ToolsetConfigs` that people wrote. No two objects share a version.
    by_people: BTreeSet<String>,
}

impl Ledger {
    /// A Service changes from one state to another. `None` if it does not exist.
    pub(super) fn changes(&mut self, key: &ServiceKey, from: Option<&State>, to: Option<&State>) {
        let endpoints = [from, to].into_iter().flatten().filter_map(|state| state.endpoint(key));
        self.touched.entry(key.clone()).or_default().extend(endpoints);
    }

    /// Something changes that decides which Services a `ToolsetConfig` lists, or how it writes them.
    pub(super) fn reconfigures(&mut self, config: &str) {
        self.configs.insert(config.to_owned());
    }

    /// A person wrote this version.
    pub(super) fn by_people(&mut self, version: String) {
        self.by_people.insert(version);
    }

    /// The endpoints that a Service may have had. `None` if it has not changed.
    pub(super) fn endpoints(&self, key: &ServiceKey) -> Option<&BTreeSet<String>> {
        self.touched.get(key)
    }

    /// Whether a `ToolsetConfig` may list other Services than at the last quiet moment, although these did not change.
    pub(super) fn is_reconfigured(&self, config: &str) -> bool {
        self.configs.contains(config)
    }

    /// Whether a person wrote this version.
    pub(super) fn is_by_people(&self, version: &str) -> bool {
        self.by_people.contains(version)
    }
}
