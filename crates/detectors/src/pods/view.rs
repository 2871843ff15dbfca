//! [`PodView`]: the parts of a Pod that are read. It is dropped after [`read`](super::read()), and only facts are kept.
//!
//! The types read the `spec` of a Pod, or of a Pod template, in the form of the API.

use serde::Deserialize;

use crate::{
    product::Scheme,
    view::{Protocol, TargetPort},
};

/// The `spec` of a Pod. It has no `Debug`, so that no value of a variable reaches a log.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodView {
    /// `containers`.
    #[serde(deserialize_with = "or_default")]
    pub containers: Vec<ContainerView>,
    /// `initContainers`. Those with `restartPolicy: Always` run beside the containers.
    #[serde(deserialize_with = "or_default")]
    pub init_containers: Vec<ContainerView>,
}

/// A container.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerView {
    /// `name`.
    pub name: String,
    /// `image`.
    pub image: String,
    /// `command`, which replaces the entrypoint of the image.
    #[serde(deserialize_with = "or_default")]
    pub command: Vec<String>,
    /// `args`.
    #[serde(deserialize_with = "or_default")]
    pub args: Vec<String>,
    /// `env`.
    #[serde(deserialize_with = "or_default")]
    pub env: Vec<EnvView>,
    /// `envFrom`. Its variables are unknown.
    #[serde(deserialize_with = "or_default")]
    pub env_from: Vec<serde::de::IgnoredAny>,
    /// `ports`.
    #[serde(deserialize_with = "or_default")]
    pub ports: Vec<ContainerPortView>,
    /// `volumeMounts`.
    #[serde(deserialize_with = "or_default")]
    pub volume_mounts: Vec<MountView>,
    /// `readinessProbe`.
    pub readiness_probe: Option<ProbeView>,
    /// `livenessProbe`.
    pub liveness_probe: Option<ProbeView>,
    /// `startupProbe`.
    pub startup_probe: Option<ProbeView>,
    /// `restartPolicy`, which only init containers have.
    pub restart_policy: Option<String>,
}

/// A variable of a container. `value` is `None` if it comes from another object.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvView {
    /// `name`.
    pub name: String,
    /// `value`. A variable with neither `value` nor `valueFrom` is empty.
    pub value: Option<String>,
    /// `valueFrom`, of which only the kind counts.
    pub value_from: Option<EnvSourceView>,
}

/// `valueFrom` of a variable.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvSourceView {
    /// `fieldRef`: a name, an address or another short text of the Pod.
    pub field_ref: Option<serde::de::IgnoredAny>,
    /// `resourceFieldRef`: a number.
    pub resource_field_ref: Option<serde::de::IgnoredAny>,
}

/// `volumeMounts` of a container. What is mounted does not count, only where.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MountView {
    /// `mountPath`.
    pub mount_path: String,
}

/// A port that a container declares.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPortView {
    /// `name`.
    pub name: Option<String>,
    /// `containerPort`.
    pub container_port: u16,
    /// `protocol`.
    pub protocol: Protocol,
}

/// A probe of a container.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProbeView {
    /// `httpGet`.
    pub http_get: Option<HttpGetView>,
    /// `tcpSocket`.
    pub tcp_socket: Option<TcpSocketView>,
    /// `exec`.
    pub exec: Option<ExecView>,
}

/// `httpGet` of a probe.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpGetView {
    /// `path`.
    pub path: Option<String>,
    /// `port`: a number, or the name of a port of the container.
    pub port: Option<ProbePort>,
    /// `scheme`, as `HTTP` or `HTTPS`.
    pub scheme: Option<String>,
}

impl HttpGetView {
    /// The scheme, if the probe states it.
    pub fn scheme(&self) -> Option<Scheme> {
        let scheme = self.scheme.as_deref()?;
        Scheme::ALL.iter().copied().find(|one| one.as_str().eq_ignore_ascii_case(scheme))
    }
}

/// `tcpSocket` of a probe.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TcpSocketView {
    /// `port`.
    pub port: Option<ProbePort>,
}

/// `exec` of a probe.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ExecView {
    /// `command`.
    #[serde(deserialize_with = "or_default")]
    pub command: Vec<String>,
}

/// The port of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ProbePort {
    /// A number.
    Number(u16),
    /// The name of a container port, or a number as text.
    Name(String),
}

impl ProbePort {
    /// As the target of a Service's port.
    pub fn target(&self) -> TargetPort {
        match self {
            Self::Number(number) => TargetPort::Number(*number),
            Self::Name(name) => {
                name.parse().map_or_else(|_| TargetPort::Name(name.as_str().into()), TargetPort::Number)
            }
        }
    }
}

/// The API writes null for an empty list in some places.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
