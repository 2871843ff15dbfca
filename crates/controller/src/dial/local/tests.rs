use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::advance;
use tower::service_fn;

use super::*;

/// An API server that gives every request this answer, and the number of requests.
fn answering(status: u16, body: &Value) -> (Client, Arc<AtomicUsize>) {
    let (body, asked) = (body.to_string(), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    let service = service_fn(move |request: Request<Body>| {
        assert_eq!(request.uri().path(), "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes");
        count.fetch_add(1, Ordering::Relaxed);
        let response = Response::builder().status(status).body(Body::from(body.clone().into_bytes()));
        async move { Ok::<_, Infallible>(response.unwrap()) }
    });
    (Client::new(service, "default"), asked)
}

fn at(url: &str) -> ApiServer {
    ApiServer { url: url.to_owned(), is_watched: false }
}

fn slice() -> Value {
    let endpoints = json!([{"addresses": ["203.0.113.9", "::ffff:203.0.113.10"]}, {"addresses": ["fd00::9"]}]);
    json!({"metadata": {"name": "kubernetes"}, "addressType": "IPv4", "endpoints": endpoints})
}

#[tokio::test]
async fn the_api_server_in_every_spelling_and_the_operator_itself_are_never_called() {
    let reserved = reserved(&answering(200, &slice()).0, &at("https://10.96.0.1:443/")).await.unwrap();
    for address in ["203.0.113.9", "203.0.113.10", "fd00::9", "10.96.0.1"] {
        assert!(reserved.check(address.parse().unwrap()).is_err(), "{address}");
    }
    assert!(reserved.own.is_superset(&own_addresses()));
}

#[tokio::test]
async fn without_the_addresses_of_the_api_server_the_lookup_fails() {
    let status = json!({"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no"});
    let error = reserved(&answering(403, &status).0, &at("https://10.96.0.1")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no. Grant get on the EndpointSlice kubernetes in the namespace default, as the Helm chart does"
    );
    let error = reserved(&answering(200, &slice()).0, &at("https://nosuch.invalid")).await.unwrap_err();
    assert!(error.to_string().starts_with("nosuch.invalid cannot be resolved"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_addresses_are_read_again_after_a_minute() {
    let (client, asked) = answering(200, &slice());
    let known = Known::new(client, at("https://10.96.0.1"));
    known.reserved().await.unwrap();
    known.reserved().await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    advance(MAX_AGE).await;
    known.reserved().await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn addresses_that_are_too_old_do_not_count() {
    let (client, asked) = answering(503, &json!({"kind": "Status", "code": 503}));
    let known = Known::new(client, at("https://10.96.0.1"));
    *known.last.lock().await = Some((Instant::now(), Arc::default()));
    assert!(known.reserved().await.is_ok());
    advance(MAX_AGE).await;
    assert!(known.reserved().await.is_err());
    assert!(asked.load(Ordering::Relaxed) > 0);
}

#[test]
fn local_addresses_are_read_from_the_routing_table() {
    let table = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.244.1.7\n        \
                 /32 host LOCAL\n     |-- 10.244.1.255\n        /32 link BROADCAST\n";
    assert_eq!(v4_addresses(table), BTreeSet::from(["10.244.1.7".parse().unwrap()]));
    let interfaces = "fd000010024400000000000000000007 02 40 00 80     eth0\nshort 1\n";
    assert_eq!(v6_addresses(interfaces), BTreeSet::from(["fd00:10:244::7".parse().unwrap()]));
}

#[test]
fn this_machine_has_a_loopback_address() {
    assert!(own_addresses().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
}

#[test]
fn the_source_address_towards_another_address_is_found_without_a_packet() {
    // Nothing listens there.
    assert_eq!(source_towards(IpAddr::V4(Ipv4Addr::LOCALHOST)), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
}

#[tokio::test]
async fn the_api_servers_address_is_that_of_the_url() {
    for (url, expected) in [
        ("https://10.96.0.1:443/", "10.96.0.1"),
        ("https://[fd00::1]:6443", "fd00::1"),
        ("https://[::ffff:10.96.0.1]/prefix", "10.96.0.1"),
    ] {
        assert!(api_server_addresses(url).await.unwrap().contains(&expected.parse().unwrap()), "{url}");
    }
    assert!(!api_server_addresses("https://localhost:1").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_name_of_the_api_server_that_cannot_be_resolved_is_an_error() {
    for (url, expected) in [("https://nosuch.invalid:443", "nosuch.invalid"), ("nonsense", "nonsense")] {
        assert_eq!(api_server_addresses(url).await, Err(expected.to_owned()));
    }
}
