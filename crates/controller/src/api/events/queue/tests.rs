use super::*;
use crate::api::{
    events::event::{Event, Kind},
    fence::Fence,
};

fn observed(about: About, reason: &'static str, note: &str) -> Observed {
    let term = Fence::without_election().term().unwrap();
    Observed::now(Event {
        term,
        about,
        kind: Kind::Warning,
        reason,
        action: "Select",
        note: note.to_owned(),
        repeats: false,
    })
}

fn service(number: usize) -> Observed {
    observed(About::Service(NamespacedName::new("n", format!("s{number}"))), "InvalidAnnotation", "note")
}

fn config(reason: &'static str, note: &str) -> Observed {
    observed(About::Config { name: NamespacedName::new("n", "c"), uid: "u".to_owned() }, reason, note)
}

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// What is sent from `now` on, with its time, for as long as there is something to send.
fn sent(queue: &mut Queue, mut now: Instant) -> Vec<(Instant, Waiting)> {
    let mut sent = Vec::new();
    loop {
        let mut wake: Option<Instant> = None;
        for of in [Of::Configs, Of::Services] {
            loop {
                match queue.next(of, now) {
                    Next::Send(waiting) => sent.push((now, *waiting)),
                    Next::At(at) => {
                        wake = Some(wake.map_or(at, |wake| wake.min(at)));
                        break;
                    }
                    Next::Nothing => break,
                }
            }
        }
        let Some(at) = wake else { return sent };
        assert!(at > now, "no busy wait");
        now = at;
    }
}

fn notes(sent: &[(Instant, Waiting)]) -> Vec<&str> {
    sent.iter().map(|(_, waiting)| waiting.observed.event.note.as_str()).collect()
}

#[test]
fn thousands_of_events_are_all_sent_after_a_burst_at_the_same_pace() {
    let now = Instant::now();
    let mut queue = Queue::new(now);
    let all: Vec<_> = (0..3000).map(service).collect();
    assert!(all.iter().all(|one| queue.add(one.clone(), now)));
    let sent = sent(&mut queue, now);
    let order: Vec<_> = sent.iter().map(|(_, waiting)| &waiting.observed).collect();
    assert_eq!(order, all.iter().collect::<Vec<_>>(), "in order, and each one once");
    assert_eq!(sent.iter().filter(|(at, _)| *at == now).count(), 25);
    assert_eq!(sent.last().unwrap().0, now + milliseconds(200) * (3000 - 25));
}

#[test]
fn an_event_about_a_toolset_config_is_the_next_behind_thousands_about_services() {
    let now = Instant::now();
    let mut queue = Queue::new(now);
    for number in 0..3000 {
        queue.add(service(number), now);
    }
    while matches!(queue.next(Of::Services, now), Next::Send(_)) {}
    queue.add(config("OutputConflict", "conflict"), now);
    let sent = sent(&mut queue, now);
    assert_eq!((sent[0].0, notes(&sent)[0]), (now + milliseconds(200), "conflict"));
}

#[test]
fn a_later_event_with_the_same_reason_replaces_one_that_waits() {
    let now = Instant::now();
    let mut queue = Queue::new(now);
    for number in 0..2 {
        queue.add(service(number), now);
    }
    let about = service(0).event.about;
    queue.add(observed(about.clone(), "InvalidAnnotation", "newer"), now);
    queue.add(observed(about, "LimitExceeded", "another reason"), now);
    for (reason, note) in [("OutputConflict", "old"), ("AsExpected", "recovered"), ("OutputConflict", "again")] {
        queue.add(config(reason, note), now);
    }
    assert_eq!(notes(&sent(&mut queue, now)), ["recovered", "again", "newer", "note", "another reason"]);
}

#[test]
fn an_event_that_cannot_be_written_does_not_delay_the_others_and_comes_again() {
    let now = Instant::now();
    let mut queue = Queue::new(now);
    queue.add(service(0), now);
    queue.add(service(1), now);
    let Next::Send(first) = queue.next(Of::Services, now) else { panic!("nothing to send") };
    queue.failed(*first, now);
    let Next::Send(second) = queue.next(Of::Services, now) else { panic!("nothing to send") };
    assert_eq!(second.observed.event, service(1).event);
    let Next::At(at) = queue.next(Of::Services, now) else { panic!("it does not come again") };
    assert_eq!(at, now + milliseconds(1000));
    let Next::Send(again) = queue.next(Of::Services, at) else { panic!("it does not come again") };
    queue.failed(*again, at);
    assert_eq!(queue.next(Of::Services, at), Next::At(at + milliseconds(2000)), "more slowly");
}

#[test]
fn an_event_that_was_refused_is_the_next_again_unless_a_newer_one_came() {
    let now = Instant::now();
    let mut queue = Queue::new(now);
    queue.add(service(0), now);
    queue.add(service(1), now);
    let Next::Send(first) = queue.next(Of::Services, now + milliseconds(5)) else { panic!("nothing to send") };
    queue.refused(*first);
    let Next::Send(first) = queue.next(Of::Services, now + milliseconds(5)) else { panic!("nothing to send") };
    queue.add(observed(service(0).event.about, "InvalidAnnotation", "newer"), now);
    queue.refused(*first);
    assert_eq!(notes(&sent(&mut queue, now)), ["note", "newer"]);
}

#[test]
fn events_of_another_term_are_dropped() {
    let now = Instant::now();
    let mut queue = Queue::new(now);
    queue.add(service(0), now);
    queue.add(config("OutputConflict", "old"), now);
    queue.keep(None);
    assert_eq!(sent(&mut queue, now), []);
}

#[test]
fn an_event_that_cannot_be_written_for_an_hour_is_given_up_and_one_that_only_waits_is_not() {
    let now = Instant::now();
    let hour = now + Duration::from_secs(3600);
    let mut queue = Queue::new(now);
    queue.add(service(0), now);
    queue.add(service(1), now);
    let Next::Send(fails) = queue.next(Of::Services, now) else { panic!("nothing to send") };
    queue.failed(*fails, now);
    let Next::Send(waits) = queue.next(Of::Services, hour) else { panic!("nothing to send") };
    assert_eq!(waits.observed.event, service(1).event);
    assert_eq!(queue.next(Of::Services, hour), Next::Nothing);
}

#[test]
fn what_waits_is_limited() {
    let now = Instant::now();
    let mut queue = Queue::new(now);
    assert!((0..MOST).all(|number| queue.add(service(number), now)));
    assert!(!queue.add(service(MOST), now));
    assert!(queue.add(service(7), now), "it replaces the one that waits");
    assert!(queue.add(config("OutputConflict", "first"), now));
}
