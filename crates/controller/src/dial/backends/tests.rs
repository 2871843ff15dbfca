use k8s_openapi::api::core::v1::Service;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, from_value, json};

use super::*;

const NODE: &str = "192.168.0.7";
const OWN: &str = "10.1.9.9";
const API_SERVER: &str = "10.96.0.1";

fn view(target: &Value) -> ServiceView {
    let service: Service = from_value(json!({
        "metadata": {"namespace": "n", "name": "s", "uid": "of s"},
        "spec": {
            "selector": {"app": "a"},
            "ports": [{"name": "http", "port": 80, "targetPort": target}, {"name": "dns", "port": 53, "protocol": "UDP"}],
        },
    }))
    .unwrap();
    convert::service(&service.metadata, service.spec.as_ref())
}

fn slice(changes: &[(&str, Value)]) -> BackendSlice {
    let slice = json!({
        "metadata": {
            "name": "s-x",
            "labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "s", "uid": "of s", "controller": true}],
        },
        "addressType": "IPv4",
        "endpoints": [{
            "addresses": ["10.1.2.3"], "conditions": {"ready": true},
            "targetRef": {"kind": "Pod", "namespace": "n", "name": "p", "uid": "of p"},
        }],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    });
    from_value(changed(slice, changes)).unwrap()
}

fn pod(changes: &[(&str, Value)]) -> BackendPod {
    let pod = json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "of p", "labels": {"app": "a", "more": "b"}},
        "spec": {
            "hostNetwork": false,
            "containers": [{"name": "c", "ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}, {"name": "web", "containerPort": 8080}]}],
            "initContainers": [],
        },
        "status": {
            "phase": "Running", "podIPs": [{"ip": "10.1.2.3"}, {"ip": "fd00::3"}],
            "hostIP": NODE, "hostIPs": [{"ip": NODE}],
        },
    });
    from_value(changed(pod, changes)).unwrap()
}

fn changed(mut object: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        *object.pointer_mut(pointer).unwrap() = value.clone();
    }
    object
}

fn reserved() -> Reserved {
    Reserved { api_server: [parse(API_SERVER).unwrap()].into(), own: [parse(OWN).unwrap()].into() }
}

/// The addresses of the Pod behind these slices.
fn addresses(slices: &[BackendSlice], pod: &BackendPod) -> Result<Vec<String>, PodRefused> {
    let view = view(&json!("web"));
    let port = port_numbered(&view, 80).unwrap();
    let found = candidates(&view, port, slices, BackendEndpoint::is_serving);
    let found = found.pods[0].addresses(pod, &view, port, &reserved());
    found.map(|found| found.iter().map(ToString::to_string).collect())
}

/// Why the slice is ignored, if no Pod is left.
fn ignored(changes: &[(&str, Value)]) -> Vec<Ignored> {
    let view = view(&json!("web"));
    let found = candidates(&view, port_numbered(&view, 80).unwrap(), &[slice(changes)], BackendEndpoint::is_serving);
    assert!(found.pods.is_empty(), "{changes:?}");
    found.ignored.into_iter().map(|(_, why)| why).collect()
}

#[test]
fn only_slices_that_the_controller_created_for_the_current_service_count() {
    for (pointer, value, expected) in [
        ("/metadata/labels", json!({}), vec![Ignored::NotManaged]),
        ("/metadata/labels/endpointslice.kubernetes.io~1managed-by", json!("me"), vec![Ignored::NotManaged]),
        ("/metadata/ownerReferences", json!([]), vec![Ignored::NotManaged]),
        ("/metadata/ownerReferences/0/uid", json!("of an earlier s"), vec![Ignored::NotManaged]),
        ("/metadata/ownerReferences/0/controller", json!(false), vec![Ignored::NotManaged]),
        ("/metadata/ownerReferences/0/kind", json!("Pod"), vec![Ignored::NotManaged]),
        ("/metadata/ownerReferences/0/apiVersion", json!("v2"), vec![Ignored::NotManaged]),
        ("/addressType", json!("FQDN"), vec![Ignored::NotIp]),
        ("/ports/0/name", json!("other"), vec![Ignored::NoPort]),
        ("/ports/0/protocol", json!("UDP"), vec![Ignored::NoPort]),
        ("/ports/0/port", json!(null), vec![Ignored::NoPort]),
        ("/ports/0/port", json!(0), vec![Ignored::NoPort]),
        ("/ports/0/port", json!(70_000), vec![Ignored::NoPort]),
        ("/endpoints/0/targetRef", json!(null), vec![Ignored::NotPod]),
        ("/endpoints/0/targetRef/kind", json!("Node"), vec![Ignored::NotPod]),
        ("/endpoints/0/targetRef/namespace", json!("other"), vec![Ignored::NotPod]),
        ("/endpoints/0/targetRef/uid", json!(""), vec![Ignored::NotPod]),
        ("/endpoints/0/conditions/ready", json!(false), vec![]),
        ("/endpoints", json!(null), vec![]),
    ] {
        assert_eq!(ignored(&[(pointer, value.clone())]), expected, "{pointer} {value}");
    }
}

#[test]
fn a_pod_with_two_ip_families_is_called_at_both_addresses_in_its_own_order() {
    let v6 = slice(&[("/addressType", json!("IPv6")), ("/endpoints/0/addresses", json!(["fd00::3"]))]);
    let both = [v6, slice(&[])];
    assert_eq!(addresses(&both, &pod(&[])).unwrap(), ["10.1.2.3:8080", "[fd00::3]:8080"]);
    let v6_first = pod(&[("/status/podIPs", json!([{"ip": "fd00::3"}, {"ip": "10.1.2.3"}]))]);
    assert_eq!(addresses(&both, &v6_first).unwrap(), ["[fd00::3]:8080", "10.1.2.3:8080"]);
    // The operator calls an address once, even if two slices list it.
    assert_eq!(addresses(&[slice(&[]), slice(&[])], &pod(&[])).unwrap(), ["10.1.2.3:8080"]);
}

#[test]
fn a_pod_that_must_not_be_called_is_refused_with_the_reason() {
    let ports = |ports: Value| ("/spec/containers/0/ports", ports);
    for (change, expected) in [
        (("/metadata/labels", json!({"app": "b"})), PodRefused::NotSelected),
        (("/status/phase", json!("Succeeded")), PodRefused::Ended),
        (("/status/phase", json!("Failed")), PodRefused::Ended),
        (("/spec/hostNetwork", json!(true)), PodRefused::HostNetwork),
        (("/status", json!({"podIPs": [{"ip": "10.1.2.3"}]})), PodRefused::NodeUnknown),
        (("/status/hostIP", json!("10.1.2.3")), PodRefused::NodeAddress),
        (("/status/hostIPs", json!([{"ip": NODE}, {"ip": "::ffff:10.1.2.3"}])), PodRefused::NodeAddress),
        (("/status/podIPs", json!([])), PodRefused::OtherAddress),
        (("/status/podIPs/0/ip", json!("10.1.2.4")), PodRefused::OtherAddress),
        (ports(json!([])), PodRefused::NoPort),
        (ports(json!([{"name": "web", "containerPort": 8080, "protocol": "UDP"}])), PodRefused::NoPort),
        (ports(json!([{"name": "web", "containerPort": 22}])), PodRefused::OtherPort { own: 22, given: 8080 }),
    ] {
        assert_eq!(addresses(&[slice(&[])], &pod(std::slice::from_ref(&change))), Err(expected), "{change:?}");
    }
    for (address, expected) in [
        ("127.0.0.1", Refused::Loopback),
        ("169.254.169.254", Refused::LinkLocal),
        (API_SERVER, Refused::ApiServer),
        (OWN, Refused::Own),
        ("2002:a01:203::1", Refused::Special),
        ("64:ff9b::10.1.2.3", Refused::Special),
    ] {
        let slice = slice(&[("/endpoints/0/addresses/0", json!(address))]);
        // The Pod itself claims this address.
        let pod = pod(&[("/status/podIPs/0/ip", json!(address))]);
        assert_eq!(addresses(&[slice], &pod), Err(PodRefused::Reserved(expected)), "{address}");
    }
}

#[test]
fn one_wrong_address_is_enough_to_refuse_a_pod() {
    let wrong = slice(&[("/endpoints/0/addresses", json!(["10.9.9.9"]))]);
    assert_eq!(addresses(&[slice(&[]), wrong], &pod(&[])), Err(PodRefused::OtherAddress));
    let other_port = slice(&[("/ports/0/port", json!(22))]);
    let refused = PodRefused::OtherPort { own: 8080, given: 22 };
    assert_eq!(addresses(&[slice(&[]), other_port], &pod(&[])), Err(refused));
}

#[test]
fn a_named_port_is_that_of_a_container_or_of_a_sidecar() {
    let with = |restart: Value| {
        let ports = json!([{"name": "web", "containerPort": 8080}]);
        let init = json!([{"name": "i", "restartPolicy": restart, "ports": ports}]);
        addresses(&[slice(&[])], &pod(&[("/spec/containers/0/ports", json!([])), ("/spec/initContainers", init)]))
    };
    assert_eq!(with(json!("Always")).unwrap(), ["10.1.2.3:8080"]);
    assert_eq!(with(json!(null)), Err(PodRefused::NoPort));
}

#[test]
fn a_pod_that_was_replaced_or_is_being_deleted_is_not_the_candidate() {
    let view = view(&json!(8080));
    let found = candidates(&view, port_numbered(&view, 80).unwrap(), &[slice(&[])], |_| true);
    assert!(found.pods[0].is(&pod(&[])));
    assert!(!found.pods[0].is(&pod(&[("/metadata/uid", json!("of a later p"))])));
    let deleted = json!({"name": "p", "uid": "of p", "deletionTimestamp": "2026-01-01T00:00:00Z"});
    assert!(!found.pods[0].is(&pod(&[("/metadata", deleted)])));
}

#[test]
fn a_port_is_found_by_its_number_if_it_is_tcp() {
    let view = view(&json!(8080));
    assert_eq!(port_numbered(&view, 80).and_then(|port| port.name.as_deref()), Some("http"));
    assert!(port_numbered(&view, 53).is_none() && port_numbered(&view, 8080).is_none());
}

/// Addresses that a slice or a Pod may claim.
const ADDRESSES: [&str; 19] = [
    "10.1.2.3",
    "10.1.2.4",
    "fd00::3",
    NODE,
    OWN,
    API_SERVER,
    "127.0.0.1",
    "0.0.0.0",
    "169.254.169.254",
    "100.100.100.200",
    "224.0.0.1",
    "::1",
    "fe80::1",
    "::ffff:10.1.2.3",
    "::ffff:a9fe:a9fe",
    "2002:a01:203::1",
    "64:ff9b::a01:203",
    "2852039166",
    "evil.example",
];

/// Mostly the usual value, so that most generated cases are nearly valid.
fn mostly<const N: usize>(usual: &Value, others: &[Value; N]) -> impl Strategy<Value = Value> + use<N> {
    prop_oneof![20 => Just(usual.clone()), 1 => select(others.to_vec())]
}

/// An address of the Pod, or often the same unusual address, so that a slice and a Pod agree on it.
fn address(unusual: &'static str) -> impl Strategy<Value = Value> {
    prop_oneof![12 => Just("10.1.2.3"), 6 => Just("fd00::3"), 4 => Just(unusual), 1 => select(ADDRESSES.to_vec())]
        .prop_map(Value::from)
}

fn some_slice(unusual: &'static str) -> impl Strategy<Value = BackendSlice> {
    let owner = |uid: &str, controller: bool, kind: &str| json!({"apiVersion": "v1", "kind": kind, "name": "s", "uid": uid, "controller": controller});
    let target = |namespace: &str, kind: &str, name: &str, uid: &str| json!({"kind": kind, "namespace": namespace, "name": name, "uid": uid});
    let usual = owner("of s", true, "Service");
    let p = target("n", "Pod", "p", "of p");
    (
        mostly(&json!("endpointslice-controller.k8s.io"), &[json!("me")]),
        mostly(
            &json!([usual]),
            &[
                json!([]),
                json!([owner("of t", true, "Service")]),
                json!([owner("of s", false, "Service")]),
                json!([owner("of s", true, "Pod")]),
                json!([usual, owner("of t", true, "Service")]),
            ],
        ),
        mostly(&json!("IPv4"), &[json!("IPv6"), json!("FQDN")]),
        vec((vec(address(unusual), 0..3), mostly(&p, &[target("n", "Pod", "q", "of q"), target("other", "Pod", "p", "of p"), target("n", "Node", "p", "of p"), json!(null)])), 0..3),
        vec(
            (mostly(&json!("http"), &[json!("dns"), json!(null)]), mostly(&json!(8080), &[json!(22), json!(0), json!(80)]), mostly(&json!("TCP"), &[json!("UDP"), json!(null)])),
            0..3,
        ),
    )
        .prop_map(|(manager, owners, kind, endpoints, ports)| {
            let endpoint = |(addresses, target): &(Vec<Value>, Value)| json!({"addresses": addresses, "targetRef": target});
            let port = |(name, port, protocol): &(Value, Value, Value)| json!({"name": name, "port": port, "protocol": protocol});
            slice(&[
                ("/metadata/labels/endpointslice.kubernetes.io~1managed-by", manager),
                ("/metadata/ownerReferences", owners),
                ("/addressType", kind),
                ("/endpoints", endpoints.iter().map(endpoint).collect()),
                ("/ports", ports.iter().map(port).collect()),
            ])
        })
}

fn some_pod(unusual: &'static str) -> impl Strategy<Value = BackendPod> {
    (
        mostly(&json!({"app": "a"}), &[json!({"app": "b"}), json!({})]),
        mostly(&json!(false), &[json!(true)]),
        mostly(&json!("Running"), &[json!("Failed"), json!("Succeeded"), json!("Pending")]),
        vec(address(unusual), 0..4),
        mostly(&json!([NODE]), &[json!([]), json!(["10.1.2.3"]), json!([NODE, "::ffff:10.1.2.3", "fd00::3"])]),
        mostly(&json!(8080), &[json!(22), json!(0), json!(-1)]),
    )
        .prop_map(|(labels, host_network, phase, own, node, port)| {
            let ip = |ip: &Value| json!({"ip": ip});
            pod(&[
                ("/metadata/labels", labels),
                ("/spec/hostNetwork", host_network),
                ("/status/phase", phase),
                ("/status/podIPs", own.iter().map(ip).collect()),
                ("/status/hostIP", json!(null)),
                ("/status/hostIPs", node.as_array().unwrap().iter().map(ip).collect()),
                ("/spec/containers/0/ports/1/containerPort", port),
            ])
        })
}

/// The slices of a Service and the Pod behind them.
fn world() -> impl Strategy<Value = (Vec<BackendSlice>, BackendPod)> {
    let of = |unusual| (vec(some_slice(unusual), 0..4), some_pod(unusual));
    select(ADDRESSES.to_vec()).prop_flat_map(of)
}

/// Whether an address is one of those in [`ADDRESSES`] that a Pod can have.
fn is_of_pods(address: IpAddr) -> bool {
    ["10.1.2.3", "10.1.2.4", "fd00::3", NODE].iter().any(|known| address == known.parse::<IpAddr>().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn only_an_own_address_of_a_selected_pod_and_its_target_port_are_called(
        (slices, pod) in world(),
        target in mostly(&json!("web"), &[json!(8080), json!(22)]),
    ) {
        let view = view(&target);
        let port = port_numbered(&view, 80).unwrap();
        let found = candidates(&view, port, &slices, BackendEndpoint::is_serving);
        for candidate in found.pods.iter().filter(|candidate| candidate.is(&pod)) {
            let Ok(addresses) = candidate.addresses(&pod, &view, port, &reserved()) else { continue };
            prop_assert!(!addresses.is_empty());
            prop_assert_eq!(pod.metadata.labels.as_ref().unwrap().get("app").map(String::as_str), Some("a"));
            prop_assert!(!pod.spec.host_network);
            prop_assert!(!["Failed", "Succeeded"].contains(&pod.status.phase.as_str()));
            let own_port = target.as_u64().unwrap_or_else(|| pod.spec.containers[0].ports[1].number.try_into().unwrap());
            for address in addresses {
                let is = |text: &str| text.parse::<IpAddr>().is_ok_and(|one| one.to_canonical() == address.ip());
                prop_assert!(is_of_pods(address.ip()), "{address}");
                prop_assert!(pod.status.pod_ips.iter().any(|one| is(&one.ip)), "{address}");
                prop_assert!(!pod.status.host_ips.is_empty() && !pod.status.host_ips.iter().any(|one| is(&one.ip)));
                prop_assert_eq!(reserved().check(address.ip()), Ok(()));
                prop_assert_eq!(u64::from(address.port()), own_port);
                let lists = |slice: &&BackendSlice| {
                    let owners = slice.metadata.owner_references.as_ref().unwrap();
                    owners.len() == 1
                        && owners[0].uid == "of s"
                        && slice.endpoints.iter().flatten().flat_map(|one| &one.addresses).any(|one| is(one))
                        && slice.ports.iter().flatten().any(|one| one.port == Some(i32::from(address.port())))
                };
                prop_assert!(slices.iter().any(|slice| lists(&slice)), "{address}");
            }
        }
    }

    #[test]
    fn no_address_that_only_the_node_can_reach_is_called_whoever_claims_it(bits: u128, is_short: bool) {
        let address = if is_short {
            IpAddr::from(u32::try_from(bits % (1 << 32)).unwrap().to_be_bytes())
        } else {
            IpAddr::from(bits.to_be_bytes())
        };
        let text = json!(address.to_string());
        let slice = slice(&[("/endpoints/0/addresses/0", text.clone())]);
        if let Ok(found) = addresses(&[slice], &pod(&[("/status/podIPs/0/ip", text)])) {
            let called: SocketAddr = found[0].parse().unwrap();
            prop_assert_eq!(called.ip(), address.to_canonical(), "it is called as it is written");
            let is_local = match called.ip() {
                IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || v4.octets()[0] == 0,
                IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified(),
            };
            prop_assert!(!is_local, "{called}");
        }
    }
}
