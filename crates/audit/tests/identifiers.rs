//! Which identifiers are refused because they hold a secret, and which only speak of one.
//!
//! An identifier is stored as it is, so it must not hold what a text may not hold either. The names here are names as
//! objects, alerts, workflows, images and addresses have them; the secrets are made up and open nothing.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::time::Duration;

use audit::redact::{self, Class};
use audit::{Accepted, Defaults, FieldError, Reason};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Names that stay legal, by what has such names.
#[rustfmt::skip]
const LEGAL: &[(&str, &[&str])] = &[
    ("people", &[
        "o'brien@x", "user+tag@", "bob@example.com", "Jane Doe (SRE)", "system:serviceaccount:prod:token-controller",
    ]),
    ("objects", &[
        "a--b", "xn--bcher-kva", "password", "token", "db-password-7d9f8b6c5-x2x4z", "secret-key-rotator", "api-key",
        "Secret/prod/db-password", "Secret/prod/db-token", "ExternalSecret/prod/client-secret",
        "ConfigMap/prod/kube-root-ca.crt", "certificaterequests.cert-manager.io/token-1",
        "Deployment/prod/token:8080", "sk-frontend-7d9f8b6c5-x2x4z", "bootstrap-token-abcdef", "default-token-x2x4z",
        "pod/redis-0:6379",
    ]),
    ("alerts", &[
        "PasswordExpired", "alert/password=reset", "alert/password=expired", "password:invalid",
        "alert/token=expired", "token:refresh", "token: rotation", "api-key: missing",
        "alertname=PasswordAboutToExpire,severity=warning", "client-secret: expires", "urn:alert:password:policy",
        "password: must be rotated",
    ]),
    ("workflows", &[
        "rotate_token", "rotate-password", "Rotate the password of the database", "Reset password (prod)",
        "password/rotate", "step 3: token rotation", "token-rotation-2026-01", "basic-auth-check",
        "bearer-of-bad-news", "reset password: failed",
    ]),
    ("scopes", &[
        "token:read", "password:write", "api_key:update", "access_token:revoked",
    ]),
    ("images", &[
        "library/javascript:1", "registry:5000/team/password:v1.2.3", "registry:5000/team/token:1.36.3",
        "ghcr.io/org/password:latest", "quay.io/org/access-token:v2",
        "docker.io/library/redis@sha256:0123456789abcdef",
        "registry:5000/team/token@sha256:0123456789abcdef0123456789abcdef",
    ]),
    ("selectors", &[
        "app=token", "app=password,tier=db", "app.kubernetes.io/component=api-key", "token in (a,b)", "auth-token=v2",
        "password=enabled",
    ]),
    ("addresses", &[
        "https://host:8080/path", "https://bob@git.example.com/x.git", "git@github.com:org/repo.git",
        "postgres://db:5432/shop", "redis://cache:6379/0", "https://host/reset?token=short",
        "https://host/password?reset=true", "10.96.0.1:443", "password.example.com",
        "token.actions.githubusercontent.com", "arn:aws:secretsmanager:eu-1:123456789012:secret:db/password-AbCdEf",
        "vault:secret/data/db#password", "https://host/users/a@example.com",
        "spiffe://cluster.local/ns/prod/sa/token",
    ]),
    ("templates", &[
        "password=${DB_PASSWORD}", "password={{ .Values.password }}", "token=$(TOKEN)", "password: ********",
    ]),
    ("fingerprints", &[
        "fp-123", "sha256:0123456789abcdef0123456789abcdef", "4bf92f3577b34da6a3ce929d0e0e4736",
    ]),
];

/// Names that are refused, what they give away, and the class that the message tells. The last ones hold no secret, but
/// nobody can know: what follows such a name and is no known word could be one.
const REFUSED: &[(&str, &str, Class)] = &[
    ("password=hunter2", "hunter2", Class::Password),
    ("login/pwd:hunter2", "hunter2", Class::Password),
    ("job --password hunter2", "hunter2", Class::Password),
    ("PGPASSWORD='s3cr et' psql", "s3cr et", Class::Password),
    (r#"{"password":"hunter2"}"#, "hunter2", Class::PasswordJson),
    ("api_key=abc123def456", "abc123def456", Class::ApiKey),
    (r#"{"apiKey":"abc123def456"}"#, "abc123def456", Class::ApiKeyJson),
    ("client_secret:q1w2e3r4", "q1w2e3r4", Class::ClientSecret),
    ("access_token=abcdef0123456789", "abcdef0123456789", Class::AccessToken),
    ("token=0123456789abcdef", "0123456789abcdef", Class::Token),
    ("aws_secret_access_key=wJalrXUtnFEMI", "wJalrXUtnFEMI", Class::AwsSecretKey),
    ("Authorization: Bearer abc", "abc", Class::BearerToken),
    ("sent bearer 0123456789abcdef0123", "0123456789abcdef0123", Class::BearerToken),
    ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", Class::BasicAuthorization),
    ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_0123456789abcdefghijABCDEFGHIJ012345", Class::GithubToken),
    ("glpat-0123456789abcdefABCD", "glpat-0123456789abcdefABCD", Class::GitlabToken),
    ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", Class::AwsAccessKeyId),
    ("postgres://app:hunter2@db/shop", "hunter2", Class::PostgresqlUrl),
    ("redis://:hunter2@cache:6379/0", "hunter2", Class::RedisUrl),
    ("https://bob:hunter2@git.example.com/x.git", "hunter2", Class::UrlCredentials),
    (
        "https://x.blob.core.windows.net/c?sv=2024&sig=abcdefgh12345678",
        "abcdefgh12345678",
        Class::AzureConnectionString,
    ),
    (r#"{"kind":"Secret","data":{"a":"Yg=="}}"#, "Yg==", Class::KubernetesSecret),
    // Perhaps no secrets.
    ("token: rotate-2026-01", "rotate-2026-01", Class::Token),
    ("token:build-robot-2", "build-robot-2", Class::Token),
    ("bearer token-rotation-job-0123456789", "token-rotation-job-0123456789", Class::BearerToken),
    ("Rotate password: production", "production", Class::Password),
    ("registry:5000/team/password:main-1234", "main-1234", Class::Password),
    ("api-key=primary", "primary", Class::ApiKey),
    ("system:serviceaccount:password:default", "default", Class::Password),
];

/// The fields that take any printable text.
const FIELDS: &[&str] = &["name", "correlation_id", "target_resource", "actor.id"];
/// The other identifiers: letters, digits and `._:/@-`.
const WORDS: &[&str] = &["cluster", "action_type", "severity", "environment", "fingerprint", "actor.type", "trace_id"];

fn parse(event: &Value) -> Result<Accepted, Vec<FieldError>> {
    let defaults = Defaults { now: Timestamp::UNIX_EPOCH, cluster: "here", max_age: Duration::from_secs(3_600) };
    Accepted::parse(event.to_string().as_bytes(), &defaults)
}

fn with(field: &str, text: &str) -> Value {
    let mut event = json!({
        "kind": "execution", "name": "restart", "namespace": "prod", "phase": "completed", "action_type": "restart_pod",
        "correlation_id": "rr-1",
    });
    match field.split_once('.') {
        Some((outer, inner)) => event[outer][inner] = json!(text),
        None => event[field] = json!(text),
    }
    event
}

#[test]
fn names_that_only_speak_of_secrets_are_legal() {
    let mut wrong = Vec::new();
    for (of, names) in LEGAL {
        for (name, field) in names.iter().flat_map(|name| FIELDS.iter().map(move |field| (name, field))) {
            wrong.extend(parse(&with(field, name)).err().map(|errors| format!("{of}: {name:?}: {errors:?}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_identifier_with_a_secret_of_any_class_is_refused_and_the_secret_is_not_repeated() {
    let mut wrong = Vec::new();
    for (name, secret, class) in REFUSED {
        for field in FIELDS {
            let Err(errors) = parse(&with(field, name)) else {
                wrong.push(format!("{field}: {name:?} was accepted"));
                continue;
            };
            let [error] = errors.as_slice() else {
                wrong.push(format!("{field}: {name:?}: {errors:?}"));
                continue;
            };
            let told = format!("({})", class.as_str());
            if error.field != *field
                || error.reason != Reason::Invalid
                || !error.message.contains(&told)
                || error.message.contains(secret)
            {
                wrong.push(format!("{field}: {name:?}: {error:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_other_identifiers_hold_no_secret_either() {
    for field in WORDS {
        for secret in ["password:hunter2", "api_key:abc123def456", "glpat-0123456789abcdefABCD"] {
            let errors = parse(&with(field, secret)).expect_err(field);
            assert_eq!((errors.len(), errors[0].field.as_str(), errors[0].reason), (1, *field, Reason::Invalid));
            assert!(errors[0].message.starts_with("contains a secret ("), "{errors:?}");
        }
    }
}

/// Names with secrets, with parts of secrets and with words about secrets.
fn name() -> impl Strategy<Value = String> {
    let names = LEGAL.iter().flat_map(|(_, names)| names.iter().copied()).chain(REFUSED.iter().map(|(name, ..)| *name));
    let whole = prop::sample::select(names.collect::<Vec<_>>()).prop_map(str::to_owned);
    let parts = vec![
        "password",
        "token",
        "api_key",
        "client_secret",
        "access_token",
        "bearer ",
        "basic ",
        "=",
        ":",
        " ",
        "'",
        "\"",
        "://",
        "@",
        "/",
        "reset",
        "expired",
        "hunter2",
        "0123456789abcdef",
        "v1.2.3",
        "[REDACTED:password]",
        "--password ",
        "ghp_",
        "sk-",
        ",",
        "&",
        "${",
    ];
    let part = prop_oneof![prop::sample::select(parts).prop_map(str::to_owned), "[a-zA-Z0-9._/-]{1,12}"];
    prop_oneof![1 => whole, 4 => prop::collection::vec(part, 1..8).prop_map(|parts| parts.concat())]
}

/// Every text of a value, the names of its members too.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| [vec![name.as_str()], texts(value)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_accepted_record_has_a_text_with_a_secret(
        names in prop::collection::vec(name(), FIELDS.len()),
        words in prop::collection::vec("[a-z0-9._:/@-]{1,24}", WORDS.len()),
        text in name(), key in name(),
    ) {
        let mut event = with("summary", &text);
        for (field, text) in FIELDS.iter().zip(&names).chain(WORDS.iter().zip(&words)) {
            match field.split_once('.') {
                Some((outer, inner)) => event[outer][inner] = json!(text),
                None => event[*field] = json!(text),
            }
        }
        event["data"] = json!({ key: [text] });
        // A field that is refused makes way for a harmless one, so that what is accepted is not all harmless.
        let accepted = loop {
            match parse(&event) {
                Ok(accepted) => break accepted,
                Err(errors) => for error in errors {
                    match error.field.split_once('.') {
                        Some(("actor", inner)) => event["actor"][inner] = Value::Null,
                        _ => event[&error.field] = json!("legal"),
                    }
                }
            }
        };
        let stored = serde_json::to_value(accepted.event()).expect("JSON");
        for text in texts(&stored) {
            let (redacted, found) = redact::text(text);
            prop_assert!(found.is_empty() && redacted == text, "{text:?} holds {found:?}");
        }
    }
}
