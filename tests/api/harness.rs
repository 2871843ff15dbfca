//! The harness behaves as the other tests expect.

use std::{env, io::Write as _, time::Duration};

use anyhow::{Result, bail, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{Backend, net::Network, prelude::*, services},
};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Service},
    discovery::v1::{Endpoint, EndpointSlice},
};
use kube::{Api, api::ListParams};

/// Prints that a test was not run, without libtest's capture. Fails in CI, which must run all tests.
pub(crate) fn skipped(reason: &str) -> Result<()> {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    if env::var_os("CI").is_some_and(|ci| !ci.is_empty()) {
        bail!("cannot run: {reason}");
    }
    writeln!(std::io::stderr(), "SKIPPED {test}: {reason}")?;
    Ok(())
}

/// Reports that a test needs a network of its own, which this machine does not allow. It fails only where a network is
/// required, because a machine that runs all other tests can be without these rights.
pub(crate) fn without_network() -> Result<()> {
    if env::var_os("TOOLSET_TEST_NETWORK").is_some_and(|value| value == "required") {
        bail!("cannot run: {}", Network::NEEDS);
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    writeln!(std::io::stderr(), "SKIPPED {test}: {}", Network::NEEDS)?;
    Ok(())
}

/// Waits until the Service's only endpoint is as `condition` says; `None` is no endpoint at all.
async fn endpoint(
    world: &World,
    namespace: &str,
    what: &str,
    condition: impl Fn(Option<&Endpoint>) -> bool,
) -> Result<()> {
    let slices: Api<EndpointSlice> = world.api(namespace);
    let of_service = ListParams::default().labels("kubernetes.io/service-name=grafana");
    eventually(what, async || {
        let list = slices.list(&of_service).await?;
        let endpoints: Vec<_> = list.items.iter().flat_map(|slice| &slice.endpoints).collect();
        ensure!(endpoints.len() < 2 && condition(endpoints.first().copied()), "endpoints are {endpoints:?}");
        Ok(())
    })
    .await
}

fn serving(endpoint: Option<&Endpoint>) -> Option<(bool, bool)> {
    let conditions = endpoint?.conditions.as_ref()?;
    Some((conditions.serving.unwrap_or(true), conditions.terminating.unwrap_or(false)))
}

async fn grafana_with_a_pod(world: &mut World) -> Result<(String, Backend)> {
    let apps = world.namespace("apps").await?;
    let service: Service = world.create(&services::grafana(&apps)).await?;
    let backend = world.backend(&service).await?;
    Ok((apps, backend))
}

#[tokio::test]
async fn a_pod_that_is_said_to_be_ready_is_a_serving_endpoint() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("pods", async |world| {
        let (apps, backend) = grafana_with_a_pod(world).await?;
        endpoint(world, &apps, "it serves", |seen| serving(seen) == Some((true, false))).await?;
        backend.set_ready(false).await?;
        endpoint(world, &apps, "it does not serve", |seen| serving(seen) == Some((false, false))).await?;
        backend.set_ready(true).await?;
        endpoint(world, &apps, "it serves again", |seen| serving(seen) == Some((true, false))).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deleted_pod_terminates_while_its_containers_run_and_is_then_gone() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("pods", async |world| {
        let (apps, backend) = grafana_with_a_pod(world).await?;
        backend.terminate().await?;
        endpoint(world, &apps, "it terminates", |seen| serving(seen) == Some((true, true))).await?;
        backend.delete().await?;
        endpoint(world, &apps, "it is gone", |seen| seen.is_none()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deadline_says_what_was_waited_for_and_what_was_there() {
    let error = within(Duration::from_millis(1), "three of them", async || -> Result<()> { bail!("there are two") })
        .await
        .unwrap_err();
    assert_eq!(format!("{error:#}"), "not within 1ms: three of them: there are two");
}

#[tokio::test]
async fn what_stops_holding_is_reported() {
    let mut asked = 0;
    let error = holds(Duration::from_secs(30), "fewer than three", async || {
        asked += 1;
        ensure!(asked < 3, "asked {asked} times");
        Ok(())
    })
    .await
    .unwrap_err();
    let text = format!("{error:#}");
    assert!(text.ends_with("no longer: fewer than three: asked 3 times"), "{text}");
}

#[tokio::test]
async fn a_failed_scenario_passes_its_error_on() -> Result<()> {
    let outcome = scenario("fails", async |world| {
        let apps = world.namespace("apps").await?;
        let config_maps: Api<ConfigMap> = world.api(&apps);
        config_maps.get("nothing").await?;
        Ok(())
    })
    .await;
    assert!(outcome.unwrap_err().to_string().contains("\"nothing\" not found"));
    Ok(())
}
