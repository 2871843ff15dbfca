//! `check`: looks for what keeps tools from reaching the agent.
//!
//! ```text
//! rights ► CRD ► operator ► for each ToolsetConfig: honoured ► status ► sources ► output ► agent
//! ```

mod agent;
mod configs;
mod installation;
mod rights;

use serde::Serialize;

use crate::{
    args::{Check, Cluster},
    failure::Failure,
    live::{self, Reach},
    outcome::{Outcome, Output},
    paint::Paint,
    print,
    text::{Text, text, wrap},
};

/// The exit code if something is broken.
const BROKEN: u8 = 1;

/// The result of one check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    pub result: Level,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub action: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Level {
    Ok,
    /// Something is missing or unknown, but nothing is known to be broken.
    Warning,
    Broken,
}

/// The findings about one subject.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Section {
    pub subject: String,
    pub findings: Vec<Finding>,
}

impl Section {
    fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), findings: Vec::new() }
    }

    fn ok(&mut self, message: impl Into<String>) {
        self.add(Level::Ok, message, "");
    }

    fn warn(&mut self, message: impl Into<String>, action: &str) {
        self.add(Level::Warning, message, action);
    }

    fn broken(&mut self, message: impl Into<String>, action: &str) {
        self.add(Level::Broken, message, action);
    }

    fn add(&mut self, result: Level, message: impl Into<String>, action: &str) {
        let action = Some(action.to_owned()).filter(|action| !action.is_empty());
        self.findings.push(Finding { result, message: message.into(), action });
    }
}

pub(crate) fn run(cluster: &Cluster, args: &Check, paint: Paint) -> Result<Outcome, Failure> {
    let only = cluster.namespace.as_deref();
    let sections = live::block_on(async {
        let client = live::connect(cluster).await?;
        let mut sections = vec![rights::check(&client, only).await?];
        let mut reach = Reach::new(&client, None);
        sections.push(installation::crd(&client).await);
        let (section, operators) = installation::operators(&mut reach).await;
        sections.push(section);
        sections.extend(configs::check(&mut reach, only, operators.as_deref()).await);
        Ok(sections)
    })?;
    let all = || sections.iter().flat_map(|section| &section.findings);
    let is_broken = all().any(|finding| finding.result == Level::Broken);
    let output = match args.output {
        Some(format) => print::list(&sections, format)?,
        None => Output::Shown(shown(&sections, paint)),
    };
    Ok(Outcome::new(output, Vec::new()).with_code(if is_broken { BROKEN } else { 0 }))
}

fn shown(sections: &[Section], paint: Paint) -> Text {
    let mut lines = Vec::new();
    for section in sections {
        lines.push(paint.bold(&section.subject));
        for finding in &section.findings {
            let mark = match finding.result {
                Level::Ok => paint.good("✓"),
                Level::Warning => paint.warn("!"),
                Level::Broken => paint.bad("✗"),
            };
            lines.extend(wrap(paint.width(), text!("  ", mark, " "), &finding.message));
            lines.extend(finding.action.iter().flat_map(|action| wrap(paint.width(), "    → ", action)));
        }
        lines.push(Text::default());
    }
    let count = |level| sections.iter().flat_map(|section| &section.findings).filter(|one| one.result == level).count();
    let (broken, warnings) = (count(Level::Broken), count(Level::Warning));
    let warnings = match warnings {
        0 => String::new(),
        1 => " (1 warning)".to_owned(),
        more => format!(" ({more} warnings)"),
    };
    lines.push(match broken {
        0 => text!(paint.good("No problem was found"), warnings, "."),
        1 => text!(paint.bad("1 check failed"), warnings, "."),
        more => text!(paint.bad(format!("{more} checks failed")), warnings, "."),
    });
    Text::joined(&lines).ended()
}
