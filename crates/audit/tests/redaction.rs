//! What is redacted, what is not, and by which class.
//!
//! The secrets here are made up; each has the form of its class and opens nothing.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use audit::redact::{self, Class};
use serde_json::json;

/// Texts of one class: `(text, what must be left of it)`, and texts that must stay as they are.
struct Case {
    class: Class,
    secrets: &'static [(&'static str, &'static str)],
    harmless: &'static [&'static str],
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case {
        class: Class::Password,
        secrets: &[
            ("login failed with password=hunter2 for bob", "login failed with password=[REDACTED:password] for bob"),
            ("PGPASSWORD='s3cr et' psql", "PGPASSWORD='[REDACTED:password]' psql"),
            ("password: correct-horse\nuser: bob", "password: [REDACTED:password]\nuser: bob"),
            ("jdbc:mysql://db/x?user=u&password=p%40ss&ssl=true", "jdbc:mysql://db/x?user=u&password=[REDACTED:password]&ssl=true"),
            ("mysqldump --password hunter2 shop", "mysqldump --password [REDACTED:password] shop"),
            ("Server=db;Uid=sa;Pwd=Str0ng!Pass;Encrypt=yes", "Server=db;Uid=sa;Pwd=[REDACTED:password];Encrypt=yes"),
            ("passphrase => \"a b c\"", "passphrase => \"[REDACTED:password]\""),
        ],
        harmless: &[
            "the password is wrong", "password: incorrect", "password=", "set --password to the new value",
            "password=${DB_PASSWORD}", "passwordless: yes", "password_file=/run/secrets/db", "password: ********",
            "PASSWORD=$(cat /run/secret)", "new password required.",
        ],
    },
    Case {
        class: Class::PasswordJson,
        secrets: &[
            (r#"{"user":"bob","password":"hunter2"}"#, r#"{"user":"bob","password":"[REDACTED:password_json]"}"#),
            (r#"{"password": "a\"b\\"}"#, r#"{"password": "[REDACTED:password_json]"}"#),
            (r#"body: {\"db_password\":\"hunter2\",\"n\":1}"#, r#"body: {\"db_password\":\"[REDACTED:password_json]\",\"n\":1}"#),
            ("{'passwd': 'it is', 'n': 1}", "{'passwd': '[REDACTED:password_json]', 'n': 1}"),
            (r#"{"password":"cut off"#, r#"{"password":"[REDACTED:password_json]"#),
        ],
        harmless: &[
            r#"{"password":""}"#, r#"{"password":null}"#, r#"{"passwordPolicy":"strict"}"#, r#"{"password_set":true}"#,
        ],
    },
    Case {
        class: Class::UrlCredentials,
        secrets: &[
            ("cloning https://bob:hunter2@git.example.com/x.git", "cloning https://bob:[REDACTED:url_credentials]@git.example.com/x.git"),
            ("amqp://guest:gu@est@mq:5672/", "amqp://guest:[REDACTED:url_credentials]@mq:5672/"),
            ("GET http://:token123@host/", "GET http://:[REDACTED:url_credentials]@host/"),
        ],
        harmless: &[
            "http://host:8080/path", "https://bob@git.example.com/x.git", "http://host:8080/users/a@example.com",
            "ssh git@github.com:org/repo.git", "image registry:5000/app@sha256:0123",
        ],
    },
    Case {
        class: Class::PostgresqlUrl,
        secrets: &[
            ("postgres://app:p%2Fw@db:5432/shop?sslmode=require", "postgres://app:[REDACTED:postgresql_url]@db:5432/shop?sslmode=require"),
            ("cannot parse \"postgresql://app:a/b@db/shop\"", "cannot parse \"postgresql://app:[REDACTED:postgresql_url]@db/shop\""),
            ("postgresql+asyncpg://u:pw@db/x", "postgresql+asyncpg://u:[REDACTED:postgresql_url]@db/x"),
        ],
        harmless: &["postgres://db:5432/shop", "postgresql://app@db/shop", "postgres is at db:5432"],
    },
    Case {
        class: Class::MysqlUrl,
        secrets: &[
            ("mysql://root:toor@db:3306/x", "mysql://root:[REDACTED:mysql_url]@db:3306/x"),
            ("dsn app:pa55@tcp(10.0.0.1:3306)/shop", "dsn app:[REDACTED:mysql_url]@tcp(10.0.0.1:3306)/shop"),
        ],
        harmless: &["mysql://db:3306/x", "mysql -h db -u root", "app@tcp(10.0.0.1:3306)/shop"],
    },
    Case {
        class: Class::MongodbUrl,
        secrets: &[("mongodb+srv://u:pw@cluster0.example.net/db", "mongodb+srv://u:[REDACTED:mongodb_url]@cluster0.example.net/db")],
        harmless: &["mongodb://a:27017,b:27017/db", "mongodb+srv://cluster0.example.net/db"],
    },
    Case {
        class: Class::RedisUrl,
        secrets: &[
            ("redis://:hunter2@cache:6379/0", "redis://:[REDACTED:redis_url]@cache:6379/0"),
            ("rediss://default:pw@cache:6380", "rediss://default:[REDACTED:redis_url]@cache:6380"),
        ],
        harmless: &["redis://cache:6379/0", "redis-0.redis:6379"],
    },
    Case {
        class: Class::ApiKey,
        secrets: &[
            ("api_key=abc123def456", "api_key=[REDACTED:api_key]"),
            ("X-API-Key: 0f1e2d3c", "X-API-Key: [REDACTED:api_key]"),
            ("maps key AIzaSyA1234567890abcdefghijklmnopqrstuv", "maps key [REDACTED:api_key]"),
        ],
        harmless: &["api key: missing", "api_key is required", "api_key_id=7", "the api: keyed by name"],
    },
    Case {
        class: Class::ApiKeyJson,
        secrets: &[
            (r#"{"apiKey":"abc123def456"}"#, r#"{"apiKey":"[REDACTED:api_key_json]"}"#),
            (r#"{"x-api-key" : "abc"}"#, r#"{"x-api-key" : "[REDACTED:api_key_json]"}"#),
        ],
        harmless: &[r#"{"apiKeyRef":"prod/openai"}"#, r#"{"api_key":""}"#],
    },
    Case {
        class: Class::OpenaiKey,
        secrets: &[
            ("using sk-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL now", "using [REDACTED:openai_key] now"),
            ("sk-proj-Ab1_Cd2-Ef3Gh4Ij5Kl6Mn7Op8", "[REDACTED:openai_key]"),
            ("sk-ant-api03-0123456789abcdef", "[REDACTED:openai_key]"),
        ],
        harmless: &["pod sk-frontend-7d9f8b6c5-x2x4z", "task-queue-abcdefghijklmnopqrstuvwxyz", "sk-learn", "disk-abcdefghijklmnopqrstuvw"],
    },
    Case {
        class: Class::BearerToken,
        secrets: &[
            ("Authorization: Bearer abc", "Authorization: Bearer [REDACTED:bearer_token]"),
            ("sent bearer 0123456789abcdef0123", "sent bearer [REDACTED:bearer_token]"),
            (r#"{"Authorization":"Bearer q.w-e_r"}"#, r#"{"Authorization":"Bearer [REDACTED:bearer_token]"}"#),
            ("curl -H 'authorization: bearer x/y+z=='", "curl -H 'authorization: bearer [REDACTED:bearer_token]'"),
        ],
        harmless: &["bearer authentication-required", "the bearer token is invalid", "bearer of bad news"],
    },
    Case {
        class: Class::BasicAuthorization,
        secrets: &[
            ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [REDACTED:basic_authorization]"),
            ("sent basic Ym9iOmh1bnRlcjI=", "sent basic [REDACTED:basic_authorization]"),
        ],
        harmless: &["basic authentication failed", "basic functionality", "Basic realm=\"x\"", "basic dXNlcm5hbWU="],
    },
    Case {
        class: Class::GithubToken,
        secrets: &[
            ("remote: ghp_0123456789abcdefghijABCDEFGHIJ012345 refused", "remote: [REDACTED:github_token] refused"),
            ("github_pat_11ABCDEFG0123456789_abcdefghijklmnop", "[REDACTED:github_token]"),
            ("https://ghs_0123456789abcdefghijABCDEFGHIJ012345@github.com/x", "https://[REDACTED:github_token]@github.com/x"),
        ],
        harmless: &["ghp_short", "ghost_0123456789abcdefghijABCDEFGHIJ", "github_path_of_the_repository"],
    },
    Case {
        class: Class::GitlabToken,
        secrets: &[("glpat-0123456789abcdefABCD", "[REDACTED:gitlab_token]"), ("gldt-0123456789abcdefABCD", "[REDACTED:gitlab_token]")],
        harmless: &["glpat-short", "global-0123456789abcdefABCD", "gitlab-runner-0123456789abcdef"],
    },
    Case {
        class: Class::SlackToken,
        secrets: &[
            ("xoxb-123456789012-abcdefABCDEF", "[REDACTED:slack_token]"),
            ("xapp-1-A0123456789-abcdef", "[REDACTED:slack_token]"),
            ("POST https://hooks.slack.com/services/T000/B000/XXXXabcdef", "POST https://hooks.slack.com/services/[REDACTED:slack_token]"),
        ],
        harmless: &["xoxo-hugs", "foxoxb-123456789012", "https://slack.com/api/chat.postMessage"],
    },
    Case {
        class: Class::AccessToken,
        secrets: &[
            ("access_token=abcdef0123456789", "access_token=[REDACTED:access_token]"),
            (r#"{"refresh_token":"r-1"}"#, r#"{"refresh_token":"[REDACTED:access_token]"}"#),
            ("sessionToken: FwoGZXIvYXdzE1234567", "sessionToken: [REDACTED:access_token]"),
            ("ya29.a0AfH6SMBx1234567890", "[REDACTED:access_token]"),
        ],
        harmless: &["access token: expired", "access_token_ttl=3600", r#"{"refresh_token_count":"12"}"#],
    },
    Case {
        class: Class::Token,
        secrets: &[
            ("VAULT_TOKEN=hvs.CAESIJ1234567890", "VAULT_TOKEN=[REDACTED:token]"),
            ("token: 0123456789abcdef", "token: [REDACTED:token]"),
            (r#"{"token":"opaque"}"#, r#"{"token":"[REDACTED:token]"}"#),
        ],
        harmless: &["tokens_used: 12345678", "max_tokens=409600000", "unexpected token: identifier", "token: expired", "token=3"],
    },
    Case {
        class: Class::ClientSecret,
        secrets: &[
            ("client_secret=q1w2e3r4", "client_secret=[REDACTED:client_secret]"),
            (r#"{"clientSecret":"q1w2e3r4"}"#, r#"{"clientSecret":"[REDACTED:client_secret]"}"#),
            ("SECRET_KEY: 'django-insecure-x'", "SECRET_KEY: '[REDACTED:client_secret]'"),
        ],
        harmless: &["client secret: missing", "secretName: db-credentials", "secret/prod/db", "secretKeyRef: {name: db}"],
    },
    Case {
        class: Class::AwsAccessKeyId,
        secrets: &[("key AKIAIOSFODNN7EXAMPLE used", "key [REDACTED:aws_access_key_id] used"), ("ASIAIOSFODNN7EXAMPLE", "[REDACTED:aws_access_key_id]")],
        harmless: &["AKIASHORT", "BAKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLEX"],
    },
    Case {
        class: Class::AwsSecretKey,
        secrets: &[
            ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = [REDACTED:aws_secret_key]"),
            (r#"{"SecretAccessKey":"wJalrXUtnFEMI"}"#, r#"{"SecretAccessKey":"[REDACTED:aws_secret_key]"}"#),
        ],
        harmless: &["aws_secret_access_key is missing", "secretAccessKeySecretRef=aws"],
    },
    Case {
        class: Class::GcpServiceAccountKey,
        secrets: &[
            (r#"{"private_key": "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"}"#, r#"{"private_key": "[REDACTED:gcp_service_account_key]"}"#),
            (r#"{\"private_key_id\": \"0123abcd\"}"#, r#"{\"private_key_id\": \"[REDACTED:gcp_service_account_key]\"}"#),
        ],
        harmless: &[r#"{"private_key_path":"/etc/key"}"#, "the private_key is missing"],
    },
    Case {
        class: Class::AzureConnectionString,
        secrets: &[
            ("AccountName=x;AccountKey=q1w2e3r4t5y6==;EndpointSuffix=core", "AccountName=x;AccountKey=[REDACTED:azure_connection_string];EndpointSuffix=core"),
            ("Endpoint=sb://x/;SharedAccessKeyName=root;SharedAccessKey=abcd1234abcd1234=", "Endpoint=sb://x/;SharedAccessKeyName=root;SharedAccessKey=[REDACTED:azure_connection_string]"),
            ("https://x.blob.core.windows.net/c?sv=2024&sig=abcdefgh12345678%3D", "https://x.blob.core.windows.net/c?sv=2024&sig=[REDACTED:azure_connection_string]"),
        ],
        harmless: &["AccountName=x;EndpointSuffix=core", "SharedAccessKeyName=RootManageSharedAccessKey", "?config=abcdefgh12345678"],
    },
    Case {
        class: Class::Jwt,
        secrets: &[
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[REDACTED:jwt]"),
            ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "Bearer [REDACTED:jwt]"),
            ("eyJhbGciOiJSU0EifQ..iv.text.tag", "[REDACTED:jwt]"),
        ],
        harmless: &["eyJ", "hey.you.there", "xeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0"],
    },
    Case {
        class: Class::PrivateKey,
        secrets: &[
            ("key: -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end", "key: [REDACTED:private_key] end"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz", "[REDACTED:private_key]"),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n-----END PGP PRIVATE KEY BLOCK-----", "[REDACTED:private_key]"),
        ],
        harmless: &["-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "a PRIVATE KEY is needed"],
    },
    Case {
        class: Class::KubernetesSecret,
        secrets: &[
            ("kind: Secret\ndata:\n  user: Ym9i\n  pass: aHVudGVyMg==\ntype: Opaque\n", "kind: Secret\ndata:\n  user: [REDACTED:kubernetes_secret]\n  pass: [REDACTED:kubernetes_secret]\ntype: Opaque\n"),
            ("kind: Secret\nstringData:\n  a: b c", "kind: Secret\nstringData:\n  a: [REDACTED:kubernetes_secret]"),
            (r#"{"kind":"Secret","data":{"a":"Yg==","b":"Yw=="}}"#, r#"{"kind":"Secret","data":{"a":"[REDACTED:kubernetes_secret]","b":"[REDACTED:kubernetes_secret]"}}"#),
            (r#"applied {\"data\":{\"a\":\"Yg==\"},\"kind\":\"Secret\"}"#, r#"applied {\"data\":{\"a\":\"[REDACTED:kubernetes_secret]\"},\"kind\":\"Secret\"}"#),
            ("items:\n- kind: Secret\n  data:\n    a: Yg==\n  metadata:\n    name: x\n", "items:\n- kind: Secret\n  data:\n    a: [REDACTED:kubernetes_secret]\n  metadata:\n    name: x\n"),
        ],
        harmless: &["kind: ConfigMap\ndata:\n  a: b\n", "kind: SecretStore\ndata:\n  a: b\n", r#"{"kind":"ConfigMap","data":{"a":"b"}}"#, "kind: Secret\nmetadata:\n  name: x\n"],
    },
    Case {
        class: Class::StripeKey,
        secrets: &[("sk_live_0123456789abcdef", "[REDACTED:stripe_key]"), ("rk_test_0123456789abcdef", "[REDACTED:stripe_key]"), ("whsec_0123456789abcdef", "[REDACTED:stripe_key]")],
        harmless: &["task_live_0123456789", "sk_live_", "unit_test_0123456789abcdef", "pk_live_0123456789abcdef"],
    },
];

#[test]
fn each_class_takes_its_secrets_out_of_a_text_and_leaves_the_rest() {
    let mut wrong = Vec::new();
    for case in CASES {
        for (text, expected) in case.secrets {
            let (redacted, counts) = redact::text(text);
            if redacted != *expected || !counts.iter().all(|(class, _)| *class == case.class) {
                wrong.push(format!(
                    "{}: {text:?}\n    -> {redacted:?} {counts:?}\n  not {expected:?}",
                    case.class.as_str()
                ));
            }
            let (again, counts) = redact::text(&redacted);
            if again != redacted || !counts.is_empty() {
                wrong.push(format!("{}: twice: {redacted:?} -> {again:?} {counts:?}", case.class.as_str()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    let wrong: Vec<_> = CASES
        .iter()
        .flat_map(|case| case.harmless)
        .map(|text| (text, redact::text(text)))
        .filter(|(text, (redacted, counts))| redacted != **text || !counts.is_empty())
        .map(|(text, redacted)| format!("{text:?} -> {redacted:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_class_has_texts_that_match_and_texts_that_do_not() {
    for class in Class::ALL {
        let case = CASES.iter().find(|case| case.class == *class).expect("a case of each class");
        assert!(!case.secrets.is_empty() && !case.harmless.is_empty(), "{}", class.as_str());
    }
    assert_eq!(Class::ALL.len(), 26);
}

#[test]
fn several_secrets_of_several_classes_are_counted() {
    let (redacted, counts) = redact::text("password=a1 password=b2 and AKIAIOSFODNN7EXAMPLE");
    assert_eq!(redacted, "password=[REDACTED:password] password=[REDACTED:password] and [REDACTED:aws_access_key_id]");
    assert_eq!(counts, [(Class::AwsAccessKeyId, 1), (Class::Password, 2)]);
}

#[test]
fn a_secret_within_a_secret_leaves_nothing_of_either() {
    let (redacted, _) = redact::text("password=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln!rest");
    assert_eq!(redacted, "password=[REDACTED:password]");
}

#[test]
fn strings_of_data_are_redacted_by_the_name_of_their_member() {
    let mut data = json!({
        "password": "short", "clientSecret": ["a", "b"], "nested": [{"X-Api-Key": "k"}],
        "env": [{"name": "PGPASSWORD", "value": "pw"}, {"name": "REGION", "value": "eu"}],
        "secret": {"kind": "Secret", "data": {"a": "Yg=="}, "metadata": {"name": "a"}},
    });
    let counts = redact::value(&mut data);
    assert_eq!(
        data,
        json!({
            "password": "[REDACTED:password]",
            "clientSecret": ["[REDACTED:client_secret]", "[REDACTED:client_secret]"],
            "nested": [{"X-Api-Key": "[REDACTED:api_key]"}],
            "env": [{"name": "PGPASSWORD", "value": "[REDACTED:password]"}, {"name": "REGION", "value": "eu"}],
            "secret": {"kind": "Secret", "data": {"a": "[REDACTED:kubernetes_secret]"}, "metadata": {"name": "a"}},
        })
    );
    assert_eq!(counts.iter().map(|(_, n)| n).sum::<u32>(), 6);
}

#[test]
fn keys_with_a_secret_suffix_redact_values_that_look_like_secrets() {
    let mut data = json!({
        "SPRING_DATASOURCE_PASSWORD": "hunter2", "my_app_token": "q1w2e3r4t5", "password": {"value": "hunter2"},
        "env": [{"name": "KEYCLOAK_ADMIN_PASSWORD", "value": "hunter2"}, {"name": "LOG_LEVEL", "value": "debug"}],
        "args": ["serve", "--db-password", "hunter2", "--password", "--port", "8080", "-token", "q1w2e3r4t5", "x"],
        "vault": "uses hvs.CAESIJ0123456789abcdefghij", "npm": "npm_0123456789abcdefghijABCDEFGHIJ012345",
        "command": "psql-wrapper --admin-password hunter2 --api-token q1w2e3r4t5 --port 5432",
    });
    redact::value(&mut data);
    assert_eq!(
        data,
        json!({
            "SPRING_DATASOURCE_PASSWORD": "[REDACTED:password]", "my_app_token": "[REDACTED:token]",
            "password": {"value": "[REDACTED:password]"},
            "env": [
                {"name": "KEYCLOAK_ADMIN_PASSWORD", "value": "[REDACTED:password]"},
                {"name": "LOG_LEVEL", "value": "debug"},
            ],
            "args": [
                "serve", "--db-password", "[REDACTED:password]", "--password", "--port", "8080", "-token",
                "[REDACTED:token]", "x",
            ],
            "vault": "uses [REDACTED:token]", "npm": "[REDACTED:access_token]",
            "command": "psql-wrapper --admin-password [REDACTED:password] --api-token [REDACTED:token] --port 5432",
        })
    );
}

#[test]
fn names_that_end_as_the_names_of_secrets_do_leave_words_and_references() {
    let mut data = json!({
        "resetPassword": "required", "next_token": "none", "imagePullSecret": "registry", "requirePassword": "yes",
        "SPRING_DATASOURCE_PASSWORD": "${DB_PASSWORD}", "max_tokens": "4096", "password_file": "/run/secrets/db",
        "env": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db-1234567", "key": "password"}}}],
        "args": ["--password-file", "/run/secrets/db", "--token", "required"],
    });
    let before = data.clone();
    assert!(redact::value(&mut data).is_empty(), "{data}");
    assert_eq!(data, before);
}

#[test]
fn other_names_numbers_and_booleans_of_data_stay() {
    let mut data = json!({
        "tokens_used": 12, "secretName": "db", "token": 7, "password": true, "authorization": null, "api_key": "",
        "passwordPolicy": "strict", "tokenizer": "cl100k", "token_type": "bearer",
    });
    let before = data.clone();
    assert!(redact::value(&mut data).is_empty());
    assert_eq!(data, before);
}

#[test]
fn names_of_members_are_redacted_and_stay_apart() {
    let mut data = json!({
        "AKIAIOSFODNN7EXAMPLE": 1, "AKIAIOSFODNN7EXAMPL3": 2, "list": [{"glpat-0123456789abcdefABCD": "x"}],
    });
    redact::value(&mut data);
    assert_eq!(
        data,
        json!({
            "[REDACTED:aws_access_key_id]": 2, "[REDACTED:aws_access_key_id]#2": 1,
            "list": [{"[REDACTED:gitlab_token]": "x"}],
        })
    );
    let before = data.clone();
    assert!(redact::value(&mut data).is_empty());
    assert_eq!(data, before);
}

#[test]
fn hostile_texts_take_linear_time() {
    use std::time::{Duration, Instant};
    let text = "x".repeat(64 * 1024);
    let names: serde_json::Map<_, _> = (0..4_000).map(|n| (format!("pwd=ab{n}"), json!(0))).collect();
    let cases = [
        ("names that become the same", json!(names)),
        ("beginnings of markers", json!("[REDACTED:".repeat(text.len() / 10))),
        ("beginnings of markers beside secrets", json!("[REDACTED: pwd=a ".repeat(text.len() / 17))),
        ("names without a secret", json!("token=${".repeat(text.len() / 8))),
        ("secrets within secrets", json!("token=password=api_key=".repeat(text.len() / 23))),
    ];
    for (name, mut value) in cases {
        let before = Instant::now();
        redact::value(&mut value);
        let took = before.elapsed();
        // Quadratic time was more than eight seconds. The bound leaves room for a slow machine.
        assert!(took < Duration::from_secs(4), "{name}: {took:?}");
    }
}
