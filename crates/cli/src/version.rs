//! `version`: the versions of this program, the operator and the CRD, and whether they fit together.

use kube::Client;
use serde::Serialize;

use crate::{
    args::{Cluster, Version},
    failure::Failure,
    live::{
        self, Reach,
        crd::{self, API_VERSION, Crd},
        operator,
    },
    outcome::{Outcome, Output},
    paint::Paint,
    print,
    text::{Text, text, wrap},
};

/// This program.
pub(crate) const CLIENT: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client: String,
    /// `None` if only the client was asked for.
    kubernetes: Option<String>,
    operators: Vec<OperatorVersion>,
    /// The version of the API, and whether the schema is ours. `None` if it is missing or unknown.
    crd: Option<CrdVersion>,
    /// What does not fit together.
    skew: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OperatorVersion {
    namespace: String,
    name: String,
    version: Option<String>,
    image: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CrdVersion {
    version: String,
    same_schema: bool,
}

pub(crate) fn run(cluster: &Cluster, args: &Version, paint: Paint) -> Result<Outcome, Failure> {
    let mut notes = Vec::new();
    let mut versions =
        Versions { client: CLIENT.to_owned(), kubernetes: None, operators: Vec::new(), crd: None, skew: Vec::new() };
    let mut failed = false;
    if !args.client {
        let read = live::block_on(async {
            let client = live::connect(cluster).await?;
            fill(&client, &mut versions, &mut notes).await
        });
        if let Err(failure) = read {
            failed = true;
            notes.extend(failure.lines().map(|line| line.strip_prefix("error: ").unwrap_or(line).to_owned()));
        }
    }
    let output = match args.output {
        Some(format) => print::model(&versions, format)?,
        None => Output::Shown(shown(&versions, args.client, paint)),
    };
    Ok(Outcome::new(output, notes).with_code(failed.into()))
}

async fn fill(client: &Client, versions: &mut Versions, notes: &mut Vec<String>) -> Result<(), Failure> {
    let kubernetes = client.apiserver_version().await.map_err(|error| live::refused("the version", &error))?;
    versions.kubernetes = Some(kubernetes.git_version);
    let mut reach = Reach::new(client, None);
    match operator::find(&mut reach).await {
        Ok(found) => {
            for one in &found {
                versions.skew.extend(skew(one));
            }
            if found.is_empty() {
                notes.push("no operator was found; it is installed as a Deployment with the label app.kubernetes.io/part-of=toolset-operator".to_owned());
            }
            versions.operators.extend(found.into_iter().map(|one| OperatorVersion {
                namespace: one.namespace,
                name: one.name,
                version: one.version,
                image: one.image,
            }));
        }
        Err(failure) => notes.push(format!("the version of the operator is unknown: {}", live::message_of(&failure))),
    }
    notes.extend(reach.note_about("the operator may be in another namespace"));
    match crd::compare(client).await {
        Crd::Missing => versions.skew.push("The CRD of ToolsetConfigs is not installed.".to_owned()),
        Crd::Same => versions.crd = Some(CrdVersion { version: API_VERSION.to_owned(), same_schema: true }),
        Crd::Different => {
            versions.crd = Some(CrdVersion { version: API_VERSION.to_owned(), same_schema: false });
            versions.skew.push(
                "The CRD has a different schema from this plugin, so validate and explain can disagree with the API server."
                    .to_owned(),
            );
        }
        Crd::OtherVersion(found) => versions.skew.push(format!(
            "The CRD has no version {API_VERSION}, which this plugin uses; it has {}.",
            found.join(", ")
        )),
        Crd::Unreadable(why) => notes.push(format!("the version of the CRD is unknown: {why}")),
    }
    Ok(())
}

/// What a difference between this program and an operator means.
pub(crate) fn skew(operator: &operator::Operator) -> Option<String> {
    let Some(version) = &operator.version else {
        return Some(format!("The version of {} is unknown, because its image has no version tag.", operator.title()));
    };
    (version != CLIENT).then(|| {
        format!(
            "{} has version {version} and this plugin has {CLIENT}, so render and explain can disagree with the operator. Use the same version of both.",
            operator.title()
        )
    })
}

fn shown(versions: &Versions, only_client: bool, paint: Paint) -> Text {
    let entry = |label: &str, text: String| text!(format!("{label:<12}"), text);
    let mut lines = vec![entry("client", versions.client.clone())];
    if !only_client {
        let unknown = || "unknown".to_owned();
        lines.extend(versions.operators.iter().map(|one| {
            let version = one.version.clone().unwrap_or_else(unknown);
            entry("operator", format!("{version} (Deployment {}/{}, image {})", one.namespace, one.name, one.image))
        }));
        if versions.operators.is_empty() {
            lines.push(entry("operator", unknown()));
        }
        lines.push(match &versions.crd {
            Some(CrdVersion { version, same_schema: true }) => entry("CRD", format!("{version}, same schema")),
            Some(CrdVersion { version, .. }) => entry("CRD", format!("{version}, different schema")),
            None => entry("CRD", unknown()),
        });
        lines.push(entry("Kubernetes", versions.kubernetes.clone().unwrap_or_else(unknown)));
        for skew in &versions.skew {
            lines.extend(wrap(paint.width(), "", paint.warn(skew)));
        }
    }
    Text::joined(&lines).ended()
}
