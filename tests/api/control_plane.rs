//! The control plane behaves as the other tests expect.

use anyhow::{Result, ensure};
use e2e::{
    controlplane::{Options, client, controllers_run},
    harness::{prelude::*, services},
};
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Namespace, Service, ServiceAccount},
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams},
};
use serde_json::{from_value, json};

use crate::harness::skipped;

fn config_map(namespace: &str, name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

#[tokio::test]
async fn namespaces_of_one_scenario_are_its_own_and_go_with_it() -> Result<()> {
    let mut created = String::new();
    scenario("same", async |one| {
        scenario("same", async |other| {
            created = one.namespace("apps").await?;
            assert_ne!(created, other.namespace("apps").await?);
            Ok(())
        })
        .await?;
        let namespaces: Api<Namespace> = Api::all(one.client());
        present(&namespaces, &created, "is active", |found| {
            found.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Active")
        })
        .await?;
        Ok(())
    })
    .await?;

    scenario("after", async |world| {
        let namespaces: Api<Namespace> = Api::all(world.client());
        eventually("the namespace is deleted", async || {
            let left = namespaces.get_opt(&created).await?;
            ensure!(left.is_none_or(|found| found.metadata.deletion_timestamp.is_some()), "nobody deletes it");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn dependents_are_garbage_collected_after_their_owner() -> Result<()> {
    if !controllers_run() {
        return skipped("garbage collection needs kube-controller-manager");
    }
    scenario("collected", async |world| {
        let apps = world.namespace("apps").await?;
        let owner = world.configure(&apps, "owner", &trusted_names(&[&apps])).await?;
        let mut dependent = config_map(&apps, "owned");
        dependent.metadata.owner_references = Some(vec![OwnerReference {
            api_version: "toolset.kubernaut.io/v1alpha1".to_owned(),
            kind: "ToolsetConfig".to_owned(),
            name: owner.name_any(),
            uid: owner.uid().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]);
        world.create(&dependent).await?;
        world.create(&config_map(&apps, "free")).await?;

        toolset_configs(&world.client(), &apps).delete("owner", &DeleteParams::background()).await?;

        let config_maps: Api<ConfigMap> = world.api(&apps);
        absent(&config_maps, "owned").await?;
        present(&config_maps, "free", "stays", |_| true).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_account_may_do_what_its_role_grants_and_nothing_else() -> Result<()> {
    scenario("rbac", async |world| {
        let apps = world.namespace("apps").await?;
        let account: ServiceAccount = from_value(json!({"metadata": {"namespace": apps, "name": "reader"}}))?;
        world.create(&account).await?;
        let kubeconfig = world.folder().join("reader");
        world.cluster().service_account_kubeconfig(&apps, "reader", &kubeconfig).await?;
        let reader = client(&kubeconfig).await?;

        let config_maps: Api<ConfigMap> = Api::namespaced(reader.clone(), &apps);
        let refused = config_maps.list(&ListParams::default()).await.unwrap_err();
        assert!(refused.to_string().contains(&format!("system:serviceaccount:{apps}:reader")), "{refused}");

        let role: Role = from_value(json!({
            "metadata": {"namespace": apps, "name": "reader"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
        }))?;
        let binding: RoleBinding = from_value(json!({
            "metadata": {"namespace": apps, "name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": apps}],
        }))?;
        world.create(&role).await?;
        world.create(&binding).await?;
        eventually("the role is in force", async || Ok(config_maps.list(&ListParams::default()).await?)).await?;

        let services: Api<Service> = Api::namespaced(reader, &apps);
        assert!(services.list(&ListParams::default()).await.is_err());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_applied_object_that_is_the_same_keeps_its_resource_version() -> Result<()> {
    scenario("apply", async |world| {
        let apps = world.namespace("apps").await?;
        let config_maps: Api<ConfigMap> = world.api(&apps);
        let params = PatchParams::apply("one").force();
        let wanted = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"key": "value"},
        });

        let first = config_maps.patch("applied", &params, &Patch::Apply(&wanted)).await?;
        let second = config_maps.patch("applied", &params, &Patch::Apply(&wanted)).await?;
        assert_eq!(first.resource_version(), second.resource_version());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_stopped_api_server_comes_back_at_its_address_with_its_data() -> Result<()> {
    isolated("restart", Options { crds: None, ..Options::default() }, async |world, plane| {
        let apps = world.namespace("apps").await?;
        let before = world.create(&config_map(&apps, "kept")).await?;
        let config_maps: Api<ConfigMap> = world.api(&apps);

        plane.stop_apiserver()?;
        assert!(config_maps.get("kept").await.is_err());
        plane.start_apiserver().await?;

        assert_eq!(config_maps.get("kept").await?.uid(), before.uid());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_audit_log_names_who_did_what() -> Result<()> {
    let options = Options { audit_log: true, ..Options::default() };
    isolated("audit", options, async |world, plane| {
        let apps = world.namespace("apps").await?;
        world.create(&services::grafana(&apps)).await?;

        eventually("the audit log has the request", async || {
            let requests = plane.audited_requests()?;
            let created = requests.iter().find(|request| {
                request.verb == "create" && request.resource == "services" && request.namespace == apps
            });
            ensure!(created.is_some_and(|request| request.user == "admin" && request.code == 201), "{created:?}");
            Ok(())
        })
        .await
    })
    .await
}
