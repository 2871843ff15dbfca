//! The agents that the installation names: whom the operator may ask for which ToolsetConfig, and with which key.
//!
//! The author of a ToolsetConfig chooses `consumer.serviceRef`. If that were enough, the author could send the agent's
//! key to any Service. So the installation mounts a folder with `agents.json`, the keys and the certificates. The folder
//! is read again at every round, so a changed key needs no restart.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::http::HeaderValue;
use crd_types::PortRef;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde::Deserialize;

use crate::api::NamespacedName;

/// The file with the list.
const LIST: &str = "agents.json";
/// The size of the largest list, key and certificate file, in bytes.
const MOST_LIST: u64 = 256 * 1024;
const MOST_KEY: u64 = 8 * 1024;
const MOST_CERTIFICATES: u64 = 256 * 1024;

/// The folder. `None` if the operator was started without one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Installed(Option<Arc<Path>>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    agents: Vec<Agent>,
}

/// An agent as the list names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Agent {
    namespace: String,
    toolset_config: String,
    service: String,
    port: PortRef,
    #[serde(default)]
    scheme: Scheme,
    #[serde(default)]
    allow_plaintext: bool,
    api_key_file: Option<String>,
    ca_file: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scheme {
    #[default]
    Http,
    Https,
}

/// How the operator may ask an agent.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) service: String,
    pub(crate) port: PortRef,
    /// The value of `X-API-Key`. It is marked as sensitive.
    pub(crate) key: Option<HeaderValue>,
    /// The certificates that the agent's certificate is verified with. `None` for plain HTTP.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Installed {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self(folder.map(Into::into))
    }

    /// How the operator may ask the agent of a ToolsetConfig.
    ///
    /// Fails with what to change in the installation.
    pub(crate) fn access(&self, config: &NamespacedName) -> Result<Access, String> {
        let unnamed = || {
            format!(
                "the installation names no Service for ToolsetConfig {}; add {{namespace: {}, toolsetConfig: {}, \
                 service: …, port: …}} to the value agents of the Helm chart",
                config.name, config.namespace, config.name
            )
        };
        let folder = self.0.as_deref().ok_or_else(unnamed)?;
        let list = read(&folder.join(LIST), MOST_LIST)?;
        let list: List = serde_json::from_slice(&list).map_err(|error| format!("{LIST} is malformed: {error}"))?;
        let mut named = list
            .agents
            .into_iter()
            .filter(|agent| agent.namespace == *config.namespace && agent.toolset_config == *config.name);
        let agent = named.next().ok_or_else(unnamed)?;
        if named.next().is_some() {
            return Err(format!("{LIST} names ToolsetConfig {} more than once; remove all but one", config.name));
        }
        agent.access(folder)
    }
}

impl Agent {
    fn access(self, folder: &Path) -> Result<Access, String> {
        let key = self.api_key_file.as_deref().map(|name| key(folder, name)).transpose()?;
        let tls = match self.scheme {
            Scheme::Https => {
                let name = self
                    .ca_file
                    .as_deref()
                    .ok_or("scheme https needs caSecret, with which the agent's certificate is verified")?;
                Some(Arc::new(certificates(folder, name)?))
            }
            Scheme::Http if key.is_some() && !self.allow_plaintext => {
                return Err(
                    "the API key is not sent over plain HTTP; set scheme https and caSecret, or allowPlaintext \
                            if nobody can read the cluster's network"
                        .to_owned(),
                );
            }
            Scheme::Http => None,
        };
        Ok(Access { service: self.service, port: self.port, key, tls })
    }
}

fn key(folder: &Path, name: &str) -> Result<HeaderValue, String> {
    let bytes = read(&within(folder, name)?, MOST_KEY)?;
    // Editors and `kubectl create secret --from-file` add a line break at the end.
    let key = bytes.trim_ascii();
    if key.is_empty() {
        return Err(format!("the API key {name} is empty; check apiKeySecret"));
    }
    let value = HeaderValue::from_bytes(key);
    let mut value = value.map_err(|_| format!("the API key {name} has characters that a header cannot have"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn certificates(folder: &Path, name: &str) -> Result<ClientConfig, String> {
    let pem = read(&within(folder, name)?, MOST_CERTIFICATES)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap_or_default();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(format!("{name} holds no certificate in PEM format; check caSecret"));
    }
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// A file of the folder, which must not be elsewhere.
fn within(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(format!("{LIST} names the file {name:?}, which is not a file beside it"));
    }
    Ok(folder.join(name))
}

/// Reads a file of at most that size.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let name = path.file_name().unwrap_or_default().display();
    let cannot = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("{name} does not exist in {}; check that the Secret has the key", folder(path))
        }
        _ => format!("cannot read {name} in {}: {error}", folder(path)),
    };
    let mut bytes = Vec::new();
    // A folder or a pipe in place of the file must not block the operator.
    if !fs::metadata(path).map_err(|error| cannot(&error))?.is_file() {
        return Err(format!("{name} in {} is not a file", folder(path)));
    }
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(|error| cannot(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
        return Err(format!("{name} in {} is larger than {most} bytes", folder(path)));
    }
    Ok(bytes)
}

fn folder(path: &Path) -> std::path::Display<'_> {
    path.parent().unwrap_or(path).display()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("toolset-agents-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn with(self, agents: &Value) -> Self {
            self.file(LIST, json!({"agents": agents}).to_string().as_bytes())
        }

        fn file(self, name: &str, content: &[u8]) -> Self {
            fs::write(self.0.join(name), content).unwrap();
            self
        }

        fn access(&self) -> Result<Access, String> {
            Installed::new(Some(self.0.clone())).access(&NamespacedName::new("holmes", "default"))
        }

        fn error(&self) -> String {
            self.access().err().unwrap_or_default()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn agent(more: &Value) -> Value {
        let mut agent =
            json!({"namespace": "holmes", "toolsetConfig": "default", "service": "holmes-holmes", "port": 80});
        agent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        agent
    }

    #[test]
    fn an_agent_is_named_for_one_toolset_config() {
        let folder = Folder::new("named").with(&json!([agent(&json!({}))]));
        let access = folder.access().unwrap();
        assert_eq!((access.service.as_str(), access.port), ("holmes-holmes", PortRef::Number(80)));
        assert!(access.key.is_none() && access.tls.is_none());
        let installed = Installed::new(Some(folder.0.clone()));
        for (namespace, name) in [("holmes", "other"), ("other", "default")] {
            let error = installed.access(&NamespacedName::new(namespace, name)).err().unwrap();
            assert!(error.contains(&format!("{{namespace: {namespace}, toolsetConfig: {name}")), "{error}");
            assert!(error.contains("value agents of the Helm chart"), "{error}");
        }
        assert!(Installed::default().access(&NamespacedName::new("holmes", "default")).is_err());
    }

    #[test]
    fn a_key_is_read_again_and_never_shown() {
        let allowed = json!({"apiKeyFile": "key-0", "allowPlaintext": true});
        let folder = Folder::new("key").with(&json!([agent(&allowed)])).file("key-0", b"first\n");
        let key = folder.access().unwrap().key.unwrap();
        assert_eq!((key.as_bytes(), format!("{key:?}").as_str()), (&b"first"[..], "Sensitive"));
        let folder = folder.file("key-0", b"second");
        assert_eq!(folder.access().unwrap().key.unwrap().as_bytes(), b"second");
    }

    #[test]
    fn a_key_is_sent_over_plain_http_only_if_that_is_allowed() {
        let folder = Folder::new("plain").with(&json!([agent(&json!({"apiKeyFile": "key-0"}))])).file("key-0", b"k");
        assert!(folder.error().contains("allowPlaintext"), "{}", folder.error());
    }

    #[test]
    fn https_needs_certificates() {
        let https = json!({"scheme": "https", "caFile": "ca-0", "apiKeyFile": "key-0"});
        let folder = Folder::new("https").with(&json!([agent(&https)])).file("key-0", b"k");
        assert!(folder.error().contains("ca-0 does not exist"), "{}", folder.error());
        let folder = folder.file("ca-0", b"not a certificate");
        assert!(folder.error().contains("no certificate in PEM format"), "{}", folder.error());
        let folder = folder.with(&json!([agent(&json!({"scheme": "https"}))]));
        assert!(folder.error().contains("caSecret"), "{}", folder.error());
    }

    #[test]
    fn what_is_malformed_is_reported_and_nothing_is_assumed() {
        for (what, list) in [
            ("garbage", "{"),
            ("no list", "{}"),
            ("a list of something else", r#"{"agents": [1]}"#),
            (
                "an unknown field",
                r#"{"agents": [{"namespace": "holmes", "toolsetConfig": "default", "service": "s", "port": 1, "x": 1}]}"#,
            ),
            ("no port", r#"{"agents": [{"namespace": "holmes", "toolsetConfig": "default", "service": "s"}]}"#),
            (
                "an unknown scheme",
                r#"{"agents": [{"namespace": "holmes", "toolsetConfig": "default", "service": "s", "port": 1, "scheme": "ftp"}]}"#,
            ),
        ] {
            let folder = Folder::new("malformed").file(LIST, list.as_bytes());
            assert!(folder.error().starts_with("agents.json is malformed: "), "{what}: {}", folder.error());
        }
        let twice = Folder::new("twice").with(&json!([agent(&json!({})), agent(&json!({"port": 81}))]));
        assert!(twice.error().contains("more than once"), "{}", twice.error());
        let empty = Folder::new("empty");
        assert!(empty.error().contains("agents.json does not exist"), "{}", empty.error());
        drop(empty);
        let large = Folder::new("large").file(LIST, &vec![b' '; 300 * 1024]);
        assert!(large.error().contains("larger than"), "{}", large.error());
    }

    #[test]
    fn a_file_elsewhere_is_not_read() {
        for name in ["../secret", "/etc/passwd", "..", "a/b", "", ".hidden"] {
            let file = json!({"apiKeyFile": name, "allowPlaintext": true});
            let folder = Folder::new("elsewhere").with(&json!([agent(&file)]));
            assert!(folder.error().contains("not a file beside it"), "{name}: {}", folder.error());
        }
    }

    #[test]
    fn an_unusable_key_is_reported_without_its_text() {
        let allowed = json!({"apiKeyFile": "key-0", "allowPlaintext": true});
        for bytes in [&b""[..], b"  \n", b"hun\nter2", b"hun\x01ter2"] {
            let folder = Folder::new("unusable").with(&json!([agent(&allowed)])).file("key-0", bytes);
            let error = folder.error();
            assert!(error.contains("API key key-0") && !error.contains("ter2"), "{error}");
        }
    }
}
