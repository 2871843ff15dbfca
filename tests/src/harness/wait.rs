//! Waits for conditions, each with a deadline. The error shows what was seen last.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use kube::{Api, Resource, runtime::wait::await_condition};
use serde::{Serialize, de::DeserializeOwned};

/// How long a test waits for something that takes milliseconds, on a machine that may be busy with everything else.
pub const DEADLINE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(20);

/// Asks until `probe` succeeds, at most for [`DEADLINE`]. The error is the last one of `probe`'s, under `what`.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    within(DEADLINE, what, probe).await
}

/// [`eventually`] with another deadline.
pub async fn within<T>(deadline: Duration, what: &str, mut probe: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(error) if started.elapsed() > deadline => {
                return Err(error.context(format!("not within {deadline:?}: {what}")));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Asks again and again for as long as `duration`; the first failure of `probe` is the result.
///
/// This checks that something does not happen. To be sure that it would be seen, cause something afterwards that must
/// happen.
pub async fn holds(duration: Duration, what: &str, mut probe: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < duration {
        probe().await.with_context(|| format!("after {:?} no longer: {what}", started.elapsed()))?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Watches an object until it is there and `condition` is true of it. Survives a stopped API server. At the deadline
/// the error shows the object as it is.
pub async fn present<K>(api: &Api<K>, name: &str, what: &str, condition: impl Fn(&K) -> bool) -> Result<K>
where
    K: Clone + Debug + Send + Serialize + DeserializeOwned + Resource + 'static,
{
    let seen = watch(api, name, |object: Option<&K>| object.is_some_and(&condition)).await;
    seen.and_then(|object| object.context("it is absent")).with_context(|| format!("{name}: {what}"))
}

/// Watches an object until it is gone.
pub async fn absent<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Clone + Debug + Send + Serialize + DeserializeOwned + Resource + 'static,
{
    watch(api, name, |object: Option<&K>| object.is_none()).await.with_context(|| format!("{name} is not gone"))?;
    Ok(())
}

async fn watch<K>(api: &Api<K>, name: &str, condition: impl Fn(Option<&K>) -> bool) -> Result<Option<K>>
where
    K: Clone + Debug + Send + Serialize + DeserializeOwned + Resource + 'static,
{
    let started = Instant::now();
    loop {
        let left = DEADLINE.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, await_condition(api.clone(), name, &condition)).await {
            Ok(Ok(object)) => return Ok(object),
            // The API server may be stopped on purpose.
            Ok(Err(error)) if left.is_zero() => return Err(error.into()),
            Ok(Err(_)) => tokio::time::sleep(PAUSE).await,
            Err(_) => return Err(still(api, name).await),
        }
    }
}

async fn still<K>(api: &Api<K>, name: &str) -> anyhow::Error
where
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    match api.get_opt(name).await {
        Ok(Some(object)) => match serde_json::to_string_pretty(&object) {
            Ok(json) => anyhow!("not within {DEADLINE:?}; it is:\n{json}"),
            Err(error) => error.into(),
        },
        Ok(None) => anyhow!("not within {DEADLINE:?}; it is absent"),
        Err(error) => error.into(),
    }
}
