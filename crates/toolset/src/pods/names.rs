//! What the names of Pods and of their controllers have in common.

use std::collections::BTreeMap;

/// How long the name of an object can be. A longer name of a Pod is cut before the random part is appended.
const MAX_NAME: usize = 63;
/// How many random characters a controller appends to the name of a Pod.
const RANDOM: usize = 5;
/// The characters of which they are.
const RANDOM_CHARACTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The labels with which controllers mark the Pods of one template, and with which they end the names of `ReplicaSets`.
const TEMPLATE_HASHES: [&str; 2] = ["pod-template-hash", "rollouts-pod-template-hash"];
/// The label of the Pods of a `DeploymentConfig`, with its name.
const DEPLOYMENT_CONFIG: &str = "deploymentconfig";

/// The part of a Pod's name that the Pods of one template share: the name without its last `-xxxxx`. A name without
/// such an end is its own stem.
pub fn stem(name: &str) -> &str {
    let cut = name.len().checked_sub(RANDOM).filter(|_| name.len() >= MAX_NAME);
    match (cut, name.rsplit_once('-')) {
        // The name was cut, so there is no dash before the random part.
        (Some(cut), rest) if name.is_char_boundary(cut) && rest.is_none_or(|(_, end)| end.len() > RANDOM) => {
            &name[..cut]
        }
        (_, Some((stem, end))) if !stem.is_empty() && is_appended(end) => stem,
        _ => name,
    }
}

/// Whether a controller has appended this to a name: random characters, or the number of a `StatefulSet`'s Pod.
fn is_appended(end: &str) -> bool {
    let random = end.len() == RANDOM && end.bytes().all(|byte| RANDOM_CHARACTERS.contains(&byte));
    random || !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number at the end of the name of a `StatefulSet`'s Pod.
pub(super) fn ordinal(name: &str) -> Option<u32> {
    let (_, end) = name.rsplit_once('-')?;
    let is_plain = end.bytes().all(|byte| byte.is_ascii_digit()) && (end == "0" || !end.starts_with('0'));
    end.parse().ok().filter(|_| is_plain)
}

/// The controller of a Pod, as its owner reference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Its kind.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// The controller whose rollouts replace this Pod: `ReplicaSet/x` for a `ReplicaSet` `x-5d4f` of a Deployment.
pub fn controller(owner: Owner<'_>, labels: Option<&BTreeMap<String, String>>) -> String {
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).map(String::as_str);
    let of_rollout = owner.name.rsplit_once('-').filter(|(rest, end)| match owner.kind {
        "ReplicaSet" => TEMPLATE_HASHES.iter().any(|key| label(key) == Some(*end)),
        "ReplicationController" => label(DEPLOYMENT_CONFIG) == Some(*rest),
        _ => false,
    });
    format!("{}/{}", owner.kind, of_rollout.map_or(owner.name, |(rest, _)| rest))
}
