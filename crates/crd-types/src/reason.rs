//! The condition types and the reasons. Alerts and scripts of users match them, so a released name never changes.

use crate::closed::closed;

closed! {
    /// The types of the conditions of a ToolsetConfig.
    pub enum ConditionType {
        /// The ConfigMap is up to date, and the inputs can be read.
        Ready,
        /// The operator has listed every input that the spec needs, and every input is up to date.
        InputsSynced,
        /// The ConfigMap holds the planned content.
        OutputApplied,
        /// Everything that the spec asks for took effect.
        OverridesApplied,
        /// The operator has made the restarts of the agent that the spec asks for.
        ConsumerReloaded,
        /// Every replica of the agent has loaded the current content of the ConfigMap.
        AgentLoaded,
    }
}

closed! {
    /// The reasons of the conditions of a ToolsetConfig.
    pub enum Reason {
        /// There is no problem. A plan without tools is not a problem.
        AsExpected,
        /// `spec.mode` is Preview: the operator plans and does not write.
        Preview,
        /// `spec.mode` is Suspended: the operator neither plans nor writes.
        Suspended,
        /// The operator has not listed every input yet.
        WaitingForInputs,
        /// The operator is not allowed to read an input.
        InputForbidden,
        /// The operator has had no contact with the API server about an input for too long, or the first list of the
        /// input fails.
        InputStale,
        /// The operator cannot read an input in some of the watched namespaces. It uses the last known state of these
        /// namespaces.
        InputPartiallyHeld,
        /// A source names a namespace that the operator does not watch.
        NamespaceNotWatched,
        /// A ConfigMap of this name belongs to another owner or to an older ToolsetConfig, the API server would reject
        /// the write, or another ToolsetConfig writes the same data source.
        OutputConflict,
        /// A write of the ConfigMap failed. The message has the error.
        ApplyFailed,
        /// Another field manager keeps changing the ConfigMap.
        OutputContested,
        /// The ConfigMap is being deleted, and a finalizer delays the deletion.
        OutputTerminating,
        /// The output exceeds its size limit, so the operator left tools out, or more data sources are to be deleted in
        /// Grafana than a file can name.
        OutputTooLarge,
        /// An override matches no tool.
        OverrideUnmatched,
        /// The agent does not support these credentials for this type of tool.
        CredentialsUnsupported,
        /// The agent does not support this setting for this type of tool.
        SettingUnsupported,
        /// The operator cannot read the key `overrides.yaml` of the Dynamic Toolset Service.
        LegacyOverridesInvalid,
        /// The base file is missing or the operator cannot read it.
        BaseInvalid,
        /// The operator could not restart the agent.
        ReloadFailed,
        /// A restart of the agent is due, and the operator has not started it yet.
        ReloadPending,
        /// A replica of the agent has not loaded the current content of the ConfigMap.
        AgentBehind,
        /// An entry that the operator wrote is not enabled in the agent.
        AgentFailed,
        /// The agent has no ready replica, or a replica does not answer.
        AgentUnreachable,
        /// The agent refuses the operator's key, or the installation does not name the Service in serviceRef.
        AgentUnauthorized,
        /// The agent is older than 0.45.0 or its version is unknown, so the operator does not ask it.
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
        /// The detector of its type is Disabled in the spec.
        DetectorDisabled,
        /// The operator recognises the Service, but its endpoint role serves no queries.
        NotAnEndpoint,
        /// The Service is headless, and another Service has the same pods.
        HeadlessTwin,
        /// The operator recognises the Service, but none of its ports is known to answer queries.
        NoUsablePort,
        /// The confidence is lower than `minConfidence`.
        NotEnoughEvidence,
        /// The Service is of type ExternalName, and its source does not allow it.
        ExternalNameNotAllowed,
        /// The Service has no selector, and its source does not allow it.
        SelectorlessNotAllowed,
        /// The source of the Service is Tenant, and the operator has not seen EndpointSlices that belong to the Service
        /// for long enough.
        AwaitingEndpointSlices,
        /// The Service has external IPs or manual EndpointSlices that its source does not allow, or an endpoint that is
        /// never allowed.
        EndpointNotAllowed,
        /// An annotation with the prefix `kubernaut.io/` is malformed.
        InvalidAnnotation,
        /// Another Service of the same product is preferred.
        LostToPreferred,
        /// The Service has had no usable endpoint for longer than allowed.
        Unhealthy,
        /// An override disables the tool.
        OverriddenOff,
        /// A limit on the number of tools or on the size of the output is reached.
        LimitExceeded,
        /// The source of the Service is Tenant, and the Service did not opt in.
        TenantNotOptedIn,
        /// Another tool or the agent itself has the requested name.
        NameConflict,
        /// The Service is a tool, but it selects Pods of several controllers that differ, so the operator uses only what
        /// they have in common.
        AmbiguousPods,
        /// The spec gives credentials or a tenant to the Service, but its source is Tenant.
        CredentialsNotAllowed,
        /// The source of the Service is Tenant, and the output format contains only tools of Trusted sources.
        TrustedOnly,
        /// No source covers the namespace of the Service. Only `kubectl toolset explain` reports this reason.
        NamespaceNotSelected,
        /// No source selects the labels of the Service. Only `kubectl toolset explain` reports this reason.
        ServiceNotSelected,
    }
}
