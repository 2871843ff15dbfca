//! The labels of metrics, and the closed sets of their values.

use prometheus_client::encoding::EncodeLabelSet;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct OfType {
    pub(super) r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct OfTypeAndHealth {
    pub(super) r#type: &'static str,
    pub(super) health: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct OfTypeWithResult {
    pub(super) r#type: &'static str,
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct WithReason {
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct WithResult {
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct WithOperation {
    pub(super) operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct OfInput {
    pub(super) input: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct OfInputWithReason {
    pub(super) input: &'static str,
    pub(super) reason: &'static str,
}

/// How one reconcile of a ToolsetConfig ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReconcileResult {
    /// The ConfigMap was written.
    Applied,
    /// The ConfigMap is as planned.
    Unchanged,
    /// The output waits for inputs or for the end of a conflict, or the mode or another owner prevents the write.
    Held,
    /// A request failed.
    Failed,
    /// The stored object cannot be read.
    Unreadable,
}

impl ReconcileResult {
    pub(super) const ALL: [Self; 5] = [Self::Applied, Self::Unchanged, Self::Held, Self::Failed, Self::Unreadable];

    /// The value in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Why the ConfigMap was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It did not exist.
    Create,
    /// Its content changed.
    Update,
    /// Somebody else changed or deleted it.
    Repair,
    /// It belonged to the predecessor, or to another owner and `conflictPolicy` is Adopt.
    Adopt,
}

impl Operation {
    pub(super) const ALL: [Self; 4] = [Self::Create, Self::Update, Self::Repair, Self::Adopt];

    /// The value in metrics and log lines.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Repair => "repair",
            Self::Adopt => "adopt",
        }
    }
}

/// How the read of one Pod ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PodRead {
    /// The API server sent the Pod.
    Read,
    /// The operator is not allowed to get it.
    Forbidden,
    /// It does not exist any more.
    Gone,
    /// Anything else.
    Failed,
}

impl PodRead {
    pub(super) const ALL: [Self; 4] = [Self::Read, Self::Forbidden, Self::Gone, Self::Failed];

    /// The value in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Forbidden => "forbidden",
            Self::Gone => "gone",
            Self::Failed => "failed",
        }
    }
}

/// How a health probe of a Service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthCheck {
    /// The Service answers.
    Success,
    /// It refuses, fails or does not answer in time.
    Failure,
    /// There is no connection to a Service of a Trusted source.
    Unreachable,
    /// There is no connection to a Service of a Tenant source.
    UnreachableTenant,
    /// The operator may not call any of its addresses.
    NotAllowed,
}

impl HealthCheck {
    /// The value in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Unreachable => "unreachable",
            Self::UnreachableTenant => "unreachable_tenant",
            Self::NotAllowed => "not_allowed",
        }
    }
}
