//! The expressions by which secrets are found, as a table.
//!
//! A rule has a hint, the beginning of its expression without which it cannot match: one pass over a text with all
//! hints says which expressions are worth running. The secret is the first group of the expression that took part in
//! the match, or the match itself if the expression has no group, which takes less time.
//!
//! Case is ignored in ASCII only: no expression needs the tables of Unicode, which a build may leave out.

use super::Class;
use super::checks::{anything, basic, likely_token, not_a_word_about_secrets};

/// One way in which a secret is written.
pub(super) struct Rule {
    /// What is found.
    pub(super) class: Class,
    /// What every match contains, in any case.
    pub(super) hint: &'static str,
    /// The expression.
    pub(super) pattern: &'static str,
    /// Whether what the expression found is a secret.
    pub(super) check: fn(&str) -> bool,
}

/// A secret with a form of its own.
const fn form(class: Class, hint: &'static str, pattern: &'static str) -> Rule {
    Rule { class, hint, pattern, check: anything }
}

/// A secret with a form that other things have too.
const fn checked(class: Class, hint: &'static str, pattern: &'static str, check: fn(&str) -> bool) -> Rule {
    Rule { class, hint, pattern, check }
}

/// The password in a URL of these schemes. Programs that cannot read a URL print it, so a `/` in the password is taken
/// too where the authority would otherwise end before the `@`.
macro_rules! database_url {
    ($class:ident, $schemes:literal) => {
        form(
            Class::$class,
            concat!("(?:", $schemes, r")(?:\+[a-z0-9]+)?://"),
            concat!(
                "(?i-u:",
                $schemes,
                r#")(?:\+[A-Za-z0-9]+)?://[^ \t\r\n:/@"'<>]*:(?:([^ \t\r\n/"'<>]+)@|([^ \t\r\n@"'<>]+)@)"#
            ),
        )
    };
}

/// The rules, in the order in which they are applied: what can be told by its own form comes before what can only be
/// told by the name before it.
pub(super) const RULES: &[Rule] = &[
    form(
        Class::GcpServiceAccountKey,
        r#"private_key(?:_id)?\\*["'][ \t\r\n]*:"#,
        concat!(
            r#"(?i-u:private_key(?:_id)?)\\*["'][ \t\r\n]*:[ \t\r\n]*"#,
            r#"(?:"((?s:[^"\\]|\\.)+)|\\"((?:\\\\\\"|[^"\\]|\\[^"])+)|'((?s:[^'\\]|\\.)+))"#
        ),
    ),
    form(
        Class::PrivateKey,
        "PRIVATE KEY",
        concat!(
            r"(?s)-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----.*?",
            r"(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\z)"
        ),
    ),
    form(Class::Jwt, r"eyJ[a-z0-9_-]{5}", r"(?-u:\b)eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){1,4}"),
    database_url!(PostgresqlUrl, "postgres(?:ql)?"),
    database_url!(MysqlUrl, "mysqlx?|mariadb"),
    form(Class::MysqlUrl, r"@(?:tcp|unix)\(", r"(?-u:\b)[A-Za-z0-9_.-]+:([^ \t\r\n:/@]+)@(?:tcp|unix)\("),
    database_url!(MongodbUrl, "mongodb"),
    database_url!(RedisUrl, "rediss?|valkeys?"),
    form(Class::UrlCredentials, "://", r#"://[^ \t\r\n:/@"'<>]*:([^ \t\r\n/"'<>]+)@"#),
    form(
        Class::AzureConnectionString,
        r"(?:AccountKey|SharedAccessKey)[ \t]*=",
        r"(?i-u:AccountKey|SharedAccessKey)[ \t]*=[ \t]*([A-Za-z0-9+/%_-]{8,}={0,2})",
    ),
    form(Class::AzureConnectionString, "[?&;]sig=", r"[?&;](?i-u:sig)=([A-Za-z0-9+/%_-]{16,}={0,2})"),
    form(Class::GithubToken, "gh[pousr]_[a-z0-9]{8}", r"(?-u:\b)gh[pousr]_[A-Za-z0-9]{20,}"),
    form(Class::GithubToken, "github_pat_", r"(?-u:\b)github_pat_[A-Za-z0-9_]{20,}"),
    form(
        Class::GitlabToken,
        "gl[a-z]{2,5}-[a-z0-9_.-]{8}",
        r"(?-u:\b)gl(?:pat|ptt|rt|dt|ft|soat|cbt|oas|imt|agent|ffct)-[A-Za-z0-9_.-]{16,}",
    ),
    form(Class::SlackToken, "xox[abeoprs]", r"(?-u:\b)xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}"),
    form(Class::SlackToken, "xapp-", r"(?-u:\b)xapp-[0-9]-[A-Za-z0-9-]{10,}"),
    form(Class::SlackToken, r"hooks\.slack", r"hooks\.slack(?:-gov)?\.com/services/([A-Za-z0-9/]{10,})"),
    form(Class::StripeKey, "[sr]k_(?:live|test)_", r"(?-u:\b)(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}"),
    form(Class::StripeKey, "whsec_", r"(?-u:\b)whsec_[A-Za-z0-9+/]{16,}=*"),
    form(
        Class::OpenaiKey,
        "sk-[a-z0-9]",
        // Without one of the known parts no further hyphen: `sk-frontend-7d9f8b6c5-x2x4z` is a Pod.
        r"(?-u:\b)sk-(?:(?:proj|svcacct|admin|ant|or|lf)-[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{20,})",
    ),
    form(
        Class::AwsAccessKeyId,
        "(?:AKIA|ASIA|ABIA|ACCA)[a-z0-9]{8}",
        r"(?-u:\b)(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?-u:\b)",
    ),
    form(Class::ApiKey, "AIza", r"(?-u:\b)AIza[A-Za-z0-9_-]{35}"),
    form(Class::AccessToken, r"ya29\.", r"(?-u:\b)ya29\.[A-Za-z0-9_.-]{16,}"),
    form(Class::AccessToken, "npm_[a-z0-9]{8}", r"(?-u:\b)npm_[A-Za-z0-9]{36,}"),
    // The tokens of HashiCorp Vault: service, batch and recovery.
    form(Class::Token, r"hv[sbr]\.[a-z0-9_-]{8}", r"(?-u:\b)hv[sbr]\.[A-Za-z0-9_-]{20,}"),
    checked(
        Class::BearerToken,
        r"bearer[ \t]",
        r#"(?i-u:authorization)\\*["']?[ \t]*[:=]?[ \t]*\\*["']?(?i-u:bearer)[ \t]+([A-Za-z0-9._~+/=:-]+)"#,
        anything,
    ),
    checked(Class::BearerToken, r"bearer[ \t]", r"(?i-u:\bbearer)[ \t]+([A-Za-z0-9._~+/=-]{16,})", likely_token),
    checked(
        Class::BasicAuthorization,
        r"basic[ \t]",
        r#"(?i-u:authorization)\\*["']?[ \t]*[:=]?[ \t]*\\*["']?(?i-u:basic)[ \t]+([A-Za-z0-9+/_=-]+)"#,
        anything,
    ),
    checked(Class::BasicAuthorization, r"basic[ \t]", r"(?i-u:\bbasic)[ \t]+([A-Za-z0-9+/_-]{6,}={0,2})", basic),
    checked(
        Class::Password,
        r"-pass(?:word|wd|phrase)?[ \t]",
        r#"(?i-u:--(?:[a-z0-9]+-)*pass(?:word|wd|phrase)?)[ \t]+['"]?([^ \t\r\n"']+)"#,
        not_a_word_about_secrets,
    ),
    checked(
        Class::Token,
        r"-(?:token|api-?key|secret(?:-key)?)[ \t]",
        r#"(?i-u:--(?:[a-z0-9]+-)*(?:token|api-?key|secret(?:-key)?))[ \t]+['"]?([^ \t\r\n"']+)"#,
        likely_token,
    ),
];
