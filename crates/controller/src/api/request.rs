//! The parameters of writes, and requests that ask for the metadata only.
//!
//! By default a write returns the whole object, and the watch sends it again. The operator reads the object from the
//! watch, so it needs only the new resource version from the answer.

use axum::http::{HeaderValue, Request, header};
use kube::{
    Error, Resource,
    api::{Patch, PatchParams, PostParams},
    core::request,
};

use toolset::config_map::FIELD_MANAGER;

use super::name::NamespacedName;

/// The media type of an answer with the metadata only.
const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// A server-side apply of `body` to an object, or to one of its subresources.
pub(super) fn apply<K: Resource<DynamicType = ()>>(
    name: &NamespacedName,
    subresource: Option<&str>,
    params: &PatchParams,
    body: Vec<u8>,
) -> kube::Result<Request<Vec<u8>>> {
    let requests = request::Request::new(K::url_path(&(), Some(&name.namespace)));
    // kube validates the parameters and builds the rest of the request. The body is already serialised.
    let patch = Patch::Apply(());
    let request = match subresource {
        None => requests.patch(&name.name, params, &patch),
        Some(subresource) => requests.patch_subresource(subresource, &name.name, params, &patch),
    };
    let mut request = request.map_err(Error::BuildRequest)?.map(|_| body);
    request.headers_mut().insert(header::ACCEPT, METADATA_ONLY);
    Ok(request)
}

/// A `POST` of `body`. It fails if an object of that name exists.
pub(super) fn create<K: Resource<DynamicType = ()>>(
    name: &NamespacedName,
    body: Vec<u8>,
) -> kube::Result<Request<Vec<u8>>> {
    let requests = request::Request::new(K::url_path(&(), Some(&name.namespace)));
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let mut request = requests.create(&params, body).map_err(Error::BuildRequest)?;
    request.headers_mut().insert(header::ACCEPT, METADATA_ONLY);
    Ok(request)
}

/// Server-side apply under our one field manager that takes fields over from other field managers.
pub(super) fn forced() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

/// Any other patch under our field manager.
pub(super) fn patch() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}
