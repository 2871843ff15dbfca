//! What the header of a request must say before its body is read.

use std::sync::Arc;

use audit::problem::ProblemType;
use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};

use crate::api::{App, Failure};

/// The origins of web pages that can use the endpoint, for example `https://agent.example.com`.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(pub Arc<[String]>);

/// A request that did not come from the page of a stranger.
pub(super) struct Gate;

impl FromRequestParts<App> for Gate {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
        let origins = parts.extensions.get::<Origins>().cloned().unwrap_or_default();
        check(&parts.headers, &origins.0).map_err(|why| Failure::new(ProblemType::Forbidden, why))?;
        Ok(Self)
    }
}

/// A browser sends the origin of the page that sends a request.
fn check(headers: &HeaderMap, origins: &[String]) -> Result<(), &'static str> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(origin) = text(header::ORIGIN)
        && !origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    {
        return Err("web pages of this origin are not allowed to use /mcp; add the origin to --mcp-allowed-origins");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(origin: Option<&'static str>, host: &'static str) -> HeaderMap {
        let host = (header::HOST, HeaderValue::from_static(host));
        origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))).into_iter().chain([host]).collect()
    }

    #[test]
    fn an_origin_must_be_allowed_and_none_is_fine() {
        let allowed = ["https://agent.example.com".to_owned()];
        check(&headers(None, "ds:8080"), &[]).unwrap();
        check(&headers(Some("https://agent.example.com"), "ds:8080"), &allowed).unwrap();
        for origin in
            ["https://evil.example", "null", "", "https://agent.example.com.evil.example", "http://agent.example.com"]
        {
            check(&headers(Some(origin), "ds:8080"), &allowed).unwrap_err();
        }
        check(&headers(Some("http://localhost"), "localhost"), &[]).unwrap_err();
    }
}
