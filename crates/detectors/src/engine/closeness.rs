//! How closely a value is a product's name: the name itself, the name with an owner or a role, or the name of another
//! program that works with the product.

use super::{
    identities::{Identity, NAME_LABEL},
    role::{is_neutral, release},
    rule::Rule,
    vocabulary::Mention,
    whole_words::{contains, is, split, without_version},
};
use crate::view::ServiceView;

/// How closely a value is the product's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closeness {
    /// A word after the product's name is neither a role nor a word for an install: `prometheus-msteams`. Programs that
    /// work with a product are named like that.
    Extended,
    /// Words before the product's name name an owner, or words after it a role or an install: `my-grafana`,
    /// `prometheus-prod`.
    Owned,
    /// Words before the product's name are those of the Helm release or of the namespace: `osm-grafana` in
    /// `osm-system`.
    OwnedHere,
    /// The value is a name of the product.
    Exact,
}

/// Words after a product's name that tell installs and Services of the product from each other.
const INSTALL_WORDS: &[&str] = &[
    "access",
    "api",
    "central",
    "cluster",
    "clusterip",
    "common",
    "community",
    "default",
    "demo",
    "deployment",
    "dev",
    "development",
    "elb",
    "endpoint",
    "enterprise",
    "example",
    "ext",
    "external",
    "global",
    "ha",
    "headless",
    "hl",
    "http",
    "https",
    "infra",
    "ingress",
    "instance",
    "int",
    "internal",
    "ip",
    "k8s",
    "kubernetes",
    "lab",
    "lb",
    "loadbalancer",
    "local",
    "nlb",
    "node",
    "nodeport",
    "np",
    "ops",
    "oss",
    "platform",
    "pod",
    "prd",
    "primary",
    "private",
    "prod",
    "production",
    "public",
    "qa",
    "replica",
    "sample",
    "sandbox",
    "secondary",
    "shared",
    "single",
    "srv",
    "staging",
    "standalone",
    "stateful",
    "statefulset",
    "stg",
    "svc",
    "system",
    "test",
    "testing",
    "uat",
    "v",
];

/// How closely an identity that mentions the product is its name.
pub(crate) fn closeness(rule: &Rule, view: &ServiceView, identity: &Identity<'_>) -> Closeness {
    let mention = &identity.mention;
    if identity.exact_name(rule).is_some() {
        return Closeness::Exact;
    }
    if foreign_word(rule, view, mention).is_some() {
        return Closeness::Extended;
    }
    match (mention.before().next(), mention.after().next()) {
        (None, None) => Closeness::Exact,
        // Charts write their own name under this key, and not that of the release.
        (Some(_), None) if identity.key != NAME_LABEL && mention.before().all(|word| is_owner(rule, view, word)) => {
            Closeness::OwnedHere
        }
        _ => Closeness::Owned,
    }
}

/// The first word after the product's name that is neither a role of it nor a word for an install.
pub(crate) fn foreign_word<'a>(rule: &Rule, view: &ServiceView, mention: &Mention<'a>) -> Option<&'a str> {
    let is_role = |word: &str| {
        let mut roles = rule.endpoints.iter().flat_map(|endpoint| endpoint.roles);
        roles.any(|role| split(role).any(|part| part.eq_ignore_ascii_case(word)))
    };
    mention.after().find(|word| {
        let name = without_version(word);
        !name.is_empty()
            && !contains(INSTALL_WORDS, word)
            && !contains(INSTALL_WORDS, name)
            && !is_neutral(name, rule)
            && !is_role(word)
            && !is_owner(rule, view, word)
    })
}

/// Whether the Helm release or the namespace has this word. One that has the product's name too is named after the
/// program, whatever it is: the release `prometheus-msteams` of the chart `prometheus-msteams`.
fn is_owner(rule: &Rule, view: &ServiceView, word: &str) -> bool {
    let names_product = |owner: &&str| split(owner).any(|part| rule.name_words.iter().any(|name| is(part, name[0])));
    let owners = [release(view), Some(&*view.key.namespace)];
    let mut words = owners.into_iter().flatten().filter(|owner| !names_product(owner)).flat_map(split);
    words.any(|owner| owner.eq_ignore_ascii_case(word))
}
