//! What the spec says about tools and a format other than `HolmesGPT` and `ToolsetJSON` has no place for.
//!
//! It is reported for each entry of the spec, whatever tools the entry concerns now, so the notes do not change with the
//! health of the tools.

use crd_types::{Credentials, OutputFormat, Reason, Settings, ToolsetConfigSpec};

use crate::{phrases::listed, tool::Note};

/// What one entry of the spec wants.
struct Wanted<'a> {
    /// The entry, in words.
    origin: String,
    tool_name: Option<&'a str>,
    description: Option<&'a str>,
    instructions: Option<&'a str>,
    credentials: Option<&'a Credentials>,
    tenant_id: Option<&'a str>,
    settings: Option<&'a Settings>,
}

/// What is left out of the format of this spec.
pub(super) fn notes(spec: &ToolsetConfigSpec) -> Vec<Note> {
    let Some(format) = spec.output.trusted_only() else { return Vec::new() };
    let overrides = spec.overrides.iter().map(|rule| Wanted {
        origin: format!("Override {}", rule.name),
        tool_name: rule.tool_name.as_deref(),
        description: rule.description.as_deref(),
        instructions: rule.instructions.as_deref(),
        credentials: rule.credentials.as_ref(),
        tenant_id: rule.tenant_id.as_deref(),
        settings: rule.settings.as_ref(),
    });
    let tools = spec.tools.iter().map(|tool| Wanted {
        origin: format!("Tool {}", tool.name),
        tool_name: None,
        description: tool.description.as_deref(),
        instructions: tool.instructions.as_deref(),
        credentials: tool.credentials.as_ref(),
        tenant_id: tool.tenant_id.as_deref(),
        settings: tool.settings.as_ref(),
    });
    overrides.chain(tools).flat_map(|wanted| of(&wanted, format)).collect()
}

fn of(wanted: &Wanted<'_>, format: OutputFormat) -> Vec<Note> {
    let origin = &wanted.origin;
    let for_variables = format == OutputFormat::Environment;
    let mut notes = Vec::new();
    if wanted.credentials.is_some() {
        let effect = if for_variables { "a tool with credentials is omitted" } else { "the credentials are omitted" };
        let message = format!(
            "{origin}: {effect}, because the format {format} cannot contain credentials. Use a proxy that adds the credentials."
        );
        notes.push(Note::new(Reason::CredentialsUnsupported, message));
    }
    if wanted.tenant_id.is_some() && for_variables {
        let message = format!(
            "{origin}: a tool with a tenantID is omitted, because the format {format} contains only URLs. Use a proxy that sends X-Scope-OrgID."
        );
        notes.push(Note::new(Reason::SettingUnsupported, message));
    }
    let settings = wanted.settings;
    let fields = [
        ("toolName", wanted.tool_name.is_some()),
        ("description", wanted.description.is_some()),
        ("instructions", wanted.instructions.is_some()),
        ("settings.paths", settings.is_some_and(|settings| !settings.paths.is_empty())),
        ("settings.timeoutSeconds", for_variables && settings.is_some_and(|one| one.timeout_seconds.is_some())),
        ("settings.verifyTLS", for_variables && settings.is_some_and(|one| one.verify_tls.is_some())),
    ];
    let left_out: Vec<&str> = fields.iter().filter(|(_, is_set)| *is_set).map(|(field, _)| *field).collect();
    if !left_out.is_empty() {
        let (fields, them) = match left_out.as_slice() {
            [one] => (format!("{one} is"), "it"),
            several => (format!("{} are", listed(several)), "them"),
        };
        let message = format!(
            "{origin}: {fields} not supported by the format {format} and therefore omitted. Remove {them} from the spec.",
        );
        notes.push(Note::new(Reason::SettingUnsupported, message));
    }
    notes
}
