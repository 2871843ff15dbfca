//! Who may write and read, as the real API server decides it.

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use e2e::{
    controlplane::Options,
    datastorage::{Answer, events},
    harness::prelude::*,
};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, api::DeleteParams};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};

use crate::access::{self, Access, READ, WRITE, records};

const LIST: &str = "/api/v1/audit/events";

fn is_unauthorized(answer: Answer) -> Result<()> {
    ensure!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")), "{answer}");
    answer.problem(401, "unauthorized").map(drop)
}

/// The detail of a 403.
fn refusal(answer: Answer) -> Result<String> {
    let problem = answer.problem(403, "forbidden")?;
    Ok(problem["detail"].as_str().context("no detail")?.to_owned())
}

#[tokio::test]
async fn a_role_of_a_namespace_lets_write_and_read_there_and_nowhere_else() -> Result<()> {
    scenario("ds-roles", async |world| {
        let (prod, other) = (world.namespace("prod").await?, world.namespace("other").await?);
        let access = Access::start(world, &[]).await?;
        let writer = access.caller_in(world, &prod, "writer", WRITE).await?;
        let reader = access.caller_in(world, &prod, "reader", READ).await?;

        let event = events::sample_in(&prod);
        let written = writer.api.write(&event).await?;
        assert_eq!(written.event_id, event.id());
        let record = reader.api.record(event.id()).await?.context("the reader finds the record")?;
        assert_eq!(record["recorded_by"], writer.account.user());
        let listed = reader.api.list(&format!("namespace={prod}")).await?;
        assert_eq!(listed.items.len(), 1);

        let elsewhere = events::sample_in(&other);
        let detail = refusal(writer.api.post_event(&elsewhere).await?)?;
        assert!(detail.contains("create") && detail.contains(&format!("namespace {other}")), "{detail}");
        let detail = refusal(reader.api.post_event(&event.renewed()).await?)?;
        assert!(detail.contains("create") && detail.contains(&format!("namespace {prod}")), "{detail}");
        let detail = refusal(reader.api.get(&format!("{LIST}?namespace={other}")).await?)?;
        assert!(detail.contains("list") && detail.contains(&format!("namespace {other}")), "{detail}");
        let detail = refusal(reader.api.get(LIST).await?)?;
        assert!(detail.contains("list") && detail.contains("all namespaces"), "{detail}");
        let detail = refusal(writer.api.get(&format!("{LIST}?namespace={prod}")).await?)?;
        assert!(detail.contains("list"), "{detail}");
        ensure!(writer.api.record(event.id()).await?.is_none(), "a writer may not read");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_cluster_role_lets_read_everything_with_its_numbers() -> Result<()> {
    scenario("ds-cluster-role", async |world| {
        let (prod, other) = (world.namespace("prod").await?, world.namespace("other").await?);
        let access = Access::start(world, &[]).await?;
        let engine = access.caller_everywhere(world, &prod, "engine", &["create", "get", "list"]).await?;
        let reader = access.caller_in(world, &prod, "reader", READ).await?;
        for namespace in [prod.as_str(), other.as_str(), ""] {
            let written = engine.api.write(&events::sample_in(namespace)).await?;
            assert!(written.seq.is_some());
        }
        assert_eq!(engine.api.list_all("order=asc").await?.len(), 3);
        let of_prod = engine.api.list(&format!("namespace={prod}")).await?.items;
        assert_eq!(of_prod[0]["seq"], 1);
        assert!(of_prod[0]["chain_hash"].is_string());
        engine.api.get("/api/v1/audit/checkpoint").await?.require(200)?;

        let same = reader.api.list(&format!("namespace={prod}")).await?.items;
        assert_eq!(same[0]["event_id"], of_prod[0]["event_id"]);
        assert!(same[0].get("seq").is_none() && same[0].get("chain_hash").is_none(), "{}", same[0]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn records_without_a_namespace_or_of_another_cluster_need_the_right_in_the_whole_cluster() -> Result<()> {
    scenario("ds-whole", async |world| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &["--cluster=eu-1"]).await?;
        let writer = access.caller_in(world, &prod, "writer", WRITE).await?;
        let engine = access.caller_everywhere(world, &prod, "engine", WRITE).await?;
        let here = events::sample_in(&prod);
        for event in [here.renewed().with("namespace", ""), here.renewed().with("cluster", "eu-2")] {
            let detail = refusal(writer.api.post_event(&event).await?)?;
            assert!(detail.contains("create") && detail.contains("all namespaces"), "{detail}");
            engine.api.write(&event).await?;
        }
        for event in [here.renewed().with("cluster", "eu-1"), here.renewed().without("cluster")] {
            writer.api.write(&event).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn records_older_than_seven_days_need_the_right_to_import() -> Result<()> {
    scenario("ds-import", async |world| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &[]).await?;
        let writer = access.caller_in(world, &prod, "writer", WRITE).await?;
        let importer = access.caller_in(world, &prod, "importer", &["create", "import"]).await?;
        let old = events::sample_in(&prod).with("event_id", access::id_of(days_ago(8)));
        let answer = writer.api.post_event(&old).await?;
        ensure!([400, 403].contains(&answer.status), "{answer}");
        importer.api.write(&old).await?;
        Ok(())
    })
    .await
}

fn days_ago(days: u64) -> std::time::SystemTime {
    std::time::SystemTime::now() - std::time::Duration::from_secs(days * 24 * 3600)
}

#[tokio::test]
async fn who_shows_no_valid_token_gets_401() -> Result<()> {
    scenario("ds-401", async |world| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &[]).await?;
        let reader = access.caller_everywhere(world, &prod, "reader", READ).await?;
        reader.api.list("").await?;
        is_unauthorized(access.service.api().get(LIST).await?)?;
        is_unauthorized(access.service.api().post_event(&events::sample()).await?)?;
        is_unauthorized(access.service.api().with_token("nonsense").get(LIST).await?)?;
        // Everything that the reader may do counts nothing with a token for the API server.
        for audience in ["https://kubernetes.default.svc.cluster.local", "other"] {
            let token = access::token(world.cluster(), &prod, "reader", audience).await?;
            is_unauthorized(access.service.api().with_token(token).get(LIST).await?)?;
        }
        for path in ["/health", "/ready"] {
            access.service.api().get(path).await?.require(200)?;
        }
        let log = access.service.log()?;
        assert!(log.contains("rejected a request without a valid token"), "{log}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_right_and_a_token_that_end_are_refused_within_seconds() -> Result<()> {
    scenario("ds-revoked", async |world| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &[]).await?;
        let reader = access.caller_in(world, &prod, "reader", READ).await?;
        let path = format!("{LIST}?namespace={prod}");
        reader.api.get(&path).await?.require(200)?;

        reader.account.revoke(&prod, "reader").await?;
        eventually("the right ends", async || refusal(reader.api.get(&path).await?).map(drop)).await?;
        reader.account.grant(&prod, "reader", &records(READ)).await?;
        eventually("the right comes back", async || reader.api.get(&path).await?.require(200).map(drop)).await?;

        let accounts: Api<ServiceAccount> = world.api(&prod);
        accounts.delete("reader", &DeleteParams::default()).await?;
        eventually("the token ends", async || is_unauthorized(reader.api.get(&path).await?)).await
    })
    .await
}

#[tokio::test]
async fn without_the_api_server_cached_tokens_work_and_others_get_503() -> Result<()> {
    isolated("ds-away", Options { crds: None, ..Options::default() }, async |world, plane| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &[]).await?;
        let reader = access.caller_in(world, &prod, "reader", READ).await?;
        let stranger = access.caller_in(world, &prod, "stranger", READ).await?;
        let path = format!("{LIST}?namespace={prod}");
        reader.api.get(&path).await?.require(200)?;

        plane.stop_apiserver()?;
        // Longer than a fresh answer counts: the old one is what is left.
        let counted = std::time::Instant::now();
        within(std::time::Duration::from_secs(60), "old answers count", async || {
            reader.api.get(&path).await?.require(200)?;
            ensure!(counted.elapsed() > std::time::Duration::from_secs(12), "answers are still fresh");
            Ok(())
        })
        .await?;
        let answer = stranger.api.get(&path).await?;
        assert!(answer.header("retry-after").is_some(), "{answer}");
        answer.problem(503, "auth-unavailable")?;
        access.service.api().with_token("nonsense").get(&path).await?.problem(503, "auth-unavailable")?;
        // What nobody was allowed before is not allowed now.
        reader.api.post_event(&events::sample_in(&prod)).await?.problem(503, "auth-unavailable")?;
        // The service itself is well.
        access.service.health().get("/ready").await?.require(200)?;

        plane.start_apiserver().await?;
        eventually("the stranger is known", async || stranger.api.get(&path).await?.require(200).map(drop)).await
    })
    .await
}

#[tokio::test]
async fn a_token_that_has_ended_is_refused() -> Result<()> {
    isolated("ds-ended", Options { crds: None, ..Options::default() }, async |world, plane| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &[]).await?;
        let reader = access.caller_everywhere(world, &prod, "reader", READ).await?;
        reader.api.list("").await?;

        let folder = plane.kubeconfig().parent().context("no folder")?;
        let valid = access::token(world.cluster(), &prod, "reader", access::AUDIENCE).await?;
        let ends_in = |seconds: i64| signed_again(&valid, folder, seconds);
        access.service.api().with_token(ends_in(3600)?).list("").await.context("the signature is valid")?;
        is_unauthorized(access.service.api().with_token(ends_in(-60)?).get(LIST).await?)?;

        // Its last answer is not kept longer than the token is valid.
        let short = access.service.api().with_token(ends_in(3)?);
        short.get(LIST).await?.require(200)?;
        eventually("it ends with its token", async || is_unauthorized(short.get(LIST).await?)).await
    })
    .await
}

/// The same token with another end of life, signed with the key of the control plane.
fn signed_again(token: &str, folder: &std::path::Path, seconds: i64) -> Result<String> {
    let mut parts = token.split('.');
    let (head, payload) = (parts.next().context("no head")?, parts.next().context("no payload")?);
    let mut payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs().cast_signed();
    // Old enough that only its end can be wrong.
    payload["iat"] = json!(now - 7200);
    payload["nbf"] = json!(now - 7200);
    payload["exp"] = json!(now + seconds);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(payload.to_string()));
    let key = pem::parse(std::fs::read(folder.join("service-accounts.key"))?)?;
    let random = SystemRandom::new();
    let key =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.contents(), &random).ok().context("no key")?;
    let signature = key.sign(&random, signed.as_bytes()).ok().context("cannot sign")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[tokio::test]
async fn a_service_that_may_not_review_tokens_says_what_to_do_and_lets_nobody_in() -> Result<()> {
    scenario("ds-no-delegator", async |world| {
        let prod = world.namespace("prod").await?;
        let account = world.account(&prod, "data-storage").await?;
        let access = Access::start_as(account.kubeconfig(), &[]).await?;
        let reader = access.caller_everywhere(world, &prod, "reader", READ).await?;
        reader.api.get(LIST).await?.problem(503, "auth-unavailable")?;
        let log = access.service.log()?;
        assert!(log.contains("system:auth-delegator"), "{log}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_static_token_reads_its_namespaces_and_changes_with_its_file() -> Result<()> {
    scenario("ds-static", async |world| {
        let (prod, other) = (world.namespace("prod").await?, world.namespace("other").await?);
        let file = world.folder().join("read-tokens");
        let line =
            |name: &str, token: &str, namespaces: &str| format!("{name} {} {namespaces}\n", access::sha256(token));
        std::fs::write(&file, line("holmesgpt", "first", &prod))?;
        let access = Access::start(world, &[&format!("--read-token-file={}", file.display())]).await?;
        let engine = access.caller_everywhere(world, &prod, "engine", WRITE).await?;
        let event = events::sample_in(&prod);
        engine.api.write(&event).await?;
        let foreign = events::sample_in(&other);
        engine.api.write(&foreign).await?;

        let first = access.service.api().with_token("first");
        assert_eq!(first.list("").await?.items.len(), 1, "the list without a namespace shows what the token may read");
        assert_eq!(first.list(&format!("namespace={prod}")).await?.items.len(), 1);
        assert!(first.record(event.id()).await?.is_some());
        assert!(first.record(foreign.id()).await?.is_none());
        refusal(first.get(&format!("{LIST}?namespace={other}")).await?)?;
        refusal(first.post_event(&event.renewed()).await?)?;
        is_unauthorized(access.service.api().with_token(access::sha256("first")).get(LIST).await?)?;

        std::fs::write(&file, "a mistake\n")?;
        eventually("the mistake is logged", async || {
            first.list("").await?;
            ensure!(access.service.log()?.contains("cannot read the changed file of read-only tokens"));
            Ok(())
        })
        .await?;
        std::fs::write(&file, line("auditor", "second", "*"))?;
        let second = access.service.api().with_token("second");
        eventually("the second token counts", async || {
            ensure!(second.list("").await?.items.len() == 2);
            Ok(())
        })
        .await?;
        // The tries above were requests without a valid token, and perhaps too many of them.
        let answer = first.get(LIST).await?;
        ensure!([401, 429].contains(&answer.status), "{answer}");
        assert!(!access.service.log()?.contains("first"), "the token is not logged");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn one_batch_needs_the_right_in_each_of_its_namespaces() -> Result<()> {
    scenario("ds-batch", async |world| {
        let (prod, other) = (world.namespace("prod").await?, world.namespace("other").await?);
        let access = Access::start(world, &[]).await?;
        let writer = access.caller_in(world, &prod, "writer", WRITE).await?;
        let event = |namespace: &str| events::sample_in(namespace);
        let result = writer.api.write_batch(&[event(&prod), event(&prod)]).await?;
        assert_eq!(result["created"], 2);
        let mixed = json!({"events": [event(&prod), event(&other)]});
        let detail = refusal(writer.api.post("/api/v1/audit/events/batch", &mixed).await?)?;
        assert!(detail.contains(&format!("namespace {other}")), "{detail}");
        let rows = access.database.owner().await?.query("SELECT 1 FROM audit_event", &[]).await?;
        assert_eq!(rows.len(), 2, "nothing of the refused batch is written");
        Ok(())
    })
    .await
}
