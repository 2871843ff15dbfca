//! The values of labels. All of them stand here, so no label comes from a request.

use audit::{
    Kind, Reason,
    Reason::{Invalid, LengthExceeded, Required, SqlInjectionDetected, WhitespaceOnly, XssDetected},
};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $name { $($(#[$vdoc])* $variant,)+ }

            impl $name {
                /// All of them.
                pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

                /// The value of the label.
                pub fn as_str(self) -> &'static str {
                    match self { $(Self::$variant => $word,)+ }
                }
            }
        )+
    };
}

words! {
    /// What became of the record of a write.
    WriteStatus {
        /// Written.
        Success = "success",
        /// Written before.
        Duplicate = "duplicate",
        /// Refused, because of its content or its id.
        Refused = "refused",
        /// The database could not be written.
        Failure = "failure",
    }

    /// Why a record and its vector are not both durable.
    DualWriteFailure {
        /// The database could not be written.
        PostgresqlFailure = "postgresql_failure",
        /// The vector could not be written.
        VectordbFailure = "vectordb_failure",
        /// The provider made no vector.
        EmbeddingFailure = "embedding_failure",
        /// The record is not valid.
        ValidationFailure = "validation_failure",
        /// The client went away, or the time was up.
        ContextCanceled = "context_canceled",
        /// The database undid the transaction.
        TransactionRollback = "transaction_rollback",
    }

    /// A kind of query.
    Operation {
        /// A list or a correlation.
        List = "list",
        /// One record.
        Get = "get",
        /// The history of a target.
        History = "history",
        /// A search.
        SemanticSearch = "semantic_search",
        /// An export.
        Export = "export",
        /// A verification, or the checkpoint for one.
        Verify = "verify",
    }
}

/// All kinds, in the order of [`Kind`].
pub(super) const KINDS: [Kind; 6] =
    [Kind::Remediation, Kind::AiAnalysis, Kind::Workflow, Kind::Execution, Kind::Toolset, Kind::System];

/// The value of the label `table`.
pub(super) fn table(kind: Kind) -> &'static str {
    match kind {
        Kind::Remediation => "remediation_audit",
        Kind::AiAnalysis => "ai_analysis_audit",
        Kind::Workflow => "workflow_audit",
        Kind::Execution => "execution_audit",
        Kind::Toolset => "toolset_audit",
        Kind::System => "system_audit",
    }
}

/// The results of an authentication.
pub const AUTH_RESULTS: [&str; 5] = ["authenticated", "unauthorized", "forbidden", "too_many", "unavailable"];

/// The plans of a search.
pub const SEARCH_PATHS: [&str; 3] = ["text", "exact", "hnsw"];

/// The fields of a record, and for which reasons one can be refused. A reason that is not listed counts as the first one.
/// Everything else counts as `other`, also a field whose name the client made up.
pub(super) const REFUSALS: [(&str, &[Reason]); 23] = [
    ("event_id", &[Invalid]),
    ("kind", &[Invalid, Required]),
    ("occurred_at", &[Invalid]),
    ("name", &[Invalid, Required, LengthExceeded, WhitespaceOnly, XssDetected, SqlInjectionDetected]),
    ("namespace", &[Invalid, Required, LengthExceeded, XssDetected, SqlInjectionDetected]),
    ("cluster", &[Invalid, LengthExceeded, WhitespaceOnly, XssDetected, SqlInjectionDetected]),
    ("phase", &[Invalid, Required]),
    ("status", &[Invalid]),
    ("action_type", &[Invalid, Required, LengthExceeded, WhitespaceOnly, XssDetected, SqlInjectionDetected]),
    ("correlation_id", &[Invalid, Required, LengthExceeded, WhitespaceOnly, XssDetected, SqlInjectionDetected]),
    ("parent_event_id", &[Invalid]),
    ("severity", &[Invalid, LengthExceeded, WhitespaceOnly, XssDetected, SqlInjectionDetected]),
    ("environment", &[Invalid, LengthExceeded, WhitespaceOnly, XssDetected, SqlInjectionDetected]),
    ("target_resource", &[Invalid, LengthExceeded, WhitespaceOnly, XssDetected, SqlInjectionDetected]),
    ("fingerprint", &[Invalid, LengthExceeded, WhitespaceOnly, XssDetected, SqlInjectionDetected]),
    ("actor", &[Invalid, LengthExceeded, WhitespaceOnly, XssDetected, SqlInjectionDetected]),
    ("duration_ms", &[Invalid]),
    ("trace_id", &[Invalid, LengthExceeded, WhitespaceOnly, XssDetected, SqlInjectionDetected]),
    ("summary", &[Invalid, LengthExceeded, WhitespaceOnly]),
    ("error_message", &[Invalid, LengthExceeded, WhitespaceOnly]),
    ("data", &[Invalid, LengthExceeded]),
    ("body", &[Invalid, LengthExceeded, Required]),
    ("other", &[Invalid]),
];
