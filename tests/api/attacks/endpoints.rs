//! Annotations with a host, port, scheme or path that does not belong to the Service.

use anyhow::Result;
use e2e::{controlplane::controllers_run, harness::net::Network, harness::prelude::*};
use serde_json::json;

use super::{
    arena::{Arena, Attack},
    table,
};
use crate::harness::{skipped, without_network};

pub(super) const THREATS: &[&str] = &["endpoint injection"];

/// `{own}` is the host of the Service itself, `{platform}` that of a trusted Service.
const VALUES: &[(&str, &[&str])] = &[
    (
        "toolset-path",
        &[
            "@evil.example/x",
            ":80@evil.example/",
            "\\\\evil.example\\x",
            "/\\evil.example",
            "//evil.example/x",
            "/#@evil.example/",
            "/x?to=http://evil.example/",
            "/%2f..%2fx",
            "/%2e%2e/x",
            "/../../x",
            "/x/..",
            "/x\r\nHost: evil.example",
            "/x\nHost: evil.example",
            "/x y",
            "/\u{ff0e}\u{ff0e}/x",
            "x",
        ],
    ),
    (
        "toolset-endpoint",
        &[
            "http://evil.example/",
            "http://evil.example:9090/",
            "http://169.254.169.254:9090/latest/meta-data/",
            "http://[::ffff:a9fe:a9fe]:9090/",
            "http://[64:ff9b::a9fe:a9fe]:9090/",
            "http://0251.0376.0251.0376:9090/",
            "http://0xa9fea9fe:9090/",
            "http://2852039166:9090/",
            "http://127.1:9090/",
            "http://localhost.:9090/",
            "http://{platform}:80/",
            "http://kubernetes.default.svc:443/",
            "http://user:password@{own}:9090/",
            "http://{own}:9090@evil.example/",
            "http://{own}:9090\\@evil.example/",
            "http://{own}.evil.example:9090/",
            "http://{own}:22/",
            "http://{own}:9090/?x=y",
            "http://{own}:9090/#x",
            "http://{own}:9090/../x",
            "http://{own}\u{3002}evil.example:9090/",
            "ftp://{own}:9090/",
            "file:///etc/passwd",
            "//{own}:9090/",
        ],
    ),
    ("toolset-port", &["22", "0", "65536", "-1", "9090@evil.example", "\u{ff19}\u{ff10}\u{ff19}\u{ff10}", "http@evil"]),
    ("toolset-scheme", &["file", "gopher", "unix", "http://evil.example/?", "javascript"]),
    (
        "toolset-health-path",
        &[
            "@evil.example",
            "//evil.example/",
            "http://evil.example/",
            "http://169.254.169.254/latest",
            "/../x",
            "/x\r\nX: y",
        ],
    ),
    ("toolset-health-endpoint", &["http://evil.example/health", "http://{platform}/-/ready", "gopher://{own}/"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_annotation_leads_to_another_endpoint() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(network) = Network::create()? else { return without_network() };
    scenario("attack-endpoints", async |world| {
        let arena = Arena::set(world, network, json!({})).await?;
        for (annotation, values) in VALUES {
            let attack = |(number, value): (usize, &&str)| {
                let name = format!("{annotation}-{number}");
                let own = format!("{name}.{}.svc.cluster.local", arena.tenant);
                let platform = format!("prometheus-server.{}.svc.cluster.local", arena.platform);
                let stated = value.replace("{own}", &own).replace("{platform}", &platform);
                let service = arena.announced(&name).annotation(&format!("kubernaut.io/{annotation}"), &stated).build();
                let vector = format!("{annotation}: {value}");
                Attack { threat: THREATS[0], vector, service, slices: Vec::new(), reason: "InvalidAnnotation" }
            };
            let attacks = values.iter().enumerate().map(attack).collect();
            arena.are_rejected(attacks).await?;
        }
        table::complete(THREATS)
    })
    .await
}
