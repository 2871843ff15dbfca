//! What becomes of records when the service is well, slow, failing, hanging or absent.

#![allow(clippy::expect_used, missing_docs, reason = "a failed `expect` fails the test")]

mod support;

use std::{fs, time::Duration};

use audit_client::{Client, Config, Counts, Dropped, Event, Kind, Phase, Timing};
use support::{Behaviour, Service};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

const STORE: Behaviour = Behaviour::Store { invalid: "" };

fn event(summary: &str) -> Event {
    let mut event = Event::new(Kind::Toolset, "agent", "holmes", Phase::Completed, "toolset_changed", "toolset/a");
    event.summary = Some(summary.to_owned());
    event
}

fn in_namespace(namespace: &str, summary: &str) -> Event {
    Event { namespace: namespace.to_owned(), ..event(summary) }
}

fn config(url: &str) -> Config {
    let mut config = Config::new(url.parse().expect("a URL"), |lost| event(&format!("{} lost", lost.records)));
    config.timing = Timing {
        collect: Duration::from_millis(20),
        request: Duration::from_secs(5),
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(50),
    };
    config
}

fn of(service: &Service) -> Config {
    config(&format!("http://{}", service.address))
}

fn start(config: Config) -> (Client, JoinHandle<()>) {
    let (client, sender) = audit_client::new(config).expect("a configuration");
    (client, tokio::spawn(sender.run()))
}

/// Closes the client with this much time, and waits for the end of the task.
async fn end(client: &Client, task: JoinHandle<()>, time: Duration) {
    client.close(Instant::now() + time);
    timeout(Duration::from_secs(20), task).await.expect("the task ends").expect("no panic");
}

fn dropped(counts: &Counts) -> [u64; 4] {
    Dropped::ALL.map(|why| counts.dropped(why))
}

const A_WHILE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn records_arrive_in_their_order_and_in_batches() {
    let service = Service::start(&[STORE]).await;
    let (client, task) = start(of(&service));
    let expected: Vec<_> = (0..250).map(|number| number.to_string()).collect();
    for summary in &expected {
        client.try_send(&event(summary)).expect("room");
    }
    assert_eq!(service.stored(250).await, expected);
    end(&client, task, A_WHILE).await;
    let requests = service.requests(3).await;
    let sizes: Vec<_> = requests.iter().map(|request| request.events().len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(requests[0].path, "/api/v1/audit/events/batch");
    assert_eq!((client.counts().sent(), client.queued(), dropped(client.counts())), (250, 0, [0; 4]));
}

#[tokio::test]
async fn a_batch_has_the_records_of_at_most_16_namespaces() {
    let service = Service::start(&[STORE]).await;
    let (client, task) = start(of(&service));
    for number in 0..34 {
        client.try_send(&in_namespace(&format!("n{}", number % 17), "x")).expect("room");
    }
    service.stored(34).await;
    end(&client, task, A_WHILE).await;
    for request in service.requests(2).await {
        let namespaces: std::collections::BTreeSet<_> =
            request.events().iter().map(|event| event["namespace"].to_string()).collect();
        assert!(namespaces.len() <= 16, "{}", namespaces.len());
    }
}

#[tokio::test]
async fn a_failed_batch_is_sent_again_with_the_same_bytes() {
    let failures =
        [Behaviour::Status(500, None), Behaviour::Status(503, Some("0")), Behaviour::Status(401, None), STORE];
    let service = Service::start(&failures).await;
    let (client, task) = start(of(&service));
    client.try_send(&event("once")).expect("room");
    assert_eq!(service.stored(1).await, ["once"]);
    let requests = service.requests(4).await;
    assert!(requests.iter().all(|request| request.body == requests[0].body));
    end(&client, task, A_WHILE).await;
    assert_eq!((client.counts().sent(), client.counts().retries()), (1, 3));
}

#[tokio::test]
async fn the_service_says_when_to_come_back() {
    let service = Service::start(&[Behaviour::Status(429, Some("1")), STORE]).await;
    let mut config = of(&service);
    config.timing.longest_pause = Duration::from_secs(10);
    let (client, _task) = start(config);
    client.try_send(&event("x")).expect("room");
    let requests = service.requests(2).await;
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_service_that_asks_for_an_hour_is_asked_again_after_the_longest_pause() {
    let service = Service::start(&[Behaviour::Status(503, Some("3600")), STORE]).await;
    let (client, _task) = start(of(&service));
    client.try_send(&event("x")).expect("room");
    assert_eq!(service.stored(1).await, ["x"]);
}

#[tokio::test]
async fn a_request_that_hangs_is_given_up_and_made_again() {
    let service = Service::start(&[Behaviour::Hang, STORE]).await;
    let mut config = of(&service);
    config.timing.request = Duration::from_millis(100);
    let (client, _task) = start(config);
    client.try_send(&event("x")).expect("room");
    assert_eq!(service.stored(1).await, ["x"]);
    assert_eq!(service.arrived(), 2);
}

#[tokio::test]
async fn an_answer_that_was_lost_stores_nothing_twice() {
    let service = Service::start(&[Behaviour::Slow(Duration::from_millis(400)), STORE]).await;
    let mut config = of(&service);
    config.timing.request = Duration::from_millis(100);
    let (client, task) = start(config);
    client.try_send(&event("x")).expect("room");
    service.requests(2).await;
    end(&client, task, A_WHILE).await;
    assert_eq!(service.stored(1).await, ["x"]);
    assert_eq!(client.counts().sent(), 1);
}

#[tokio::test]
async fn without_a_service_nothing_blocks_and_dropped_records_are_counted() {
    let service = Service::start(&[STORE]).await;
    let address = service.address;
    drop(service);
    let mut config = config(&format!("http://{address}"));
    config.queue_records = 150;
    let (client, task) = start(config);
    client.try_send(&event("first")).expect("room");
    // The first batch is on its way before the queue is filled.
    while client.counts().retries() == 0 {
        tokio::task::yield_now().await;
    }
    let before = std::time::Instant::now();
    let results: Vec<_> = (0..1_000).map(|number| client.try_send(&event(&number.to_string()))).collect();
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    assert_eq!(results.iter().filter(|result| **result == Err(Dropped::QueueFull)).count(), 850);
    assert_eq!((client.queued(), dropped(client.counts())), (150, [850, 0, 0, 0]));
    let service = Service::listen(address, &[STORE], false).await;
    let stored = service.stored(152).await;
    assert_eq!((stored[0].as_str(), stored[1].as_str(), stored[2].as_str()), ("first", "850 lost", "0"));
    end(&client, task, A_WHILE).await;
    assert_eq!(client.counts().sent(), 151);
    assert_eq!(service.stored(152).await.iter().filter(|summary| summary.ends_with("lost")).count(), 1);
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes_too() {
    let service = Service::start(&[Behaviour::Hang]).await;
    let mut config = of(&service);
    config.queue_bytes = 100_000;
    let (client, _task) = start(config);
    let large = event(&"x".repeat(30_000));
    let results: Vec<_> = (0..5).map(|_| client.try_send(&large)).collect();
    assert_eq!(results, [Ok(()), Ok(()), Ok(()), Err(Dropped::QueueFull), Err(Dropped::QueueFull)]);
    assert_eq!(client.try_send(&event(&"x".repeat(300_000))), Err(Dropped::Invalid));
}

#[tokio::test]
async fn an_invalid_record_does_not_affect_its_batch() {
    let service = Service::start(&[Behaviour::Store { invalid: "bad" }]).await;
    let (client, task) = start(of(&service));
    for summary in ["a", "bad", "b"] {
        client.try_send(&event(summary)).expect("room");
    }
    assert_eq!(service.stored(2).await, ["a", "b"]);
    client.try_send(&event("c")).expect("room");
    assert_eq!(service.stored(4).await, ["a", "b", "1 lost", "c"]);
    end(&client, task, A_WHILE).await;
    assert_eq!((client.counts().sent(), dropped(client.counts())), (3, [0, 1, 0, 0]));
}

#[tokio::test]
async fn of_a_batch_that_is_refused_as_a_whole_only_the_reason_is_dropped() {
    let service = Service::start(&[Behaviour::RefuseWhole(400, "poison")]).await;
    let (client, task) = start(of(&service));
    for number in 0..20 {
        client.try_send(&event(if number == 13 { "poison" } else { "good" })).expect("room");
    }
    service.stored(19).await;
    end(&client, task, A_WHILE).await;
    assert_eq!((client.counts().sent(), dropped(client.counts())), (19, [0, 1, 0, 0]));
}

#[tokio::test]
async fn a_namespace_without_a_right_takes_no_other_along() {
    let service = Service::start(&[Behaviour::RefuseWhole(403, "forbidden-namespace")]).await;
    let (client, task) = start(of(&service));
    for number in 0..50 {
        let namespace = if number % 2 == 0 { "forbidden-namespace" } else { "holmes" };
        client.try_send(&in_namespace(namespace, "x")).expect("room");
    }
    service.stored(25).await;
    end(&client, task, A_WHILE).await;
    assert_eq!((client.counts().sent(), dropped(client.counts())), (25, [0, 0, 25, 0]));
    assert_eq!(service.arrived(), 3);
}

#[tokio::test]
async fn at_the_end_everything_that_waits_is_sent_at_once() {
    let service = Service::start(&[STORE]).await;
    let mut config = of(&service);
    config.timing.collect = Duration::from_secs(3_600);
    let (client, task) = start(config);
    for number in 0..30 {
        client.try_send(&event(&number.to_string())).expect("room");
    }
    end(&client, task, A_WHILE).await;
    assert_eq!(service.stored(30).await.len(), 30);
    assert_eq!(client.try_send(&event("late")), Err(Dropped::Shutdown));
}

#[tokio::test]
async fn what_cannot_be_sent_within_the_time_left_is_counted() {
    for behaviour in [Behaviour::Hang, Behaviour::Status(503, Some("60"))] {
        let service = Service::start(&[behaviour]).await;
        let (client, task) = start(of(&service));
        for number in 0..130 {
            client.try_send(&event(&number.to_string())).expect("room");
        }
        service.requests(1).await;
        let before = Instant::now();
        end(&client, task, Duration::from_millis(200)).await;
        assert!(before.elapsed() < A_WHILE, "{:?}", before.elapsed());
        assert_eq!((client.counts().sent(), dropped(client.counts())), (0, [0, 0, 0, 130]));
    }
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_pause() {
    let service = Service::start(&[Behaviour::Status(503, Some("3600")), STORE]).await;
    let mut config = of(&service);
    config.timing.longest_pause = Duration::from_secs(3_600);
    let (client, task) = start(config);
    client.try_send(&event("x")).expect("room");
    service.requests(1).await;
    end(&client, task, A_WHILE).await;
    assert_eq!(service.stored(1).await, ["x"]);
}

#[tokio::test]
async fn the_token_is_read_again_before_every_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    let service = Service::start(&[STORE]).await;
    let mut config = of(&service);
    config.token_file = Some(token.clone());
    let (client, _task) = start(config);
    client.try_send(&event("waits for a token")).expect("room");
    while client.counts().retries() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(service.arrived(), 0);
    fs::write(&token, "first\n").expect("written");
    service.stored(1).await;
    fs::write(&token, "second\n").expect("written");
    client.try_send(&event("x")).expect("room");
    let requests = service.requests(2).await;
    let tokens: Vec<_> = requests.iter().filter_map(|request| request.authorization.as_deref()).collect();
    assert_eq!(tokens, ["Bearer first", "Bearer second"]);
}

#[tokio::test]
async fn tls_needs_a_certificate_of_the_ca_which_may_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.crt");
    let service = Service::start_with_tls(&[STORE]).await;
    let mut config = config(&format!("https://localhost:{}", service.address.port()));
    assert_eq!(
        audit_client::new(Config { ca_file: None, ..self::config("https://localhost") })
            .expect_err("no CA")
            .to_string(),
        "an https URL needs a file with the certificates of its CA"
    );
    config.ca_file = Some(ca.clone());
    let (client, _task) = start(config);
    client.try_send(&event("x")).expect("room");
    // There is no file at first, then one without a certificate, then one of another CA.
    for content in [None, Some("no certificate"), Some(include_str!("../../controller/src/dial/tls/test-ca.pem"))] {
        if let Some(content) = content {
            fs::write(&ca, content).expect("written");
        }
        let before = client.counts().retries();
        while client.counts().retries() < before + 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(service.arrived(), 0);
    }
    fs::write(&ca, include_str!("support/test-ca.pem")).expect("written");
    assert_eq!(service.stored(1).await, ["x"]);
}
