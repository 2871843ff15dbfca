//! What no attack may change: the entries of the trusted tools in every version of the output, and the addresses of
//! packets.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{
    DEFAULT_CONFIG_MAP, Moment, Step,
    net::{Kind, Packet, counted},
    prelude::*,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::Value;

use super::Arena;
use crate::stage::data;

/// The start of a batch of attacks.
pub(crate) struct Batch {
    packets: usize,
    pub(super) moment: Moment,
}

impl Arena<'_> {
    /// Begins a batch.
    pub(crate) async fn begin(&self) -> Result<Batch> {
        let packets = self.packets().len();
        Ok(Batch { packets, moment: self.world.moment(&self.agent).await? })
    }

    /// A batch that contains all packets so far.
    pub(crate) async fn since_the_start(&self) -> Result<Batch> {
        Ok(Batch { packets: 0, moment: self.world.moment(&self.agent).await? })
    }

    /// Checks everything that no attack may change since the beginning of a batch. Returns the number of packets to
    /// forbidden addresses, which is 0.
    pub(crate) async fn check(&self, batch: &Batch, targets: &[SocketAddr]) -> Result<usize> {
        let expected = trusted(&self.calm, &self.tenant)?;
        let versions = batch.moment.steps(DEFAULT_CONFIG_MAP).await?;
        ensure!(versions.iter().all(|step| *step != Step::Deleted), "the output was deleted");
        for version in versions.iter().filter_map(Step::config_map) {
            assert_eq!(trusted(version, &self.tenant)?, expected, "the entries of trusted tools changed");
        }
        let packets = self.packets().split_off(batch.packets);
        let is_target = |packet: &&Packet| {
            let to = SocketAddr::new(packet.to, packet.port);
            self.controls.iter().any(|control| control.address() == to) || targets.contains(&to)
        };
        let strays: Vec<Packet> = packets.iter().filter(|packet| !is_target(packet)).copied().collect();
        ensure!(strays.is_empty(), "packets went to others than targets: {:?}", counted(&strays));
        self.network.require_complete()?;
        Ok(strays.len())
    }

    /// Fails if a byte of the output differs from the output before all attacks.
    pub(crate) async fn is_calm(&self) -> Result<()> {
        let output: Api<ConfigMap> = self.world.api(&self.agent);
        present(&output, DEFAULT_CONFIG_MAP, "is as it was", |found| found.data == self.calm.data).await?;
        Ok(())
    }

    /// The number of packets to name servers. The operator must send none.
    pub(crate) fn name_queries(&self) -> usize {
        self.packets().iter().filter(|packet| packet.port == 53 || packet.kind == Kind::Udp).count()
    }

    pub(super) fn packets(&self) -> Vec<Packet> {
        self.network.packets(&self.own_ports)
    }
}

/// The entries of trusted tools, as text: all entries except those that name the tenant, and except the revision entry,
/// which changes with the rest of the file. If a text of the tenant gets into an entry of a trusted tool, this entry is
/// missing.
fn trusted(output: &ConfigMap, tenant: &str) -> Result<(BTreeMap<String, String>, Vec<Value>)> {
    let mut entries: BTreeMap<String, String> = BTreeMap::new();
    let mut section = String::new();
    let mut entry = String::new();
    for line in data(output, "custom_toolset.yaml").lines() {
        let indent = line.len() - line.trim_start().len();
        match indent {
            0 => line.clone_into(&mut section),
            2 if !line.trim_start().starts_with(['-', '#']) => entry = format!("{section}{line}"),
            _ => {}
        }
        let text: &mut String = entries.entry(entry.clone()).or_default();
        text.push_str(line);
        text.push('\n');
    }
    entries.retain(|name, text| !text.contains(tenant) && !name.contains("discovered-revision-"));
    let file: Value = serde_json::from_str(data(output, "toolset.json")).context("toolset.json is JSON")?;
    let tools = file["tools"].as_array().context("it has tools")?;
    let tools = tools.iter().filter(|tool| !tool.to_string().contains(tenant)).cloned().collect();
    Ok((entries, tools))
}

#[test]
fn an_entry_with_a_text_of_the_tenant_is_no_entry_of_a_trusted_tool() -> Result<()> {
    let output = |yaml: &str| ConfigMap {
        data: Some(BTreeMap::from([
            ("custom_toolset.yaml".to_owned(), yaml.to_owned()),
            ("toolset.json".to_owned(), r#"{"tools": []}"#.to_owned()),
        ])),
        ..ConfigMap::default()
    };
    let calm = output("toolsets:\n  a:\n    url: x\n  b:\n    url: y\n");
    let both = output("toolsets:\n  a:\n    url: x\n  b:\n    url: y\n  c-evil:\n    url: z\n");
    let mixed = output("toolsets:\n  a:\n    url: x\n    more: evil\n  b:\n    url: y\n");
    assert_eq!(trusted(&calm, "evil")?, trusted(&both, "evil")?);
    assert_ne!(trusted(&calm, "evil")?, trusted(&mixed, "evil")?);
    Ok(())
}
