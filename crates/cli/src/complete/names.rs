//! Names from the cluster. A failure gives no names, because nobody reads messages while completing.

use std::{fmt::Debug, time::Duration};

use crd_types::ToolsetConfig;
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::{Api, Client, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;

use super::{Names, What};
use crate::{
    args::Cluster,
    failure::Failure,
    live::{self, Reach},
};

/// How long a user waits for names.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most names that are listed.
const MOST: u32 = 500;

/// The names of the cluster.
pub(super) struct Live;

impl Names for Live {
    fn of(&self, what: What, cluster: &Cluster) -> Vec<String> {
        if what == What::Contexts {
            return live::contexts(cluster).unwrap_or_default();
        }
        let names =
            async { tokio::time::timeout(PATIENCE, ask(what, cluster)).await.unwrap_or_else(|_| Ok(Vec::new())) };
        let mut names = live::block_on(names).unwrap_or_default();
        names.sort();
        names
    }
}

async fn ask(what: What, cluster: &Cluster) -> Result<Vec<String>, Failure> {
    let client = live::connect(&Cluster { request_timeout: PATIENCE, ..cluster.clone() }).await?;
    let here = client.default_namespace().to_owned();
    match what {
        What::Services => list(Api::<Service>::namespaced(client, &here)).await,
        What::Namespaces => list(Api::<Namespace>::all(client)).await,
        What::ToolsetConfigsHere => list(Api::<ToolsetConfig>::namespaced(client, &here)).await,
        What::ToolsetConfigs => all_configs(&client).await,
        What::Contexts => Ok(Vec::new()),
    }
}

async fn list<K>(api: Api<K>) -> Result<Vec<String>, Failure>
where
    K: Clone + Debug + DeserializeOwned + Resource<DynamicType = ()>,
{
    let params = ListParams::default().limit(MOST);
    let all = api.list_metadata(&params).await.map_err(|error| live::refused("names", &error))?;
    Ok(all.iter().map(ResourceExt::name_any).collect())
}

async fn all_configs(client: &Client) -> Result<Vec<String>, Failure> {
    let all = Reach::new(client, None).list::<ToolsetConfig>("ToolsetConfigs").await?;
    Ok(all.iter().map(|one| format!("{}/{}", one.namespace().unwrap_or_default(), one.name_any())).collect())
}
