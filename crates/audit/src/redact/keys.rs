//! Secrets that are told by the name of their member in JSON, of an environment variable or of a flag.
//!
//! Only strings are replaced: numbers and booleans stay. A name is on the list, or it ends as the names do that the
//! expressions know, and the value looks like a secret: `tokens_used` and `secretName` stay.

use super::Class;
use super::checks::{anything, likely_token, not_a_word_about_secrets};
use super::marker::without_markers;

/// Names without `_`, `-`, `.` and spaces, in lower case, sorted.
const NAMES: &[(&str, Class)] = &[
    ("accesskeysecret", Class::AwsSecretKey),
    ("accesstoken", Class::AccessToken),
    ("accountkey", Class::AzureConnectionString),
    ("adminpassword", Class::Password),
    ("apikey", Class::ApiKey),
    ("apisecret", Class::ClientSecret),
    ("apitoken", Class::Token),
    ("appsecret", Class::ClientSecret),
    ("authorization", Class::BearerToken),
    ("authtoken", Class::AccessToken),
    ("awssecretaccesskey", Class::AwsSecretKey),
    ("awssessiontoken", Class::AccessToken),
    ("azurestorageconnectionstring", Class::AzureConnectionString),
    ("bearertoken", Class::BearerToken),
    ("bindpassword", Class::Password),
    ("clientsecret", Class::ClientSecret),
    ("consumersecret", Class::ClientSecret),
    ("databasepassword", Class::Password),
    ("dbpassword", Class::Password),
    ("githubtoken", Class::GithubToken),
    ("gitlabtoken", Class::GitlabToken),
    ("idtoken", Class::AccessToken),
    ("mysqlpassword", Class::Password),
    ("mysqlrootpassword", Class::Password),
    ("oauthtoken", Class::AccessToken),
    ("openaiapikey", Class::OpenaiKey),
    ("passphrase", Class::Password),
    ("passwd", Class::Password),
    ("password", Class::Password),
    ("pgpassword", Class::Password),
    ("postgrespassword", Class::Password),
    ("postgresqlpassword", Class::Password),
    ("privatekey", Class::PrivateKey),
    ("privatekeyid", Class::GcpServiceAccountKey),
    ("proxyauthorization", Class::BasicAuthorization),
    ("pwd", Class::Password),
    ("redispassword", Class::Password),
    ("refreshtoken", Class::AccessToken),
    ("rootpassword", Class::Password),
    ("secretaccesskey", Class::AwsSecretKey),
    ("secretkey", Class::ClientSecret),
    ("sessiontoken", Class::AccessToken),
    ("sharedaccesskey", Class::AzureConnectionString),
    ("sharedsecret", Class::ClientSecret),
    ("slacktoken", Class::SlackToken),
    ("stripesecretkey", Class::StripeKey),
    ("token", Class::Token),
    ("userpassword", Class::Password),
    ("webhooksecret", Class::ClientSecret),
    ("xapikey", Class::ApiKey),
    ("xauthtoken", Class::AccessToken),
];

/// How the names of other secrets end, spelled as the list, the longer ones first.
const ENDINGS: &[Named] = &[
    Named { name: "secretaccesskey", class: Class::AwsSecretKey, check: not_a_word_about_secrets },
    Named { name: "connectionstring", class: Class::AzureConnectionString, check: likely_token },
    Named { name: "webhooksecret", class: Class::ClientSecret, check: not_a_word_about_secrets },
    Named { name: "clientsecret", class: Class::ClientSecret, check: not_a_word_about_secrets },
    Named { name: "sharedsecret", class: Class::ClientSecret, check: not_a_word_about_secrets },
    Named { name: "accesstoken", class: Class::AccessToken, check: not_a_word_about_secrets },
    Named { name: "passphrase", class: Class::Password, check: not_a_word_about_secrets },
    Named { name: "privatekey", class: Class::PrivateKey, check: likely_token },
    Named { name: "secretkey", class: Class::ClientSecret, check: likely_token },
    Named { name: "appsecret", class: Class::ClientSecret, check: not_a_word_about_secrets },
    Named { name: "password", class: Class::Password, check: not_a_word_about_secrets },
    Named { name: "apikey", class: Class::ApiKey, check: not_a_word_about_secrets },
    Named { name: "passwd", class: Class::Password, check: not_a_word_about_secrets },
    Named { name: "secret", class: Class::ClientSecret, check: likely_token },
    Named { name: "token", class: Class::Token, check: likely_token },
];

/// The longest name whose ending is looked at.
const LONGEST_NAME: usize = 128;

/// What is known by a name.
#[derive(Clone, Copy)]
pub(super) struct Named {
    name: &'static str,
    /// The class of the secret.
    pub(super) class: Class,
    check: fn(&str) -> bool,
}

impl Named {
    /// Whether a value is a secret. What was replaced in it already does not count, so the answer stays the same when
    /// the text is read again.
    pub(super) fn is_secret(self, value: &str) -> bool {
        let rest = without_markers(value);
        !rest.is_empty() && (self.check)(&rest)
    }
}

/// What a member of this name holds, if it is a secret.
pub(super) fn of(name: &str) -> Option<Named> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let plain: String =
        name.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    let listed = NAMES.binary_search_by(|(known, _)| (*known).cmp(plain.as_str())).ok().and_then(|at| NAMES.get(at));
    let exact = listed.map(|(name, class)| Named { name, class: *class, check: anything });
    exact.or_else(|| ENDINGS.iter().find(|ending| plain.ends_with(ending.name)).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_its_names_are_as_they_are_compared() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
        let names = || NAMES.iter().map(|(name, _)| *name).chain(ENDINGS.iter().map(|ending| ending.name));
        assert!(names().all(|name| name.bytes().all(|b| b.is_ascii_lowercase())));
    }

    #[test]
    fn spelling_does_not_matter_but_other_names_are_not_on_the_list() {
        for name in [
            "password",
            "Password",
            "PGPASSWORD",
            "client_secret",
            "clientSecret",
            "X-Api-Key",
            "aws_secret_access_key",
            "SPRING_DATASOURCE_PASSWORD",
            "my_app_token",
        ] {
            assert!(of(name).is_some(), "{name}");
        }
        for name in ["tokens_used", "secretName", "passwordHashAlgorithm", "tokenizer", "key", "data", ""] {
            assert!(of(name).is_none(), "{name}");
        }
    }
}
