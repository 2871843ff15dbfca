//! Credentials and tenants. Credentials are placeholders with the names of variables, which the agent replaces from its
//! own environment.

use crd_types::{Credentials, Reason};

use super::toolsets::{CredentialsField, Toolset};
use crate::{
    tool::{Note, Tool},
    yaml::{Block, Key},
};

/// The header by which Loki, Mimir and Tempo tell their tenants apart.
const TENANT_HEADER: &str = "X-Scope-OrgID";

/// Credentials in the shape of a toolset's fields.
pub(super) enum Placed {
    /// One field.
    Key {
        /// Its name.
        field: &'static str,
        /// The placeholder.
        value: String,
    },
    /// `username` and `password`.
    UserAndPassword {
        /// The placeholder.
        username: String,
        /// The placeholder.
        password: String,
    },
    /// A header in a map of headers.
    Header {
        /// The field that holds the map.
        map: &'static str,
        /// The header.
        name: Key,
        /// Its value, with a placeholder.
        value: String,
    },
    /// `auth` of an endpoint of `type: http`.
    Auth(Block),
}

/// The credentials of a tool, if its toolset has a field for them. If it has none, `unsupported` reports it.
pub(super) fn place(toolset: Toolset, tool: &Tool, notes: &mut Vec<Note>) -> Option<Placed> {
    let credentials = tool.credentials.as_ref()?;
    let field = toolset.credentials(credentials.type_)?;
    let placed = in_field(field, credentials);
    if placed.is_none() {
        // The schema refuses these, but an object that was stored under another schema can hold them.
        notes.push(Note::new(
            Reason::CredentialsUnsupported,
            format!(
                "The credentials of {} are omitted, because they contain no valid name of an environment variable or of a header.",
                tool.object_in_words()
            ),
        ));
    }
    placed
}

fn in_field(field: CredentialsField, credentials: &Credentials) -> Option<Placed> {
    let secret = placeholder(&credentials.env)?;
    let username = || credentials.username_env.as_deref().and_then(placeholder);
    let header = || credentials.header.as_deref().and_then(header);
    Some(match field {
        CredentialsField::Key(field) => Placed::Key { field, value: secret },
        CredentialsField::UserAndPassword => Placed::UserAndPassword { username: username()?, password: secret },
        CredentialsField::Header { map, bearer: true } => {
            Placed::Header { map, name: Key::new("Authorization")?, value: format!("Bearer {secret}") }
        }
        CredentialsField::Header { map, bearer: false } => Placed::Header { map, name: header()?, value: secret },
        CredentialsField::Auth(type_) => {
            let auth = Block::new().with("type", type_);
            Placed::Auth(match type_ {
                "basic" => auth.with("username", username()?).with("password", secret),
                "header" => auth.with("name", header()?.as_str().to_owned()).with("value", secret),
                _ => auth.with("token", secret),
            })
        }
    })
}

/// The tenant's header and the map that holds it. A header of that name in the credentials wins, because it is more
/// explicit.
pub(super) fn tenant(toolset: Toolset, tool: &Tool) -> Option<(&'static str, Key, String)> {
    let tenant = tool.tenant_id.as_ref()?;
    let map = toolset.tenant_headers()?;
    let same = |credentials: &Credentials| {
        credentials.header.as_ref().is_some_and(|header| header.eq_ignore_ascii_case(TENANT_HEADER))
    };
    if tool.credentials.as_ref().is_some_and(same)
        || !tenant.chars().all(|c| c.is_ascii_alphanumeric() || "_.|-".contains(c))
    {
        return None;
    }
    Some((map, Key::new(TENANT_HEADER)?, tenant.clone()))
}

/// The placeholder that the agent replaces by the value of a variable. `None` if `env` cannot be a variable's name.
fn placeholder(env: &str) -> Option<String> {
    let start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let fine = env.starts_with(start) && env.chars().all(|c| start(c) || c.is_ascii_digit());
    fine.then(|| format!("{{{{ env.{env} }}}}"))
}

/// A header's name as a key. `None` if it cannot be one.
fn header(name: &str) -> Option<Key> {
    let fine = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    Key::new(name).filter(|_| fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_variable_becomes_a_placeholder() {
        assert_eq!(placeholder("PROM_TOKEN").as_deref(), Some("{{ env.PROM_TOKEN }}"));
        for bad in ["", "1A", "A B", "A}}{{ env.B", "A.B", "A-B", "Ä"] {
            assert_eq!(placeholder(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_a_header_that_can_be_a_key_is_taken() {
        assert!(header("X-Auth").is_some());
        for bad in ["", "X.Auth", "X Auth", "X:Auth", "X\nAuth"] {
            assert!(header(bad).is_none(), "{bad:?}");
        }
    }
}
