//! Bodies of requests: JSON, of limited size, and all together of limited size.

use std::{sync::Arc, time::Duration};

use audit::{Reason, problem::ProblemType, weight::Weight};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
};
use http::header;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{App, Failure};
use crate::limits::{Allowance, Permit};

/// The most bytes of a body.
pub(super) const MOST: usize = 4 << 20;
/// The most memory of the values of a body, besides its bytes.
const HEAVIEST: usize = 4 << 20;
/// The most bytes of all bodies that are not answered yet.
const IN_FLIGHT: usize = 32 << 20;
/// The timeout for sending a body.
const TIME: Duration = Duration::from_secs(10);
/// The most bytes that are read of a refused body, and how long.
const DISCARDED: usize = 8 << 20;
const DISCARDING: Duration = Duration::from_secs(2);

/// The memory that all bodies share.
#[derive(Clone)]
pub struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(IN_FLIGHT)))
    }
}

/// The body of a request. Its memory counts until it is dropped.
pub struct JsonBody {
    bytes: Vec<u8>,
    held: Held,
}

/// The memory of a body and of what is made of it. It counts until it is dropped.
#[derive(Default)]
pub(super) struct Held {
    memory: Option<OwnedSemaphorePermit>,
    /// Of the memory that the identity may use.
    share: Vec<Permit>,
}

impl JsonBody {
    /// The bytes, which may not be JSON.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Drops the bytes. The memory counts on, for what was made of them.
    pub(super) fn into_held(self) -> Held {
        self.held
    }

    /// Reads the JSON. The error contains the position, and nothing of the content.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.bytes).map_err(|error| not_json(&error))
    }
}

/// Says where JSON is wrong. The messages of serde quote only names of fields and types for our own structs.
pub(super) fn not_json(error: &serde_json::Error) -> Failure {
    Failure::field("body", Reason::Invalid, format!("the body is invalid: {error}"))
}

impl FromRequest<App> for JsonBody {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let detail = "send the body with the header Content-Type: application/json";
            return Err(Failure::new(ProblemType::UnsupportedMediaType, detail));
        }
        let length =
            request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > MOST as u64) {
            discard(request.into_body()).await;
            return Err(too_large());
        }
        let allowance = request.extensions().get::<Allowance>().cloned();
        in_time(request.into_body(), &app.bodies, allowance.as_ref()).await
    }
}

async fn in_time(mut body: Body, bodies: &Bodies, allowance: Option<&Allowance>) -> Result<JsonBody, Failure> {
    let read = timeout(TIME, read(&mut body, bodies, allowance)).await.unwrap_or_else(|_elapsed| {
        Err(Failure::field(
            "body",
            Reason::Invalid,
            format!("the body did not arrive completely within {} s", TIME.as_secs()),
        ))
    });
    if read.is_err() {
        discard(body).await;
    }
    read
}

/// Reads the rest of a refused body, within limits, and keeps nothing of it. A client that still sends would not see the
/// answer if the connection ended.
async fn discard(mut body: Body) {
    let rest = async {
        let mut discarded = 0;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > DISCARDED {
                break;
            }
        }
    };
    drop(timeout(DISCARDING, rest).await);
}

/// Memory is taken for what has arrived, not for what a client announces: announcing is free. It is taken for the bytes
/// and for the values that they will become.
async fn read(body: &mut Body, bodies: &Bodies, allowance: Option<&Allowance>) -> Result<JsonBody, Failure> {
    let mut read = JsonBody { bytes: Vec::new(), held: Held::default() };
    let mut weight = Weight::default();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| Failure::field("body", Reason::Invalid, "the body ended before it was complete"))?;
        let Ok(data) = frame.into_data() else { continue };
        if read.bytes.len() + data.len() > MOST {
            return Err(too_large());
        }
        let amount = u32::try_from(data.len() + weight.add(&data)).unwrap_or(u32::MAX);
        if weight.total() > HEAVIEST {
            let detail = "the body has too many values; send fewer records in each request";
            return Err(Failure::new(ProblemType::PayloadTooLarge, detail));
        }
        let Ok(memory) = Arc::clone(&bodies.0).try_acquire_many_owned(amount) else {
            let detail = "the bodies of other requests use all memory for bodies; send the request again later";
            return Err(Failure::new(ProblemType::TooManyRequests, detail).after(Duration::from_secs(1)));
        };
        if let Some(allowance) = allowance {
            read.held.share.push(allowance.body(amount)?);
        }
        match &mut read.held.memory {
            Some(all) => all.merge(memory),
            none => *none = Some(memory),
        }
        read.bytes.extend_from_slice(&data);
    }
    Ok(read)
}

fn too_large() -> Failure {
    Failure::new(
        ProblemType::PayloadTooLarge,
        format!("the body has more than {} MiB; send smaller batches", MOST >> 20),
    )
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};

    use super::*;

    type Part = Result<Bytes, std::io::Error>;

    fn body(parts: &[usize]) -> Body {
        Body::from_stream(stream::iter(parts.iter().map(|size| Part::Ok(vec![b' '; *size].into())).collect::<Vec<_>>()))
    }

    fn kind(result: Result<JsonBody, Failure>) -> ProblemType {
        result.map(|_| ()).unwrap_err().problem.r#type
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_limit_and_a_body_that_is_dropped_makes_room() {
        let bodies = Bodies(Arc::new(Semaphore::new(100)));
        let first = in_time(body(&[40, 40]), &bodies, None).await.unwrap();
        assert_eq!(kind(in_time(body(&[10, 20]), &bodies, None).await), ProblemType::TooManyRequests);
        let second = in_time(body(&[20]), &bodies, None).await.unwrap();
        drop(first);
        in_time(body(&[80]), &bodies, None).await.unwrap();
        drop(second);
        assert_eq!(bodies.0.available_permits(), 100);
    }

    #[tokio::test]
    async fn a_body_counts_with_the_values_that_are_made_of_it_until_its_memory_is_given_back() {
        let bodies = Bodies::default();
        let free = bodies.0.available_permits();
        let body = in_time(Body::from("[{},{},{}]"), &bodies, None).await.unwrap();
        assert!(free - bodies.0.available_permits() > 3 * 600);
        let held = body.into_held();
        assert!(free - bodies.0.available_permits() > 3 * 600);
        drop(held);
        assert_eq!(bodies.0.available_permits(), free);

        let heavy = format!("[{}]", vec![r#"{"":0}"#; 400_000].join(","));
        assert!(heavy.len() < MOST);
        assert_eq!(kind(in_time(Body::from(heavy), &bodies, None).await), ProblemType::PayloadTooLarge);
        assert_eq!(bodies.0.available_permits(), free);
    }

    #[tokio::test]
    async fn a_body_without_a_length_has_the_same_limit() {
        let bodies = Bodies::default();
        in_time(body(&[MOST - 1, 1]), &bodies, None).await.unwrap();
        assert_eq!(kind(in_time(body(&[MOST, 1]), &bodies, None).await), ProblemType::PayloadTooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_refused_after_a_while() {
        let slow = stream::iter([Part::Ok(vec![b' '].into())]).chain(stream::pending());
        let failure = in_time(Body::from_stream(slow), &Bodies::default(), None).await.map(|_| ()).unwrap_err();
        assert_eq!(failure.problem.errors[0].message, "the body did not arrive completely within 10 s");
    }
}
