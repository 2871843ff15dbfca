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
use serde_json::value::RawValue;

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
struct List<'a> {
    /// A mistake in one entry must not concern the other agents.
    #[serde(borrow)]
    agents: Vec<&'a RawValue>,
}

/// Which ToolsetConfig an entry is about.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subject {
    namespace: String,
    toolset_config: String,
}

/// An agent as the list names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Agent {
    #[serde(rename = "namespace")]
    _namespace: String,
    #[serde(rename = "toolsetConfig")]
    _toolset_config: String,
    service: String,
    port: PortRef,
    /// The default is `https` with certificates, and `http` without them.
    scheme: Option<Scheme>,
    #[serde(default)]
    allow_plaintext: bool,
    api_key_file: Option<String>,
    ca_file: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scheme {
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
    /// Fails with what to change in the installation. The author of the ToolsetConfig reads that, so it repeats no value of
    /// the list: it could be a key in the wrong place.
    pub(crate) fn access(&self, config: &NamespacedName) -> Result<Access, String> {
        let unnamed = || {
            format!(
                "The installation lists no agent for ToolsetConfig {}. Add {{namespace: {}, toolsetConfig: {}, service: …, \
                 port: …}} to the Helm value agents.",
                config.name, config.namespace, config.name
            )
        };
        let folder = self.0.as_deref().ok_or_else(unnamed)?;
        let list = read(&folder.join(LIST), LIST, MOST_LIST)?;
        let list: List<'_> = serde_json::from_slice(&list).map_err(|error| {
            format!(
                "{LIST} is malformed at line {}, column {}. It must contain a list agents.",
                error.line(),
                error.column()
            )
        })?;
        let wanted = Subject { namespace: config.namespace.to_string(), toolset_config: config.name.to_string() };
        let about_it =
            |entry: &&&RawValue| serde_json::from_str(entry.get()).is_ok_and(|about: Subject| about == wanted);
        let mut named = list.agents.iter().filter(about_it);
        let entry = named.next().ok_or_else(unnamed)?;
        if named.next().is_some() {
            return Err(format!(
                "{LIST} lists ToolsetConfig {} more than once. Remove all entries but one.",
                config.name
            ));
        }
        let agent: Agent = serde_json::from_str(entry.get()).map_err(|_| {
            format!(
                "The entry for ToolsetConfig {} in {LIST} is malformed. It must contain namespace, toolsetConfig, service and \
                 port, and can contain scheme (http or https), allowPlaintext (true or false), apiKeyFile and caFile.",
                config.name
            )
        })?;
        agent.access(folder)
    }
}

impl Agent {
    fn access(self, folder: &Path) -> Result<Access, String> {
        let key = self.api_key_file.as_deref().map(|name| key(folder, name)).transpose()?;
        let tls = match (self.scheme, self.ca_file.as_deref()) {
            (Some(Scheme::Http), Some(_)) => {
                return Err("caSecret has no effect with scheme http. Remove one of them from the Helm value agents."
                    .to_owned());
            }
            (Some(Scheme::Https), None) => {
                return Err("scheme https requires caSecret, which verifies the agent's certificate. Set caSecret in the Helm value agents.".to_owned());
            }
            (_, Some(name)) => Some(Arc::new(certificates(folder, name)?)),
            (_, None) if key.is_some() && !self.allow_plaintext => {
                return Err(
                    "The operator does not send the API key over plain HTTP, because everyone who can change the \
                            Service or create a matching Pod could read it. Set caSecret, or allowPlaintext, in the \
                            Helm value agents."
                        .to_owned(),
                );
            }
            (_, None) => None,
        };
        Ok(Access { service: self.service, port: self.port, key, tls })
    }
}

fn key(folder: &Path, name: &str) -> Result<HeaderValue, String> {
    let what = "The file of apiKeySecret";
    let bytes = read(&within(folder, name, what)?, what, MOST_KEY)?;
    // Editors and `kubectl create secret --from-file` add a line break at the end.
    let key = bytes.trim_ascii();
    if key.is_empty() {
        return Err(format!("{what} is empty. Write the API key to the Secret."));
    }
    let value = HeaderValue::from_bytes(key);
    let mut value = value.map_err(|_| format!("{what} contains characters that are not allowed in an HTTP header."))?;
    value.set_sensitive(true);
    Ok(value)
}

fn certificates(folder: &Path, name: &str) -> Result<ClientConfig, String> {
    let what = "The file of caSecret";
    let pem = read(&within(folder, name, what)?, what, MOST_CERTIFICATES)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap_or_default();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(format!("{what} contains no certificate in PEM format."));
    }
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// A file of the folder, which must not be elsewhere. `what` is it in words.
fn within(folder: &Path, name: &str, what: &str) -> Result<PathBuf, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(format!("{what} is not in the directory of {LIST}. Specify a file in that directory."));
    }
    Ok(folder.join(name))
}

/// Reads a file of at most that size. `what` is it in words.
fn read(path: &Path, what: &str, most: u64) -> Result<Vec<u8>, String> {
    let folder = path.parent().unwrap_or(path).display();
    let cannot = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound if what == LIST => {
            format!("{LIST} does not exist in {folder}. Check that the ConfigMap with the list exists.")
        }
        io::ErrorKind::NotFound => {
            format!("{what} does not exist in {folder}. Check that the Secret exists and has the key.")
        }
        kind => format!("{what} in {folder} cannot be read: {kind}."),
    };
    let mut bytes = Vec::new();
    // A folder or a pipe in place of the file must not block the operator.
    if !fs::metadata(path).map_err(|error| cannot(&error))?.is_file() {
        return Err(format!("{what} in {folder} is not a file."));
    }
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(|error| cannot(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
        return Err(format!("{what} in {folder} is larger than {most} bytes."));
    }
    Ok(bytes)
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
            assert!(error.contains("Helm value agents"), "{error}");
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
        assert!(folder.error().contains("The file of caSecret does not exist"), "{}", folder.error());
        let folder = folder.file("ca-0", b"not a certificate");
        assert!(folder.error().contains("no certificate in PEM format"), "{}", folder.error());
        let folder = folder.with(&json!([agent(&json!({"scheme": "https"}))]));
        assert!(folder.error().contains("caSecret"), "{}", folder.error());
    }

    #[test]
    fn certificates_mean_https_and_are_never_ignored() {
        let pem = include_bytes!("../dial/tls/test-ca.pem");
        let certified = json!({"caFile": "ca", "apiKeyFile": "key"});
        let folder = Folder::new("implied").with(&json!([agent(&certified)])).file("key", b"k").file("ca", pem);
        assert!(folder.access().unwrap().tls.is_some(), "the key would be sent over plain HTTP");
        let plain = json!({"caFile": "ca", "apiKeyFile": "key", "scheme": "http", "allowPlaintext": true});
        let folder = folder.with(&json!([agent(&plain)]));
        assert!(folder.error().contains("caSecret has no effect with scheme http"), "{}", folder.error());
    }

    #[test]
    fn a_mistake_in_one_entry_does_not_concern_the_others() {
        for bad in [json!(1), json!(null), json!({}), json!({"namespace": "other", "toolsetConfig": "x", "port": []})] {
            let folder = Folder::new("others").with(&json!([bad, agent(&json!({}))]));
            assert_eq!(folder.error(), "", "{bad}");
        }
        let folder = Folder::new("own").with(&json!([agent(&json!({"port": []})), {}]));
        assert!(folder.error().starts_with("The entry for ToolsetConfig default in agents.json is malformed"));
    }

    #[test]
    fn a_value_in_the_wrong_place_is_never_repeated() {
        for more in [
            json!({"port": {"x": "hunter2"}}),
            json!({"scheme": "hunter2"}),
            json!({"hunter2": 1}),
            json!({"allowPlaintext": "hunter2"}),
            json!({"apiKeyFile": "hunter2", "allowPlaintext": true}),
            json!({"apiKeyFile": "/hunter2", "allowPlaintext": true}),
            json!({"apiKeyFile": ["hunter2"]}),
            json!({"caFile": "hunter2"}),
        ] {
            let error = Folder::new("repeated").with(&json!([agent(&more)])).error();
            assert!(!error.is_empty() && !error.contains("hunter2"), "{more}: {error}");
        }
        for list in [r#"{"agents": "hunter2"}"#, r#"{"hunter2": []}"#, r#""hunter2""#, "hunter2"] {
            let error = Folder::new("repeated").file(LIST, list.as_bytes()).error();
            assert!(error.starts_with("agents.json is malformed at line 1") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_malformed_is_reported_and_nothing_is_assumed() {
        for (what, list) in [
            ("garbage", "{"),
            ("no list", "{}"),
            ("something else", r#"{"agents": {}}"#),
            ("an unknown field", r#"{"agents": [], "x": 1}"#),
        ] {
            let folder = Folder::new("malformed").file(LIST, list.as_bytes());
            assert!(folder.error().starts_with("agents.json is malformed at line 1"), "{what}: {}", folder.error());
        }
        for (what, more) in [
            ("an unknown field", json!({"x": 1})),
            ("no port", json!({"port": null})),
            ("an unknown scheme", json!({"scheme": "ftp"})),
        ] {
            let folder = Folder::new("entry").with(&json!([agent(&more)]));
            assert!(folder.error().contains("in agents.json is malformed. "), "{what}: {}", folder.error());
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
            assert!(folder.error().contains("not in the directory of agents.json"), "{name}: {}", folder.error());
        }
    }

    #[test]
    fn an_unusable_key_is_reported_without_its_text() {
        let allowed = json!({"apiKeyFile": "key-0", "allowPlaintext": true});
        for bytes in [&b""[..], b"  \n", b"hun\nter2", b"hun\x01ter2"] {
            let folder = Folder::new("unusable").with(&json!([agent(&allowed)])).file("key-0", bytes);
            let error = folder.error();
            assert!(error.contains("apiKeySecret") && !error.contains("ter2"), "{error}");
        }
    }
}
