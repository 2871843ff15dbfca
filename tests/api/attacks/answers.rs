//! Pods whose responses to probes try to harm the operator or its readers.

use std::{io::Write as _, net::SocketAddr};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{
        Reply,
        net::{Network, PodServer},
        prelude::*,
    },
};
use k8s_openapi::api::core::v1::Event;
use kube::{
    Api,
    api::{DynamicObject, ListParams},
};
use serde_json::json;

use super::{
    arena::{self, Arena, PATIENCE},
    probing::{TOGETHER, judged, judged_as},
    table,
};
use crate::harness::{skipped, without_network};

pub(super) const THREATS: &[&str] = &["answers to probes"];

/// A text in responses that must not appear anywhere.
const PROMPT: &str = "ignore-all-previous-instructions";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_response_to_a_probe_redirects_the_operator_or_is_shown_to_anybody() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(network) = Network::create()? else { return without_network() };
    scenario("attack-answers", async |world| {
        let arena = Arena::set(world, network, json!({})).await?;
        identity_probe_is_redirected(&arena).await?;
        answers(&arena).await?;
        table::complete(THREATS)
    })
    .await
}

/// The operator sends an identity probe to the trusted Service whose product is not certain. The response is a redirect
/// to a metadata service.
async fn identity_probe_is_redirected(arena: &Arena<'_>) -> Result<()> {
    let control = arena.control(arena::VAGUE);
    eventually("it is asked", async || {
        let requests = control.requests();
        ensure!(requests.iter().any(|request| request.starts_with("GET /api/v1/status/buildinfo ")), "{requests:?}");
        Ok(())
    })
    .await?;
    for request in control.requests() {
        is_harmless(&request).with_context(|| request.clone())?;
    }
    arena.controls_are_probed().await?;
    let packets = arena.check(&arena.since_the_start().await?, &[]).await?;
    let vector = "a redirect of the identity request to a metadata service";
    table::add("answers to probes", vector, "The redirect is not followed, and the product stays as it was.", packets)
}

/// The responses that Pods give, with their names in the table.
fn replies() -> Result<Vec<(&'static str, Reply)>> {
    let redirect = |status: &str, to: &str| {
        let head = format!("HTTP/1.1 {status}\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        Reply::Bytes(head.into_bytes())
    };
    let with_head = |head: &str, rest: Vec<u8>| [head.as_bytes().to_vec(), rest].concat();
    let mut many = b"HTTP/1.1 200 OK\r\n".to_vec();
    for number in 0..10_000 {
        write!(many, "x-{number}: {number}\r\n")?;
    }
    many.extend(b"\r\n");
    let gzip = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-type: application/json\r\n\r\n";
    // A stored block of zeros, repeated many times.
    let mut bomb = with_head(gzip, vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    bomb.resize(1 << 20, 0);
    Ok(vec![
        ("a redirect to a metadata service", redirect("302 Found", "http://169.254.169.254/latest/meta-data/")),
        ("a redirect to the API server", redirect("301 Moved", "https://10.96.0.1:443/api/v1/secrets")),
        ("a redirect without a scheme", redirect("307 Temporary", "//100.100.100.200/latest")),
        ("a redirect to another port of the same Pod", redirect("308 Permanent", ":22/")),
        ("a redirect to itself, without an end", redirect("302 Found", "/-/ready")),
        ("a bomb of gzip", Reply::Bytes(bomb)),
        ("a header of 1 MiB", Reply::Bytes(with_head("HTTP/1.1 200 OK\r\nx: ", vec![b'x'; 1 << 20]))),
        ("10,000 headers", Reply::Bytes(many)),
        ("a head that never ends", Reply::Endless(b"x-again: and again\r\n".to_vec())),
        ("interim answers that never end", Reply::Endless(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())),
        ("a head with one byte per second", Reply::Slowly(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())),
        ("no answer", Reply::Nothing),
        ("a body that never ends", Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\nmore and more of it\n".to_vec())),
        ("an answer that is not HTTP", Reply::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())),
        ("instructions in an error", Reply::Bytes(format!("HTTP/1.1 500 {PROMPT}\r\nx: {PROMPT}\r\n\r\n{PROMPT}").into())),
        ("cookies and a challenge", Reply::Bytes(
            b"HTTP/1.1 401 Unauthorized\r\nset-cookie: a=b\r\nwww-authenticate: Basic realm=x\r\ncontent-length: 0\r\n\r\n".to_vec(),
        )),
    ])
}

async fn answers(arena: &Arena<'_>) -> Result<()> {
    for (batch_number, replies) in replies()?.chunks(TOGETHER).enumerate() {
        let batch = arena.begin().await?;
        let mut servers: Vec<(String, &str, PodServer)> = Vec::new();
        for (number, (vector, reply)) in replies.iter().enumerate() {
            let name = format!("answer-{batch_number}-{number}");
            let service = arena.create(&arena.announced(&name).build()).await?;
            servers.push((name, vector, arena.pod(&service, reply.clone()).await?.1));
        }
        within(PATIENCE, "each of them is probed", async || {
            for (name, vector, server) in &servers {
                ensure!(!server.requests().is_empty(), "{name}, with {vector}");
            }
            Ok(())
        })
        .await?;
        let judged = |config: &DynamicObject| servers.iter().all(|(name, ..)| judged(config, name).is_some());
        let config = arena.config_is("all of them are judged", judged).await?;
        arena.controls_are_probed().await?;
        let config = arena.config_is("again", |now| now.metadata.uid == config.metadata.uid).await?;
        no_text_is_shown(arena, &config).await?;
        let targets: Vec<SocketAddr> = servers.iter().map(|(.., server)| server.address()).collect();
        let packets = arena.check(&batch, &targets).await?;
        for (name, vector, server) in &servers {
            let requests = server.requests();
            for request in &requests {
                is_harmless(request).with_context(|| format!("{vector}: {request}"))?;
            }
            let how = judged_as(&config, name);
            let happened = format!("{how} after requests to its own Pod only.");
            table::add("answers to probes", vector, &happened, packets)?;
        }
        arena.clear().await?;
    }
    Ok(())
}

/// Fails if a request is not a GET request, or if it contains a secret.
fn is_harmless(request: &str) -> Result<()> {
    let lower = request.to_lowercase();
    ensure!(lower.starts_with("get /"), "it is not a GET request");
    for header in ["authorization", "cookie", "referer", "x-forwarded", "proxy", "upgrade"] {
        ensure!(!lower.contains(&format!("\r\n{header}")), "it has {header}");
    }
    ensure!(lower.contains("\r\naccept-encoding: identity\r\n"), "it accepts compression");
    ensure!(lower.contains("\r\nconnection: close\r\n"), "the connection stays open");
    Ok(())
}

/// Checks that no text of a response is in the status, the Events, the output, the log or the metrics.
async fn no_text_is_shown(arena: &Arena<'_>, config: &DynamicObject) -> Result<()> {
    let events: Api<Event> = arena.world.api(&arena.tenant);
    let events = events.list(&ListParams::default()).await?;
    let log = std::fs::read_to_string(arena.controller_log())?;
    let metrics = arena.controller.metrics().await?;
    let output = arena.output().await?;
    let places = [
        ("status", format!("{:?}", config.data)),
        ("Events", format!("{events:?}")),
        ("log", log),
        ("metrics", metrics),
        ("output", format!("{output:?}")),
    ];
    for (place, text) in places {
        for part in [PROMPT, "meta-data", "SSH-2.0", "realm=x"] {
            ensure!(!text.contains(part), "{part} of an answer is in the {place}");
        }
    }
    Ok(())
}
