//! Installing CustomResourceDefinitions.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{conditions::is_crd_established, wait::await_condition},
};

const ESTABLISHED: Duration = Duration::from_secs(60);

/// Where the project keeps its own.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds")
}

/// Applies every YAML file of a folder and waits until the API server serves the new kinds.
pub async fn install(client: &Client, folder: &Path) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    try_join_all(read(folder)?.iter().map(|crd| apply(&api, crd))).await?;
    Ok(())
}

async fn apply(api: &Api<CustomResourceDefinition>, crd: &CustomResourceDefinition) -> Result<()> {
    let name = crd.name_any();
    let params = PatchParams::apply("toolset-e2e").force();
    api.patch(&name, &params, &Patch::Apply(crd)).await.with_context(|| format!("cannot install the CRD {name}"))?;
    tokio::time::timeout(ESTABLISHED, await_condition(api.clone(), &name, is_crd_established()))
        .await
        .with_context(|| format!("the CRD {name} is not established after {ESTABLISHED:?}"))??;
    Ok(())
}

fn read(folder: &Path) -> Result<Vec<CustomResourceDefinition>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut crds = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let yaml = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let documents: Vec<CustomResourceDefinition> = serde_saphyr::from_multiple(&yaml)
                .with_context(|| format!("{} is no CustomResourceDefinition", path.display()))?;
            crds.extend(documents);
        }
    }
    Ok(crds)
}
