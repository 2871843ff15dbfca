//! A user's own file as the parser gives it: the nodes with their tags, and aliases that lead to the node of their
//! anchor. What a node means is not decided here.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

/// The namespace of the tags that start with `!!`.
const NAMESPACE: &str = "tag:yaml.org,2002:";
/// Far more than the agent's reader accepts. Entries that are too deep are refused one by one.
const MAX_NESTING: usize = 1000;

/// The place of a node in its document.
pub(super) type Id = usize;

/// One document.
pub(crate) struct Document<'a> {
    nodes: Vec<Source<'a>>,
    root: Option<Id>,
}

/// One node.
pub(super) struct Source<'a> {
    pub tag: SourceTag,
    pub content: Content<'a>,
    /// What the agent's reader reads differently in its notation.
    pub unclear: Option<Unclear>,
}

pub(super) enum Content<'a> {
    Scalar(Cow<'a, str>),
    List(Vec<Id>),
    Map(Vec<(Id, Id)>),
}

/// A notation with another meaning in YAML 1.1, by which the node means something else for the agent's reader.
#[derive(Clone, Copy)]
pub(super) enum Unclear {
    /// A U+2028 or U+2029 as such. It is a line break that is kept.
    Separator,
    /// `?` or `:` at the start of a plain scalar in brackets or braces. It starts a key or a value.
    Indicator,
    /// An anchor with another character than a letter, a digit, `-` or `_`. The anchor ends before it.
    Anchor,
}

/// The tag of a node.
#[derive(PartialEq, Eq)]
pub(super) enum SourceTag {
    /// None, or `!`. The type follows from the text, or from the kind of collection.
    Implicit,
    /// A scalar in quotes or a block scalar.
    Quoted,
    /// A tag that starts with `!!`, by the rest of its name.
    Known(String),
    /// Any other tag, as written.
    Unknown(String),
}

impl<'a> Document<'a> {
    /// Parses a text that [`normalised`] made. `Err` says why it is not YAML.
    pub(crate) fn parse(text: &'a str, separators: &Separators) -> Result<Self, String> {
        let mut options = granit_parser::options! {
            emit_anchor_events: true,
            flow_nesting_limit: MAX_NESTING,
            block_nesting_limit: MAX_NESTING,
        };
        options.set_emit_comments(false);
        let mut builder = Builder::default();
        let mut documents = 0;
        let mut before = 0;
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = next.map_err(|error| error.to_string())?;
            let end = span.byte_range().map_or(before, |range| range.end);
            match event {
                Event::DocumentStart(..) => documents += 1,
                Event::Scalar(value, style, anchor, tag) => {
                    let tag = match tag.as_deref() {
                        None if style == ScalarStyle::Plain => SourceTag::Implicit,
                        None => SourceTag::Quoted,
                        Some(tag) => tag_of(tag),
                    };
                    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    let has_separator = span.byte_range().is_some_and(|range| {
                        // The span of a block scalar does not hold its first empty lines.
                        separators.any_in(if is_block { before } else { range.start }..range.end)
                    });
                    let is_indicator =
                        style == ScalarStyle::Plain && builder.in_flow > 0 && value.starts_with(['?', ':']);
                    let unclear = match (has_separator, is_indicator) {
                        (true, _) => Some(Unclear::Separator),
                        (_, true) => Some(Unclear::Indicator),
                        _ => None,
                    };
                    builder.add(Source { tag, content: Content::Scalar(value), unclear }, anchor);
                }
                Event::SequenceStart(style, anchor, tag) => {
                    builder.open(Content::List(Vec::new()), style, anchor, tag.as_deref());
                }
                Event::MappingStart(style, anchor, tag) => {
                    builder.open(Content::Map(Vec::new()), style, anchor, tag.as_deref());
                }
                Event::Anchor(_, name) if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) => {
                    if let Some(node) = builder.nodes.last_mut() {
                        node.unclear = Some(Unclear::Anchor);
                    }
                }
                Event::SequenceEnd | Event::MappingEnd => builder.close(),
                Event::Alias(anchor) => match builder.anchors.get(&anchor) {
                    Some(id) => builder.attach(*id),
                    None => return Err("an alias has no anchor".to_owned()),
                },
                _ => {}
            }
            before = before.max(end);
        }
        if documents > 1 {
            return Err("it has several documents, and the agent reads only one".to_owned());
        }
        Ok(Self { nodes: builder.nodes, root: builder.root })
    }

    /// The node that the document consists of.
    pub(super) const fn root(&self) -> Option<Id> {
        self.root
    }

    /// A node of the document.
    pub(super) fn get(&self, id: Id) -> Option<&Source<'a>> {
        self.nodes.get(id)
    }
}

fn tag_of(tag: &granit_parser::Tag) -> SourceTag {
    match tag.suffix_in_namespace(NAMESPACE) {
        Some(name) => SourceTag::Known(name.into_owned()),
        None if tag.original() == "!" => SourceTag::Implicit,
        None => SourceTag::Unknown(tag.original()),
    }
}

/// Collects nodes in the order of the events.
#[derive(Default)]
struct Builder<'a> {
    nodes: Vec<Source<'a>>,
    root: Option<Id>,
    anchors: HashMap<usize, Id>,
    /// The open collections, each with the key that waits for its value.
    open: Vec<(Id, Option<Id>)>,
    /// How many of them, from the innermost, are in brackets or braces.
    in_flow: usize,
}

impl<'a> Builder<'a> {
    fn add(&mut self, node: Source<'a>, anchor: usize) {
        let id = self.nodes.len();
        self.nodes.push(node);
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        self.attach(id);
    }

    fn open(&mut self, content: Content<'a>, style: StructureStyle, anchor: usize, tag: Option<&granit_parser::Tag>) {
        let id = self.nodes.len();
        self.add(Source { tag: tag.map_or(SourceTag::Implicit, tag_of), content, unclear: None }, anchor);
        self.open.push((id, None));
        // Within brackets and braces everything is in flow style.
        if style == StructureStyle::Flow || self.in_flow > 0 {
            self.in_flow += 1;
        }
    }

    fn close(&mut self) {
        self.open.pop();
        self.in_flow = self.in_flow.saturating_sub(1);
    }

    /// Puts a node into the collection that is open.
    fn attach(&mut self, id: Id) {
        let Some((outer, key)) = self.open.last_mut() else {
            self.root.get_or_insert(id);
            return;
        };
        match self.nodes.get_mut(*outer).map(|node| &mut node.content) {
            Some(Content::List(items)) => items.push(id),
            Some(Content::Map(pairs)) => match key.take() {
                Some(key) => pairs.push((key, id)),
                None => *key = Some(id),
            },
            Some(Content::Scalar(_)) | None => {}
        }
    }
}

/// Where a normalised text had a U+2028 or U+2029, in order.
#[derive(Default)]
pub(crate) struct Separators(Vec<usize>);

impl Separators {
    fn any_in(&self, range: Range<usize>) -> bool {
        let next = self.0.partition_point(|place| *place < range.start);
        self.0.get(next).is_some_and(|place| *place < range.end)
    }
}

/// The text with all line breaks of YAML 1.1 as `\n`. The parser follows YAML 1.2, where NEL, U+2028 and U+2029 are
/// letters. The last two are kept in values by YAML 1.1, so their places are kept too.
pub(crate) fn normalised(text: &str) -> (Cow<'_, str>, Separators) {
    const BREAKS: [char; 4] = ['\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let mut separators = Separators::default();
    if !text.contains(BREAKS) {
        return (Cow::Borrowed(text), separators);
    }
    let mut whole = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        if matches!(c, '\u{2028}' | '\u{2029}') {
            separators.0.push(whole.len());
        }
        whole.push(if BREAKS.contains(&c) { '\n' } else { c });
    }
    (Cow::Owned(whole), separators)
}
