//! What the agent cannot take of what the spec asks for.
//!
//! The agent ignores config keys that it does not know, without a word. What it has no field for is left out of the file, and
//! the user is informed.

use crd_types::{Credentials, Override, Reason, ServiceReason, Settings, StaticTool, ToolsetConfig, Trust};
use detectors::Product;

use super::toolsets::{Toolset, VERSION};
use crate::{
    endpoint::Endpoint,
    plan::{Plan, overrides::override_matches},
    spelling,
    tool::Note,
};

/// What one entry of the spec asks for.
#[derive(Clone, Copy, Debug, Default)]
struct Asked<'a> {
    credentials: Option<&'a Credentials>,
    tenant_id: Option<&'a str>,
    settings: Option<&'a Settings>,
    instructions: Option<&'a str>,
}

/// What `spec.overrides` and `spec.tools` ask for and the agent has no field for. `plan` is the plan before the size budget.
pub fn notes(config: &ToolsetConfig, plan: &Plan) -> Vec<Note> {
    let of_overrides = config.spec.overrides.iter().flat_map(|rule| of_override(rule, plan));
    let tools = config.spec.tools.iter().filter(|tool| Endpoint::of_url(&tool.endpoint).is_ok());
    of_overrides.chain(tools.flat_map(of_tool)).collect()
}

/// An override counts for the tools that it matches, also for those that wait to be healthy. A Tenant's tool takes all that
/// it may be given.
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
        .flat_map(|(key, product, _)| unsupported(asked, product, &key.to_string(), &format!("override {}", rule.name)))
        .collect()
}

fn of_tool(tool: &StaticTool) -> Vec<Note> {
    let asked = Asked {
        credentials: tool.credentials.as_ref(),
        tenant_id: tool.tenant_id.as_deref(),
        settings: tool.settings.as_ref(),
        instructions: tool.instructions.as_deref(),
    };
    let origin = format!("tool {}", tool.name);
    unsupported(asked, spelling::product(tool.type_), &origin, &origin)
}

/// What of it has no field in the toolset of a Trusted `product`. `tool` is the one that it is for, `origin` the entry of the
/// spec that asks for it.
fn unsupported(asked: Asked<'_>, product: Product, tool: &str, origin: &str) -> Vec<Note> {
    let toolset = Toolset::of(product, Trust::Trusted);
    let what = || format!("{tool} is {} in HolmesGPT {VERSION}", toolset.in_words());
    let mut notes = Vec::new();
    if let Some(credentials) = asked.credentials.filter(|credentials| toolset.credentials(credentials.type_).is_none())
    {
        let message = format!(
            "{origin}: credentials of type {} are left out: {}, which takes {} only; use one of these, or put a proxy in front that adds the credentials",
            credentials.type_.as_str(),
            what(),
            toolset.credentials_in_words(),
        );
        notes.push(Note::new(Reason::CredentialsUnsupported, message));
    }
    let mut left_out = |field: &str, why: &str| {
        let message = format!("{origin}: {field} is left out: {}, which {why}; remove it", what());
        notes.push(Note::new(Reason::SettingUnsupported, message));
    };
    if asked.tenant_id.is_some() && toolset.tenant_headers().is_none() {
        left_out("tenantID", "sends no X-Scope-OrgID");
    }
    if asked.settings.is_some_and(|settings| settings.timeout_seconds.is_some()) && !toolset.has_timeout() {
        left_out("settings.timeoutSeconds", "has no timeout for single calls");
    }
    if asked.settings.is_some_and(|settings| !settings.paths.is_empty()) && !toolset.has_paths() {
        left_out("settings.paths", "has paths of its own");
    }
    if asked.instructions.is_some() && !toolset.has_instructions() {
        left_out("instructions", "brings its own for all instances; say it in description");
    }
    notes
}

#[cfg(test)]
mod tests;
