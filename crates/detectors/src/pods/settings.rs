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
    subcommand: Option<&'a str>,
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
            subcommand: None,
            expansions_left: Cell::new(EXPANSIONS),
        };
        let words = words(container, in_shell);
        settings.read_flags(&words);
        settings.subcommand = subcommand(&words, in_shell);
        settings
    }

    fn read_flags(&mut self, words: &[&'a str]) {
        for (at, word) in words.iter().enumerate() {
            if word.starts_with("$(") {
                // A variable can hold any number of flags.
                self.has_all_flags = false;
            }
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
            let next = || words.get(at + 1).copied().filter(|next| !next.starts_with('-'));
            match flag.split_once('=') {
                Some((name, value)) => {
                    let value = if self.in_shell { value.trim_matches(QUOTES) } else { value };
                    self.flags.entry(name).or_default().push(value);
                }
                // Elasticsearch and OpenSearch take `-E name=value`.
                None if flag == "E" => {
                    if let Some((name, value)) = next().and_then(|setting| setting.split_once('=')) {
                        self.flags.entry(name).or_default().push(value);
                    }
                }
                None => self.flags.entry(flag).or_default().push(next().unwrap_or("true")),
            }
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

    /// The first argument that is no flag.
    pub(crate) fn subcommand(&self) -> Value<'_> {
        match self.subcommand {
            Some(word) => self.text(word),
            None if self.has_all_flags => Value::Absent,
            None => Value::Unknown,
        }
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
        match self.env.get(name) {
            Some(at) => self.variable(*at, DEPTH),
            None if self.has_all_env => Value::Absent,
            None => Value::Unknown,
        }
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
    let words = all.flat_map(|text| text.split(is_between)).map(|word| word.trim_matches(QUOTES));
    words.filter(|word| !word.is_empty()).take(WORDS).collect()
}

/// The first word that is no flag. A program's own name before it does not count. In a shell's script only the word
/// behind the program's path does.
fn subcommand<'a>(words: &[&'a str], in_shell: bool) -> Option<&'a str> {
    let is_path = |word: &str| word.contains('/') && !word.starts_with('-');
    if in_shell {
        let mut pairs = words.iter().zip(words.iter().skip(1));
        return pairs.find(|(word, next)| is_program(word) && !next.starts_with('-')).map(|(_, next)| *next);
    }
    words.iter().copied().find(|word| !word.starts_with('-') && !is_path(word) && !is_program(word))
}

/// Programs that have subcommands.
fn is_program(word: &str) -> bool {
    word.rsplit('/').next() == Some("thanos")
}
