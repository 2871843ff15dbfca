//! What the entry of a tool takes for granted, in sentences for people. Each sentence says what would settle it.

use crd_types::{ServiceReason, Trust};
use detectors::{Auth, Product, Scheme, path_setting};

use crate::{
    select::{annotation, claim::Origin},
    tool::Tool,
};

/// All that a person should know about the entry of a tool: what it does not have, what is ambiguous, and what it takes
/// for granted.
pub fn notes(tool: &Tool) -> Vec<String> {
    let ambiguous = (tool.reason == ServiceReason::AmbiguousPods).then(|| AMBIGUOUS.to_owned());
    missing(tool).into_iter().chain(ambiguous).chain(assumptions(tool)).collect()
}

/// What [`ServiceReason::AmbiguousPods`] means.
pub const AMBIGUOUS: &str = "the Service selects Pods of several controllers that differ, so the operator uses only what these Pods have in common";

/// What a tool is known to ask of its clients and its entry does not have. `None` for a tool of a Tenant, which never
/// gets credentials.
pub fn missing(tool: &Tool) -> Option<String> {
    if tool.assumed.auth || !may_get_credentials(tool) || tool.credentials.is_some() {
        return None;
    }
    let type_name = tool.type_name();
    match tool.auth {
        Auth::Basic | Auth::Bearer if tool.product == Product::Grafana => Some(
            "Grafana requires a login or a token; set credentials in an override (overrides[].credentials), for example of type Bearer with the token of a service account"
                .to_owned(),
        ),
        Auth::Basic => Some(format!(
            "{type_name} requires a user name and a password; set credentials of type Basic in an override (overrides[].credentials)"
        )),
        Auth::Bearer => Some(format!(
            "{type_name} requires a bearer token; set credentials of type Bearer in an override (overrides[].credentials)"
        )),
        Auth::Tenant if tool.tenant_id.is_none() => Some(format!(
            "{type_name} requires a tenant ID in the header X-Scope-OrgID; set overrides[].tenantID"
        )),
        Auth::Tenant | Auth::None | Auth::Unknown => None,
    }
}

/// What of a tool's endpoint and authentication nothing proves.
pub fn assumptions(tool: &Tool) -> Vec<String> {
    let mut all = Vec::new();
    if tool.assumed.scheme {
        all.push(scheme(tool));
    }
    if tool.assumed.path {
        all.push(path(tool));
    }
    if tool.assumed.auth && may_get_credentials(tool) {
        all.push(authentication(tool));
    }
    all
}

fn may_get_credentials(tool: &Tool) -> bool {
    tool.trust == Trust::Trusted
}

/// How to state a field of the endpoint. Annotations do not count for a Service that a signature matches. `annotation`
/// can have a value.
fn how_to_state(tool: &Tool, field: &str, annotation: &str) -> String {
    match tool.origin {
        Some(Origin::Signature(_)) | None => format!("set overrides[].endpoint.{field}"),
        Some(Origin::Rules | Origin::Annotation) => {
            format!("set the annotation {annotation} on the Service, or overrides[].endpoint.{field}")
        }
    }
}

fn scheme(tool: &Tool) -> String {
    let (scheme, port) = (tool.endpoint.scheme, tool.endpoint.port);
    let (other, if_not) = match scheme {
        Scheme::Http => (Scheme::Https, format!("if port {port} uses TLS")),
        Scheme::Https => (Scheme::Http, format!("if port {port} does not use TLS")),
    };
    let state = how_to_state(tool, "scheme", &format!("{}: {other}", annotation::SCHEME));
    format!("the scheme {scheme} is assumed; {if_not}, {state}")
}

fn path(tool: &Tool) -> String {
    let state = how_to_state(tool, "path", annotation::PATH);
    let place = path_setting(tool.product).map(|place| format!(" ({place})")).unwrap_or_default();
    let type_name = tool.type_name();
    match tool.endpoint.path.as_str() {
        "" => format!("the path is assumed to be empty; if {type_name} has a path prefix{place}, {state}"),
        path => format!("the path {path} is assumed; if {type_name} has another path prefix{place}, {state}"),
    }
}

fn authentication(tool: &Tool) -> String {
    let type_name = tool.type_name();
    match tool.auth {
        Auth::None => {
            format!("{type_name} is assumed to require no authentication; otherwise, set overrides[].credentials")
        }
        Auth::Basic => {
            format!(
                "{type_name} is assumed to require a user name and a password; if it does, set overrides[].credentials"
            )
        }
        Auth::Bearer => {
            format!("{type_name} is assumed to require a bearer token; if it does, set overrides[].credentials")
        }
        Auth::Tenant => format!(
            "{type_name} is assumed to require a tenant ID in the header X-Scope-OrgID; if it does, set overrides[].tenantID"
        ),
        Auth::Unknown => {
            format!("it is not known whether {type_name} requires credentials; if it does, set overrides[].credentials")
        }
    }
}

#[cfg(test)]
mod tests {
    use detectors::Assumed;

    use super::*;
    use crate::fixtures::{tenant, tool};

    fn prometheus() -> Tool {
        Tool { origin: Some(Origin::Rules), ..tool(Product::Prometheus, "monitoring", "prometheus") }
    }

    const ALL: Assumed = Assumed { scheme: true, path: true, auth: true };

    #[test]
    fn a_tool_of_which_everything_is_known_has_no_assumptions() {
        assert_eq!(assumptions(&Tool { auth: Auth::None, ..prometheus() }), [""; 0]);
    }

    #[test]
    fn each_assumption_says_what_settles_it() {
        let all = assumptions(&Tool { assumed: ALL, ..prometheus() });
        let [scheme, path, auth] = all.as_slice() else { panic!("three assumptions: {all:?}") };
        for text in
            ["scheme http", "port 80 uses TLS", "kubernaut.io/toolset-scheme: https", "overrides[].endpoint.scheme"]
        {
            assert!(scheme.contains(text), "{text:?} is not in {scheme:?}");
        }
        for text in ["routePrefix", "--web.route-prefix", "kubernaut.io/toolset-path", "overrides[].endpoint.path"] {
            assert!(path.contains(text), "{text:?} is not in {path:?}");
        }
        assert!(auth.contains("overrides[].credentials"), "{auth}");
    }

    #[test]
    fn a_tenant_header_is_settled_by_a_tenant_id() {
        let known = Tool { auth: Auth::Tenant, ..prometheus() };
        assert!(missing(&known).is_some_and(|text| text.contains("overrides[].tenantID")));
        assert_eq!(assumptions(&known), [""; 0]);
        let assumed = Tool { assumed: Assumed { auth: true, ..Assumed::NOTHING }, ..known.clone() };
        assert_eq!(missing(&assumed), None);
        assert!(assumptions(&assumed)[0].contains("overrides[].tenantID"));
        assert_eq!(missing(&Tool { tenant_id: Some("1".to_owned()), ..known }), None);
    }

    #[test]
    fn a_tool_that_is_known_to_ask_for_credentials_says_so_until_it_has_them() {
        let credentials = serde_json::from_value(serde_json::json!({"type": "Bearer", "env": "PROM_TOKEN"})).unwrap();
        let known = Tool { auth: Auth::Bearer, ..prometheus() };
        assert!(missing(&known).is_some_and(|text| text.contains("bearer token")));
        assert_eq!(missing(&Tool { credentials: Some(credentials), ..known }), None);
    }

    #[test]
    fn a_tool_of_a_tenant_is_not_told_to_use_credentials() {
        let of_tenant = tenant(Tool { assumed: ALL, ..prometheus() });
        assert!(assumptions(&of_tenant).iter().all(|text| !text.contains("credentials")));
        assert_eq!(missing(&tenant(Tool { auth: Auth::Bearer, ..prometheus() })), None);
    }

    #[test]
    fn notes_say_that_pods_are_ambiguous() {
        assert_eq!(notes(&prometheus()), [""; 0]);
        assert_eq!(notes(&Tool { reason: ServiceReason::AmbiguousPods, ..prometheus() }), [AMBIGUOUS]);
    }

    #[test]
    fn a_signature_is_not_told_to_use_annotations_that_do_not_count() {
        let by_signature = Tool { origin: Some(Origin::Signature("mine".to_owned())), assumed: ALL, ..prometheus() };
        assert!(assumptions(&by_signature).iter().all(|text| !text.contains("kubernaut.io/")));
    }
}
