//! What follows from the objects for one ToolsetConfig, as the pages need it. It is made from the plan of the operator's
//! code, and decides nothing itself.

use std::collections::{BTreeMap, HashMap};

use crd_types::{ServiceReason, ToolsetConfig};
use detectors::ServiceKey;
use toolset::{
    Health, Tool,
    pods::Pods,
    render::is_of_a_format,
    select::{
        candidate::Candidate,
        source::{self, Outside},
    },
    tool::Rejection,
};

use super::{
    address::service_address,
    known::{Known, config_map_problem},
};
use crate::{
    diff::{Comparison, comparison},
    explain::{Classification, why_outside, without_plan},
    pods::claim,
    snapshot::{Planned, Snapshot},
    text::sentence,
};

/// The plan for one ToolsetConfig, and the rest of a page.
#[expect(clippy::struct_excessive_bools, reason = "they are independent facts for the templates")]
pub(super) struct Review {
    /// The number of the change after which it was made.
    pub version: u64,
    pub config_name: String,
    pub config: ToolsetConfig,
    /// Whether the ToolsetConfig exists.
    pub config_given: bool,
    /// All ToolsetConfigs, by `NAMESPACE/NAME`.
    pub configs: BTreeMap<String, ToolsetConfig>,
    pub live: bool,
    /// Whether everything was read once.
    pub complete: bool,
    /// What is known of the ConfigMap.
    pub output: OutputSeen,
    pub health_known: bool,
    pub services: usize,
    /// Every Service and every entry of `spec.tools`, by namespace and name.
    pub rows: Vec<Row>,
    /// How many of the rows are tools.
    pub tools: usize,
    /// How many of the rows are recognised and are not tools.
    pub rejected: usize,
    /// The plan, to explain a Service.
    pub planned: Planned,
    /// The ConfigMap as it is and as planned.
    pub comparison: Comparison,
    /// The keys of the ConfigMap that belong to others.
    pub foreign_keys: Vec<String>,
    /// What the user should know of the input and of the plan.
    pub notes: Vec<String>,
    /// What cannot be read now.
    pub problems: Vec<String>,
}

/// Whether the ConfigMap of the output was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputSeen {
    Read,
    Waiting,
    Unreadable,
}

impl OutputSeen {
    fn of(known: &Known) -> Self {
        let config = &known.snapshot.config;
        let name = (config.metadata.namespace.clone().unwrap_or_default(), config.spec.output.config_map_name.clone());
        // Without a ToolsetConfig in the cluster, there is no ConfigMap to read.
        if !known.snapshot.live || !known.snapshot.config_given || known.maps_read.contains(&name) {
            Self::Read
        } else if known.problems.contains_key(&config_map_problem(&name)) {
            Self::Unreadable
        } else {
            Self::Waiting
        }
    }
}

/// What became of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Tool,
    Rejected,
    /// No source selects it.
    NotSelected,
    /// Nothing recognises it.
    NotRecognised,
}

/// A Service in a list.
#[derive(Clone)]
pub(super) struct Row {
    pub namespace: String,
    /// The name of the Service, or of an entry of `spec.tools`.
    pub name: String,
    /// Whether it is an entry of `spec.tools`.
    pub stated: bool,
    /// The name of the tool. Empty if it is none.
    pub tool_name: String,
    pub outcome: Outcome,
    /// Empty if it is not known.
    pub type_name: String,
    pub confidence: &'static str,
    pub endpoint: String,
    /// Empty if it is not known.
    pub health: &'static str,
    pub source: String,
    pub trust: &'static str,
    /// Empty for a tool without a problem.
    pub reason: &'static str,
    pub message: String,
    /// Whether a rule, a signature or an annotation says anything about it.
    pub recognised: bool,
    /// What a search looks at, in lower case.
    pub searched: String,
}

impl Outcome {
    /// The words of a page.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Tool => "Tool",
            Self::Rejected => "Not a tool",
            Self::NotSelected => "Not selected",
            Self::NotRecognised => "Not recognised",
        }
    }

    /// The value of a filter.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Rejected => "rejected",
            Self::NotSelected => "not-selected",
            Self::NotRecognised => "not-recognised",
        }
    }
}

impl Review {
    pub(super) fn new(known: &Known, cluster_domain: &str) -> Self {
        let snapshot = &known.snapshot;
        let planned = snapshot.plan(cluster_domain);
        let rows = rows(snapshot, &planned);
        let count = |outcome: Outcome| rows.iter().filter(|row| row.outcome == outcome).count();
        let comparison = comparison(snapshot, &planned);
        let mut notes = snapshot.notes.clone();
        notes.extend(comparison.notes.iter().cloned());
        notes.dedup();
        let output = snapshot.config_map(&snapshot.config.spec.output.config_map_name);
        let keys = output.into_iter().flat_map(|found| found.data.iter().flatten()).map(|(key, _)| key);
        let foreign_keys = keys.filter(|key| !is_of_a_format(key)).cloned().collect();
        Self {
            version: known.version(),
            config_name: snapshot.config_name(),
            config: snapshot.config.clone(),
            config_given: snapshot.config_given,
            configs: known.configs.clone(),
            live: snapshot.live,
            complete: known.is_complete(),
            output: OutputSeen::of(known),
            health_known: snapshot.slices_known,
            services: snapshot.index.services_len(),
            tools: count(Outcome::Tool),
            rejected: count(Outcome::Rejected),
            rows,
            comparison,
            foreign_keys,
            planned,
            notes,
            problems: known.relevant_problems(),
        }
    }

    /// The tools, in the order of types, names and ranks.
    pub(super) fn tool_rows(&self) -> Vec<&Row> {
        let mut tools: Vec<&Row> = self.rows.iter().filter(|row| row.outcome == Outcome::Tool).collect();
        tools.sort_by(|a, b| a.type_name.cmp(&b.type_name));
        tools
    }
}

fn rows(snapshot: &Snapshot, planned: &Planned) -> Vec<Row> {
    let tools: HashMap<&ServiceKey, &Tool> =
        planned.plan.tools.iter().filter_map(|tool| Some((tool.key.as_ref()?, tool))).collect();
    let rejected: HashMap<&ServiceKey, &Rejection> =
        planned.plan.rejected.iter().map(|rejection| (&rejection.key, rejection)).collect();
    let candidates: HashMap<&ServiceKey, &Candidate> =
        planned.trace.selection.candidates.iter().map(|candidate| (&candidate.key, candidate)).collect();
    let mut covering: (&str, Vec<&crd_types::Source>) = ("", Vec::new());
    let stated = planned.plan.tools.iter().filter(|tool| tool.key.is_none());
    let mut rows: Vec<Row> = stated.map(|tool| Row::of_tool("", &tool.name, snapshot, tool)).collect();
    for service in snapshot.index.services() {
        let key = &service.view.key;
        let mut row = if let Some(tool) = tools.get(key) {
            Row::of_tool(&key.namespace, &key.name, snapshot, tool)
        } else if let Some(rejection) = rejected.get(key) {
            Row::of_rejection(rejection, candidates.get(key).copied())
        } else {
            if covering.0 != &*key.namespace {
                let labels = snapshot.index.namespace_labels(&key.namespace);
                covering = (&key.namespace, source::covering(&snapshot.config, &key.namespace, labels));
            }
            let mut row = match without_plan(&covering.1, service) {
                Classification::Rejected(rejection) => Row::of_rejection(&rejection, None),
                Classification::Outside(outside) => Row {
                    outcome: Outcome::NotSelected,
                    reason: reason_outside(outside),
                    message: why_outside(snapshot, &key.namespace, outside),
                    ..Row::new(&key.namespace, &key.name)
                },
                Classification::Tool(_) | Classification::Unrecognised => Row::new(&key.namespace, &key.name),
            };
            if let Some(claim) = claim(&snapshot.config, service, Pods::Ignored) {
                row.recognised = true;
                row.type_name = claim.custom.clone().unwrap_or_else(|| claim.product.to_string());
                row.confidence = claim.confidence.as_str();
            }
            row
        };
        row.searched = row.search_text();
        rows.push(row);
    }
    rows
}

fn reason_outside(outside: Outside) -> &'static str {
    match outside {
        Outside::Namespace => ServiceReason::NamespaceNotSelected.as_str(),
        Outside::Selector => ServiceReason::ServiceNotSelected.as_str(),
    }
}

impl Row {
    fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            stated: false,
            tool_name: String::new(),
            outcome: Outcome::NotRecognised,
            type_name: String::new(),
            confidence: "",
            endpoint: String::new(),
            health: "",
            source: String::new(),
            trust: "",
            reason: "",
            message: String::new(),
            recognised: false,
            searched: String::new(),
        }
    }

    fn of_tool(namespace: &str, name: &str, snapshot: &Snapshot, tool: &Tool) -> Self {
        let mut row = Self {
            stated: tool.key.is_none(),
            tool_name: tool.name.clone(),
            outcome: Outcome::Tool,
            type_name: tool.type_name().to_owned(),
            confidence: tool.confidence.as_str(),
            endpoint: tool.endpoint.to_string(),
            health: if snapshot.slices_known { tool.health.as_str() } else { "" },
            source: tool.source.clone(),
            trust: tool.trust.as_str(),
            reason: if tool.reason == ServiceReason::Selected { "" } else { tool.reason.as_str() },
            recognised: true,
            ..Self::new(namespace, name)
        };
        row.searched = row.search_text();
        row
    }

    fn of_rejection(rejection: &Rejection, candidate: Option<&Candidate>) -> Self {
        Self {
            outcome: Outcome::Rejected,
            type_name: rejection.type_name().to_owned(),
            confidence: candidate.map_or("", |candidate| candidate.confidence.as_str()),
            source: candidate.map(|candidate| candidate.source.clone()).unwrap_or_default(),
            trust: rejection.trust.as_str(),
            reason: rejection.reason.as_str(),
            health: if rejection.reason == ServiceReason::Unhealthy { Health::Unhealthy.as_str() } else { "" },
            message: sentence(&rejection.message),
            recognised: true,
            ..Self::new(&rejection.key.namespace, &rejection.key.name)
        }
    }

    /// The same text that the equivalent command line searches.
    fn search_text(&self) -> String {
        let Self { namespace, name, type_name, endpoint, message, .. } = self;
        let reason = if self.outcome == Outcome::Tool { "" } else { self.reason };
        format!("{namespace}/{name} {type_name} {endpoint} {reason} {message}").to_ascii_lowercase()
    }

    /// Whether there is a page about it.
    pub(super) fn has_page(&self) -> bool {
        !self.stated
    }

    /// The address of the page about it.
    pub(super) fn address(&self, query: &str) -> String {
        service_address(&self.namespace, &self.name, query)
    }

    pub(super) fn is_tool(&self) -> bool {
        self.outcome == Outcome::Tool
    }

    pub(super) fn is_rejected(&self) -> bool {
        self.outcome == Outcome::Rejected
    }

    pub(super) fn label(&self) -> &'static str {
        self.outcome.label()
    }
}
