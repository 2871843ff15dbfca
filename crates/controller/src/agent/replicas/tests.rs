use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, from_value, json};
use toolset::convert;

use super::*;

/// The address of the Pod's node.
const NODE: &str = "192.168.0.7";

fn service(spec: &Value) -> ServiceView {
    let mut all = json!({
        "selector": {"app": "holmes"},
        "ports": [{"name": "http", "port": 80, "targetPort": 5050}, {"name": "dns", "port": 53, "protocol": "UDP"}],
    });
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let metadata = json!({"namespace": "holmes", "name": "holmes-holmes", "uid": "s1"});
    let service: Service = from_value(json!({"metadata": metadata, "spec": all})).unwrap();
    convert::service(&service.metadata, service.spec.as_ref())
}

fn slice(more: &Value) -> BackendSlice {
    let mut all = json!({
        "metadata": {
            "name": "holmes-holmes-x",
            "labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "holmes-holmes", "uid": "s1", "controller": true}],
        },
        "addressType": "IPv4",
        "endpoints": [endpoint("10.1.2.3", "p1")],
        "ports": [{"name": "http", "port": 5050, "protocol": "TCP"}],
    });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    from_value(all).unwrap()
}

fn endpoint(address: &str, pod: &str) -> Value {
    json!({"addresses": [address], "conditions": {"ready": true},
           "targetRef": {"kind": "Pod", "namespace": "holmes", "name": pod, "uid": format!("u-{pod}")}})
}

fn pod(more: &Value) -> BackendPod {
    let mut all = json!({
        "metadata": {"name": "p1", "uid": "u-p1", "labels": {"app": "holmes", "hash": "1"}},
        "spec": {"containers": [{"name": "holmes", "image": "robustadev/holmes:0.45.0", "ports": [{"containerPort": 5050}]}]},
        "status": {"podIPs": [{"ip": "10.1.2.3"}, {"ip": "fd00::3"}], "hostIP": NODE, "hostIPs": [{"ip": NODE}]},
    });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    from_value(all).unwrap()
}

fn found(slices: &[BackendSlice]) -> Candidates {
    let service = service(&json!({}));
    candidates(&service, port(&service, &PortRef::Number(80)).unwrap(), slices)
}

fn names(candidates: &Candidates) -> Vec<&str> {
    candidates.pods.iter().map(|candidate| candidate.pod.as_str()).collect()
}

/// The result for the Pod behind the addresses of these slices.
fn found_replica(slices: &[BackendSlice], pod: &BackendPod) -> Result<Replica, PodRefused> {
    let service = service(&json!({}));
    let port = port(&service, &PortRef::Number(80)).unwrap();
    let reserved =
        Reserved { api_server: ["10.96.0.1".parse().unwrap()].into(), own: ["10.1.9.9".parse().unwrap()].into() };
    replica(&found(slices).pods[0], pod, (&service, port), &reserved, None)
}

#[test]
fn a_port_is_found_by_name_and_by_number_if_it_is_tcp() {
    let service = service(&json!({}));
    let found = |wanted: &PortRef| port(&service, wanted).map(|port| port.port);
    assert_eq!(found(&PortRef::Number(80)), Some(80));
    assert_eq!(found(&PortRef::Name("http".to_owned())), Some(80));
    assert_eq!(found(&PortRef::Number(53)), None);
    assert_eq!(found(&PortRef::Number(5050)), None, "that is a port of the Pod");
    assert_eq!(found(&PortRef::Name("nosuch".to_owned())), None);
}

#[test]
fn a_service_that_leads_elsewhere_is_refused() {
    assert!(check_service(&service(&json!({}))).is_ok());
    for (spec, word) in [
        (json!({"type": "ExternalName", "externalName": "evil.example"}), "ExternalName"),
        (json!({"externalIPs": ["203.0.113.7"]}), "externalIPs"),
        (json!({"selector": null}), "selector"),
        (json!({"selector": {}}), "selector"),
    ] {
        let refused = service(&spec);
        assert!(check_service(&refused).unwrap_err().contains(word), "{spec}");
    }
}

#[test]
fn ready_addresses_of_pods_are_candidates() {
    let endpoints = json!([
        endpoint("10.1.2.3", "p1"),
        {"addresses": ["10.1.2.4"], "conditions": {"ready": false}, "targetRef": {"kind": "Pod", "namespace": "holmes", "name": "p2", "uid": "u"}},
        {"addresses": ["10.1.2.5"]},
        {"addresses": ["10.1.2.6"], "targetRef": {"kind": "Node", "namespace": "holmes", "name": "n", "uid": "u"}},
        {"addresses": ["10.1.2.7"], "targetRef": {"kind": "Pod", "namespace": "other", "name": "p", "uid": "u"}},
    ]);
    let found = found(&[slice(&json!({"endpoints": endpoints}))]);
    assert_eq!(names(&found), ["p1"]);
    assert_eq!(found.remarks.len(), 1, "{:?}", found.remarks);
}

#[test]
fn the_slice_of_a_stranger_is_ignored_and_reported() {
    let labels = |value: &str| json!({"endpointslice.kubernetes.io/managed-by": value});
    let owner = |uid: &str, controller: bool| json!([{"apiVersion": "v1", "kind": "Service", "name": "holmes-holmes", "uid": uid, "controller": controller}]);
    let ours = labels("endpointslice-controller.k8s.io");
    for metadata in [
        json!({"name": "x", "ownerReferences": owner("s1", true)}),
        json!({"name": "x", "labels": labels("somebody"), "ownerReferences": owner("s1", true)}),
        json!({"name": "x", "labels": ours}),
        json!({"name": "x", "labels": ours, "ownerReferences": owner("s0", true)}),
        json!({"name": "x", "labels": ours, "ownerReferences": owner("s1", false)}),
    ] {
        let strange = slice(&json!({"metadata": metadata, "endpoints": [endpoint("10.9.9.9", "evil")]}));
        let found = found(&[strange, slice(&json!({}))]);
        assert_eq!(names(&found), ["p1"], "{metadata}");
        assert!(found.remarks[0].starts_with("EndpointSlice x is ignored"), "{:?}", found.remarks);
    }
    let by_name = slice(&json!({"addressType": "FQDN", "endpoints": [endpoint("evil.example", "p1")]}));
    assert!(names(&found(&[by_name])).is_empty());
}

#[test]
fn a_pod_is_asked_at_its_own_address_once() {
    let v6 = slice(&json!({"addressType": "IPv6", "endpoints": [endpoint("fd00::3", "p1")]}));
    let both = [v6, slice(&json!({}))];
    assert_eq!(found(&both).pods.len(), 1);
    let replica = found_replica(&both, &pod(&json!({}))).unwrap();
    assert_eq!(replica.address, "10.1.2.3:5050".parse().unwrap());
    assert_eq!(replica.version, Ok(Version::parse("0.45.0").unwrap()));
}

#[test]
fn an_address_that_is_not_the_pods_or_that_is_never_called_is_refused() {
    let normal = slice(&json!({}));
    let at = |address: &str| slice(&json!({"endpoints": [endpoint(address, "p1")]}));
    let with_ip = |address: &str| pod(&json!({"status": {"podIPs": [{"ip": address}], "hostIP": NODE}}));
    let on_node = |status: Value| pod(&json!({"status": status}));
    for (slice, pod, word) in [
        (&normal, pod(&json!({"metadata": {"uid": "u-p1", "labels": {"app": "other"}}})), "selector"),
        (&normal, pod(&json!({"spec": {"hostNetwork": true}})), "node"),
        (&normal, on_node(json!({})), "address of its node"),
        (&normal, on_node(json!({"podIPs": [{"ip": "10.1.2.3"}]})), "address of its node"),
        (
            &normal,
            on_node(json!({"podIPs": [{"ip": "10.1.2.3"}], "hostIP": "10.1.2.3"})),
            "has the address of its node",
        ),
        (
            &normal,
            on_node(
                json!({"podIPs": [{"ip": "10.1.2.3"}], "hostIP": NODE, "hostIPs": [{"ip": NODE}, {"ip": "::ffff:10.1.2.3"}]}),
            ),
            "has the address of its node",
        ),
        (&normal, on_node(json!({"hostIP": NODE})), "does not have the address"),
        (&at("10.9.9.9"), pod(&json!({})), "does not have the address"),
        (&at("169.254.169.254"), with_ip("169.254.169.254"), "link-local"),
        (&at("::ffff:a9fe:a9fe"), with_ip("169.254.169.254"), "link-local"),
        (&at("127.0.0.1"), with_ip("127.0.0.1"), "loopback"),
        (&at("10.96.0.1"), with_ip("10.96.0.1"), "API server"),
        (&at("10.1.9.9"), with_ip("10.1.9.9"), "operator"),
        (&at("0251.0376.0251.0376"), with_ip("0251.0376.0251.0376"), "not a valid IP"),
    ] {
        let refused = found_replica(std::slice::from_ref(slice), &pod).unwrap_err().to_string();
        assert!(refused.contains(word), "{word}: {refused}");
    }
}

/// The result for this Pod if the Service's port leads to `target`, and a slice says `given`.
fn at_port(target: &Value, given: i32, spec: &Value) -> Result<SocketAddr, String> {
    let service = service(&json!({"ports": [{"name": "http", "port": 80, "targetPort": target}]}));
    let slice = slice(&json!({"ports": [{"name": "http", "port": given, "protocol": "TCP"}]}));
    let port = port(&service, &PortRef::Number(80)).unwrap();
    let found = candidates(&service, port, &[slice]);
    let replica = replica(&found.pods[0], &pod(&json!({"spec": spec})), (&service, port), &Reserved::default(), None);
    replica.map(|replica| replica.address).map_err(|why| why.to_string())
}

#[test]
fn the_port_is_the_services_and_a_slice_cannot_choose_another() {
    let named = json!({"containers": [
        {"name": "holmes", "ports": [{"name": "http", "containerPort": 53, "protocol": "UDP"}, {"name": "http", "containerPort": 5050}]},
        {"name": "other", "ports": [{"name": "metrics", "containerPort": 9090}]},
    ]});
    let sidecar = json!({"containers": [{"name": "holmes"}],
                         "initContainers": [{"name": "proxy", "restartPolicy": "Always", "ports": [{"name": "http", "containerPort": 5050}]}]});
    let expected: Result<SocketAddr, String> = Ok("10.1.2.3:5050".parse().unwrap());
    for (target, spec) in [(json!(5050), &named), (json!("http"), &named), (json!("http"), &sidecar)] {
        assert_eq!(at_port(&target, 5050, spec), expected, "{target}");
        for forged in [22, 9090, 65535] {
            let refused = at_port(&target, forged, spec).unwrap_err();
            assert!(refused.contains("has port 5050"), "{target} {forged}: {refused}");
        }
    }
    assert_eq!(at_port(&json!(80), 80, &named).map(|address| address.port()), Ok(80));
    let absent = at_port(&json!("nosuch"), 5050, &named).unwrap_err();
    assert!(absent.contains("does not have the targetPort"), "{absent}");
}

#[test]
fn a_slice_without_the_port_is_reported() {
    for ports in [json!([]), json!(null), json!([{"name": "other", "port": 5050}])] {
        let found = found(&[slice(&json!({"ports": ports}))]);
        assert!(found.pods.is_empty());
        assert!(found.remarks[0].contains("does not have the port http of the Service"), "{:?}", found.remarks);
    }
}

#[test]
fn a_proxy_beside_the_agent_does_not_decide_its_version() {
    let container =
        |name: &str, image: &str, port: u16| json!({"name": name, "image": image, "ports": [{"containerPort": port}]});
    let too_old = || Err(Unsupported::TooOld(Version::parse("0.44.0").unwrap()));
    let proxy = container("proxy", "quay.io/oauth2-proxy/oauth2-proxy:v7.6.0", 5050);
    for (containers, expected) in [
        (json!([proxy, container("holmes", "robustadev/holmes:0.44.0", 8000)]), too_old()),
        (json!([proxy, container("holmes", "mirror/agent:0.45.0", 8000)]), Ok(Version::parse("0.45.0").unwrap())),
        (
            json!([
                container("istio-proxy", "istio/proxyv2:1.29.0", 15090),
                container("main", "mirror/agent:0.45.0", 5050)
            ]),
            Ok(Version::parse("0.45.0").unwrap()),
        ),
        (json!([container("a", "x/a:1.0.0", 1), container("b", "x/b:1.0.0", 2)]), Err(Unsupported::Unknown)),
        (json!([container("a", "x/a:1.0.0", 5050), container("b", "x/b:1.0.0", 5050)]), Err(Unsupported::Unknown)),
        (
            json!([container("ui", "x/holmes-ui:1.4.0", 80), container("holmes", "mirror/agent:0.44.0", 5050)]),
            too_old(),
        ),
        (json!([container("ui", "x/holmes-ui:1.4.0", 80), container("main", "mirror/agent:0.44.0", 5050)]), too_old()),
        (
            json!([container("ui", "x/holmes-ui:1.4.0", 80), container("holmes", "mirror/agent:0.45.0", 5050)]),
            Err(Unsupported::Unknown),
        ),
    ] {
        let pod = pod(&json!({"spec": {"containers": containers}}));
        assert_eq!(found_replica(&[slice(&json!({}))], &pod).unwrap().version, expected);
    }
}

#[test]
fn the_image_that_runs_counts_as_well_as_the_one_in_the_spec() {
    let running = |image: &str| json!([{"name": "other", "image": "x:0.1.0"}, {"name": "holmes", "image": image}]);
    for (image, expected) in [
        ("docker.io/robustadev/holmes:0.45.0", Ok(Version::parse("0.45.0").unwrap())),
        ("sha256:0123456789abcdef", Ok(Version::parse("0.45.0").unwrap())),
        ("robustadev/holmes:0.44.0", Err(Unsupported::TooOld(Version::parse("0.44.0").unwrap()))),
    ] {
        let status = json!({"podIPs": [{"ip": "10.1.2.3"}], "hostIP": NODE, "containerStatuses": running(image)});
        assert_eq!(
            found_replica(&[slice(&json!({}))], &pod(&json!({"status": status}))).unwrap().version,
            expected,
            "{image}"
        );
    }
}
