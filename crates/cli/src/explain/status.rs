//! The section about the status of the ToolsetConfig, and whether it agrees with the explanation.

use super::{
    case::{Case, entry},
    classification::Classification,
};
use crate::text::{Text, wrap};

pub(super) fn section(case: &Case<'_>) -> Vec<Text> {
    // The operator does not know a ToolsetConfig from a file.
    if !case.snapshot.live || case.snapshot.config.metadata.uid.is_none() {
        return Vec::new();
    }
    let mut lines = vec![case.heading("Status of the ToolsetConfig")];
    let Some(status) = &case.snapshot.config.status else {
        lines.extend(wrap(
            "  ",
            "The ToolsetConfig has no status yet. Check that the operator is running and that its flag --config-namespaces includes the namespace.",
        ));
        return lines;
    };
    let (namespace, name) = (&*case.key().namespace, &*case.key().name);
    let tool = status.tools.iter().find(|tool| tool.namespace == namespace && tool.service == name);
    let rejected = status.rejected.iter().find(|one| one.namespace == namespace && one.service == name);
    let reported = match (tool, rejected) {
        (Some(tool), _) => format!("tool {} at {}, {}", tool.type_, tool.endpoint, tool.health),
        (None, Some(rejected)) => format!("{}: {}", rejected.reason, rejected.message),
        (None, None) => "the Service is not listed".to_owned(),
    };
    lines.push(entry("reported", reported));
    let agrees = match &case.classification {
        Classification::Tool(planned) => tool.is_some_and(|listed| {
            listed.endpoint == planned.endpoint.to_string() && listed.type_ == planned.type_name()
        }),
        Classification::Rejected(planned) => rejected.is_some_and(|listed| listed.reason == planned.reason.as_str()),
        Classification::Outside(_) | Classification::Unrecognised => tool.is_none() && rejected.is_none(),
    };
    let cut = status.truncated && tool.is_none() && rejected.is_none();
    let generation = case.snapshot.config.metadata.generation;
    let text = if agrees {
        case.paint.good("yes")
    } else if cut {
        Text::from("unknown, because the status is truncated and may not list the Service")
    } else if status.observed_generation != generation {
        case.paint.warn("no, because the status is about an older generation of the ToolsetConfig")
    } else {
        case.paint.warn("no; the operator may have another version, or an object changed just now (see the conditions)")
    };
    lines.push(entry("agrees", text));
    for condition in
        status.conditions.iter().filter(|condition| condition.status != "True" && condition.type_ != "ConsumerReloaded")
    {
        lines.push(entry(
            &condition.type_,
            case.paint.warn(format!("{} ({}): {}", condition.status, condition.reason, condition.message)),
        ));
    }
    lines
}
