//! What every proxy does: it listens, forwards requests with the administrator's rights, and refuses them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    response::Response,
};
use http::{HeaderMap, HeaderName, StatusCode, header, request::Parts};
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use super::request::ApiRequest;
use crate::controlplane::{nonce, write_private};

/// Headers that concern one connection only. They are not forwarded.
const OF_ONE_CONNECTION: [HeaderName; 5] =
    [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::AUTHORIZATION];

/// A client of the API server with the rights of this kubeconfig.
pub(super) async fn upstream(kubeconfig: &Path) -> Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    // The client is to notice that the API server is away.
    config.default_retry = false;
    Ok(ClientBuilder::try_from(config)?.build())
}

/// Serves on a free port. Returns a kubeconfig whose server is this port, and the task that serves.
pub(super) async fn serve(router: Router, folder: &Path) -> Result<(PathBuf, JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = tokio::spawn(async move {
        // Its clients see why it fails.
        _ = axum::serve(listener, router).await;
    });
    let kubeconfig = folder.join(format!("proxy-{}.kubeconfig", nonce()?));
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": url}}],
        "users": [{"name": "anybody", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "anybody"}}],
        "current-context": "proxy",
    });
    write_private(&kubeconfig, config.to_string().as_bytes())?;
    Ok((kubeconfig, server))
}

/// Reads a whole request. `Err` is the answer to one that breaks off.
pub(super) async fn received(request: Request) -> Result<(ApiRequest, Parts, Bytes), Response> {
    let (parts, body) = request.into_parts();
    match axum::body::to_bytes(body, usize::MAX).await {
        Ok(body) => Ok((ApiRequest::of(&parts.method, &parts.uri), parts, body)),
        Err(error) => Err(refusal(StatusCode::BAD_REQUEST, &error.to_string())),
    }
}

/// Sends a request on and returns the beginning of the answer.
pub(super) async fn forward(
    upstream: &Client,
    parts: &Parts,
    body: Bytes,
) -> Result<http::Response<kube::client::Body>> {
    let path = parts.uri.path_and_query().context("a request without a path")?;
    let mut forwarded =
        http::Request::builder().method(&parts.method).uri(path.as_str()).body(kube::client::Body::from(body))?;
    *forwarded.headers_mut() = passed_on(&parts.headers);
    Ok(upstream.send(forwarded).await?)
}

/// The headers without those of one connection.
pub(super) fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in OF_ONE_CONNECTION {
        headers.remove(name);
    }
    headers
}

/// A failure in the form that the API server has for it.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response {
    let object = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": status.canonical_reason().unwrap_or_default().replace(' ', ""),
        "message": message,
        "code": status.as_u16(),
    });
    let mut response = Response::new(Body::from(object.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
