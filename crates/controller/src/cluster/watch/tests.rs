//! A whole watch, in front of an API server that is slow or does not work.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    body::Body as AnswerBody,
    http::{Request, Response},
};
use crd_types::ToolsetConfig;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::service_fn;

use super::*;
use crate::{
    api::NamespacedName,
    cluster::{Scope, ToolsetConfigs},
};

/// Counts the lists that are complete and their objects.
#[derive(Clone, Default)]
struct Counter {
    objects: Arc<AtomicUsize>,
    lists: Arc<AtomicUsize>,
}

impl Feed for Counter {
    type Object = ConfigMap;

    fn begin(&mut self) {
        self.objects.store(0, Ordering::Relaxed);
    }

    fn collect(&mut self, _: ConfigMap) {
        self.objects.fetch_add(1, Ordering::Relaxed);
    }

    fn complete(&mut self, _: Instant) {
        self.lists.fetch_add(1, Ordering::Relaxed);
    }

    fn applied(&mut self, _: ConfigMap, _: Instant) {}

    fn deleted(&mut self, _: ConfigMap, _: Instant) {}
}

/// A watch of Services that runs, and a ToolsetConfig that needs it.
struct Stage {
    watch: Watch,
    lists: Arc<AtomicUsize>,
    objects: Arc<AtomicUsize>,
}

impl Stage {
    fn set(answer: impl Fn(&str) -> (u16, Value) + Send + Clone + 'static, takes: Duration) -> Self {
        let (toolset_configs, _) = ToolsetConfigs::new();
        let config: ToolsetConfig = serde_json::from_value(json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
            "metadata": {"name": "c", "namespace": "n", "uid": "u", "resourceVersion": "1"},
            "spec": {"sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}]}
        }))
        .unwrap();
        let object = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        toolset_configs.apply(&NamespacedName::new("n", "c"), &object).unwrap();
        let id = WatchId::all(Input::Service);
        let cluster = Arc::new(Cluster::new(Scope::default(), toolset_configs));
        cluster.watches.started(&id, Instant::now());
        let watch = Watch { id, cluster, triggers: Arc::default(), metrics: Arc::new(Metrics::new()) };
        let counter = Counter::default();
        let Counter { objects, lists } = counter.clone();
        let service = service_fn(move |request: Request<Body>| {
            let answer = answer.clone();
            async move {
                let query = request.uri().query().unwrap_or_default().to_owned();
                if query.contains("watch=true") {
                    std::future::pending::<()>().await;
                }
                sleep(takes).await;
                let (status, body) = answer(&query);
                Ok::<_, Infallible>(
                    Response::builder().status(status).body(AnswerBody::from(body.to_string())).unwrap(),
                )
            }
        });
        tokio::spawn(watch.clone().run(Client::new(service, "default"), Api::default_namespaced, counter));
        Self { watch, lists, objects }
    }

    fn health(&self) -> WatchHealth {
        self.watch.cluster.watches.input_health(Input::Service, Instant::now()).health
    }

    /// Whether the ToolsetConfig was triggered since the last question.
    fn triggered(&self) -> bool {
        self.watch.triggers.of(&NamespacedName::new("n", "c")).reconcile_needed().now_or_never().is_some()
    }
}

/// A page of one object. The list has 20 pages.
fn page(query: &str) -> (u16, Value) {
    let number = query.split('&').find_map(|part| part.strip_prefix("continue=")).map_or(0, |at| at.parse().unwrap());
    let next = if number < 19 { (number + 1).to_string() } else { String::new() };
    let items = [json!({"metadata": {"name": format!("c{number}"), "resourceVersion": "1"}})];
    let metadata = json!({"resourceVersion": "1", "continue": next});
    (200, json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": items}))
}

#[tokio::test(start_paused = true)]
async fn a_list_that_takes_longer_than_a_watch_may_be_silent_completes() {
    let stage = Stage::set(page, Duration::from_secs(20));
    stage.triggered();
    sleep(Duration::from_secs(390)).await;
    assert_eq!((stage.lists.load(Ordering::Relaxed), stage.health()), (0, WatchHealth::Pending));
    assert!(!stage.triggered(), "nothing has changed");
    sleep(Duration::from_secs(20)).await;
    assert_eq!((stage.lists.load(Ordering::Relaxed), stage.objects.load(Ordering::Relaxed)), (1, 20));
    assert_eq!(stage.health(), WatchHealth::Synced);
    assert!(stage.triggered());
}

#[tokio::test(start_paused = true)]
async fn a_first_list_that_fails_triggers_the_dependents_after_10_seconds_and_not_again() {
    let status = |code: u16| json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": format!("no {code}"), "code": code});
    let answers =
        [(401, status(401)), (500, status(500)), (503, status(503)), (404, status(404)), (200, json!("<html>"))];
    for (code, body) in answers {
        let stage = Stage::set(move |_| (code, body.clone()), Duration::ZERO);
        stage.triggered();
        sleep(Duration::from_secs(9)).await;
        assert_eq!((stage.health(), stage.triggered()), (WatchHealth::Pending, false), "{code}");
        sleep(Duration::from_secs(2)).await;
        assert_eq!((stage.health(), stage.triggered()), (WatchHealth::Stale, true), "{code}");
        sleep(Duration::from_secs(160)).await;
        assert!(!stage.triggered(), "{code}");
    }
}
