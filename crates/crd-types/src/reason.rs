//! The closed lists of condition types and reasons. Users' alerts and scripts match on them, so a name, once released, stays.

use crate::closed::closed;

closed! {
    /// The condition types of a ToolsetConfig.
    pub enum ConditionType {
        /// Sums the others up.
        Ready,
        /// Every input that the spec needs has been listed and is fresh.
        InputsSynced,
        /// The ConfigMap holds what was planned.
        OutputApplied,
        /// Every override, signature and base file had an effect that could be honoured.
        OverridesApplied,
        /// The agent runs with what the ConfigMap holds.
        ConsumerReloaded,
    }
}

closed! {
    /// Why a condition of a ToolsetConfig is as it is.
    pub enum Reason {
        /// All is well; also with no tools at all.
        AsExpected,
        /// `mode: Preview`: planned, not written.
        Preview,
        /// `mode: Suspended`: neither planned nor written.
        Suspended,
        /// An input has not been listed yet.
        WaitingForInputs,
        /// The operator may not read an input; the output is held.
        InputForbidden,
        /// An input has not been heard from for too long; the output is held.
        InputStale,
        /// A ConfigMap of that name belongs to somebody else, or to an older ToolsetConfig.
        OutputConflict,
        /// Writing the ConfigMap failed; the message says how.
        ApplyFailed,
        /// Another writer keeps changing the ConfigMap back.
        OutputContested,
        /// The output is over its size budget and was cut.
        OutputTooLarge,
        /// An override matches no tool.
        OverrideUnmatched,
        /// The agent has no field for these credentials on this type.
        CredentialsUnsupported,
        /// The agent has no field for this setting on this type.
        SettingUnsupported,
        /// The predecessor's `overrides.yaml` cannot be read.
        LegacyOverridesInvalid,
        /// The base file is missing or cannot be read.
        BaseInvalid,
        /// Restarting the agent failed.
        ReloadFailed,
        /// The stored object cannot be read, for example because an older schema let it in.
        InvalidConfig,
    }
}

closed! {
    /// What became of one Service.
    pub enum ServiceReason {
        /// It is a tool.
        Selected,
        /// It carries the opt-out annotation.
        OptedOut,
        /// Its type is Disabled in the spec.
        DetectorDisabled,
        /// Recognised, but in a role that serves no queries.
        NotAnEndpoint,
        /// A headless twin of a Service over the same pods.
        HeadlessTwin,
        /// Recognised, but none of its ports can be called.
        NoUsablePort,
        /// The evidence is below minConfidence.
        NotEnoughEvidence,
        /// An ExternalName Service that no source allows.
        ExternalNameNotAllowed,
        /// A Service without selector that no source allows.
        SelectorlessNotAllowed,
        /// External addresses or hand-made EndpointSlices that no source allows.
        EndpointNotAllowed,
        /// An annotation of ours is malformed.
        InvalidAnnotation,
        /// `instances: Single`, and another one ranks higher.
        LostToPreferred,
        /// Without a usable endpoint for longer than allowed.
        Unhealthy,
        /// An override disables it.
        OverriddenOff,
        /// A cap on the number of tools or on the size was reached.
        LimitExceeded,
        /// In a Tenant source, without the opt-in annotation.
        TenantNotOptedIn,
        /// Another tool has the name, and that one stays.
        NameConflict,
        /// Credentials are set, and its source is Tenant.
        CredentialsNotAllowed,
        /// Its namespace is in no source; only said by `explain`.
        NamespaceNotSelected,
        /// Its labels match no source of its namespace; only said by `explain`.
        ServiceNotSelected,
    }
}
