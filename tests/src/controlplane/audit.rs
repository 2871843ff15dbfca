//! What the API server's audit log says.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// One answered request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedRequest {
    /// Who asked, such as `admin` or `system:serviceaccount:monitoring:operator`.
    pub user: String,
    /// With what program.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The API group; empty for the core group and for paths outside the API.
    pub group: String,
    /// The resource in plural, with its subresource: `toolsetconfigs/status`. Empty for paths outside the API.
    pub resource: String,
    /// Empty for what is in no namespace.
    pub namespace: String,
    /// Empty for lists.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
}

/// Reads every complete line. A watch is listed when it begins and again when it ends.
pub(super) fn read(path: &Path) -> Result<Vec<AuditedRequest>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The API server may be in the middle of its last line.
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().map(parse).collect()
}

fn parse(line: &str) -> Result<AuditedRequest> {
    let event: Event = serde_json::from_str(line).with_context(|| format!("not an audit event: {line}"))?;
    let object = event.object_ref.unwrap_or_default();
    let subresource = if object.subresource.is_empty() { String::new() } else { format!("/{}", object.subresource) };
    Ok(AuditedRequest {
        user: event.user.username,
        user_agent: event.user_agent,
        verb: event.verb,
        group: object.api_group,
        resource: object.resource + &subresource,
        namespace: object.namespace,
        name: object.name,
        code: event.response_status.code,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    response_status: ResponseStatus,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_still_being_written_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let line = r#"{"kind":"Event","stage":"ResponseComplete","verb":"patch","user":{"username":"admin"},
            "userAgent":"kubectl","objectRef":{"resource":"toolsetconfigs","namespace":"holmes","name":"default",
            "apiGroup":"toolset.kubernaut.io","subresource":"status"},"responseStatus":{"code":200}}"#
            .replace('\n', "");
        fs::write(&path, format!("{line}\n{}", &line[..40])).unwrap();

        let requests = read(&path).unwrap();
        assert_eq!(
            requests,
            [AuditedRequest {
                user: "admin".to_owned(),
                user_agent: "kubectl".to_owned(),
                verb: "patch".to_owned(),
                group: "toolset.kubernaut.io".to_owned(),
                resource: "toolsetconfigs/status".to_owned(),
                namespace: "holmes".to_owned(),
                name: "default".to_owned(),
                code: 200,
            }]
        );
    }
}
