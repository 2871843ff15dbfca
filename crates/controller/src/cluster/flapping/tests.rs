use futures::FutureExt as _;
use tokio::time::sleep;

use super::*;

const MOMENT: Duration = Duration::from_millis(10);

fn name(config: &str) -> NamespacedName {
    NamespacedName::new("n", config)
}

/// ToolsetConfigs `a` and `b`.
fn start() -> (Arc<Flapping>, Arc<Triggers>) {
    let triggers = Arc::new(Triggers::default());
    for config in ["a", "b"] {
        triggers.of(&name(config));
    }
    (Arc::default(), triggers)
}

/// Whether a ToolsetConfig was triggered since the last question.
fn triggered(triggers: &Triggers, config: &str) -> bool {
    triggers.of(&name(config)).reconcile_needed().now_or_never().is_some()
}

fn of(service: &str, part: Part) -> (ServiceKey, Part) {
    (ServiceKey::new("n", service), part)
}

fn limited(config: &str) -> Concerned {
    Concerned { limited: vec![name(config)], ..Concerned::default() }
}

fn at_once(config: &str) -> Concerned {
    Concerned { at_once: vec![name(config)], ..Concerned::default() }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_flaps_triggers_at_once_and_then_once_a_second() {
    let (flapping, triggers) = start();
    let (mut count, began) = (0, Instant::now());
    while began.elapsed() < Duration::from_secs(5) {
        flapping.trigger(&triggers, of("s", Part::Object), limited("a"), Instant::now());
        sleep(MOMENT).await;
        count += usize::from(triggered(&triggers, "a"));
    }
    assert!((5..=6).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn the_last_change_triggers_and_then_nothing_is_left() {
    let (flapping, triggers) = start();
    let arrivals = [Instant::now(), Instant::now() + MOMENT, Instant::now() + 2 * MOMENT];
    for received in arrivals {
        flapping.trigger(&triggers, of("s", Part::Object), limited("a"), received);
    }
    assert!(triggered(&triggers, "a"));
    assert_eq!(triggers.of(&name("a")).take(), Some(arrivals[0]));
    sleep(INTERVAL / 2).await;
    assert!(!triggered(&triggers, "a"), "not before the second is over");
    sleep(INTERVAL / 2 + MOMENT).await;
    assert!(triggered(&triggers, "a"));
    assert_eq!(triggers.of(&name("a")).take(), Some(arrivals[1]), "freshness counts from the first that waited");
    sleep(2 * INTERVAL).await;
    assert!(!triggered(&triggers, "a"));
    assert!(!flapping.lock().has_timer, "no timer at rest");
}

#[tokio::test(start_paused = true)]
async fn each_service_and_each_part_of_it_counts_separately() {
    let (flapping, triggers) = start();
    let subjects = [of("s", Part::Object), of("t", Part::Object), of("s", Part::NotReady), of("s", Part::Ready)];
    for subject in subjects {
        flapping.trigger(&triggers, subject, limited("a"), Instant::now());
        assert!(triggered(&triggers, "a"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_a_service_away_never_waits() {
    let (flapping, triggers) = start();
    let subject = || of("s", Part::Object);
    let both = Concerned { at_once: vec![], limited: vec![name("a"), name("b")] };
    flapping.trigger(&triggers, subject(), limited("a"), Instant::now());
    flapping.trigger(&triggers, subject(), both, Instant::now());
    assert!(triggered(&triggers, "a"));
    flapping.trigger(&triggers, subject(), at_once("a"), Instant::now());
    assert!(triggered(&triggers, "a") && !triggered(&triggers, "b"));
    sleep(INTERVAL + MOMENT).await;
    assert!(triggered(&triggers, "b"), "it still waited");
    assert!(!triggered(&triggers, "a"), "it was triggered already");
}

#[tokio::test(start_paused = true)]
async fn after_it_was_taken_away_a_service_comes_back_within_a_second() {
    let (flapping, triggers) = start();
    let subject = || of("s", Part::Object);
    flapping.trigger(&triggers, subject(), at_once("a"), Instant::now());
    assert!(triggered(&triggers, "a"));
    flapping.trigger(&triggers, subject(), limited("a"), Instant::now());
    assert!(!triggered(&triggers, "a"));
    sleep(INTERVAL + MOMENT).await;
    assert!(triggered(&triggers, "a"));
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_a_service_that_flaps_trigger_once_a_second_together() {
    let all = [Part::Object, Part::Ready, Part::NotReady];
    // The second one changes in turns, each part with more than a second between its changes.
    for (parts, pause) in [(vec![all.to_vec()], 10), (all.map(|part| vec![part]).to_vec(), 400)] {
        let (flapping, triggers) = start();
        let (mut count, began, mut turn) = (0, Instant::now(), 0);
        while began.elapsed() < Duration::from_secs(60) {
            for part in &parts[turn % parts.len()] {
                flapping.trigger(&triggers, of("s", *part), limited("a"), Instant::now());
                count += usize::from(triggered(&triggers, "a"));
            }
            turn += 1;
            let next = Instant::now() + Duration::from_millis(pause);
            while Instant::now() < next {
                sleep(MOMENT).await;
                count += usize::from(triggered(&triggers, "a"));
            }
        }
        assert!((59..=64).contains(&count), "{count} with a pause of {pause} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn no_toolset_config_waits_longer_than_a_second() {
    let (flapping, triggers) = start();
    let trigger = |part, config| flapping.trigger(&triggers, of("s", part), limited(config), Instant::now());
    trigger(Part::Object, "a");
    trigger(Part::Object, "b");
    for part in [Part::Ready, Part::NotReady] {
        sleep(INTERVAL / 3).await;
        trigger(part, "a");
        assert!(triggered(&triggers, "a"));
        assert!(!triggered(&triggers, "b"));
    }
    sleep(INTERVAL / 3 + MOMENT).await;
    assert!(triggered(&triggers, "b"), "although other parts triggered meanwhile");
}

#[tokio::test(start_paused = true)]
async fn what_another_part_triggers_waits_no_longer() {
    let (flapping, triggers) = start();
    let trigger = |part| flapping.trigger(&triggers, of("s", part), limited("a"), Instant::now());
    trigger(Part::Object);
    triggers.of(&name("a")).take();
    let first = Instant::now();
    trigger(Part::Object);
    sleep(MOMENT).await;
    trigger(Part::Ready);
    assert!(triggered(&triggers, "a"));
    assert_eq!(triggers.of(&name("a")).take(), Some(first), "freshness counts from the first that waited");
    sleep(2 * INTERVAL).await;
    assert!(!triggered(&triggers, "a"));
}

#[tokio::test(start_paused = true)]
async fn only_the_last_seconds_are_remembered() {
    let (flapping, triggers) = start();
    for service in 0..1000 {
        flapping.trigger(&triggers, of(&service.to_string(), Part::Object), limited("a"), Instant::now());
    }
    sleep(INTERVAL).await;
    flapping.trigger(&triggers, of("s", Part::Object), limited("a"), Instant::now());
    let recent = flapping.lock();
    assert_eq!((recent.services.len(), recent.due.len()), (1, 1));
}
