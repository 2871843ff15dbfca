//! The steps of the demo, in order.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::Value;

use super::{
    changes::{self, Answer, FILE, WRONG},
    excerpt,
    records::Records,
    screen::{Ink, Screen, count, time},
    sightings::Sightings,
    stack::Stack,
    stage::Stage,
};
use crate::harness::{Controller, DEFAULT_CONFIG_MAP, condition, eventually, present, toolset_configs};

/// Between one change and the next: people do not act within milliseconds of each other, and they want to read. Closer
/// together the operator would take changes for a burst and write them together.
const PAUSE: Duration = Duration::from_millis(800);

/// Who shows what.
pub(super) struct Acts<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) stack: &'a Stack,
    pub(super) screen: &'a mut Screen,
    pub(super) optimised: bool,
    /// Data Storage, if the user asked for it.
    pub(super) records: Option<Records>,
}

impl Acts<'_> {
    pub(super) async fn install_crd(&mut self) -> Result<()> {
        self.stage.claim_namespaces(self.stack).await?;
        let installed = self.stage.install_crd().await?;
        self.screen.step("Install the CustomResourceDefinition");
        self.screen.command(&format!("kubectl toolset crds | {} apply --server-side -f -", self.stage.kubectl()));
        self.screen.done(if installed {
            "the API server knows the kind ToolsetConfig and validates it"
        } else {
            "the cluster already has it. If an operator runs there, it handles the same objects"
        });
        Ok(())
    }

    pub(super) async fn apply_stack(&mut self) -> Result<()> {
        let (stack, client) = (self.stack, self.stage.client().clone());
        let services = count(stack.services.len(), "Service");
        self.screen.step(&format!("Create {services}, as Helm charts and operators create them"));
        self.screen.command(&format!("{} apply -f examples/stack.yaml", self.stage.kubectl()));
        stack.create_namespaces(&client, self.stage.is_own()).await?;
        stack.create_services(&client).await?;
        let namespaces = stack.namespaces().into_iter().filter(|(_, services)| *services > 0);
        let prefix = self.stage.prefix();
        let short = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
        let namespaces: Vec<_> = namespaces.map(|(name, services)| format!("{} {services}", short(&name))).collect();
        self.screen.done(&namespaces.join(", "));
        if self.stage.can_play_pods() {
            let pods = stack.create_pods(&client).await?;
            let published = self.wait_for_endpoints().await?;
            self.screen.done(&format!(
                "{} act as running ones, and Kubernetes has published the endpoints of {}",
                count(pods, "Pod"),
                count(published, "Service")
            ));
        } else {
            self.screen.say("They have no Pods here, so the health check is disabled (spec.health.mode: None).");
        }
        if !prefix.is_empty() {
            self.screen.say(&format!("The namespaces belong to the demo. Their names start with {prefix}."));
        }
        Ok(())
    }

    /// Waits until every Service that Pods stand behind has an endpoint; returns how many Services have.
    async fn wait_for_endpoints(&self) -> Result<usize> {
        let slices: Api<EndpointSlice> = Api::all(self.stage.client().clone());
        let wanted = self.stack.services.len();
        eventually("every Service has an endpoint", async || {
            let all = slices.list(&ListParams::default().labels("kubernetes.io/service-name")).await?;
            let published = all.iter().filter(|slice| !slice.endpoints.is_empty());
            let label = |slice: &EndpointSlice| {
                Some((slice.namespace()?, slice.labels().get("kubernetes.io/service-name")?.clone()))
            };
            let services: std::collections::BTreeSet<_> = published.filter_map(label).collect();
            anyhow::ensure!(services.len() >= wanted, "{} of {wanted}", services.len());
            Ok(services.len())
        })
        .await
    }

    pub(super) async fn start_operator(&mut self) -> Result<Controller> {
        self.screen.step("Start the operator");
        let namespaces = if self.stage.is_own() {
            ""
        } else {
            " --watch-namespaces=toolset-demo-… --config-namespaces=toolset-demo-…"
        };
        let records = self.records.iter().map(|records| format!("--audit-url={}", records.url())).collect::<Vec<_>>();
        let flags = records.iter().fold(namespaces.to_owned(), |flags, flag| flags + " " + flag);
        self.screen.command(&format!("toolset-controller{flags}"));
        let started = Instant::now();
        let controller = self.stage.start_controller(self.stack, records).await?;
        self.screen.done(&format!(
            "ready after {}. It has listed all Services, and it writes nothing without a ToolsetConfig",
            time(started.elapsed())
        ));
        Ok(controller)
    }

    /// Everything that needs the operator.
    pub(super) async fn rest(&mut self, controller: &mut Controller, keep: bool) -> Result<()> {
        let mut sightings = Sightings::watch(self.stage.client(), self.stack.agent_namespace());
        self.apply_config(&mut sightings).await?;
        self.show_config_map().await?;
        self.show_result().await?;
        self.change_things(&mut sightings).await?;
        if let Some(records) = &self.records {
            records.show(self.screen, &self.stack.grafana.name_any()).await?;
        }
        self.explain().await?;
        if keep { self.keep_running(controller).await } else { Ok(()) }
    }

    async fn apply_config(&mut self, sightings: &mut Sightings) -> Result<()> {
        let namespace = self.stack.agent_namespace();
        self.screen.step("Create a ToolsetConfig: which namespaces to search, and which to trust");
        self.screen.command(&format!("{} apply -f examples/toolsetconfig.yaml", self.stage.kubectl()));
        self.screen.block(&self.stack.config_text, Ink::Dim);
        self.stack.create_config(self.stage.client()).await?;
        let acknowledged = Instant::now();
        let written = sightings.next("the ConfigMap is written", |config_map| config_map.is_some()).await?;
        let took = super::sightings::since(acknowledged, &written);
        self.screen
            .done(&format!("the operator wrote the ConfigMap after {}", self.screen.paint(Ink::Good, &time(took))));

        let configs = toolset_configs(self.stage.client(), namespace);
        present(&configs, self.stack.config_name(), "the ToolsetConfig is Ready", |config| {
            condition(config, "Ready").is_some_and(|(status, _)| status == "True")
        })
        .await?;
        self.show_kubectl(&["get", "tsc", "-n", namespace]).await
    }

    async fn show_config_map(&mut self) -> Result<()> {
        let namespace = self.stack.agent_namespace();
        self.screen.step("The file that the agent loads");
        let path = format!("jsonpath={{.data.{}}}", FILE.replace('.', "\\."));
        self.screen.command(&format!(
            "{} get configmap {DEFAULT_CONFIG_MAP} -n {namespace} -o '{path}'",
            self.stage.kubectl()
        ));
        let arguments = ["get", "configmap", DEFAULT_CONFIG_MAP, "-n", namespace, "-o", path.as_str()];
        let file = self.stage.programs().kubectl(self.stage.kubeconfig(), &arguments).await?;
        let entries = excerpt::entries(&file);
        self.screen.block(&excerpt::of(&file, &["prometheus/metrics", "grafana/loki"]), Ink::Plain);
        self.screen.done(&format!("the file has {} entries:", entries.len()));
        self.screen.aside(&entries.join(", "));
        Ok(())
    }

    async fn show_result(&mut self) -> Result<()> {
        let configs = toolset_configs(self.stage.client(), self.stack.agent_namespace());
        let config = configs.get(self.stack.config_name()).await?;
        let status = &config.data["status"];
        let rows = |list: &str, row: fn(&Value) -> Vec<(Ink, String)>| -> Vec<Vec<(Ink, String)>> {
            status[list].as_array().into_iter().flatten().map(row).collect()
        };
        self.screen.step("Which Services became tools, which did not, and why");
        self.screen.command(&format!("kubectl toolset render --live{}", self.stage.context_flag()));
        self.screen.table(
            &["TOOL", "ENDPOINT"],
            &rows("tools", |tool| vec![(Ink::Good, text(tool, "type")), (Ink::Plain, text(tool, "endpoint"))]),
        );
        self.screen.gap();
        self.screen.table(
            &["RECOGNISED, NOT TAKEN", "REASON", "MESSAGE"],
            &rows("rejected", |one| {
                vec![
                    (Ink::Plain, format!("{}/{}", text(one, "namespace"), text(one, "service"))),
                    (Ink::Warn, text(one, "reason")),
                    (Ink::Dim, text(one, "message")),
                ]
            }),
        );
        Ok(())
    }

    async fn change_things(&mut self, sightings: &mut Sightings) -> Result<()> {
        let (client, namespace) = (self.stage.client().clone(), self.stack.agent_namespace());
        let kubectl = self.stage.kubectl();
        self.screen.step("Change something, and measure how long the operator takes");
        self.screen.say(
            "Each time is from the moment the API server confirms the change to the watch event of the updated ConfigMap.",
        );
        if !self.optimised {
            self.screen
                .say("This build of the operator is not optimised. With --release, it reacts several times faster.");
        }

        self.screen.gap();
        self.screen.say("A Grafana is installed:");
        self.screen.command(&format!("{kubectl} apply -f examples/grafana.yaml"));
        tokio::time::sleep(PAUSE).await;
        let with_pod = self.stage.can_play_pods();
        let added = changes::add_service(&client, sightings, &self.stack.grafana, with_pod).await?;
        let entry = excerpt::naming(&added.file, &self.stack.grafana.name_any());
        self.screen.block(&prefixed("+ ", &entry), Ink::Good);
        self.answered("added to the ConfigMap", &added);

        self.screen.gap();
        self.screen.say("A user edits the ConfigMap:");
        self.screen.command(&format!("{kubectl} edit configmap {DEFAULT_CONFIG_MAP} -n {namespace}"));
        tokio::time::sleep(PAUSE).await;
        let edited = changes::edit_by_hand(&client, sightings, namespace).await?;
        let right = changes::prometheus_url(&edited.file).unwrap_or_default().to_owned();
        self.screen.block(&format!("- prometheus_url: {right}"), Ink::Dim);
        self.screen.block(&format!("+ prometheus_url: {WRONG}"), Ink::Bad);
        self.answered("reverted", &edited);

        self.screen.gap();
        self.screen.say("A user deletes the ConfigMap:");
        self.screen.command(&format!("{kubectl} delete configmap {DEFAULT_CONFIG_MAP} -n {namespace}"));
        tokio::time::sleep(PAUSE).await;
        let deleted = changes::delete(&client, sightings, namespace).await?;
        self.answered("created again with the same content", &deleted);
        self.screen.gap();
        self.show_kubectl(&["get", "tsc", "-n", namespace]).await
    }

    fn answered(&self, what: &str, answer: &Answer) {
        let took = self.screen.paint(Ink::Good, &time(answer.took));
        let endpoints = answer.endpoints.map_or_else(String::new, |endpoints| {
            format!(" (Kubernetes published its endpoints after {})", time(endpoints.min(answer.took)))
        });
        self.screen.done(&format!("{what} after {took}{endpoints}"));
    }

    async fn explain(&mut self) -> Result<()> {
        let namespace = format!("{}monitoring", self.stage.prefix());
        let config = format!("{}/{}", self.stack.agent_namespace(), self.stack.config_name());
        self.screen.step("Explain why the Thanos store is not a tool");
        let arguments = ["explain", "thanos-storegateway", "-n", namespace.as_str(), "--live"];
        self.screen.command(&format!("kubectl toolset {}{}", arguments.join(" "), self.stage.context_flag()));
        let arguments = [&arguments[..], &["--config", config.as_str()]].concat();
        let said = self.stage.programs().toolset(self.stage.kubeconfig(), self.screen.colour(), &arguments).await?;
        self.screen.painted(&said);
        Ok(())
    }

    async fn keep_running(&mut self, controller: &mut Controller) -> Result<()> {
        let kubectl = self.stage.kubectl();
        self.screen.heading("Everything is still running. In another terminal, run:");
        self.screen.gap();
        for line in super::keep::environment(self.stage)? {
            // Never cut: it is there to be copied.
            self.screen.painted(&self.screen.paint(Ink::Name, &line));
        }
        self.screen.gap();
        let rows: Vec<_> =
            super::keep::ideas(&kubectl, &self.stage.context_flag(), self.stack, &controller.metrics_url())
                .into_iter()
                .chain(self.records.iter().flat_map(Records::ideas))
                .map(|(command, what)| vec![(Ink::Name, command), (Ink::Dim, what)])
                .collect();
        self.screen.table(&[], &rows);
        self.screen.gap();
        self.screen.say("Press Ctrl-C to stop it and to remove everything.");
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.stage.require_running()?;
            controller.process().require_running()?;
            self.records.as_mut().map_or(Ok(()), Records::require_running)?;
        }
    }

    async fn show_kubectl(&mut self, arguments: &[&str]) -> Result<()> {
        self.screen.command(&format!("{} {}", self.stage.kubectl(), arguments.join(" ")));
        let said = self.stage.programs().kubectl(self.stage.kubeconfig(), arguments).await;
        self.screen.block(&said.context("kubectl")?, Ink::Plain);
        Ok(())
    }
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

fn prefixed(prefix: &str, text: &str) -> String {
    text.lines().map(|line| format!("{prefix}{line}")).collect::<Vec<_>>().join("\n")
}
