//! What errors of the client say, without any part of a credential.
//!
//! The errors of kube quote what they could not read: a line of the kubeconfig, the output of a credential plugin, the URL
//! of a proxy with its password, or the answer of a server that repeats the headers of a request. None of this is shown.

use std::error::Error;

use kube::{
    client::AuthError,
    config::{KubeconfigError, LoadDataError},
};

use crate::failure::Failure;

/// The reason that kube gives to an answer that is not a `Status`. Its message is the whole answer.
const NO_STATUS: &str = "Failed to parse error data";

/// The kind that the API server does not know without our CRD.
pub(super) const TOOLSET_CONFIGS: &str = "ToolsetConfigs";

/// What is wrong with a kubeconfig.
pub(super) fn of_kubeconfig(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::CurrentContextNotSet => "it has no current context".to_owned(),
        KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
            "the files have different kinds or versions, so they cannot be merged".to_owned()
        }
        KubeconfigError::LoadContext(name) => format!("it has no context {name}"),
        KubeconfigError::LoadClusterOfContext(name) => format!("it has no cluster {name}, which the context names"),
        KubeconfigError::FindPath => "its path is not known, because HOME is not set".to_owned(),
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => format!("line {}, column {} is not valid", at.line(), at.column()),
            None => "it is not valid".to_owned(),
        },
        KubeconfigError::MissingClusterUrl => "the cluster of the context has no server".to_owned(),
        KubeconfigError::ParseClusterUrl(_) => "the server of the cluster is not a valid URL".to_owned(),
        KubeconfigError::ParseProxyUrl(_) => "the proxy-url of the cluster is not a valid URL".to_owned(),
        KubeconfigError::LoadCertificateAuthority(error) => of_data("the certificate authority", error),
        KubeconfigError::LoadClientCertificate(error) => of_data("the client certificate", error),
        KubeconfigError::LoadClientKey(error) => of_data("the client key", error),
        KubeconfigError::ParseCertificates(_) => "the certificate authority is not PEM".to_owned(),
    }
}

fn of_data(what: &str, error: &LoadDataError) -> String {
    match error {
        LoadDataError::DecodeBase64(_) => format!("{what} is not valid base64"),
        LoadDataError::ReadFile(error, path) => format!("cannot read {what} from {}: {error}", path.display()),
        LoadDataError::NoBase64DataOrFile => format!("{what} is missing"),
    }
}

/// Why a request failed.
pub(crate) fn of_request(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.reason == NO_STATUS => {
            format!("the server responded with {} without a Kubernetes status; is this the API server?", status.code)
        }
        kube::Error::Api(status) if status.code == 401 => {
            "the API server does not accept your credentials (401 Unauthorized)".to_owned()
        }
        kube::Error::Api(status) if status.message.is_empty() => {
            format!("the API server responded with {}", status.code)
        }
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::SerdeError(_) => "the server sent something that is not the expected object".to_owned(),
        kube::Error::ProxyProtocolUnsupported { .. } | kube::Error::ProxyProtocolDisabled { .. } => {
            "the kubeconfig has a proxy-url, and this plugin does not support proxies".to_owned()
        }
        kube::Error::InferKubeconfig(error) => of_kubeconfig(error),
        kube::Error::Auth(error) => of_credentials(error),
        other => match find(other) {
            Some(error) => of_credentials(error),
            None => cause(other),
        },
    }
}

/// The error about credentials, if that is what made the request fail.
fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a AuthError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<AuthError>() {
            return Some(found);
        }
        if let Some(kube::Error::Auth(found)) = error.downcast_ref::<kube::Error>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn of_credentials(error: &AuthError) -> String {
    match error {
        AuthError::InvalidBasicAuth(_) => "the user name or the password in the kubeconfig is not valid".to_owned(),
        AuthError::InvalidBearerToken(_) => "the bearer token in the kubeconfig is not valid".to_owned(),
        AuthError::UnrefreshableTokenResponse => "the credentials have expired and cannot be renewed".to_owned(),
        AuthError::ExecPluginFailed => "the credential plugin returned no credentials".to_owned(),
        AuthError::MalformedTokenExpirationDate(_) => {
            "the credential plugin returned an expiration date that is not valid".to_owned()
        }
        AuthError::AuthExecStart(error) => format!("cannot start the credential plugin: {error}"),
        AuthError::AuthExecRun { out, .. } => format!("the credential plugin failed with {}", out.status),
        AuthError::AuthExecParse(_) => {
            "the credential plugin returned something that is not an ExecCredential".to_owned()
        }
        AuthError::ReadTokenFile(error, path) => format!("cannot read the token file {}: {error}", path.display()),
        AuthError::MissingCommand => "the credential plugin of the kubeconfig has no command".to_owned(),
        AuthError::NoValidNativeRootCA(error) => {
            format!("no certificate authority of this machine can be used: {error}")
        }
        _ => "the credentials of the kubeconfig cannot be used".to_owned(),
    }
}

/// Why objects of one kind could not be read.
pub(crate) fn refused(what: &str, error: &kube::Error) -> Failure {
    let problem = of_request(error);
    Failure::input(match error {
        kube::Error::Api(status) if status.code == 403 => {
            format!("error: you are not allowed to read {what}: {problem}")
        }
        kube::Error::Api(status) if status.code == 404 && what == TOOLSET_CONFIGS && status.reason != NO_STATUS => {
            format!(
                "error: the API server does not know {what}; install the CRDs (kubectl toolset crds | kubectl apply --server-side -f -)"
            )
        }
        _ => format!("error: cannot read {what}: {problem}"),
    })
}

/// The innermost cause of an error, which says what happened.
fn cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
