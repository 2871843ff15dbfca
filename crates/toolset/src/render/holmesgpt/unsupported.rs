//! What the spec wants and the agent has no field for.
//!
//! The agent silently ignores config keys that it does not know. So such a setting is left out of the file and
//! reported.

use crd_types::{Credentials, Override, Reason, ServiceReason, Settings, StaticTool, ToolsetConfig, Trust};
use detectors::Product;

use super::toolsets::{Toolset, VERSION};
use crate::{endpoint::Endpoint, plan::Plan, select::overridden::override_matches, tool::Note};

/// What one entry of the spec wants.
#[derive(Clone, Copy, Debug, Default)]
struct Asked<'a> {
    credentials: Option<&'a Credentials>,
    tenant_id: Option<&'a str>,
    settings: Option<&'a Settings>,
    instructions: Option<&'a str>,
}

/// What `spec.overrides` and `spec.tools` want and the agent has no field for. `plan` is the plan before the size
/// budget.
pub fn notes(config: &ToolsetConfig, plan: &Plan) -> Vec<Note> {
    let of_overrides = config.spec.overrides.iter().flat_map(|rule| of_override(rule, plan));
    let tools = config.spec.tools.iter().filter(|tool| Endpoint::of_url(&tool.endpoint).is_ok());
    of_overrides.chain(tools.flat_map(of_tool)).collect()
}

/// The notes of an override, for the tools that it matches. Tools that wait to be healthy count too, so that the notes
/// do not change with health. A Tenant's tool takes everything that it is allowed to have.
fn of_override(rule: &Override, plan: &Plan) -> Vec<Note> {
    let asked = Asked {
        credentials: rule.credentials.as_ref(),
        tenant_id: rule.tenant_id.as_deref(),
        settings: rule.settings.as_ref(),
        instructions: rule.instructions.as_deref(),
    };
    let tools = plan.tools.iter().filter(|tool| tool.trust == Trust::Trusted);
    let tools = tools.filter_map(|tool| Some((tool.key.as_ref()?, tool.product, tool.custom.as_deref())));
    let waiting = plan
        .rejected
        .iter()
        .filter(|rejection| rejection.trust == Trust::Trusted && rejection.reason == ServiceReason::Unhealthy);
    let waiting = waiting.filter_map(|one| Some((&one.key, one.product?, one.custom.as_deref())));
    tools
        .chain(waiting)
        .filter(|(key, product, custom)| override_matches(rule, key, Some(*product), *custom))
        .flat_map(|(key, product, _)| {
            unsupported(asked, product, &format!("Service {key}"), &format!("Override {}", rule.name))
        })
        .collect()
}

fn of_tool(tool: &StaticTool) -> Vec<Note> {
    let asked = Asked {
        credentials: tool.credentials.as_ref(),
        tenant_id: tool.tenant_id.as_deref(),
        settings: tool.settings.as_ref(),
        instructions: tool.instructions.as_deref(),
    };
    unsupported(asked, tool.type_, &format!("tool {}", tool.name), &format!("Tool {}", tool.name))
}

/// What has no field in the toolset of a Trusted `product`. `tool` names the tool in question, and `origin` the entry
/// of the spec that wants it.
fn unsupported(asked: Asked<'_>, product: Product, tool: &str, origin: &str) -> Vec<Note> {
    let toolset = Toolset::of(product, Trust::Trusted);
    let what = || format!("HolmesGPT {VERSION} queries {tool} with {}", toolset.in_words());
    let mut notes = Vec::new();
    if let Some(credentials) = asked.credentials.filter(|credentials| toolset.credentials(credentials.type_).is_none())
    {
        let message = format!(
            "{origin}: credentials of type {} are omitted, because {}, which supports only {}. Use a supported type, or a proxy that adds the credentials.",
            credentials.type_.as_str(),
            what(),
            toolset.credentials_in_words(),
        );
        notes.push(Note::new(Reason::CredentialsUnsupported, message));
    }
    let mut left_out = |field: &str, why: &str| {
        let message = format!("{origin}: {field} is omitted, because {}, which {why}. Remove it.", what());
        notes.push(Note::new(Reason::SettingUnsupported, message));
    };
    if asked.tenant_id.is_some() && toolset.tenant_headers().is_none() {
        left_out("tenantID", "does not send X-Scope-OrgID");
    }
    if asked.settings.is_some_and(|settings| settings.timeout_seconds.is_some()) && !toolset.has_timeout() {
        left_out("settings.timeoutSeconds", "has no timeout for a single request");
    }
    if asked.settings.is_some_and(|settings| !settings.paths.is_empty()) && !toolset.has_paths() {
        left_out("settings.paths", "uses fixed paths");
    }
    if asked.instructions.is_some() && !toolset.has_instructions() {
        left_out("instructions", "has its own instructions for all instances. Use description instead");
    }
    notes
}

#[cfg(test)]
mod tests;
