//! A reader of one namespace learns nothing of another.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    datastorage::{ApiClient, Event, events},
    harness::prelude::*,
};
use serde_json::{Value, json};

use crate::access::{Access, Caller, READ};

const EVENTS: &str = "/api/v1/audit/events";
const EXPORT: &str = "/api/v1/audit/export";
const TARGET: &str = "Deployment/shared/payments-api";
const STORY: &str = "rr-shared";
/// A word that only records of the other namespace have.
const FOREIGN: &str = "zanzibar";

/// A service with records of two namespaces that have everything in common but the namespace, and a reader of one of them.
struct Cast {
    access: Access,
    mine: String,
    other: String,
    reader: Caller,
    admin: Caller,
    /// A record of the other namespace.
    foreign: Event,
}

/// What the reader may see is written first, in the middle and last.
async fn cast(world: &mut World) -> Result<Cast> {
    let (mine, other) = (world.namespace("mine").await?, world.namespace("other").await?);
    let access = Access::start(world, &["--cluster=eu-1"]).await?;
    let admin = access.caller_everywhere(world, &mine, "admin", &["create", "get", "list", "import"]).await?;
    let reader = access.caller_in(world, &mine, "reader", READ).await?;
    let common = events::sample().with("target_resource", TARGET).with("correlation_id", STORY);
    let own = |status: &str| common.renewed().with("namespace", mine.as_str()).with("status", status);
    let foreign = common
        .renewed()
        .with("namespace", other.as_str())
        .with("status", "success")
        .with("summary", format!("Restarted after OOMKilled in {FOREIGN}"));
    let elsewhere = own("success").with("cluster", "eu-2").with("summary", format!("{FOREIGN} too"));
    let nowhere = own("success").with("namespace", "").with("summary", format!("{FOREIGN} three"));
    let events = [
        own("failure"),
        foreign.clone(),
        foreign.renewed(),
        own("failure"),
        elsewhere,
        nowhere,
        foreign.renewed(),
        own("failure"),
    ];
    for event in &events {
        admin.api.write(event).await?;
    }
    Ok(Cast { access, mine, other, reader, admin, foreign })
}

impl Cast {
    fn api(&self) -> &ApiClient {
        &self.reader.api
    }

    /// Fails if an answer has a word of what the reader may not see.
    fn shows_nothing(&self, text: &str) -> Result<()> {
        for word in [FOREIGN, self.other.as_str(), self.foreign.id(), "\"seq\"", "chain_hash", "eu-2"] {
            ensure!(!text.contains(word), "{word} is in: {text}");
        }
        Ok(())
    }
}

#[tokio::test]
async fn an_id_of_another_namespace_is_answered_like_one_that_does_not_exist() -> Result<()> {
    scenario("ds-tenant-id", async |world| {
        let cast = cast(world).await?;
        let there = cast.api().get(&format!("{EVENTS}/{}", cast.foreign.id())).await?.problem(404, "not-found")?;
        let nowhere =
            cast.api().get(&format!("{EVENTS}/{}", events::sample().id())).await?.problem(404, "not-found")?;
        for field in ["type", "title", "status", "detail", "errors"] {
            assert_eq!(there.get(field), nowhere.get(field), "{field}");
        }
        assert!(cast.admin.api.record(cast.foreign.id()).await?.is_some());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn lists_and_their_cursors_show_one_namespace() -> Result<()> {
    scenario("ds-tenant-list", async |world| {
        let cast = cast(world).await?;
        let mine = format!("namespace={}", cast.mine);
        let listed = cast.api().list_all(&format!("{mine}&limit=1")).await?;
        assert_eq!(listed.len(), 3);
        cast.shows_nothing(&json!(listed).to_string())?;
        for query in ["", "limit=5", &format!("namespace={}", cast.other), "namespace=", "recorded_by=x"] {
            cast.api().get(&format!("{EVENTS}?{query}")).await?.problem(403, "forbidden")?;
        }
        cast.api().get(&format!("{EVENTS}?{mine}&cluster=eu-2")).await?.problem(403, "forbidden")?;

        // A cursor grants nothing: neither that of somebody else, nor one's own with other filters.
        let wide = cast.admin.api.list("limit=1").await?.next_cursor.context("a cursor")?;
        cast.api().get(&format!("{EVENTS}?limit=1&cursor={wide}")).await?.problem(403, "forbidden")?;
        let with_wide = format!("{EVENTS}?{mine}&limit=1&cursor={wide}");
        cast.api().get(&with_wide).await?.problem(400, "bad-cursor")?;
        let own = cast.api().list(&format!("{mine}&limit=1")).await?.next_cursor.context("a cursor")?;
        let with_own = format!("{EVENTS}?namespace={}&limit=1&cursor={own}", cast.other);
        cast.api().get(&with_own).await?.problem(400, "bad-cursor")?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn only_cluster_wide_readers_see_seq_and_checkpoints() -> Result<()> {
    scenario("ds-tenant-seq", async |world| {
        let cast = cast(world).await?;
        for path in [
            format!("{EVENTS}?namespace={}&after_seq=0", cast.mine),
            format!("{EVENTS}?after_seq=0"),
            "/api/v1/audit/checkpoint".to_owned(),
        ] {
            let answer = cast.api().get(&path).await?;
            ensure!([400, 403].contains(&answer.status), "{path}: {answer}");
            cast.shows_nothing(&answer.text())?;
        }
        // Writing tells no number either.
        let writer = cast.access.caller_in(world, &cast.mine, "writer", &["create", "get", "list"]).await?;
        let event = events::sample_in(&cast.mine);
        for status in [201, 200] {
            let answer = writer.api.post_event(&event).await?.require(status)?;
            cast.shows_nothing(&answer.text())?;
        }
        let batch = writer.api.write_batch(&[event.renewed(), event.clone()]).await?;
        cast.shows_nothing(&batch.to_string())?;
        for path in [format!("{EVENTS}/{}", event.id()), format!("{EVENTS}?namespace={}", cast.mine)] {
            cast.shows_nothing(&writer.api.get(&path).await?.require(200)?.text())?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_correlation_shows_only_readable_namespaces() -> Result<()> {
    scenario("ds-tenant-story", async |world| {
        let cast = cast(world).await?;
        let path = format!("/api/v1/audit/correlations/{STORY}");
        let story: Value = cast.api().get(&path).await?.require(200)?.json()?;
        let all: Value = cast.admin.api.get(&path).await?.require(200)?.json()?;
        let count = |story: &Value| story["timeline"].as_array().map(Vec::len);
        assert_eq!((count(&story), count(&all)), (Some(3), Some(8)));
        cast.shows_nothing(&story.to_string())?;
        assert!(story.get("hidden").is_none(), "{story}");
        assert_eq!(story["current"]["event_id"], all["current"]["event_id"], "the newest record is the reader's");

        // A story of the others alone is none.
        let theirs = cast.foreign.renewed().with("correlation_id", "rr-theirs");
        cast.admin.api.write(&theirs).await?;
        let there = cast.api().get("/api/v1/audit/correlations/rr-theirs").await?.problem(404, "not-found")?;
        let nowhere = cast.api().get("/api/v1/audit/correlations/rr-none").await?.problem(404, "not-found")?;
        assert_eq!(there["detail"], nowhere["detail"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_history_counts_only_what_the_reader_may_see() -> Result<()> {
    scenario("ds-tenant-history", async |world| {
        let cast = cast(world).await?;
        let theirs = cast.foreign.renewed().with("correlation_id", "rr-theirs");
        cast.admin.api.write(&theirs).await?;
        let path = format!("/api/v1/audit/history?target={TARGET}");
        let seen: Value = cast.api().get(&path).await?.require(200)?.json()?;
        cast.shows_nothing(&seen.to_string())?;
        let sum = |history: &Value, outcome: &str| -> i64 {
            let actions = history["by_action"].as_array().cloned().unwrap_or_default();
            actions.iter().filter_map(|action| action[outcome].as_i64()).sum()
        };
        assert_eq!(sum(&seen, "success"), 0, "all that succeeded was of others: {seen}");
        let all: Value = cast.admin.api.get(&path).await?.require(200)?.json()?;
        assert!(sum(&all, "success") > 0, "{all}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_search_finds_and_counts_only_what_the_reader_may_see() -> Result<()> {
    scenario("ds-tenant-search", async |world| {
        let cast = cast(world).await?;
        let search = async |api: &ApiClient, query: &str| {
            api.search(&json!({"query": query, "namespace": cast.mine, "limit": 50})).await
        };
        let found = search(cast.api(), "OOMKilled").await?;
        cast.shows_nothing(&found.to_string())?;
        let matches = |found: &Value| -> i64 {
            let results = found["results"].as_array().cloned().unwrap_or_default();
            results.iter().filter_map(|result| result["matches"].as_i64()).sum()
        };
        assert_eq!(matches(&found), 3, "{found}");
        let found = search(cast.api(), FOREIGN).await?;
        assert_eq!(found["results"], json!([]));
        for namespace in ["", cast.other.as_str()] {
            let request = json!({"query": FOREIGN, "namespace": namespace});
            cast.api().post("/api/v1/search", &request).await?.problem(403, "forbidden")?;
        }
        let elsewhere = json!({"query": FOREIGN, "namespace": cast.mine, "cluster": "eu-2"});
        let answer = cast.api().post("/api/v1/search", &elsewhere).await?;
        cast.shows_nothing(&answer.text().replace("eu-2", ""))?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_export_has_one_namespace() -> Result<()> {
    scenario("ds-tenant-export", async |world| {
        let cast = cast(world).await?;
        let export = cast.api().get(&format!("{EXPORT}?namespace={}", cast.mine)).await?.require(200)?.text();
        let lines: Vec<Value> = export.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let (last, records) = lines.split_last().context("lines")?;
        assert_eq!(records.len(), 3);
        assert_eq!(last["count"], 3);
        assert!(last["checkpoint"].is_null(), "a checkpoint has the number of the newest record: {last}");
        cast.shows_nothing(&export)?;
        for query in [String::new(), format!("namespace={}", cast.other)] {
            cast.api().get(&format!("{EXPORT}?{query}")).await?.problem(403, "forbidden")?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_tools_of_an_agent_show_no_more_than_the_api() -> Result<()> {
    scenario("ds-tenant-mcp", async |world| {
        let cast = cast(world).await?;
        let call = async |api: &ApiClient, name: &str, arguments: Value| -> Result<String> {
            let request =
                json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}});
            Ok(api.post("/mcp", &request).await?.require(200)?.text())
        };
        let theirs = cast.foreign.renewed().with("correlation_id", "rr-theirs");
        cast.admin.api.write(&theirs).await?;
        let target = json!({"kind": "Deployment", "namespace": "shared", "name": "payments-api"});
        let calls = [
            ("target_history", target),
            ("search_incidents", json!({"query": format!("OOMKilled or {FOREIGN}"), "namespace": cast.mine})),
            ("search_incidents", json!({"query": "OOMKilled"})),
            ("get_record", json!({"event_id": cast.foreign.id()})),
        ];
        for (name, arguments) in calls {
            let text = call(cast.api(), name, arguments.clone()).await?;
            cast.shows_nothing(&text.replace(cast.foreign.id(), ""))?;
            ensure!(call(&cast.admin.api, name, arguments).await? != text, "the administrator sees no more of {name}");
        }
        Ok(())
    })
    .await
}
