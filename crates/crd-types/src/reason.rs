//! The condition types and the reasons. Alerts and scripts of users match them, so a released name never changes.

use crate::closed::closed;

closed! {
    /// The types of the conditions of a ToolsetConfig.
    pub enum ConditionType {
        /// The ConfigMap is up to date, and the inputs can be read.
        Ready,
        /// The operator has listed every input that the spec needs, and every input is up to date.
        InputsSynced,
        /// The ConfigMap contains the current tools.
        OutputApplied,
        /// All overrides and settings took effect.
        OverridesApplied,
        /// The agent has been restarted after every change that requires a restart.
        ConsumerReloaded,
        /// Every replica of the agent has loaded the current content of the ConfigMap.
        AgentLoaded,
    }
}

closed! {
    /// The reasons of the conditions of a ToolsetConfig.
    pub enum Reason {
        /// There is no problem. Having no tools is not a problem.
        AsExpected,
        /// `spec.mode` is Preview: the operator plans the tools but does not write the ConfigMap.
        Preview,
        /// `spec.mode` is Suspended: the operator neither plans the tools nor writes the ConfigMap.
        Suspended,
        /// The operator has not listed every input yet.
        WaitingForInputs,
        /// The operator is not allowed to read an input.
        InputForbidden,
        /// The watch of an input has lost contact with the API server, or the first list of the input keeps failing.
        InputStale,
        /// The operator cannot read an input in some of the watched namespaces. It uses the last known state of these
        /// namespaces.
        InputPartiallyHeld,
        /// A source names a namespace that the operator does not watch.
        NamespaceNotWatched,
        /// The operator cannot reach the Pods of some tools, and too few other Services can be reached. The operator's
        /// own network may be the cause, so these tools stay as they are.
        ProbeSuspect,
        /// The ConfigMap belongs to another owner or to an older ToolsetConfig, the API server would reject the write,
        /// or another ToolsetConfig writes the same Grafana data source.
        OutputConflict,
        /// The operator could not write the ConfigMap. The message contains the error.
        ApplyFailed,
        /// Another field manager keeps changing the ConfigMap.
        OutputContested,
        /// The ConfigMap is being deleted, and a finalizer delays the deletion.
        OutputTerminating,
        /// The output exceeds its size limit, so the operator omitted tools, or more Grafana data sources have to be
        /// deleted than one file can list.
        OutputTooLarge,
        /// An override matches no tool.
        OverrideUnmatched,
        /// The agent does not support these credentials for this type of tool.
        CredentialsUnsupported,
        /// The agent does not support this setting for this type of tool.
        SettingUnsupported,
        /// The key `overrides.yaml` of the Dynamic Toolset Service is invalid.
        LegacyOverridesInvalid,
        /// The base file is missing or invalid.
        BaseInvalid,
        /// The operator could not restart the agent.
        ReloadFailed,
        /// A restart of the agent is required, and the operator has not started it yet.
        ReloadPending,
        /// A replica of the agent has not loaded the current content of the ConfigMap.
        AgentBehind,
        /// An entry that the operator wrote is not enabled in the agent.
        AgentFailed,
        /// The agent has no ready replica, or a replica does not answer.
        AgentUnreachable,
        /// The agent rejects the operator's API key, or the installation does not list the Service in serviceRef.
        AgentUnauthorized,
        /// The agent is older than 0.45.0 or its version is unknown, so the operator does not ask it what it has
        /// loaded.
        AgentTooOld,
        /// The operator cannot read the stored object, for example because it was created with an older schema.
        InvalidConfig,
    }
}

closed! {
    /// Why a Service is a tool, or why it is not.
    pub enum ServiceReason {
        /// The Service is a tool.
        Selected,
        /// The Service has the opt-out annotation.
        OptedOut,
        /// The detector for the type is Disabled in the spec.
        DetectorDisabled,
        /// The Service is recognised, but its endpoint role does not serve queries.
        NotAnEndpoint,
        /// The Service is headless, and another Service selects the same Pods.
        HeadlessTwin,
        /// The Service is recognised, but none of its ports is known to serve queries.
        NoUsablePort,
        /// The confidence is lower than `minConfidence`.
        NotEnoughEvidence,
        /// The Service is of type ExternalName, and its source does not allow it.
        ExternalNameNotAllowed,
        /// The Service has no selector, and its source does not allow it.
        SelectorlessNotAllowed,
        /// The source of the Service is Tenant, and the EndpointSlices of the Service are missing or have changed too
        /// recently.
        AwaitingEndpointSlices,
        /// The Service has external IPs or manually managed EndpointSlices that its source does not allow, or an
        /// endpoint that is never allowed.
        EndpointNotAllowed,
        /// An annotation with the prefix `kubernaut.io/` is malformed.
        InvalidAnnotation,
        /// The Service is recognised, but another instance of the same product was preferred:
        /// `spec.detectors[].instances` is Single and the other instance ranks higher, or the other Service is the
        /// preferred endpoint for the same data. This is not an error.
        LostToPreferred,
        /// The Service has no usable endpoint, its health probes fail, or it has not been probed often enough. A tool
        /// in the output is removed after `spec.health.withholdAfterSeconds`.
        Unhealthy,
        /// The endpoints of the Service are ready, but the operator cannot reach its Pods. It can reach other Services.
        Unreachable,
        /// The operator cannot reach the Pods of the Service, and too few other Services can be reached. The operator's
        /// own network may be the cause, so the tool stays as it is.
        ProbeSuspect,
        /// The Service is a tool, but the operator does not probe it. The readiness of its endpoints determines its
        /// health.
        ProbeNotAllowed,
        /// The response to an identity probe proves that the Service is another product.
        NotTheProduct,
        /// An override disables the tool.
        OverriddenOff,
        /// A limit on the number of tools or on the size of the output has been reached.
        LimitExceeded,
        /// The source of the Service is Tenant, and the Service did not opt in.
        TenantNotOptedIn,
        /// The requested name is used by another tool or by the agent itself.
        NameConflict,
        /// The Service is a tool, but it selects Pods of several controllers that differ. The operator uses only what
        /// these Pods have in common.
        AmbiguousPods,
        /// The spec specifies credentials or a tenant ID for a Service of a Tenant source.
        CredentialsNotAllowed,
        /// The source of the Service is Tenant, and the output format contains only tools from Trusted sources.
        TrustedOnly,
        /// No source selects the namespace of the Service. Only `kubectl toolset explain` reports this reason.
        NamespaceNotSelected,
        /// No source selects the labels of the Service. Only `kubectl toolset explain` reports this reason.
        ServiceNotSelected,
    }
}
