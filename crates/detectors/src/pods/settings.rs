//! The arguments and variables of a container.
//!
//! A value is read only when a table asks for it. `$(NAME)` in it is replaced by the literal value of that variable, as
//! the kubelet does. What comes from another object is unknown.

use std::{borrow::Cow, cell::Cell, collections::BTreeMap};

use super::{
    program::Setting,
    view::{ContainerView, EnvView},
};

/// Stands for a text that is not known.
pub(crate) const UNKNOWN: char = '\u{0}';
/// Stands for the Pod's name, its address or another text without a slash.
const SHORT: char = '\u{1}';
/// The longest value that is read. Variables that repeat each other could grow without end.
const MAX: usize = 2048;
/// How many variables can refer to each other.
const DEPTH: usize = 8;
/// How many variables are put into others in all, because their number can grow with each level.
const EXPANSIONS: usize = 1024;
/// How many words of a command are read.
const WORDS: usize = 4096;

/// Around a word of a shell's script.
const QUOTES: [char; 3] = ['"', '\'', '\\'];

/// VictoriaMetrics and its relatives take every flag from a variable if this one is set.
/// <https://docs.victoriametrics.com/victoriametrics/single-server-victoriametrics/#environment-variables>
const FLAGS_FROM_ENV: &str = "envflag.enable";
const FLAGS_FROM_ENV_PREFIX: &str = "envflag.prefix";

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Absent,
    /// It can be there, with any value.
    Unknown,
    /// It can contain [`UNKNOWN`].
    Text(Cow<'a, str>),
}

/// The arguments and variables of one container.
pub(crate) struct Settings<'a> {
    /// Per name the texts behind `=`, or the next words.
    flags: BTreeMap<&'a str, Vec<&'a str>>,
    /// Per name its place among the variables. Of two the last counts.
    env: BTreeMap<&'a str, usize>,
    all_env: &'a [EnvView],
    /// Whether there are no other flags than these.
    has_all_flags: bool,
    /// Whether there are no other variables than these.
    has_all_env: bool,
    in_shell: bool,
    words: Vec<&'a str>,
    expansions_left: Cell<usize>,
}

impl<'a> Settings<'a> {
    pub(crate) fn of(container: &'a ContainerView) -> Self {
        let in_shell = container.command.first().is_some_and(|command| is_shell(command));
        let mut settings = Self {
            flags: BTreeMap::new(),
            env: container.env.iter().enumerate().map(|(at, variable)| (variable.name.as_str(), at)).collect(),
            all_env: &container.env,
            has_all_flags: !in_shell,
            has_all_env: container.env_from.is_empty(),
            in_shell,
            words: words(container, in_shell),
            expansions_left: Cell::new(EXPANSIONS),
        };
        settings.read_flags();
        settings
    }

    fn read_flags(&mut self) {
        let words = std::mem::take(&mut self.words);
        for (at, word) in words.iter().enumerate() {
            // A variable can hold any number of flags. So can the file that `@` names, which kingpin reads
            // (alecthomas/kingpin `parser.go`).
            if word.starts_with("$(") || word.starts_with('@') {
                self.has_all_flags = false;
            }
            // Grafana takes `cfg:section.key=value` as an argument.
            if let Some((name, value)) = word.split_once('=').filter(|_| word.starts_with("cfg:")) {
                self.add_flag(name, value);
                continue;
            }
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
            let next = || words.get(at + 1).copied().filter(|next| !next.starts_with('-'));
            match flag.split_once('=') {
                // The OpenTelemetry collector, and so Jaeger v2, takes `--set=name=value`.
                Some(("set", setting)) => self.add_setting(Some(setting)),
                Some((name, value)) => self.add_flag(name, value),
                // Elasticsearch and OpenSearch take `-E name=value`.
                None if flag == "E" || flag == "set" => self.add_setting(next()),
                None => self.add_flag(flag, next().unwrap_or("true")),
            }
        }
        self.words = words;
    }

    fn add_flag(&mut self, name: &'a str, value: &'a str) {
        let value = if self.in_shell { value.trim_matches(QUOTES) } else { value };
        self.flags.entry(name).or_default().push(value);
    }

    /// Adds `name=value`, the value of a flag.
    fn add_setting(&mut self, setting: Option<&'a str>) {
        if let Some((name, value)) = setting.and_then(|setting| setting.split_once('=')) {
            self.add_flag(name, value);
        }
    }

    /// The value of a setting. Of several it is the last.
    pub(crate) fn value(&self, setting: Setting) -> Value<'_> {
        match setting {
            Setting::Flag(name) => self.flag(name),
            Setting::Env(name) => self.env(name),
        }
    }

    /// The values of a flag that can be repeated.
    pub(crate) fn values(&self, setting: Setting) -> Vec<Value<'_>> {
        match setting {
            Setting::Flag(name) => match self.flags.get(name) {
                Some(values) => values.iter().map(|value| self.text(value)).collect(),
                None => vec![self.flag(name)],
            },
            Setting::Env(name) => vec![self.env(name)],
        }
    }

    /// The first argument that is one of these words. Flags can stand before it, with their values in words of their own.
    /// In a shell's script it is behind the name of a program that has subcommands.
    pub(crate) fn subcommand(&self, known: &[&str]) -> Value<'_> {
        let program = || self.words.iter().position(|word| is_program(word)).map_or(self.words.len(), |at| at + 1);
        let start = if self.in_shell { program() } else { 0 };
        let words = self.words.get(start..).unwrap_or_default();
        for (at, word) in words.iter().enumerate().filter(|(_, word)| !word.starts_with('-')) {
            let can_be_value =
                at > 0 && words.get(at - 1).is_some_and(|one| one.starts_with('-') && !one.contains('='));
            match self.text(word) {
                Value::Text(text) if known.contains(&&*text) => return Value::Text(text),
                Value::Text(text) if can_be_value || !text.contains(UNKNOWN) => {}
                Value::Unknown if can_be_value => {}
                Value::Absent | Value::Text(_) | Value::Unknown => return Value::Unknown,
            }
        }
        if self.has_all_flags { Value::Absent } else { Value::Unknown }
    }

    fn flag(&self, name: &str) -> Value<'_> {
        if let Some(value) = self.flags.get(name).and_then(|values| values.last()) {
            return self.text(value);
        }
        // Elasticsearch and OpenSearch also take `-Ename=value`.
        if let Some(value) = self.flags.get(format!("E{name}").as_str()).and_then(|values| values.last()) {
            return self.text(value);
        }
        if self.flags.contains_key(FLAGS_FROM_ENV) {
            let prefix = match self.flags.get(FLAGS_FROM_ENV_PREFIX).and_then(|values| values.last()) {
                Some(prefix) => self.text(prefix),
                None => Value::Text(Cow::Borrowed("")),
            };
            let Value::Text(prefix) = prefix else { return Value::Unknown };
            return self.env(&format!("{prefix}{}", name.replace('.', "_")));
        }
        if self.has_all_flags { Value::Absent } else { Value::Unknown }
    }

    fn env(&self, name: &str) -> Value<'_> {
        match self.env.get(name).or_else(|| self.env.get(docker_spelling(name)?.as_str())) {
            Some(at) => self.variable(*at, DEPTH),
            None if self.has_all_env => Value::Absent,
            None => Value::Unknown,
        }
    }

    /// Whether a variable is there, also if its value is not known.
    pub(crate) fn has_env(&self, name: &str) -> bool {
        self.env.contains_key(name) || docker_spelling(name).is_some_and(|name| self.env.contains_key(name.as_str()))
    }

    /// The values of the flags whose names start with one of these.
    pub(crate) fn of_flags(&self, starts: &[&str]) -> impl Iterator<Item = Value<'_>> {
        let is_one = |name: &str| starts.iter().any(|start| name.starts_with(start));
        let all = self.flags.iter().filter(move |(name, _)| is_one(name));
        all.flat_map(|(_, values)| values.iter().map(|value| self.text(value)))
    }

    /// The value of the variable at this place.
    fn variable(&self, at: usize, depth: usize) -> Value<'_> {
        let Some(variable) = self.all_env.get(at) else { return Value::Absent };
        match (&variable.value, &variable.value_from) {
            (Some(value), _) => self.expanded(value, at, depth),
            (None, Some(source)) if source.field_ref.is_some() || source.resource_field_ref.is_some() => {
                Value::Text(Cow::Owned(SHORT.to_string()))
            }
            (None, Some(_)) => Value::Unknown,
            (None, None) => Value::Text(Cow::Borrowed("")),
        }
    }

    fn text(&self, raw: &'a str) -> Value<'_> {
        match self.expanded(raw, self.all_env.len(), DEPTH) {
            // In a shell, any other `$` or a backtick is replaced by something that is not known.
            Value::Text(text) if self.in_shell && text.contains(['$', '`']) => {
                let end = text.find(['$', '`']).unwrap_or(text.len());
                Value::Text(Cow::Owned(format!("{}{UNKNOWN}", &text[..end])))
            }
            value => value,
        }
    }

    /// The text with the variables before `before` in it.
    fn expanded(&self, raw: &'a str, before: usize, depth: usize) -> Value<'_> {
        if !raw.contains("$(") {
            return if raw.len() <= MAX { Value::Text(Cow::Borrowed(raw)) } else { Value::Unknown };
        }
        if depth == 0 {
            return Value::Unknown;
        }
        let (mut text, mut rest) = (String::new(), raw);
        while let Some(start) = rest.find("$(") {
            text.push_str(&rest[..start]);
            let Some((name, after)) = rest[start + 2..].split_once(')') else { break };
            let left = self.expansions_left.get();
            self.expansions_left.set(left.saturating_sub(1));
            let is_escaped = text.ends_with('$');
            let at = self.env.get(name).copied().filter(|at| *at < before && !is_escaped && left > 0);
            match at.map(|at| self.variable(at, depth - 1)) {
                Some(Value::Text(value)) => text.push_str(&value),
                _ => text.push(UNKNOWN),
            }
            if text.len() > MAX {
                return Value::Unknown;
            }
            rest = after;
        }
        text.push_str(rest);
        if text.len() > MAX || text.chars().all(|c| c == UNKNOWN) { Value::Unknown } else { Value::Text(text.into()) }
    }
}

/// How the image of Elasticsearch also takes a setting: `xpack.security.enabled` as `ES_SETTING_XPACK_SECURITY_ENABLED`,
/// with two underscores for one (elastic/elasticsearch, `DockerTests`, "translated").
fn docker_spelling(name: &str) -> Option<String> {
    let name = Some(name).filter(|name| name.contains('.'))?;
    Some(format!("ES_SETTING_{}", name.replace('_', "__").replace('.', "_").to_ascii_uppercase()))
}

/// Whether a command runs others, so that its flags can be in a script.
fn is_shell(command: &str) -> bool {
    let name = command.rsplit('/').next().unwrap_or(command);
    let names =
        ["sh", "bash", "ash", "dash", "zsh", "env", "python", "python3", "start", "run", "entrypoint", "supervisord"];
    names.contains(&name) || [".sh", ".bash", ".py"].iter().any(|end| name.ends_with(end))
}

/// The words of command and arguments, without the command's name. Of a shell's script they are what is between spaces
/// and quotes.
fn words(container: &ContainerView, in_shell: bool) -> Vec<&str> {
    let all = container.command.iter().skip(1).chain(&container.args).map(String::as_str);
    if !in_shell {
        return all.take(WORDS).collect();
    }
    let is_between = |c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|');
    let scripts = all.flat_map(|text| without_comments(text));
    let words = scripts.flat_map(|text| text.split(is_between)).map(|word| word.trim_matches(QUOTES));
    words.filter(|word| !word.is_empty()).take(WORDS).collect()
}

/// The parts of a script between its comments. A comment starts with a `#` at the start of a word outside of quotes.
fn without_comments(script: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quote, mut before) = (Vec::new(), 0, None, ' ');
    let mut chars = script.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() || before == ';' => {
                parts.push(&script[start..at]);
                start = chars.by_ref().find(|(_, c)| *c == '\n').map_or(script.len(), |(end, _)| end);
                before = '\n';
                continue;
            }
            (None, '"' | '\'') if before != '\\' => quote = Some(c),
            (Some(open), _) if c == open && before != '\\' => quote = None,
            _ => {}
        }
        before = c;
    }
    parts.push(&script[start..]);
    parts
}

/// Programs that have subcommands.
fn is_program(word: &str) -> bool {
    !word.starts_with('-') && word.rsplit('/').next() == Some("thanos")
}
