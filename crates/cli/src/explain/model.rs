//! An explanation as plain data. `-o json` and `-o yaml` print it, and the terminal and the page show it.
//!
//! Texts are sentences or parts of sentences for people. They can contain text from the cluster, so they are not escaped.

use std::collections::BTreeMap;

use serde::Serialize;

/// Why a Service is a tool or why it is not, and what would change it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    pub namespace: String,
    pub service: String,
    pub conclusion: Conclusion,
    /// What the user can do, with the lines to copy.
    pub changes: Vec<Change>,
    pub spec: Spec,
    pub sources: Sources,
    pub annotations: Vec<Annotation>,
    /// What is wrong with the annotations.
    pub malformed: Option<String>,
    pub signatures: Vec<Rule>,
    pub overrides: Vec<Rule>,
    /// `None` if Pods cannot add anything.
    pub pods: Option<Pods>,
    pub detectors: Detectors,
    /// All candidates for the same product. `None` if there are no others.
    pub candidates: Option<Candidates>,
    /// `None` if health does not matter for the Service.
    pub health: Option<Health>,
    /// What the operator's probes show. `None` without probes.
    pub probes: Option<Probes>,
    /// What the operator says. `None` if it does not know the ToolsetConfig.
    pub status: Option<Status>,
}

/// The result for a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Result {
    /// It is a tool.
    Tool,
    /// It is a candidate, but not a tool.
    Rejected,
    /// No source selects it.
    NotSelected,
    /// A source selects it, but nothing recognises it.
    NotRecognised,
}

/// The result, and the reason for it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Conclusion {
    pub result: Result,
    /// The reason as the status of the ToolsetConfig names it. `None` if nothing recognises the Service.
    pub reason: Option<String>,
    /// The type of the tool, if it is known.
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// How a tool was recognised, or why the Service is not a tool.
    pub message: String,
    pub tool: Option<Tool>,
}

/// What the agent gets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tool {
    pub name: String,
    pub endpoint: String,
    pub confidence: String,
    pub source: String,
    pub trust: String,
    /// A problem that the tool has although it is a tool.
    pub problem: Option<Problem>,
    /// What the product is known to ask for and the tool does not have.
    pub missing: Option<String>,
    /// What nothing proves.
    pub assumptions: Vec<String>,
    /// Why the output does not contain the tool.
    pub not_in_output: Option<String>,
}

/// A reason and what it means here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    pub reason: String,
    pub message: String,
}

/// What the user can do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    pub text: String,
    /// A command, or a line of the ToolsetConfig.
    pub copy: Option<String>,
}

/// The spec of the Service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    /// The type in words, for example `headless (clusterIP: None)`.
    pub kind: String,
    pub ports: Vec<Port>,
    pub labels: BTreeMap<String, String>,
    pub selector: BTreeMap<String, String>,
}

/// A port of the Service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Port {
    pub name: Option<String>,
    #[serde(rename = "port")]
    pub number: u16,
    pub protocol: String,
    /// The target port, if it is not the port itself.
    #[serde(rename = "targetPort")]
    pub target: Option<String>,
}

/// The sources of the ToolsetConfig.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sources {
    /// The ToolsetConfig, as `namespace/name`. `None` without one: then every namespace is Trusted.
    pub config: Option<String>,
    pub sources: Vec<SourceResult>,
}

/// What a source does with the Service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceResult {
    pub name: String,
    pub trust: String,
    pub selects: bool,
    pub message: String,
}

/// An annotation of this project.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Annotation {
    pub key: String,
    pub value: String,
}

/// A signature or an override that matches the Service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rule {
    pub name: String,
    /// What it does, for example `sets state: Disabled`.
    pub effect: String,
}

/// What the Pods behind the Service show.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pods {
    /// Why they do not count, or what they could show.
    pub message: Option<String>,
    /// The Pods and the templates that were read.
    pub read: Vec<String>,
    /// The programs in them that no detector knows.
    pub unknown_programs: Vec<String>,
    /// What the Service is with them.
    pub result: Option<String>,
    pub decided_by: Option<String>,
    /// What they changed. Empty if they changed nothing.
    pub changed: Vec<String>,
    pub problem: Option<Problem>,
    /// Why some of them were not read.
    pub not_read: Option<String>,
}

/// The results of the built-in detectors.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Detectors {
    /// Whether annotations or a signature state the type, so that the detectors do not decide.
    pub overruled: bool,
    /// The detectors that found evidence.
    pub results: Vec<Detector>,
    /// The types of the detectors that found none.
    pub without_evidence: Vec<String>,
}

/// The result of one detector.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Detector {
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether the ToolsetConfig disables it.
    pub disabled: bool,
    pub finding: Finding,
    /// The finding in words.
    pub message: String,
    pub confidence: Option<String>,
    /// The strongest piece comes first.
    pub evidence: Vec<Evidence>,
    /// What would make the detector certain.
    pub hint: Option<String>,
}

/// What a detector found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Finding {
    /// The Service answers queries.
    Endpoint,
    /// The Service belongs to the product, but serves no queries.
    NotAnEndpoint,
    /// None of the ports is known to serve queries.
    NoUsablePort,
    /// There is not enough evidence.
    NotEnoughEvidence,
}

/// One piece of evidence.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evidence {
    /// The part of the Service or of the Pod that it comes from.
    pub kind: String,
    /// Whether it is for the product, or against it.
    pub supports: bool,
    pub message: String,
}

/// All candidates for a product, highest rank first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Candidates {
    #[serde(rename = "type")]
    pub type_: String,
    #[serde(rename = "candidates")]
    pub ranked: Vec<Candidate>,
    /// How many more there are that are not tools.
    pub more: usize,
}

/// One candidate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Candidate {
    /// The rank of a tool, from 1.
    pub rank: Option<usize>,
    /// `namespace/name`, or the entry of `spec.tools`.
    pub service: String,
    /// Why it is not a tool. `None` for a tool.
    pub reason: Option<String>,
    /// Whether it is the Service that is explained.
    pub is_this: bool,
    /// Why it has its rank.
    pub notes: Vec<String>,
}

/// The health of the endpoints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Health {
    /// `Healthy`, `Unhealthy` or `Unknown`.
    pub health: String,
    pub message: String,
}

/// What the operator has asked the Service over HTTP, as the status says it. This command sends no probes.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Probes {
    /// What was asked about the product, and the class of the response.
    pub identity: Option<String>,
    /// The parts of the tool that only this response shows.
    pub from_identity: Vec<String>,
    /// What was asked about the health, and the class of the response.
    pub health: Option<String>,
    /// Why the Service is not a tool, if the probes decided that.
    pub problem: Option<Problem>,
    /// What is not known, and why.
    pub message: Option<String>,
}

/// What the status of the ToolsetConfig says about the Service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// What it says. `None` if there is no status yet.
    pub reported: Option<String>,
    /// Whether it says the same as the explanation. `None` if that is not known.
    pub agrees: Option<bool>,
    /// Why it does not agree, or why that is not known. Empty if it agrees.
    pub message: String,
    /// The conditions that are not True.
    pub conditions: Vec<Condition>,
}

/// A condition of the ToolsetConfig.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}
