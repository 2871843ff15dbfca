//! What the user may list: objects of all namespaces, or only of one.

use std::fmt::Debug;

use k8s_openapi::{NamespaceResourceScope, api::core::v1::Namespace};
use kube::{Api, Client, Resource, api::ListParams};
use serde::de::DeserializeOwned;

use super::{of_request, refused};
use crate::failure::Failure;

/// The maximum number of objects in one page of a list.
const PAGE: u32 = 500;

/// Lists objects as far as the user may. It remembers what could not be listed in all namespaces.
pub(crate) struct Reach<'a> {
    pub client: &'a Client,
    /// The namespace to read if the user may not read all of them.
    pub namespace: String,
    /// The kinds that were listed in one namespace only.
    restricted: Vec<&'static str>,
}

impl<'a> Reach<'a> {
    /// By default, the namespace is the one of the client.
    pub(crate) fn new(client: &'a Client, namespace: Option<&str>) -> Self {
        let namespace = namespace.unwrap_or(client.default_namespace()).to_owned();
        Self { client, namespace, restricted: Vec::new() }
    }

    /// Lists the objects of a kind in all namespaces, or only in one if that is forbidden.
    pub(crate) async fn list<K>(&mut self, what: &'static str) -> Result<Vec<K>, Failure>
    where
        K: Clone + Debug + DeserializeOwned + Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        self.list_with(what, ListParams::default()).await
    }

    /// As `list`, for the objects that a label selector or a field selector selects.
    pub(crate) async fn list_with<K>(&mut self, what: &'static str, params: ListParams) -> Result<Vec<K>, Failure>
    where
        K: Clone + Debug + DeserializeOwned + Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let error = match pages(&Api::<K>::all(self.client.clone()), params.clone()).await {
            Ok(all) => return Ok(all),
            Err(error) => error,
        };
        if !is_forbidden(&error) {
            return Err(refused(what, &error));
        }
        let here = Api::<K>::namespaced(self.client.clone(), &self.namespace);
        let some = pages(&here, params).await.map_err(|_| refused(what, &error))?;
        self.restricted.push(what);
        Ok(some)
    }

    /// Lists the Namespaces, or gets the one that is read if the user may not list them.
    pub(crate) async fn namespaces(&self, notes: &mut Vec<String>) -> Result<Vec<Namespace>, Failure> {
        let api = Api::<Namespace>::all(self.client.clone());
        let error = match pages(&api, ListParams::default()).await {
            Ok(all) => return Ok(all),
            Err(error) => error,
        };
        if !is_forbidden(&error) {
            return Err(refused("Namespaces", &error));
        }
        let one = api.get_opt(&self.namespace).await.ok().flatten();
        notes.push(namespaces_note(&self.namespace, one.is_some(), &error));
        Ok(one.into_iter().collect())
    }

    /// What was not seen, and what that may change.
    pub(crate) fn note(&self) -> Option<String> {
        self.note_about(
            "objects of other namespaces are missing, so ranks, tool names and HeadlessTwin rejections can differ from what the operator reports",
        )
    }

    /// What was not seen, and this consequence.
    pub(crate) fn note_about(&self, consequence: &str) -> Option<String> {
        let (last, others) = self.restricted.split_last()?;
        let kinds = if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) };
        Some(format!(
            "only namespace {} was read, because you are not allowed to list {kinds} in all namespaces; {consequence}",
            self.namespace
        ))
    }
}

/// What follows if Namespaces cannot be listed. `seen` is whether the one namespace can be read.
pub(crate) fn namespaces_note(namespace: &str, seen: bool, error: &kube::Error) -> String {
    let seen = if seen { format!("only namespace {namespace}") } else { "none of them".to_owned() };
    let why = of_request(error);
    format!("Namespaces cannot be listed, so sources that select namespaces by labels see {seen}: {why}")
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// Lists all objects of one kind, page by page.
async fn pages<K>(api: &Api<K>, params: ListParams) -> kube::Result<Vec<K>>
where
    K: Clone + Debug + DeserializeOwned,
{
    let mut all = Vec::new();
    let mut params = params.limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(all),
        }
    }
}
