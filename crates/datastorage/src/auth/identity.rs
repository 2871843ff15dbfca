//! An identity and what it wants to do.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;

use crate::store::Scope;

/// The verbs of Kubernetes RBAC on the resource `auditrecords`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Write records.
    Create,
    /// Read one record by its id.
    Get,
    /// Read lists, correlations, history, search and export.
    List,
    /// Write records that are older than seven days.
    Import,
}

impl Verb {
    /// The verb as RBAC writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::List => "list",
            Self::Import => "import",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The identity of a client, from the API server or from the file of static tokens. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name, for example `system:serviceaccount:prod:workflow-engine`, or `read-token:holmesgpt` for a static token.
    pub name: Arc<str>,
    who: Who,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Everybody, because of `--auth=none`.
    Anonymous,
    /// The user of a token that the API server reviewed.
    User(Arc<User>),
    /// The owner of a static token.
    Reader(Arc<Reader>),
}

impl Identity {
    pub(super) fn anonymous() -> Self {
        Self { name: "anonymous".into(), who: Who::Anonymous }
    }

    pub(super) fn user(user: Arc<User>) -> Self {
        Self { name: Arc::clone(&user.name), who: Who::User(user) }
    }

    pub(super) fn reader(reader: Arc<Reader>) -> Self {
        Self { name: Arc::clone(&reader.name), who: Who::Reader(reader) }
    }

    pub(super) fn who(&self) -> &Who {
        &self.who
    }
}

/// A user, as a `TokenReview` shows it and a `SubjectAccessReview` needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub name: Arc<str>,
    pub uid: Option<String>,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
    /// The HMAC of the token that it showed.
    pub token: [u8; 32],
    /// When this token ends.
    pub expires: Option<Timestamp>,
}

/// The client of a static token. It can only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reader {
    pub name: Arc<str>,
    /// The records that it can read.
    pub scope: Scope,
}

impl Reader {
    pub(super) fn may(&self, verb: Verb, namespace: Option<&str>) -> bool {
        match (self.scope(verb), namespace) {
            (Some(Scope::Cluster), _) => true,
            (Some(Scope::Namespaces(names)), Some(namespace)) => names.iter().any(|name| name == namespace),
            (Some(Scope::Namespaces(_)) | None, _) => false,
        }
    }

    pub(super) fn scope(&self, verb: Verb) -> Option<Scope> {
        match verb {
            Verb::Get | Verb::List => Some(self.scope.clone()),
            Verb::Create | Verb::Import => None,
        }
    }
}
