//! Audit records about the outputs, for Data Storage. Off unless a URL is configured, and never waited for.

mod record;
mod tools;

use std::sync::Arc;

use anyhow::Context as _;
use audit_client::{Client, Config, Event, Kind, Lost, Phase, Sender};
use tracing::warn;

pub(crate) use self::{
    record::{Action, Change, Subject, Trigger, changed, problem},
    tools::{Difference, Tools},
};
use crate::args::Args;

/// The client that the flags ask for, and the task that sends. `None` if records are off.
///
/// Fails if the flags cannot work together, or if the file with the CA certificates cannot be used.
pub(crate) fn start(args: &Args, namespace: &str) -> anyhow::Result<Option<(Client, Sender)>> {
    let Some(endpoint) = args.audit_url.clone() else { return Ok(None) };
    if args.audit_token_file.is_some() && !endpoint.is_https() {
        warn!(%endpoint, "the token for audit records is sent without encryption; use an https URL");
    }
    let namespace: Arc<str> = namespace.into();
    let mut config = Config::new(endpoint, move |lost| lost_records(&namespace, lost));
    config.token_file.clone_from(&args.audit_token_file);
    config.ca_file.clone_from(&args.audit_ca_file);
    config.queue_records = args.audit_queue.into();
    audit_client::new(config).map(Some).context("cannot send audit records")
}

/// The record about records that were lost.
fn lost_records(namespace: &str, lost: &Lost) -> Event {
    let mut event = Event::new(
        Kind::Toolset,
        "toolset-operator",
        namespace,
        Phase::Failed,
        "audit_records_lost",
        format!("toolset-operator/{namespace}/audit"),
    );
    event.summary = Some(format!(
        "{} audit records of the operator were lost within the last {} s.",
        lost.records,
        lost.since.as_secs().max(1)
    ));
    event.data.insert("lost".to_owned(), lost.records.into());
    event
}
