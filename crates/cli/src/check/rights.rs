//! What the user may read.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{Api, Client, api::PostParams};

use super::Section;
use crate::{failure::Failure, live};

/// What a command reads.
struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    /// What does not work without it.
    without: &'static str,
}

const RIGHTS: [Right; 7] = [
    Right { verb: "list", group: "", resource: "services", without: "no Service can be read" },
    Right {
        verb: "list",
        group: "discovery.k8s.io",
        resource: "endpointslices",
        without: "the health of tools is unknown",
    },
    Right {
        verb: "list",
        group: "toolset.kubernaut.io",
        resource: "toolsetconfigs",
        without: "ToolsetConfigs must come from files",
    },
    Right { verb: "get", group: "", resource: "pods", without: "evidence from Pods is missing" },
    Right { verb: "get", group: "", resource: "configmaps", without: "diff does not work" },
    Right {
        verb: "list",
        group: "",
        resource: "namespaces",
        without: "sources that select namespaces by labels see no namespace",
    },
    Right {
        verb: "list",
        group: "apps",
        resource: "deployments",
        without: "the operator and the agents cannot be checked",
    },
];

/// Asks the API server what the user may read, in one namespace or in all of them.
pub(super) async fn check(client: &Client, namespace: Option<&str>) -> Result<Section, Failure> {
    let mut section = Section::new("Your permissions");
    let api = Api::<SelfSubjectAccessReview>::all(client.clone());
    let mut allowed = Vec::new();
    for right in &RIGHTS {
        // Namespaces are in no namespace.
        let here = namespace.filter(|_| right.resource != "namespaces");
        let attributes = ResourceAttributes {
            verb: Some(right.verb.to_owned()),
            group: Some(right.group.to_owned()).filter(|group| !group.is_empty()),
            resource: Some(right.resource.to_owned()),
            namespace: here.map(ToOwned::to_owned),
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() },
            ..SelfSubjectAccessReview::default()
        };
        let answer = match api.create(&PostParams::default(), &review).await {
            Ok(answer) => answer,
            // Without a connection or with wrong credentials, nothing else can be read either.
            Err(error) if !matches!(&error, kube::Error::Api(status) if status.code != 401) => {
                return Err(live::refused("your permissions", &error));
            }
            Err(error) => {
                let problem = live::of_request(&error);
                section.warn(format!("Your permissions are unknown, because they cannot be read: {problem}"), "");
                return Ok(section);
            }
        };
        let title = format!("{} {}", right.verb, right.resource);
        if answer.status.is_some_and(|status| status.allowed) {
            allowed.push(title);
        } else {
            let place = match here {
                Some(namespace) => format!(" in namespace {namespace}"),
                None if right.resource == "namespaces" => String::new(),
                None => " in all namespaces".to_owned(),
            };
            let advice = match namespace {
                None if right.resource != "namespaces" => {
                    "If you have this permission in one namespace only, use -n NAMESPACE."
                }
                _ => "",
            };
            section.warn(format!("You are not allowed to {title}{place}, so {}.", right.without), advice);
        }
    }
    if !allowed.is_empty() {
        let place = namespace.map_or_else(|| "in all namespaces".to_owned(), |name| format!("in namespace {name}"));
        let message = format!("You are allowed to {} ({place}).", allowed.join(", "));
        section.findings.insert(0, super::Finding { result: super::Level::Ok, message, action: None });
    }
    Ok(section)
}
