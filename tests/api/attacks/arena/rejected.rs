//! Services that must be rejected.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{DEFAULT_CONFIG_MAP, prelude::*};
use futures::try_join;
use k8s_openapi::api::{
    core::v1::{Event, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, ResourceExt as _, api::ListParams};

use super::Arena;
use crate::{attacks::table, tenants::rejects};

/// An attack with a Service.
pub(crate) struct Attack {
    pub(crate) threat: &'static str,
    pub(crate) vector: String,
    pub(crate) service: Service,
    /// EndpointSlices that a user with the permission creates together with the Service.
    pub(crate) slices: Vec<EndpointSlice>,
    /// The reason with which the operator must reject the Service.
    pub(crate) reason: &'static str,
}

impl Arena<'_> {
    /// Creates Services that must be rejected, checks that the operator rejects them and does nothing else, and deletes
    /// them.
    pub(crate) async fn are_rejected(&self, attacks: Vec<Attack>) -> Result<()> {
        let batch = self.begin().await?;
        let mut refused = Vec::new();
        let mut judged: Vec<&Attack> = Vec::new();
        let mut without_slices = BTreeSet::new();
        for attack in &attacks {
            match self.create(&attack.service).await {
                Ok(created) => {
                    judged.push(attack);
                    for slice in &attack.slices {
                        if !self.write_slice(&created, slice.clone()).await? {
                            without_slices.insert(attack.vector.as_str());
                        }
                    }
                }
                // The API server itself rejects the Service.
                Err(kube::Error::Api(error)) if error.code == 422 => refused.push(attack),
                Err(error) => return Err(error).context(attack.vector.clone()),
            }
        }
        let name = |attack: &&Attack| attack.service.name_any();
        self.config_is("all attacks are rejected", |config| {
            judged.iter().all(|attack| {
                without_slices.contains(attack.vector.as_str()) || rejects(config, &name(attack), attack.reason)
            })
        })
        .await?;
        let without_slices: Vec<_> = judged.extract_if(.., |attack| without_slices.contains(&*attack.vector)).collect();
        // All of it from now on.
        try_join!(self.owners_are_told(&judged), self.is_counted(&judged), self.controls_are_probed())?;
        let packets = self.check(&batch, &[]).await?;
        ensure!(batch.moment.steps(DEFAULT_CONFIG_MAP).await?.is_empty(), "the output was written");
        for attack in &judged {
            let happened = format!("`{}`, with an Event", attack.reason);
            table::add(attack.threat, &attack.vector, &happened, packets)?;
        }
        for attack in refused {
            table::add(attack.threat, &attack.vector, "The API server rejects it.", packets)?;
        }
        for attack in without_slices {
            table::add(attack.threat, &attack.vector, "The API server rejects the slice.", packets)?;
        }
        self.clear().await
    }

    /// Writes a slice. Returns `false` if the API server rejects it.
    async fn write_slice(&self, service: &Service, mut slice: EndpointSlice) -> Result<bool> {
        let uid = service.uid().unwrap_or_default();
        for owner in slice.metadata.owner_references.iter_mut().flatten() {
            owner.uid.clone_from(&uid);
        }
        match self.create_as(&self.with_slices, &slice).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(error)) if error.code == 422 => Ok(false),
            Err(error) => Err(error).with_context(|| format!("slice of {}", service.name_any())),
        }
    }

    /// Waits for an Event about each attack.
    async fn owners_are_told(&self, attacks: &[&Attack]) -> Result<()> {
        let events: Api<Event> = Api::namespaced(self.admin.clone(), &self.tenant);
        eventually("the owners get Events", async || {
            let events = events.list(&ListParams::default()).await?.items;
            let told: BTreeSet<(&str, &str)> = events
                .iter()
                .filter_map(|event| Some((event.involved_object.name.as_deref()?, event.reason.as_deref()?)))
                .collect();
            let silent = attacks.iter().find(|attack| !told.contains(&(&attack.service.name_any(), attack.reason)));
            ensure!(silent.is_none(), "no Event for {:?}", silent.map(|attack| &attack.vector));
            Ok(())
        })
        .await
    }

    /// Waits until the metric counts the rejected Services.
    async fn is_counted(&self, attacks: &[&Attack]) -> Result<()> {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for attack in attacks {
            *counts.entry(attack.reason).or_default() += 1;
        }
        for (reason, count) in counts {
            let series = format!("dynamictoolset_rejected_services{{reason=\"{reason}\"}}");
            eventually(&format!("{series} counts them"), async || {
                let value = self.controller.metric(&series).await?;
                ensure!(value.is_some_and(|value| value >= f64::from(count)), "{value:?} instead of {count}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}
