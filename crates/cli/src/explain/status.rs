//! Whether the operator's own status says the same.

use super::{Case, entry, verdict::Verdict};
use crate::text::wrap;

pub fn section(case: &Case<'_>) -> Vec<String> {
    // A ToolsetConfig from a file is not what the operator works by.
    if !case.snapshot.live || case.snapshot.config.metadata.uid.is_none() {
        return Vec::new();
    }
    let mut lines = vec![case.heading("The operator's status")];
    let Some(status) = &case.snapshot.config.status else {
        lines.extend(wrap(
            "  ",
            "none yet: no operator has looked at this ToolsetConfig; is one running, and is its namespace in --config-namespaces?",
        ));
        return lines;
    };
    let (namespace, name) = (&*case.key().namespace, &*case.key().name);
    let tool = status.tools.iter().find(|tool| tool.namespace == namespace && tool.service == name);
    let rejected = status.rejected.iter().find(|one| one.namespace == namespace && one.service == name);
    let said = match (tool, rejected) {
        (Some(tool), _) => format!("a tool, {} at {}, {}", tool.type_, tool.endpoint, tool.health),
        (None, Some(rejected)) => format!("{}: {}", rejected.reason, rejected.message),
        (None, None) => "does not list it".to_owned(),
    };
    lines.push(entry("says", said));
    let agrees = match &case.verdict {
        Verdict::Tool(mine) => {
            tool.is_some_and(|theirs| theirs.endpoint == mine.endpoint.to_string() && theirs.type_ == mine.type_name())
        }
        Verdict::Rejected(mine) => rejected.is_some_and(|theirs| theirs.reason == mine.reason.as_str()),
        Verdict::Outside(_) | Verdict::Unrecognised => tool.is_none() && rejected.is_none(),
    };
    let cut = status.truncated && tool.is_none() && rejected.is_none();
    let generation = case.snapshot.config.metadata.generation;
    let words = if agrees {
        case.paint.good("the same as above")
    } else if cut {
        "the status is cut, so that it may be missing there".to_owned()
    } else if status.observed_generation != generation {
        case.paint.warn("not the same, and about an older version of the ToolsetConfig")
    } else {
        case.paint.warn("not the same as above: another version of the operator, or something changed just now; look at its conditions")
    };
    lines.push(entry("which is", words));
    for condition in
        status.conditions.iter().filter(|condition| condition.status != "True" && condition.type_ != "ConsumerReloaded")
    {
        lines.push(entry(
            &condition.type_,
            case.paint.warn(&format!("{} ({}): {}", condition.status, condition.reason, condition.message)),
        ));
    }
    lines
}
