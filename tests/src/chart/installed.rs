//! A release of a chart on a real API server, and the controller as its Deployment would run it.

use std::{ffi::OsString, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use k8s_openapi::api::{
    apps::v1::Deployment,
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, ServiceAccount},
};
use kube::{Api, api::PostParams};
use serde_json::Value;

use super::{Chart, Helm, OPERATOR, arguments};
use crate::{
    controlplane::ports,
    harness::{Controller, ControllerOptions, World},
};

/// The argument with the folder of the agents.
const AGENTS: &str = "--agents-dir=";
/// The argument with the file of the token for Data Storage.
const TOKEN: &str = "--audit-token-file=";

/// A release.
pub struct Release {
    helm: Helm,
    namespace: String,
    /// Values of every revision.
    always: String,
}

impl Release {
    /// The operator, to be installed into a namespace; nothing is yet. Its arguments name free ports of this machine.
    /// `None` where there is no Helm.
    pub fn new(world: &World, namespace: &str) -> Result<Option<Self>> {
        let (health, metrics) = (ports::free()?, ports::free()?);
        let addresses = format!("bindAddress: 127.0.0.1\nports: {{health: {health}, metrics: {metrics}}}\n");
        Self::of(OPERATOR, world, namespace, addresses)
    }

    /// A chart that is to be installed into a namespace, with values of every revision. `None` where there is no Helm.
    pub fn of(chart: Chart, world: &World, namespace: &str, always: String) -> Result<Option<Self>> {
        let Some(helm) = Helm::find_for(chart)? else { return Ok(None) };
        let helm = helm.with_kubeconfig(world.cluster().kubeconfig());
        Ok(Some(Self { helm, namespace: namespace.to_owned(), always }))
    }

    fn name(&self) -> &'static str {
        self.helm.chart().name
    }

    /// The ServiceAccount's user name, as the audit log has it.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name())
    }

    /// Installs with these values and returns Helm's words, NOTES included.
    pub fn install(&self, values: &str) -> Result<String> {
        self.helm_with("install", values)
    }

    /// Upgrades to these values, from nothing but the chart's defaults.
    pub fn upgrade(&self, values: &str) -> Result<String> {
        self.helm_with("upgrade", values)
    }

    /// Runs `helm test`, which waits until the Pod of the test has ended.
    pub fn test(&self) -> Result<String> {
        self.run(vec!["test".into(), self.name().into(), "--timeout".into(), "60s".into()])
    }

    /// Goes back to a revision.
    pub fn rollback(&self, revision: u32) -> Result<String> {
        self.run(vec!["rollback".into(), self.name().into(), revision.to_string().into()])
    }

    /// Uninstalls, and waits until what goes is gone.
    pub fn uninstall(&self) -> Result<String> {
        self.run(vec!["uninstall".into(), self.name().into(), "--wait".into()])
    }

    /// Starts the controller with exactly the arguments of the Deployment on the API server, and with a token of its
    /// ServiceAccount: no kubelet does it here. Only the mounted files are elsewhere. `environment` is added.
    pub async fn start_controller(&self, world: &mut World, environment: &[(String, String)]) -> Result<Controller> {
        let deployments: Api<Deployment> = world.api(&self.namespace);
        let deployment = serde_json::to_value(deployments.get(self.name()).await?)?;
        let account = deployment.pointer("/spec/template/spec/serviceAccountName").and_then(|name| name.as_str());
        let account = account.context("the Deployment names no ServiceAccount")?;
        let kubeconfig = world.folder().join("release.kubeconfig");
        world.cluster().service_account_kubeconfig(&self.namespace, account, &kubeconfig).await?;
        let mut exactly = arguments(&deployment)?;
        for argument in &mut exactly {
            if argument.starts_with(AGENTS) {
                *argument = format!("{AGENTS}{}", self.agents(world, &deployment).await?.display());
            }
            if argument.starts_with(TOKEN) {
                *argument = format!("{TOKEN}{}", self.token(world, &deployment, account).await?.display());
            }
        }
        let options = ControllerOptions {
            exactly: Some(exactly),
            kubeconfig: Some(kubeconfig),
            environment: environment.to_vec(),
            ..Default::default()
        };
        world.start_controller(options).await
    }

    /// A file with the token for Data Storage, as the kubelet would mount it.
    async fn token(&self, world: &World, deployment: &Value, account: &str) -> Result<PathBuf> {
        let audience =
            volume(deployment, "audit").and_then(|sources| sources[0].pointer("/serviceAccountToken/audience"));
        let audience = audience.and_then(Value::as_str).context("the Deployment mounts no token")?;
        let spec = TokenRequestSpec { audiences: vec![audience.to_owned()], ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let accounts: Api<ServiceAccount> = world.api(&self.namespace);
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await?;
        let file = world.folder().join("audit-token");
        fs::write(&file, answer.status.context("no token")?.token)?;
        Ok(file)
    }

    /// A folder with the list of agents, as the kubelet would mount it.
    async fn agents(&self, world: &World, deployment: &Value) -> Result<PathBuf> {
        let name = volume(deployment, "agents").and_then(|sources| sources[0].pointer("/configMap/name"));
        let name = name.and_then(Value::as_str).context("the Deployment mounts no list of agents")?;
        let config_maps: Api<ConfigMap> = world.api(&self.namespace);
        let config_map = config_maps.get(name).await?;
        let folder = world.folder().join("agents");
        fs::create_dir_all(&folder)?;
        for (name, content) in config_map.data.unwrap_or_default() {
            fs::write(folder.join(name), content)?;
        }
        Ok(folder)
    }

    fn helm_with(&self, verb: &str, values: &str) -> Result<String> {
        let file: PathBuf = self.helm.values(&format!("{}{values}", self.always))?;
        self.run(vec![
            verb.into(),
            self.name().into(),
            self.helm.chart().folder().into(),
            "--values".into(),
            file.into(),
        ])
    }

    fn run(&self, mut arguments: Vec<OsString>) -> Result<String> {
        arguments.extend(["--namespace".into(), OsString::from(&self.namespace)]);
        tokio::task::block_in_place(|| self.helm.run(arguments))
    }
}

/// The sources of a projected volume of the Deployment.
fn volume<'a>(deployment: &'a Value, name: &str) -> Option<&'a Value> {
    let volumes = deployment.pointer("/spec/template/spec/volumes")?.as_array()?;
    volumes.iter().find(|volume| volume["name"] == name)?.pointer("/projected/sources")
}
