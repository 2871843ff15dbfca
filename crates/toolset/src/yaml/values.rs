//! What the agent's reader makes of the nodes of a document, as `SafeConstructor` of `PyYAML` 6.0.4 does.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt,
    rc::Rc,
};

use super::{
    document::{Content, Document, Id, Source, SourceTag, Unclear},
    scalar::{self, Type},
    tree::{Block, Field, Node, Tag},
};

/// The deepest nesting that is carried over. The agent's loader gives up at about 450 levels.
const MAX_DEPTH: usize = 100;
/// How often the size of a document may be read. Values that are given up can be large, and there can be many of them.
const READ_AGAIN: usize = 4;

/// Reads the values of a document, which may expand to only so many bytes.
pub(crate) struct Values<'d> {
    document: &'d Document<'d>,
    /// How many bytes more may be written at least.
    left: usize,
    /// How many bytes more may be read, with those of values that were given up.
    readable: usize,
    /// The collections that are being read.
    open: Vec<Id>,
    /// The mappings that are being merged.
    merging: Vec<Id>,
    /// The pairs of the mappings that merge others.
    merged: HashMap<Id, Rc<[(Id, Id)]>>,
}

/// What a node looks like from outside.
pub(crate) enum Shape {
    /// No node, or a null.
    Nothing,
    /// A sequence, and whether it has items.
    List { is_empty: bool },
    /// A mapping: the key and value of each field.
    Map(Rc<[(Id, Id)]>),
    /// A scalar.
    Scalar,
}

/// Why a value cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The value is too large with its aliases expanded, after what was read before it.
    TooLarge,
    /// A key with a dot.
    Key(String),
    /// A value that the agent's reader refuses, or that cannot be written again.
    Value {
        /// The value in words.
        what: String,
        /// The keys that lead to it, from the inside out.
        path: Vec<String>,
        /// What is wrong with it.
        why: &'static str,
        /// What to do.
        cure: &'static str,
    },
}

impl Problem {
    fn value(what: impl Into<String>, why: &'static str, cure: &'static str) -> Self {
        Self::Value { what: what.into(), path: Vec::new(), why, cure }
    }

    fn under(mut self, key: impl fmt::Display) -> Self {
        if let Self::Value { path, .. } = &mut self {
            path.push(key.to_string());
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the file is too large with this entry after its aliases are expanded; shorten the entry or write it without aliases"),
            Self::Key(key) => write!(f, "the agent rejects the whole file because of the key {key:?}; use a key without a dot or control characters"),
            Self::Value { what, path, why, cure } => {
                f.write_str(what)?;
                for (index, key) in path.iter().rev().enumerate() {
                    write!(f, "{}{}", if index == 0 { " at " } else { "." }, short(key))?;
                }
                write!(f, " cannot be copied, because {why}; {cure}")
            }
        }
    }
}

/// A text for a message, of at most 40 characters and without control characters.
fn short(text: &str) -> String {
    const MAX: usize = 40;
    let mut said: String = text.chars().take(MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX).is_some() {
        said.push('…');
    }
    said
}

impl<'d> Values<'d> {
    /// `max_bytes` bounds what all values together have at least when they are written.
    pub(crate) fn of(document: &'d Document<'d>, max_bytes: usize) -> Self {
        Self {
            document,
            left: max_bytes,
            readable: READ_AGAIN * max_bytes,
            open: Vec::new(),
            merging: Vec::new(),
            merged: HashMap::new(),
        }
    }

    /// The value of a node, for a caller that goes on without it. A value that cannot be taken uses up nothing.
    pub(crate) fn optional(&mut self, id: Id) -> Result<Node, Problem> {
        let left = self.left;
        self.node(id).inspect_err(|_| self.left = left)
    }

    /// The shape of the whole document.
    pub(crate) fn root(&mut self) -> Result<Shape, Problem> {
        self.document.root().map_or(Ok(Shape::Nothing), |id| self.shape(id))
    }

    /// The shape of a node.
    pub(crate) fn shape(&mut self, id: Id) -> Result<Shape, Problem> {
        let Some(source) = self.document.get(id) else { return Ok(Shape::Nothing) };
        Ok(match &source.content {
            Content::Scalar(text) if type_of(source, text).is_ok_and(|type_| type_ == Type::Null) => Shape::Nothing,
            Content::Scalar(_) => Shape::Scalar,
            Content::List(items) => Shape::List { is_empty: items.is_empty() },
            Content::Map(pairs) => Shape::Map(self.pairs(id, pairs)?.into()),
        })
    }

    /// The value of a node.
    pub(crate) fn node(&mut self, id: Id) -> Result<Node, Problem> {
        let Some(source) = self.document.get(id) else { return Ok(Node::Null) };
        if let Content::Scalar(text) = &source.content {
            let node = scalar_of(source, text)?;
            self.spend(node.as_text().map_or(1, str::len))?;
            return Ok(node);
        }
        if let Some(unclear) = source.unclear {
            return Err(unclear_problem(unclear));
        }
        self.spend(2)?;
        if self.open.contains(&id) {
            return Err(Problem::value("an alias", "it refers to a value that contains it", "write it out"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Problem::value("a value", "it is nested deeper than 100 levels", "reduce the nesting"));
        }
        self.open.push(id);
        let node = self.collection(id, source);
        self.open.pop();
        node
    }

    fn collection(&mut self, id: Id, source: &'d Source<'d>) -> Result<Node, Problem> {
        match (&source.content, known(&source.tag)?) {
            (Content::Map(pairs), "" | "map") => {
                let pairs = self.pairs(id, pairs)?;
                Ok(Node::Map(Block::of_fields(self.fields(&pairs)?)))
            }
            (Content::Map(pairs), "set") => {
                let pairs = self.pairs(id, pairs)?;
                let fields = self.fields(&pairs)?;
                let keys = fields.into_iter().map(|(key, _)| (key, Node::Null)).collect();
                Ok(Node::Tagged(Tag::Set, Box::new(Node::Map(Block::of_fields(keys)))))
            }
            (Content::List(items), "" | "seq") => self.items(items).map(Node::List),
            (Content::List(items), name @ ("omap" | "pairs")) => {
                let values = self.items(items)?;
                if !values.iter().all(|value| value.as_map().is_some_and(|block| block.len() == 1)) {
                    return Err(unfit(&source.tag));
                }
                let tag = if name == "omap" { Tag::OrderedMap } else { Tag::Pairs };
                Ok(Node::Tagged(tag, Box::new(Node::List(values))))
            }
            _ => Err(unfit(&source.tag)),
        }
    }

    fn items(&mut self, items: &[Id]) -> Result<Vec<Node>, Problem> {
        let read = |(index, id): (usize, &Id)| self.node(*id).map_err(|problem| problem.under(index));
        items.iter().enumerate().map(read).collect()
    }

    fn fields(&mut self, pairs: &[(Id, Id)]) -> Result<Vec<(Field, Node)>, Problem> {
        let mut fields = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let field = self.field(*key)?;
            let value = self.node(*value).map_err(|problem| problem.under(self.in_words(*key)))?;
            fields.push((field, value));
        }
        Ok(fields)
    }

    fn field(&mut self, id: Id) -> Result<Field, Problem> {
        let key = match self.document.get(id) {
            Some(Source { tag: SourceTag::Implicit, content: Content::Scalar(text), .. }) if text == "=" => {
                Node::from("=")
            }
            _ => self.node(id)?,
        };
        Field::new(key).map_err(|text| {
            text.map_or_else(
                || Problem::value("a key", "it is a list or a mapping", "use a string as the key"),
                Problem::Key,
            )
        })
    }

    /// The text of a key for a message.
    pub(crate) fn in_words(&self, key: Id) -> &'d str {
        match self.document.get(key).map(|source| &source.content) {
            Some(Content::Scalar(text)) => text,
            _ => "?",
        }
    }

    /// The pairs of a mapping with those that it merges with `<<`, which come first.
    fn pairs(&mut self, id: Id, pairs: &'d [(Id, Id)]) -> Result<Cow<'d, [(Id, Id)]>, Problem> {
        if !pairs.iter().any(|(key, _)| self.is_merge(*key)) {
            return Ok(Cow::Borrowed(pairs));
        }
        if let Some(known) = self.merged.get(&id) {
            return Ok(Cow::Owned(known.to_vec()));
        }
        if self.merging.contains(&id) || self.merging.len() == MAX_DEPTH {
            return Err(Problem::value("a <<", "it merges a mapping into itself", "remove it"));
        }
        self.merging.push(id);
        let merged = self.merge(pairs);
        self.merging.pop();
        let merged = merged?;
        self.merged.insert(id, merged.as_slice().into());
        Ok(Cow::Owned(merged))
    }

    fn merge(&mut self, pairs: &'d [(Id, Id)]) -> Result<Vec<(Id, Id)>, Problem> {
        let mut all = Vec::new();
        let mut own = Vec::new();
        let mut seen = HashSet::new();
        for &(key, value) in pairs {
            if !self.is_merge(key) {
                own.push((key, value));
                continue;
            }
            let one = [value];
            let sources: &[Id] = match self.document.get(value).map(|source| &source.content) {
                Some(Content::List(items)) => items,
                _ => &one,
            };
            for &source in sources {
                let Some(Content::Map(pairs)) = self.document.get(source).map(|source| &source.content) else {
                    let cure = "give it a mapping or a list of mappings";
                    return Err(Problem::value("a <<", "it does not merge a mapping", cure));
                };
                for &(key, value) in &*self.pairs(source, pairs)? {
                    self.spend(1)?;
                    if seen.insert(self.identity(key)) {
                        all.push((key, value));
                    }
                }
            }
        }
        all.extend(own);
        Ok(all)
    }

    fn is_merge(&self, key: Id) -> bool {
        self.document.get(key).is_some_and(|source| match (&source.tag, &source.content) {
            (SourceTag::Implicit, Content::Scalar(text)) => text == "<<",
            (SourceTag::Known(name), Content::Scalar(_)) => name == "merge",
            _ => false,
        })
    }

    /// By what the agent's reader takes two merged keys for one. It compares the objects that hold their texts. Python
    /// has one object for each text of up to one character of Latin-1. So of two such fields the first one counts, and
    /// of others the last.
    fn identity(&self, key: Id) -> Result<&'d str, Id> {
        match self.document.get(key).map(|source| &source.content) {
            Some(Content::Scalar(text)) if text.len() <= 2 && text.chars().all(|c| c <= '\u{ff}') => {
                if text.chars().nth(1).is_none() { Ok(text) } else { Err(key) }
            }
            _ => Err(key),
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Problem> {
        // Every value needs a separator.
        let reduced = |left: usize| left.checked_sub(bytes + 1).ok_or(Problem::TooLarge);
        (self.left, self.readable) = (reduced(self.left)?, reduced(self.readable)?);
        Ok(())
    }
}

/// The name of a tag of YAML's own. Empty for none.
fn known(tag: &SourceTag) -> Result<&str, Problem> {
    match tag {
        SourceTag::Implicit | SourceTag::Quoted => Ok(""),
        SourceTag::Known(name) => Ok(name),
        SourceTag::Unknown(tag) => {
            let what = format!("a value with the tag {}", short(tag));
            Err(Problem::value(what, "the agent does not know the tag", "remove the tag"))
        }
    }
}

fn unfit(tag: &SourceTag) -> Problem {
    let what = match tag {
        SourceTag::Known(name) => format!("a value with the tag !!{}", short(name)),
        _ => "a value".to_owned(),
    };
    Problem::value(what, "it does not match its tag", "remove the tag or correct the value")
}

fn type_of(source: &Source<'_>, text: &str) -> Result<Type, Problem> {
    Ok(match &source.tag {
        SourceTag::Implicit => scalar::type_of(text),
        SourceTag::Quoted => Type::Text,
        tag => match known(tag)? {
            "null" => Type::Null,
            "bool" => Type::Bool,
            "int" => Type::Int,
            "float" => Type::Float,
            "timestamp" => Type::Timestamp,
            "binary" => Type::Binary,
            "str" => Type::Text,
            _ => return Err(unfit(tag)),
        },
    })
}

fn unclear_problem(unclear: Unclear) -> Problem {
    match unclear {
        Unclear::Separator => {
            let cure = "write \\L or \\P in double quotes";
            Problem::value("a text", "it has a line break U+2028 or U+2029", cure)
        }
        Unclear::Indicator => {
            let why = "the agent does not read its first character, ? or :, as part of the text";
            Problem::value("a text", why, "put it in quotes")
        }
        Unclear::Anchor => {
            let why = "its anchor has a character other than a letter, a digit, - and _";
            Problem::value("a value", why, "rename the anchor")
        }
    }
}

fn scalar_of(source: &Source<'_>, text: &str) -> Result<Node, Problem> {
    if let Some(unclear) = source.unclear {
        return Err(unclear_problem(unclear));
    }
    scalar::value_of(type_of(source, text)?, text).map_err(|why| match &source.tag {
        // A tagged value can be a secret.
        SourceTag::Known(name) => Problem::value(
            format!("a value with the tag !!{}", short(name)),
            why,
            "remove the tag or correct the value",
        ),
        _ => Problem::value(format!("the value {}", short(text)), why, "put it in quotes"),
    })
}

#[cfg(test)]
mod tests;
