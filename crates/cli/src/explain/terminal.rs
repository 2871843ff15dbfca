//! Writes an explanation for a terminal.

use super::model::{
    Candidates, Conclusion, Detector, Detectors, Explanation, Finding, Pods, Port, Probes, Result, Sources, Spec,
    Status,
};
use crate::{
    paint::Paint,
    table::{Table, cell, health_colour_of, plain},
    text::{IntoText, Text, text, wrap},
};

/// The width of the labels.
const LABEL: usize = 12;

/// The explanation, section by section.
pub(super) fn text(explanation: &Explanation, paint: Paint) -> Text {
    let page = Page { paint };
    let sections = [
        page.conclusion(explanation),
        page.changes(explanation),
        page.spec(&explanation.spec),
        page.sources(&explanation.sources),
        page.configuration(explanation),
        explanation.pods.as_ref().map(|pods| page.pods(pods)).unwrap_or_default(),
        page.detectors(&explanation.detectors),
        explanation.candidates.as_ref().map(|candidates| page.candidates(candidates)).unwrap_or_default(),
        page.health(explanation),
        explanation.probes.as_ref().map(|probes| page.probes(probes)).unwrap_or_default(),
        explanation.status.as_ref().map(|status| page.status(status)).unwrap_or_default(),
    ];
    let mut written: Vec<Text> = Vec::new();
    for lines in sections.into_iter().filter(|lines| !lines.is_empty()) {
        if !written.is_empty() {
            written.push(Text::default());
        }
        written.extend(lines);
    }
    Text::joined(&written)
}

#[derive(Clone, Copy)]
struct Page {
    paint: Paint,
}

impl Page {
    /// A line with a label and a text. A long text continues on the next line.
    fn entry(self, label: impl IntoText, text: impl IntoText) -> Text {
        let label = label.into_text();
        let blanks = " ".repeat(LABEL.saturating_sub(label.width()) + 1);
        Text::joined(&wrap(self.paint.width(), text!("  ", label, blanks), text))
    }

    /// Entries of which only the first has the label.
    fn entries(self, label: &str, texts: impl IntoIterator<Item = impl IntoText>) -> Vec<Text> {
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        labels.zip(texts).map(|(label, text)| self.entry(label, text)).collect()
    }

    fn prose(self, first: &str, text: impl IntoText) -> Vec<Text> {
        wrap(self.paint.width(), first, text)
    }

    fn conclusion(self, explanation: &Explanation) -> Vec<Text> {
        let paint = self.paint;
        let service = paint.bold(format!("{}/{}", explanation.namespace, explanation.service));
        let Conclusion { result, reason, type_, message, tool } = &explanation.conclusion;
        let type_ = type_.as_deref().unwrap_or_default();
        let Some(tool) = tool else {
            let not_a_tool = paint.bad("is not a tool");
            let reason = match (result, reason) {
                (Result::NotRecognised, _) | (_, None) => Text::from("it is not recognised"),
                (_, Some(reason)) => paint.warn(reason),
            };
            let what = if type_.is_empty() { String::new() } else { format!(" (recognised as {type_})") };
            let mut lines = self.prose("", text!(service, " ", not_a_tool, ": ", reason, what));
            lines.extend(self.prose("  ", message));
            return lines;
        };
        let mut lines = self.prose("", text!(service, " ", paint.good("is a tool"), format!(": {type_}, {message}")));
        lines.push(self.entry("endpoint", paint.link(&tool.endpoint)));
        lines.push(self.entry("name", &tool.name));
        if let Some(problem) = &tool.problem {
            lines.push(self.entry("problem", paint.warn(format!("{}: {}", problem.reason, problem.message))));
        }
        lines.extend(tool.missing.iter().map(|text| self.entry("missing", paint.warn(text))));
        lines.extend(self.entries("assumptions", tool.assumptions.iter().map(|text| format!("- {text}"))));
        if let Some(why) = &tool.not_in_output {
            lines.push(self.entry("output", paint.warn(format!("does not contain it, because {why}"))));
        }
        lines
    }

    fn changes(self, explanation: &Explanation) -> Vec<Text> {
        if explanation.changes.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![self.paint.bold("What you can do")];
        for change in &explanation.changes {
            lines.extend(self.prose("  ", &change.text));
            // Not wrapped, so that it can be copied.
            lines.extend(change.copy.as_ref().map(|line| text!("    ", self.paint.link(line))));
        }
        lines
    }

    fn spec(self, spec: &Spec) -> Vec<Text> {
        let or = |texts: Vec<String>, none: &str| if texts.is_empty() { none.to_owned() } else { texts.join(", ") };
        let pairs = |(key, value): (&String, &String)| format!("{key}={value}");
        vec![
            self.paint.bold("Service"),
            self.entry("type", &spec.kind),
            self.entry("ports", or(spec.ports.iter().map(port).collect(), "none")),
            self.entry("labels", or(spec.labels.iter().map(pairs).collect(), "none")),
            self.entry(
                "selector",
                or(spec.selector.iter().map(pairs).collect(), "none (the control plane does not manage its endpoints)"),
            ),
        ]
    }

    fn sources(self, sources: &Sources) -> Vec<Text> {
        let mut lines = vec![match &sources.config {
            Some(config) => text!(self.paint.bold("Sources"), format!(" of ToolsetConfig {config}")),
            None => self.paint.bold("Sources"),
        }];
        if sources.config.is_none() {
            lines.extend(self.prose("  ", "There is no ToolsetConfig, so every namespace is Trusted."));
        }
        for source in &sources.sources {
            let message = if source.selects { self.paint.good(&source.message) } else { Text::from(&source.message) };
            lines.push(self.entry(&source.name, message));
        }
        lines
    }

    fn configuration(self, explanation: &Explanation) -> Vec<Text> {
        let mut lines = Vec::new();
        for annotation in &explanation.annotations {
            lines.push(self.entry("annotation", format!("{}: {}", annotation.key, annotation.value)));
        }
        lines.extend(explanation.malformed.iter().map(|message| self.entry("", self.paint.bad(message))));
        for (label, rules) in [("signature", &explanation.signatures), ("override", &explanation.overrides)] {
            lines.extend(rules.iter().map(|rule| self.entry(label, format!("{} {}", rule.name, rule.effect))));
        }
        if !lines.is_empty() {
            lines.insert(0, self.paint.bold("Annotations, signatures and overrides"));
        }
        lines
    }

    fn pods(self, pods: &Pods) -> Vec<Text> {
        let mut lines = vec![self.paint.bold("Pods")];
        lines.extend(pods.message.iter().flat_map(|message| self.prose("  ", message)));
        lines.extend(self.entries("read", &pods.read));
        lines.extend(pods.unknown_programs.iter().map(|program| self.entry("not known", program)));
        if let Some(result) = &pods.result {
            lines.push(self.entry("result", result));
            lines.extend(pods.decided_by.iter().map(|by| self.entry("decided by", by)));
            let changed = if pods.changed.is_empty() { "nothing".to_owned() } else { pods.changed.join("; ") };
            lines.push(self.entry("changed", changed));
        }
        if let Some(problem) = &pods.problem {
            lines.push(self.entry("problem", self.paint.warn(format!("{}: {}", problem.reason, problem.message))));
        }
        lines.extend(pods.not_read.iter().map(|why| self.entry("not read", self.paint.warn(why))));
        lines
    }

    fn detectors(self, detectors: &Detectors) -> Vec<Text> {
        let mut lines = vec![self.paint.bold("Detectors")];
        if detectors.overruled {
            lines.extend(self.prose("  ", "Annotations and signatures take precedence over the detectors."));
        }
        lines.extend(detectors.results.iter().flat_map(|one| self.detector(one)));
        if !detectors.without_evidence.is_empty() {
            let names = detectors.without_evidence.join(", ");
            let text = if detectors.results.is_empty() {
                format!("No detector found evidence: {names}")
            } else {
                format!("No evidence for {names}")
            };
            lines.extend(self.prose("  ", text).into_iter().map(|line| self.paint.dim(line)));
        }
        lines
    }

    fn detector(self, one: &Detector) -> Vec<Text> {
        let paint = self.paint;
        let marker = if one.disabled { paint.warn(" (Disabled in the ToolsetConfig)") } else { Text::default() };
        let message = match one.finding {
            Finding::Endpoint => paint.good(&one.message),
            Finding::NotAnEndpoint | Finding::NoUsablePort => paint.warn(&one.message),
            Finding::NotEnoughEvidence => paint.dim(&one.message),
        };
        let confidence = one.confidence.as_ref().map(|confidence| format!(" (confidence {confidence})"));
        let name = paint.bold(format!("{:<15}", one.type_));
        let mut lines = self.prose("  ", text!(name, marker, "  ", message, confidence.unwrap_or_default()));
        for evidence in &one.evidence {
            let mark = if evidence.supports { paint.good("+") } else { paint.bad("-") };
            lines.extend(wrap(paint.width(), text!("      ", mark, " "), &evidence.message));
        }
        lines.extend(one.hint.iter().flat_map(|hint| self.prose("      → ", hint)));
        lines
    }

    fn candidates(self, candidates: &Candidates) -> Vec<Text> {
        let mut table = Table::new(&["RANK", "SERVICE", "RESULT", ""]);
        for one in &candidates.ranked {
            let mut notes: Vec<&str> = one.is_this.then_some("← this one").into_iter().collect();
            notes.extend(one.notes.iter().map(String::as_str));
            table.row(vec![
                cell(one.rank.map(|rank| rank.to_string()).unwrap_or_default(), plain),
                cell(&one.service, plain),
                match &one.reason {
                    None => cell("tool", Paint::good),
                    Some(reason) => cell(reason, Paint::warn),
                },
                cell(if notes.is_empty() { " ".to_owned() } else { notes.join(", ") }, Paint::dim),
            ]);
        }
        let mut lines = vec![self.paint.bold(format!("Candidates for {}, highest rank first", candidates.type_))];
        lines.extend(table.lines(self.paint, "  ").into_iter().map(|line| line.trim_end()));
        if candidates.more > 0 {
            lines.push(self.paint.dim(format!("  and {} more that are not tools", candidates.more)));
        }
        lines
    }

    fn health(self, explanation: &Explanation) -> Vec<Text> {
        explanation.health.as_ref().map_or_else(Vec::new, |health| {
            let label = health_colour_of(&health.health)(self.paint, Text::from(&health.health));
            vec![self.paint.bold("Health"), self.entry(label, &health.message)]
        })
    }

    fn probes(self, probes: &Probes) -> Vec<Text> {
        let mut lines = vec![self.paint.bold("Probes")];
        lines.extend(probes.identity.iter().map(|asked| self.entry("identity", asked)));
        if !probes.from_identity.is_empty() {
            lines.push(self.entry("shows", probes.from_identity.join(", ")));
        }
        lines.extend(probes.health.iter().map(|asked| self.entry("health", asked)));
        if let Some(problem) = &probes.problem {
            lines.push(self.entry("problem", self.paint.warn(format!("{}: {}", problem.reason, problem.message))));
        }
        lines.extend(probes.message.iter().flat_map(|message| self.prose("  ", message)));
        lines
    }

    fn status(self, status: &Status) -> Vec<Text> {
        let paint = self.paint;
        let mut lines = vec![paint.bold("Status of the ToolsetConfig")];
        let Some(reported) = &status.reported else {
            lines.extend(self.prose("  ", &status.message));
            return lines;
        };
        lines.push(self.entry("reported", reported));
        lines.push(self.entry(
            "agrees",
            match status.agrees {
                Some(true) => paint.good("yes"),
                Some(false) => paint.warn(format!("no; {}", status.message)),
                None => Text::from(format!("unknown, because {}", status.message)),
            },
        ));
        lines.extend(status.conditions.iter().map(|condition| {
            let text = format!("{} ({}): {}", condition.status, condition.reason, condition.message);
            self.entry(&condition.type_, paint.warn(text))
        }));
        lines
    }
}

/// A port, for example `http-web 80/UDP→9090`.
fn port(port: &Port) -> String {
    let name = port.name.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
    let protocol = if port.protocol == "TCP" { String::new() } else { format!("/{}", port.protocol) };
    let target = port.target.as_ref().map(|target| format!("→{target}")).unwrap_or_default();
    format!("{name}{}{protocol}{target}", port.number)
}
