use std::time::Duration;

use super::*;

const MOMENT: Duration = Duration::from_millis(1);

fn service() -> WatchId {
    WatchId::all(Input::Service)
}

fn started() -> (Watches, Instant) {
    let (inputs, now) = (Watches::default(), Instant::now());
    inputs.started(&service(), now);
    (inputs, now)
}

#[test]
fn an_input_is_pending_until_its_list_is_complete() {
    let (inputs, now) = started();
    inputs.contact(&service(), now);
    assert_eq!(inputs.input_health(Input::Service, now).health, WatchHealth::Pending, "an answered page is not a list");
    assert!(inputs.listed(&service(), now).health);
    assert_eq!(inputs.input_health(Input::Service, now).health, WatchHealth::Synced);
}

#[test]
fn a_refusal_counts_at_once_and_ends_with_the_next_good_answer() {
    let (inputs, now) = started();
    inputs.listed(&service(), now);
    assert!(inputs.failed(&service(), Cause::Forbidden, "no", now).health);
    inputs.failed(&service(), Cause::Transport, "refused", now);
    assert_eq!(inputs.input_health(Input::Service, now).health, WatchHealth::Forbidden);
    assert!(inputs.answered(&service(), now).health, "a recovery without any event must trigger");
    assert_eq!(inputs.input_health(Input::Service, now).health, WatchHealth::Synced);
}

#[test]
fn the_beginning_of_an_answer_is_no_contact_and_does_not_end_the_problem_of_empty_answers() {
    let (watches, now) = started();
    watches.listed(&service(), now);
    watches.failed(&service(), Cause::Ended, "empty", now);
    let later = now + STALE_AFTER;
    assert!(!watches.answered(&service(), later).problem);
    assert_eq!(watches.input_health(Input::Service, later).health, WatchHealth::Stale);
    assert!(watches.contact(&service(), later).problem);
    assert_eq!(watches.input_health(Input::Service, later).health, WatchHealth::Synced);
}

#[test]
fn other_errors_count_only_after_three_watch_timeouts_without_contact() {
    let (inputs, now) = started();
    inputs.listed(&service(), now);
    inputs.failed(&service(), Cause::Transport, "refused", now);
    let almost = now + STALE_AFTER - Duration::from_millis(1);
    assert_eq!(inputs.input_health(Input::Service, almost).health, WatchHealth::Synced);
    let summary = inputs.input_health(Input::Service, now + STALE_AFTER);
    assert_eq!((summary.health, summary.listed), (WatchHealth::Stale, true));
}

#[test]
fn a_stale_watch_that_starts_again_is_stale_until_its_list_is_complete() {
    let (watches, now) = started();
    watches.listed(&service(), now);
    let later = now + STALE_AFTER + Duration::from_secs(1);
    watches.restarted(&service(), later);
    watches.contact(&service(), later);
    let health = watches.input_health(Input::Service, later);
    assert_eq!((health.health, health.problem_since), (WatchHealth::Stale, Some(now + STALE_AFTER)));
    assert!(watches.listed(&service(), later).health);
    assert_eq!(watches.input_health(Input::Service, later).health, WatchHealth::Synced);
}

#[test]
fn a_refusal_after_a_broken_connection_counts_from_the_refusal() {
    let (watches, now) = started();
    watches.listed(&service(), now);
    watches.failed(&service(), Cause::Transport, "refused", now);
    let later = now + Duration::from_secs(100);
    watches.failed(&service(), Cause::Forbidden, "no", later);
    assert_eq!(watches.input_health(Input::Service, later).problem_since, Some(later));
}

#[test]
fn the_worst_of_several_watches_counts() {
    let (inputs, now) = (Watches::default(), Instant::now());
    let (a, b) = (WatchId::within(Input::Service, "a"), WatchId::within(Input::Service, "b"));
    inputs.started(&a, now);
    inputs.started(&b, now);
    inputs.listed(&a, now);
    assert_eq!(inputs.input_health(Input::Service, now).health, WatchHealth::Pending);
    inputs.failed(&b, Cause::Forbidden, "no", now);
    let summary = inputs.input_health(Input::Service, now);
    assert_eq!((summary.health, summary.listed), (WatchHealth::Forbidden, false));
}

#[test]
fn readiness_takes_a_refusal_for_an_answer() {
    let (inputs, now) = started();
    assert!(!inputs.all_answered([&service()]));
    inputs.failed(&service(), Cause::Transport, "refused", now);
    assert!(!inputs.all_answered([&service()]));
    inputs.failed(&service(), Cause::Forbidden, "no", now);
    assert!(!inputs.all_answered([&service(), &WatchId::all(Input::ToolsetConfig)]));
    assert!(inputs.all_answered([&service()]), "refused is answered");
}

#[test]
fn time_alone_changes_the_health_and_the_dependents_learn_it_once() {
    let (watches, now) = started();
    watches.listed(&service(), now);
    let stale = watches.look_again_at(&service(), now);
    assert_eq!(stale, now + STALE_AFTER);
    assert!(!watches.aged(&service(), stale - MOMENT).health);
    assert!(watches.aged(&service(), stale).health);
    assert!(!watches.aged(&service(), stale).health);
}

#[test]
fn the_objects_of_a_list_delay_the_restart_and_are_no_contact() {
    let (watches, now) = started();
    watches.listed(&service(), now);
    let later = now + STALE_AFTER - MOMENT;
    watches.begun(&service());
    assert!(!watches.collected(&service(), later).health);
    assert_eq!(watches.look_again_at(&service(), later), now + STALE_AFTER, "its dependents must learn it");
    let stale = now + STALE_AFTER;
    assert!(watches.aged(&service(), stale).health);
    assert!(!watches.must_restart(&service(), stale));
    assert_eq!(watches.look_again_at(&service(), stale), later + STALE_AFTER);
    assert!(watches.must_restart(&service(), later + STALE_AFTER));
}

#[test]
fn a_first_list_that_fails_for_10_seconds_is_stale_with_its_message() {
    for cause in [Cause::Unauthorized, Cause::Unavailable, Cause::Decode, Cause::Transport, Cause::NotFound] {
        let (watches, now) = started();
        watches.failed(&service(), cause, "its message", now);
        let later = now + FIRST_LIST_MAY_FAIL;
        assert_eq!(watches.look_again_at(&service(), now), later);
        watches.answered(&service(), later - MOMENT);
        watches.failed(&service(), cause, "its message", later - MOMENT);
        assert_eq!(watches.input_health(Input::Service, later - MOMENT).health, WatchHealth::Pending);

        assert!(watches.aged(&service(), later).health, "{cause}");
        let health = watches.input_health(Input::Service, later);
        assert_eq!((health.health, health.listed, &*health.message), (WatchHealth::Stale, false, "its message"));
        assert_eq!(health.problem_since, Some(later));
        assert!(!watches.all_answered([&service()]), "it is no answer to be ready with");
        assert!(watches.listed(&service(), later).health);
        assert_eq!(watches.input_health(Input::Service, later).health, WatchHealth::Synced);
    }
}

#[test]
fn a_slow_first_list_is_pending_also_after_a_failure() {
    let (watches, now) = started();
    watches.failed(&service(), Cause::Transport, "refused", now);
    let mut at = now;
    watches.begun(&service());
    for _ in 0..1000 {
        at += Duration::from_secs(1);
        assert!(!watches.collected(&service(), at).health);
        assert_eq!(watches.input_health(Input::Service, at).health, WatchHealth::Pending);
    }
}

#[test]
fn a_first_list_that_fails_at_the_same_page_each_time_is_stale() {
    let (watches, mut at) = started();
    for attempt in 0..10 {
        watches.begun(&service());
        (0..400).for_each(|_| _ = watches.collected(&service(), at));
        watches.failed(&service(), Cause::Unavailable, "no", at);
        let stale = if attempt == 0 { WatchHealth::Pending } else { WatchHealth::Stale };
        assert_eq!(watches.input_health(Input::Service, at).health, stale, "{attempt}");
        at += FIRST_LIST_MAY_FAIL;
    }
    watches.begun(&service());
    (0..401).for_each(|_| _ = watches.collected(&service(), at));
    assert_eq!(watches.input_health(Input::Service, at).health, WatchHealth::Pending, "it gets further");
}

#[test]
fn a_first_list_without_any_answer_is_stale_once_it_starts_again() {
    let (watches, now) = started();
    let later = now + STALE_AFTER;
    assert!(watches.must_restart(&service(), later));
    assert!(watches.restarted(&service(), later).health);
    assert_eq!(watches.input_health(Input::Service, later).health, WatchHealth::Stale);
}
