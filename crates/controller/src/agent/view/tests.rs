use super::*;

const PATIENCE: Duration = Duration::from_secs(900);

fn file(revision: Option<&str>, entries: &[&str]) -> AgentFile {
    AgentFile {
        hash: format!("hash of {revision:?}"),
        revision: revision.map(str::to_owned),
        entries: entries.iter().map(|name| (*name).to_owned()).collect(),
        ..AgentFile::default()
    }
}

/// What a replica of version 0.45.0 answers.
fn answer(revisions: &[&str], entries: &[(&str, EntryState)]) -> Replica {
    let entries = entries.iter().map(|(name, state)| ((*name).to_owned(), Loaded { state: *state, tools: 2 }));
    let answer = Answer {
        version: Version::parse("0.45.0"),
        revisions: revisions.iter().map(|revision| (*revision).to_owned()).collect(),
        entries: entries.collect(),
    };
    let loaded = LastLoaded { revisions: answer.revisions.clone(), file: Some("hash of a".to_owned()) };
    Replica { loaded: Some(loaded), ..Replica::new(None, Version::parse("0.45.0"), Ok(answer)) }
}

fn without_answer(why: NoAnswer) -> Replica {
    Replica::new(None, Version::parse("0.45.0"), Err(why))
}

/// What a round for this file has found at that time.
fn round(file: &AgentFile, at: Instant, replicas: Vec<Replica>) -> Known {
    let id = |number: usize| (format!("holmes-{number}"), format!("uid-{number}"));
    let replicas: BTreeMap<_, _> =
        replicas.into_iter().enumerate().map(|(number, replica)| (id(number), replica)).collect();
    Known {
        at,
        file: file.hash.clone(),
        wanted: file.entries.clone(),
        problem: None,
        ready: replicas.keys().cloned().collect(),
        backends: None,
        replicas,
        remarks: Vec::new(),
    }
}

/// An agent whose ConfigMap held revision `a` at first and holds `b` for `age` now, and which has these replicas.
fn seen(file: &AgentFile, replicas: Vec<Replica>, age: Duration) -> View {
    let at = Instant::now() + Duration::from_secs(10_000);
    view(file, &history(file, at, age), &round(file, at, replicas), PATIENCE)
}

fn history(file: &AgentFile, at: Instant, age: Duration) -> History {
    let mut history = History::default();
    history.applied("hash of a", Some("a"), Duration::from_secs(5_000), at.checked_sub(age).unwrap());
    history.caught_up();
    history.applied(&file.hash, file.revision.as_deref(), Duration::ZERO, at.checked_sub(age).unwrap());
    history
}

fn soon() -> Duration {
    Duration::from_secs(60)
}

fn loaded(view: &View) -> (Option<bool>, Reason, String) {
    (view.report.loaded, view.report.reason, view.report.status.clone().unwrap_or_default().loaded)
}

#[test]
fn all_replicas_that_have_the_revision_and_every_entry_enabled_are_well() {
    let file = file(Some("b"), &["x", "y"]);
    let well = || answer(&["b"], &[("x", EntryState::Enabled), ("y", EntryState::Enabled)]);
    let view = seen(&file, vec![well(), well(), well()], Duration::from_secs(5_000));
    assert_eq!(loaded(&view), (Some(true), Reason::AsExpected, "3/3".to_owned()));
    assert!(view.well && view.caught_up);
    assert_eq!(view.lag, Some(Lag::Current));
    let status = view.report.status.unwrap();
    assert_eq!(
        (status.version.as_str(), status.revision.as_str(), status.replicas, status.current),
        ("0.45.0", "b", 3, 3)
    );
    assert!(status.toolsets.is_empty());
    assert_eq!(view.by_state, BTreeMap::from([(EntryState::Enabled, 2)]));
    assert_eq!(view.report.message, "3 of 3 replicas have loaded revision b. Every entry is enabled.");
}

#[test]
fn the_revision_of_another_file_does_not_matter() {
    let two_files = answer(&["b", "of-another-file"], &[]);
    assert!(seen(&file(Some("b"), &[]), vec![two_files], soon()).well);
}

#[test]
fn a_replica_that_is_behind_is_unknown_at_first_and_a_problem_later() {
    let file = file(Some("b"), &["x"]);
    let well = || answer(&["b"], &[("x", EntryState::Enabled)]);
    // A built-in toolset that it has not loaded from the file is disabled.
    let behind = || answer(&["a"], &[("x", EntryState::Disabled)]);
    let early = seen(&file, vec![well(), behind(), well()], Duration::from_secs(899));
    assert_eq!(loaded(&early), (None, Reason::AgentBehind, "2/3".to_owned()));
    assert!(early.report.message.starts_with("2 of 3 replicas have loaded revision b. "), "{}", early.report.message);
    assert!(!early.well && early.report.status.unwrap().toolsets.is_empty(), "what is new is not missing yet");
    let late = seen(&file, vec![well(), behind(), well()], Duration::from_secs(900));
    assert_eq!(loaded(&late), (Some(false), Reason::AgentBehind, "2/3".to_owned()));
    assert!(late.report.message.contains("TOOLSET_STATUS_REFRESH_INTERVAL_SECONDS"), "{}", late.report.message);
    assert!(matches!(late.lag, Some(Lag::BehindSince(_))));
}

#[test]
fn a_new_pod_is_not_behind_for_longer_than_it_exists() {
    let file = file(Some("b"), &[]);
    let young = Replica { created: Some(Instant::now() + Duration::from_secs(9_990)), ..answer(&["a"], &[]) };
    let view = seen(&file, vec![young.clone()], Duration::from_secs(4_000));
    assert_eq!((view.report.loaded, view.lag), (None, young.created.map(Lag::BehindSince)));
}

#[test]
fn an_entry_that_is_not_enabled_is_a_problem_and_the_worst_replica_counts() {
    let file = file(Some("b"), &["x", "y", "z"]);
    let view = seen(
        &file,
        vec![
            answer(&["b"], &[("x", EntryState::Enabled), ("y", EntryState::Disabled), ("z", EntryState::Enabled)]),
            answer(&["b"], &[("x", EntryState::Failed), ("y", EntryState::Enabled)]),
        ],
        soon(),
    );
    assert_eq!(loaded(&view), (Some(false), Reason::AgentFailed, "2/2".to_owned()));
    let status = view.report.status.unwrap();
    let toolsets: Vec<_> =
        status.toolsets.iter().map(|one| (one.name.as_str(), one.status.as_str(), one.tool_count)).collect();
    assert_eq!(toolsets, [("x", "failed", 2), ("y", "disabled", 2), ("z", "missing", 0)]);
    assert!(view.report.message.contains("x (failed), y (disabled), z (missing)"), "{}", view.report.message);
    assert!(!view.well);
}

#[test]
fn the_lists_are_bounded() {
    let names: Vec<String> = (0..80).map(|number| format!("entry-{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let failed: Vec<_> = names.iter().map(|name| (*name, EntryState::Failed)).collect();
    let view = seen(&file(Some("b"), &names), vec![answer(&["b"], &failed)], soon());
    let status = view.report.status.unwrap();
    assert_eq!((status.toolsets.len(), status.toolsets[0].name.as_str()), (50, "entry-00"));
    assert!(view.report.message.contains("entry-02 (failed) and 77 more"), "{}", view.report.message);
}

#[test]
fn the_worst_reason_of_several_replicas_decides() {
    let file = file(Some("b"), &["x"]);
    let well = answer(&["b"], &[("x", EntryState::Enabled)]);
    let failed = answer(&["b"], &[("x", EntryState::Failed)]);
    let behind = answer(&["a"], &[]);
    let hangs = without_answer(NoAnswer::Failed(Failure::Timeout(Duration::from_secs(30))));
    let refused = without_answer(NoAnswer::Refused("uses the network of its node".to_owned()));
    let old = without_answer(NoAnswer::Unsupported(Unsupported::TooOld(Version::parse("0.44.0").unwrap())));
    let unknown = without_answer(NoAnswer::Unsupported(Unsupported::Unknown));
    let wrong_key = without_answer(NoAnswer::Failed(Failure::Unauthorized { has_key: true }));
    let long = Duration::from_secs(2_000);
    for (replicas, age, expected) in [
        (vec![&well, &failed, &behind, &hangs, &old, &wrong_key], soon(), Reason::AgentUnauthorized),
        (vec![&well, &failed, &behind, &hangs, &old], soon(), Reason::AgentTooOld),
        (vec![&well, &unknown], soon(), Reason::AgentTooOld),
        (vec![&well, &failed, &behind, &hangs], long, Reason::AgentUnreachable),
        (vec![&well, &refused], soon(), Reason::AgentUnreachable),
        (vec![&well, &failed, &behind], long, Reason::AgentBehind),
        (vec![&well, &failed, &behind], soon(), Reason::AgentFailed),
        (vec![], soon(), Reason::AgentUnreachable),
    ] {
        let view = seen(&file, replicas.into_iter().cloned().collect(), age);
        assert_eq!((view.report.loaded, view.report.reason), (Some(false), expected), "{}", view.report.message);
        assert!(!view.well);
    }
}

#[test]
fn the_version_that_an_agent_says_is_shown_and_not_that_of_its_image() {
    let lies = without_answer(NoAnswer::Unsupported(Unsupported::TooOld(Version::parse("0.44.2").unwrap())));
    let view = seen(&file(Some("b"), &[]), vec![lies], soon());
    assert_eq!((view.report.reason, view.report.status.unwrap().version.as_str()), (Reason::AgentTooOld, "0.44.2"));
}

#[test]
fn a_replica_that_does_not_answer_keeps_the_age_of_its_last_answer() {
    let file = file(Some("b"), &[]);
    let hangs = |revision: Option<&str>| Replica {
        loaded: revision.map(|one| LastLoaded { revisions: BTreeSet::from([one.to_owned()]), file: None }),
        ..without_answer(NoAnswer::Failed(Failure::Timeout(Duration::from_secs(30))))
    };
    let at = Instant::now() + Duration::from_secs(10_000);
    let lag =
        |replicas: Vec<Replica>| view(&file, &history(&file, at, soon()), &round(&file, at, replicas), PATIENCE).lag;
    let since = Lag::BehindSince(at.checked_sub(soon()).unwrap());
    assert_eq!(lag(vec![hangs(Some("a"))]), Some(since));
    assert_eq!(lag(vec![answer(&["b"], &[]), hangs(Some("a"))]), Some(since));
    assert_eq!(lag(vec![hangs(Some("b"))]), Some(Lag::Current));
    assert_eq!(lag(vec![hangs(None)]), None, "nothing is known");
    let problem = Some((Reason::AgentUnauthorized, "why".to_owned()));
    let known = Known { problem, ..round(&file, at, vec![hangs(Some("a"))]) };
    assert_eq!(view(&file, &history(&file, at, soon()), &known, PATIENCE).lag, Some(since));
}

#[test]
fn every_replica_that_has_the_file_has_caught_up_even_if_an_entry_fails() {
    for revision in [Some("b"), None] {
        let view = seen(&file(revision, &["x"]), vec![answer(&["b"], &[("x", EntryState::Failed)])], soon());
        assert_eq!((view.report.reason, view.well, view.caught_up), (Reason::AgentFailed, false, true));
    }
}

#[test]
fn an_entry_that_was_not_asked_about_is_neither_missing_nor_enabled() {
    let (asked, more) = (file(Some("b"), &["x"]), file(Some("b"), &["x", "shared"]));
    let at = Instant::now() + Duration::from_secs(10_000);
    let known = round(&asked, at, vec![answer(&["b"], &[("x", EntryState::Enabled)])]);
    let view = view(&more, &history(&more, at, soon()), &known, PATIENCE);
    assert_eq!(loaded(&view), (None, Reason::AgentBehind, "1/1".to_owned()));
    assert!(view.report.message.contains("has not checked yet"), "{}", view.report.message);
    assert!(view.report.status.unwrap().toolsets.is_empty());
}

#[test]
fn an_agent_is_not_current_if_only_some_of_its_replicas_are_asked() {
    let file = file(Some("b"), &[]);
    let at = Instant::now() + Duration::from_secs(10_000);
    let mut known = round(&file, at, vec![answer(&["b"], &[]); 32]);
    known.ready.insert(("zzz".to_owned(), "u".to_owned()));
    known.remarks.push("only 32 of 33 replicas are checked".to_owned());
    let view = view(&file, &history(&file, at, soon()), &known, PATIENCE);
    assert_eq!(loaded(&view), (None, Reason::AgentBehind, "32/33".to_owned()));
    assert!(!view.well && view.report.message.contains("Only 32 of 33"), "{}", view.report.message);
}

#[test]
fn after_a_change_the_last_answers_show_who_is_behind_and_what_fails() {
    let (old, new) = (file(Some("b"), &["x", "gone"]), file(Some("c"), &["x", "new"]));
    let now = Instant::now() + Duration::from_secs(100);
    let mut history = History::default();
    history.applied("hash of b", Some("b"), Duration::ZERO, now);
    let failed = answer(&["b"], &[("x", EntryState::Failed), ("gone", EntryState::Failed)]);
    let known = round(&old, now, vec![failed]);
    history.applied("hash of c", Some("c"), Duration::ZERO, now);
    let view = view(&new, &history, &known, PATIENCE);
    assert_eq!(loaded(&view), (Some(false), Reason::AgentFailed, "0/1".to_owned()));
    let names: Vec<String> = view.report.status.unwrap().toolsets.into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["x"], "not what the file does not have any more, and not what the agent was not asked for");
}

#[test]
fn without_the_revision_entry_only_names_and_states_are_compared() {
    let file = file(None, &["x", "y"]);
    let all = answer(&[], &[("x", EntryState::Enabled), ("y", EntryState::Enabled)]);
    let view = seen(&file, vec![all.clone()], soon());
    assert_eq!(loaded(&view), (Some(true), Reason::AsExpected, "1/1".to_owned()));
    assert!(view.report.message.contains("cannot know whether"), "{}", view.report.message);
    let part = answer(&[], &[("x", EntryState::Enabled)]);
    let view = seen(&file, vec![all, part], soon());
    assert_eq!(loaded(&view), (None, Reason::AgentBehind, "1/2".to_owned()));
}

#[test]
fn a_problem_of_the_installation_has_no_replicas() {
    let file = file(Some("b"), &[]);
    let problem = Some((Reason::AgentUnauthorized, "why".to_owned()));
    let known = Known { problem, ..round(&file, Instant::now(), Vec::new()) };
    let view = view(&file, &History::default(), &known, PATIENCE);
    assert_eq!((view.report.loaded, view.report.status, view.well), (Some(false), None, false));
}
