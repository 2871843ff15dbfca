//! Checks every version of an output, not only the last one.
//!
//! - A Service that has not changed is in every version if it was in the output at the last quiet moment, and in none
//!   if it was not.
//! - A Service that has changed is listed only with an endpoint that it had in the meantime.
//! - Every version that the operator wrote differs from the one before.

use std::collections::BTreeSet;

use detectors::ServiceKey;
use toolset::{DEFAULT_CLUSTER_DOMAIN, health::in_output, render::TOOLSET_JSON_KEY};

use super::{
    expected::Expected,
    ledger::Ledger,
    places::ConfigPlace,
    recorder::{Listed, Version},
};

/// What the versions of one output are checked against.
pub(super) struct Check<'a> {
    /// The `ToolsetConfig`.
    pub(super) place: &'a ConfigPlace,
    /// The output at the last quiet moment.
    pub(super) quiet: &'a Expected,
    /// What has been done since then.
    pub(super) ledger: &'a Ledger,
}

impl Check<'_> {
    /// What is wrong with these versions. `before` is the last version at the quiet moment, if there was one.
    pub(super) fn problems(&self, before: Option<&Version>, versions: &[Version]) -> Vec<String> {
        let mut problems = Vec::new();
        let mut last = before.filter(|version| !version.deleted);
        for version in versions {
            if version.deleted {
                last = None;
                continue;
            }
            if !self.ledger.is_by_people(&version.number) {
                problems.extend(unneeded(last, version).into_iter().chain(self.wrong(version)).map(|problem| {
                    let ConfigPlace { namespace, config_map, .. } = self.place;
                    format!("version {} of ConfigMap {namespace}/{config_map}: {problem}", version.number)
                }));
            }
            last = Some(version);
        }
        problems
    }

    fn wrong(&self, version: &Version) -> Vec<String> {
        let mut problems = Vec::new();
        let stays = self.place.independent && !self.ledger.is_reconfigured(&self.place.name);
        for (key, planned) in self.quiet.services.iter().filter(|_| stays) {
            let Some(listed) = version.data.get(key) else {
                problems.push(format!("{key} is missing"));
                continue;
            };
            let unchanged = |service: &&ServiceKey| self.ledger.endpoints(service).is_none();
            let lost: Vec<_> =
                planned.difference(&listed.services).filter(unchanged).map(ToString::to_string).collect();
            if !lost.is_empty() {
                problems.push(format!("{key} has lost {lost:?}, which did not change"));
            }
            let new: Vec<_> = listed.services.difference(planned).filter(unchanged).map(ToString::to_string).collect();
            if !new.is_empty() {
                problems.push(format!("{key} lists {new:?}, which did not change and was not listed"));
            }
        }
        for (key, listed) in &version.data {
            if listed.broken {
                problems.push(format!("{key} cannot be read"));
            }
            problems.extend(self.never_existed(key, listed).map(|problem| format!("{key} {problem}")));
        }
        problems
    }

    /// Services and endpoints that have not existed since the last quiet moment.
    fn never_existed(&self, key: &str, listed: &Listed) -> impl Iterator<Item = String> {
        let gone = |service: &&ServiceKey| self.ledger.endpoints(service).is_some_and(BTreeSet::is_empty);
        let gone = listed.services.iter().filter(gone).map(|service| format!("lists {service}, which is no tool"));
        let mut problems: Vec<_> = gone.collect();
        for endpoint in listed.endpoints.iter().filter(|_| key == TOOLSET_JSON_KEY) {
            let service = in_output([endpoint.as_str()], DEFAULT_CLUSTER_DOMAIN).into_iter().next();
            let had = service.and_then(|service| self.ledger.endpoints(&service));
            if had.is_some_and(|had| !had.contains(endpoint.trim_end_matches('/'))) {
                problems.push(format!("lists {endpoint}, but the Service had only {had:?}"));
            }
        }
        problems.into_iter()
    }
}

/// Whether a version is equal to the one before. The operator may change only the managed fields if they have an entry
/// that its create left.
fn unneeded(before: Option<&Version>, version: &Version) -> Option<String> {
    let before = before?;
    let moves_entry = before.created_by_us && !version.created_by_us;
    (before.content == version.content && !moves_entry)
        .then(|| format!("it is equal to version {}, so the write was not necessary", before.number))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::endurance::services::{Kind, State};

    fn key(name: &str) -> ServiceKey {
        ServiceKey::new("apps", name)
    }

    fn endpoint(name: &str, port: u16) -> String {
        format!("http://{name}.apps.svc.cluster.local:{port}")
    }

    fn version(number: &str, tools: &[(&str, u16)]) -> Version {
        let listed = Listed {
            services: tools.iter().map(|(name, _)| key(name)).collect(),
            endpoints: tools.iter().map(|(name, port)| endpoint(name, *port)).collect(),
            broken: false,
        };
        Version {
            number: number.to_owned(),
            content: number.parse().unwrap(),
            data: BTreeMap::from([(TOOLSET_JSON_KEY, listed)]),
            ..Version::default()
        }
    }

    fn place(independent: bool) -> ConfigPlace {
        ConfigPlace {
            namespace: "agent".to_owned(),
            name: "config".to_owned(),
            config_map: "out".to_owned(),
            independent,
            by_namespace_labels: false,
            edits: Vec::new(),
        }
    }

    /// At the quiet moment `stable` and `busy` were listed. Then `busy` moved from port 1 to port 2, and `gone` did not
    /// exist although it may have.
    fn problems(place: &ConfigPlace, change: impl FnOnce(&mut Ledger), versions: &[Version]) -> Vec<String> {
        let quiet = Expected::listing(TOOLSET_JSON_KEY, [key("stable"), key("busy")]);
        let mut ledger = Ledger::default();
        let busy = |port| State::new(Kind::Chart, port);
        ledger.changes(&key("busy"), Some(&busy(1)), Some(&busy(2)));
        ledger.changes(&key("gone"), None, None);
        change(&mut ledger);
        Check { place, quiet: &quiet, ledger: &ledger }
            .problems(Some(&version("1", &[("stable", 1), ("busy", 1)])), versions)
    }

    fn found(versions: &[Version]) -> String {
        problems(&place(true), |_| (), versions).join("; ")
    }

    #[test]
    fn a_history_without_faults_has_no_problem() {
        let history = [
            version("2", &[("stable", 1), ("busy", 2)]),
            version("3", &[("stable", 1)]),
            Version { deleted: true, ..version("4", &[]) },
            version("5", &[("stable", 1)]),
        ];
        assert_eq!(found(&history), "");
    }

    #[test]
    fn a_service_that_did_not_change_must_be_in_every_version() {
        let history = [version("2", &[("busy", 2)]), version("3", &[("stable", 1), ("busy", 2)])];
        assert!(found(&history).contains("version 2 of ConfigMap agent/out: toolset.json has lost [\"apps/stable\"]"));
        let empty = [version("2", &[])];
        assert!(found(&empty).contains("has lost"));
        let without_key = [Version { data: BTreeMap::new(), ..version("2", &[]) }];
        assert!(found(&without_key).contains("toolset.json is missing"));
    }

    #[test]
    fn a_service_that_did_not_change_does_not_enter() {
        assert!(found(&[version("2", &[("stable", 1), ("other", 1)])]).contains("lists [\"apps/other\"]"));
    }

    #[test]
    fn a_tool_must_have_existed_with_its_endpoint() {
        assert!(found(&[version("2", &[("stable", 1), ("busy", 3)])]).contains("but the Service had only"));
        assert!(found(&[version("2", &[("stable", 1), ("gone", 1)])]).contains("lists apps/gone, which is no tool"));
    }

    #[test]
    fn a_write_without_a_change_is_found_and_the_move_of_an_entry_is_none() {
        let same = Version { content: 2, ..version("3", &[("stable", 1)]) };
        let history = [version("2", &[("stable", 1)]), same];
        assert!(found(&history).contains("version 3 of ConfigMap agent/out: it is equal to version 2"));
        let [first, second] = history;
        let created = Version { created_by_us: true, ..first };
        assert_eq!(found(&[created.clone(), second.clone()]), "");
        let again = Version { created_by_us: true, ..second };
        assert!(found(&[created, again]).contains("equal to version 2"));
    }

    #[test]
    fn what_a_person_writes_is_not_the_operators() {
        let history = [version("2", &[]), version("3", &[("stable", 1)])];
        assert_eq!(problems(&place(true), |ledger| ledger.by_people("2".to_owned()), &history), Vec::<String>::new());
    }

    #[test]
    fn a_changed_spec_and_a_source_of_single_instances_may_remove_and_add() {
        let history = [version("2", &[("other", 1)])];
        let none = Vec::<String>::new();
        assert_eq!(problems(&place(true), |ledger| ledger.reconfigures("config"), &history), none);
        assert_eq!(problems(&place(false), |_| (), &history), none);
        let unreadable = Listed { broken: true, ..Listed::default() };
        let history = [Version { data: BTreeMap::from([(TOOLSET_JSON_KEY, unreadable)]), ..version("2", &[]) }];
        assert!(problems(&place(false), |_| (), &history)[0].ends_with("toolset.json cannot be read"));
    }
}
