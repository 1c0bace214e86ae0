//! YAML text to spanned nodes. Accepts and refuses what libyaml (and so Go's library) does.
//! Scalars stay text: what they mean is settled by a dialect.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::cursor::Mark;
use super::node::{Node, NodeKind, ScalarStyle};
use super::scan::{Scanner, SyntaxError, Token, TokenKind};
use crate::base::diagnostic::Diagnostic;
use crate::base::limits::{YAML_DEPTH_MAX, YAML_NODES_MAX};
use crate::base::span::{SourceFile, Span};

/// All documents of a stream, in order; an empty one is an empty plain scalar. Aliases are
/// expanded, merge keys and duplicate keys stay as written.
///
/// # Errors
/// `yaml-syntax`, at the place where the text stops being YAML.
pub fn parse(file: &Arc<SourceFile>) -> Result<Vec<Node>, Diagnostic> {
    documents(file).map_err(|error| diagnostic(file, &error))
}

fn documents(file: &Arc<SourceFile>) -> Result<Vec<Node>, SyntaxError> {
    let mut parser: Parser<'_, Span> = Parser::new(file, &file.text)?;
    let mut documents = Vec::new();
    while let Some(document) = parser.document()? {
        documents.push(document);
    }
    Ok(documents)
}

/// The first document of a stream, all that Go's `Unmarshal` reads. What follows is not looked
/// at, not even for errors.
pub(super) fn first_document(text: &str) -> Result<Option<Node<Nowhere>>, SyntaxError> {
    Parser::new((), text)?.document()
}

/// What libyaml's words usually mean.
const HINTS: &[(&str, &str)] = &[
    (
        "mapping values are not allowed",
        "a key is indented too far, or a text with `: ` in it has no quotes",
    ),
    ("did not find expected ',' or", "a `[` or `{` is not closed, or a text in it needs quotes"),
    ("unexpected end of stream", "a quote is not closed"),
    ("did not find expected key", "a key is indented less or more than those around it"),
    ("could not find expected ':'", "a key has no `:`, or a text over several lines needs `|`"),
    ("unknown anchor", "a value that begins with `*` needs quotes"),
];

fn diagnostic(file: &Arc<SourceFile>, error: &SyntaxError) -> Diagnostic {
    let found = Diagnostic::error("yaml-syntax", format!("not YAML: {}", error.problem));
    let Some(mark) = error.mark else { return found };
    let text = &file.text;
    let offset = text.floor_char_boundary(mark.offset.min(text.len()));
    let width = text[offset..].chars().next().map_or(0, char::len_utf8);
    let found = found.label(&Span::new(file, offset..offset + width), "here at the latest");
    if let Some((_, hint)) = HINTS.iter().find(|(problem, _)| error.problem.contains(problem)) {
        return found.help(*hint);
    }
    match text.as_bytes().get(offset) {
        Some(b'\t') => found.help("indent with spaces: YAML allows no tab here"),
        Some(b'@' | b'`' | b'%') => found.help("quote a value that begins with this character"),
        _ => found,
    }
}

type Result<T, E = SyntaxError> = std::result::Result<T, E>;

/// What nodes know about where they stand.
trait Place<'text>: Clone {
    /// Where all of them are.
    type Source: Copy;

    fn new(source: Self::Source, range: Range<usize>) -> Self;

    /// The byte behind it; anything where places do not matter.
    fn end(&self) -> usize;
}

impl<'text> Place<'text> for Span {
    type Source = &'text Arc<SourceFile>;

    fn new(file: Self::Source, range: Range<usize>) -> Self {
        Self::new(file, range)
    }

    fn end(&self) -> usize {
        self.range.end
    }
}

/// The place of nodes of which only the meaning counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Nowhere;

impl Place<'_> for Nowhere {
    type Source = ();

    fn new((): Self::Source, _: Range<usize>) -> Self {
        Self
    }

    fn end(&self) -> usize {
        0
    }
}

/// A node that aliases may name.
enum Anchored<P> {
    /// It is still being read: an alias to it would contain itself.
    Open,
    /// Complete, with the number of its nodes.
    Complete(Node<P>, usize),
}

struct Parser<'text, P: Place<'text>> {
    source: P::Source,
    scanner: Scanner<'text>,
    is_first: bool,
    anchors: BTreeMap<String, Anchored<P>>,
    tag_prefixes: BTreeMap<String, String>,
    depth: usize,
    /// Nodes so far, and how many of them came from aliases.
    nodes: usize,
    nodes_aliased: usize,
}

const CORE_TAGS: &str = "tag:yaml.org,2002:";

impl<'text, P: Place<'text>> Parser<'text, P> {
    fn new(source: P::Source, text: &'text str) -> Result<Self> {
        Ok(Self {
            source,
            scanner: Scanner::new(text)?,
            is_first: true,
            anchors: BTreeMap::new(),
            tag_prefixes: BTreeMap::new(),
            depth: 0,
            nodes: 0,
            nodes_aliased: 0,
        })
    }

    fn document(&mut self) -> Result<Option<Node<P>>> {
        use TokenKind::{DocumentEnd, DocumentStart, StreamEnd, TagDirective, VersionDirective};
        let is_first = std::mem::replace(&mut self.is_first, false);
        if !is_first {
            while self.scanner.peek()?.kind == DocumentEnd {
                self.scanner.next()?;
            }
        }
        self.anchors.clear();
        self.tag_prefixes.clear();
        let next = self.scanner.peek()?;
        let is_explicit =
            matches!(next.kind, VersionDirective { .. } | TagDirective { .. } | DocumentStart);
        if next.kind == StreamEnd {
            return Ok(None);
        }
        let root = if is_first && !is_explicit {
            self.add_default_tags();
            self.node(true, false)?
        } else {
            self.directives()?;
            let start = self.scanner.peek()?;
            if start.kind != DocumentStart {
                let mark = start.start;
                let problem = "did not find expected <document start>";
                return Err(SyntaxError::parser(problem, None, mark));
            }
            self.scanner.next()?;
            let next = self.scanner.peek()?;
            match next.kind {
                VersionDirective { .. }
                | TagDirective { .. }
                | DocumentStart
                | DocumentEnd
                | StreamEnd => {
                    let mark = next.start;
                    self.empty(mark)?
                }
                _ => self.node(true, false)?,
            }
        };
        if self.scanner.peek()?.kind == DocumentEnd {
            self.scanner.next()?;
        }
        Ok(Some(root))
    }

    fn add_default_tags(&mut self) {
        for (handle, prefix) in [("!", "!"), ("!!", CORE_TAGS)] {
            self.tag_prefixes.entry(handle.to_owned()).or_insert_with(|| prefix.to_owned());
        }
    }

    fn directives(&mut self) -> Result<()> {
        let mut has_version = false;
        loop {
            let token = self.scanner.peek()?.clone();
            let problem = match token.kind {
                TokenKind::VersionDirective { .. } if has_version => {
                    "found duplicate %YAML directive"
                }
                TokenKind::VersionDirective { major: 1, minor: 1 } => "",
                TokenKind::VersionDirective { .. } => "found incompatible YAML document",
                TokenKind::TagDirective { ref handle, ref prefix } => {
                    let old = self.tag_prefixes.insert(handle.clone(), prefix.clone());
                    if old.is_some() { "found duplicate %TAG directive" } else { "" }
                }
                _ => break,
            };
            has_version |= matches!(token.kind, TokenKind::VersionDirective { .. });
            if !problem.is_empty() {
                return Err(SyntaxError::parser(problem, None, token.start));
            }
            self.scanner.next()?;
        }
        self.add_default_tags();
        Ok(())
    }

    fn span(&self, start: usize, end: usize) -> P {
        P::new(self.source, start..end.max(start))
    }

    fn count_node(&mut self) -> Result<()> {
        self.nodes += 1;
        if self.nodes > YAML_NODES_MAX {
            return Err(SyntaxError::global("document has too many nodes", None));
        }
        Ok(())
    }

    fn empty(&mut self, mark: Mark) -> Result<Node<P>> {
        self.count_node()?;
        let kind = NodeKind::Scalar { text: String::new(), style: ScalarStyle::Plain };
        Ok(Node { span: self.span(mark.offset, mark.offset), tag: None, kind })
    }

    fn node(&mut self, is_block: bool, is_indentless_allowed: bool) -> Result<Node<P>> {
        if self.depth >= YAML_DEPTH_MAX {
            let mark = self.scanner.peek()?.start;
            let problem = format!("exceeded max depth of {YAML_DEPTH_MAX}");
            return Err(SyntaxError::global(problem, Some(mark)));
        }
        self.depth += 1;
        let node = self.node_within_depth(is_block, is_indentless_allowed);
        self.depth -= 1;
        node
    }

    fn node_within_depth(
        &mut self,
        is_block: bool,
        is_indentless_allowed: bool,
    ) -> Result<Node<P>> {
        if matches!(self.scanner.peek()?.kind, TokenKind::Alias(_)) {
            let token = self.scanner.next()?;
            return self.alias(token);
        }
        let properties = self.properties()?;
        let before = self.nodes;
        self.count_node()?;
        if let Some(anchor) = &properties.anchor {
            self.anchors.insert(anchor.clone(), Anchored::Open);
        }
        let mut node = self.content(is_block, is_indentless_allowed, &properties)?;
        node.tag = properties.tag;
        if let Some(anchor) = properties.anchor {
            let size = self.nodes - before;
            self.anchors.insert(anchor, Anchored::Complete(node.clone(), size));
        }
        Ok(node)
    }

    fn alias(&mut self, token: Token) -> Result<Node<P>> {
        let TokenKind::Alias(name) = token.kind else { unreachable!("the caller looked") };
        match self.anchors.get(&name) {
            None => {
                let problem = format!("unknown anchor '{name}' referenced");
                Err(SyntaxError::global(problem, Some(token.start)))
            }
            Some(Anchored::Open) => {
                let problem = format!("anchor '{name}' value contains itself");
                Err(SyntaxError::global(problem, Some(token.start)))
            }
            Some(Anchored::Complete(node, size)) => {
                self.nodes += size + 1;
                self.nodes_aliased += size;
                if is_excessive(self.nodes, self.nodes_aliased) {
                    let problem = "document contains excessive aliasing";
                    return Err(SyntaxError::global(problem, Some(token.start)));
                }
                Ok(node.clone())
            }
        }
    }

    fn properties(&mut self) -> Result<Properties> {
        let start = self.scanner.peek()?.start;
        let mut properties = Properties { start, end: start, anchor: None, tag: None };
        let mut undefined = None;
        let mut is_tag_seen = false;
        while let TokenKind::Anchor(_) | TokenKind::Tag { .. } = self.scanner.peek()?.kind {
            let is_tag = matches!(self.scanner.peek()?.kind, TokenKind::Tag { .. });
            if (is_tag && is_tag_seen) || (!is_tag && properties.anchor.is_some()) {
                break;
            }
            let token = self.scanner.next()?;
            properties.end = token.end;
            match token.kind {
                TokenKind::Anchor(name) => properties.anchor = Some(name),
                TokenKind::Tag { handle, suffix } => {
                    is_tag_seen = true;
                    properties.tag = self.tag(&handle, &suffix);
                    if properties.tag.is_none() {
                        undefined = Some(token.start);
                    }
                }
                _ => unreachable!("only anchors and tags get here"),
            }
        }
        match undefined {
            Some(mark) => Err(SyntaxError::parser("found undefined tag handle", Some(start), mark)),
            None => Ok(properties),
        }
    }

    /// The tag in its short form where it has one, such as `!!str`.
    fn tag(&self, handle: &str, suffix: &str) -> Option<String> {
        let tag = if handle.is_empty() {
            suffix.to_owned()
        } else {
            format!("{}{suffix}", self.tag_prefixes.get(handle)?)
        };
        Some(match tag.strip_prefix(CORE_TAGS) {
            Some(name) => format!("!!{name}"),
            None => tag,
        })
    }

    fn content(
        &mut self,
        is_block: bool,
        is_indentless_allowed: bool,
        properties: &Properties,
    ) -> Result<Node<P>> {
        let next = self.scanner.peek()?;
        let mark = next.start;
        let kind = match next.kind {
            TokenKind::BlockEntry if is_indentless_allowed => self.indentless_sequence()?,
            TokenKind::Scalar { .. } => {
                let token = self.scanner.next()?;
                let TokenKind::Scalar { text, style } = token.kind else {
                    unreachable!("the match arm says so")
                };
                let span = self.span(token.start.offset, token.end.offset);
                return Ok(Node { span, tag: None, kind: NodeKind::Scalar { text, style } });
            }
            TokenKind::FlowSequenceStart => return self.flow_sequence(),
            TokenKind::FlowMappingStart => return self.flow_mapping(),
            TokenKind::BlockSequenceStart if is_block => self.block_sequence()?,
            TokenKind::BlockMappingStart if is_block => self.block_mapping()?,
            _ if properties.anchor.is_some() || properties.tag.is_some() => {
                let span = self.span(properties.start.offset, properties.end.offset);
                let kind = NodeKind::Scalar { text: String::new(), style: ScalarStyle::Plain };
                return Ok(Node { span, tag: None, kind });
            }
            _ => {
                let problem = "did not find expected node content";
                return Err(SyntaxError::parser(problem, Some(properties.start), mark));
            }
        };
        let end = match &kind {
            NodeKind::Sequence(items) => items.last(),
            NodeKind::Mapping(entries) => entries.last().map(|(_, value)| value),
            NodeKind::Scalar { .. } => None,
        };
        let end = end.map_or(mark.offset, |node| node.span.end());
        Ok(Node { span: self.span(mark.offset, end), tag: None, kind })
    }

    fn indentless_sequence(&mut self) -> Result<NodeKind<P>> {
        use TokenKind::{BlockEnd, BlockEntry, Key, Value};
        let mut items = Vec::new();
        while self.scanner.peek()?.kind == BlockEntry {
            let mark = self.scanner.next()?.end;
            items.push(match self.scanner.peek()?.kind {
                BlockEntry | Key | Value | BlockEnd => self.empty(mark)?,
                _ => self.node(true, false)?,
            });
        }
        Ok(NodeKind::Sequence(items))
    }

    fn block_sequence(&mut self) -> Result<NodeKind<P>> {
        use TokenKind::{BlockEnd, BlockEntry};
        let start = self.scanner.next()?.start;
        let mut items = Vec::new();
        loop {
            let token = self.scanner.peek()?;
            match token.kind {
                BlockEntry => {
                    let mark = self.scanner.next()?.end;
                    items.push(match self.scanner.peek()?.kind {
                        BlockEntry | BlockEnd => self.empty(mark)?,
                        _ => self.node(true, false)?,
                    });
                }
                BlockEnd => {
                    self.scanner.next()?;
                    return Ok(NodeKind::Sequence(items));
                }
                _ => {
                    let problem = "did not find expected '-' indicator";
                    return Err(SyntaxError::parser(problem, Some(start), token.start));
                }
            }
        }
    }

    fn block_mapping(&mut self) -> Result<NodeKind<P>> {
        use TokenKind::{BlockEnd, Key, Value};
        let start = self.scanner.next()?.start;
        let mut entries = Vec::new();
        loop {
            let token = self.scanner.peek()?;
            match token.kind {
                Key => {
                    let mark = self.scanner.next()?.end;
                    let key = match self.scanner.peek()?.kind {
                        Key | Value | BlockEnd => self.empty(mark)?,
                        _ => self.node(true, true)?,
                    };
                    let value = self.block_value()?;
                    entries.push((key, value));
                }
                BlockEnd => {
                    self.scanner.next()?;
                    return Ok(NodeKind::Mapping(entries));
                }
                _ => {
                    let problem = "did not find expected key";
                    return Err(SyntaxError::parser(problem, Some(start), token.start));
                }
            }
        }
    }

    fn block_value(&mut self) -> Result<Node<P>> {
        use TokenKind::{BlockEnd, Key, Value};
        let token = self.scanner.peek()?;
        if token.kind != Value {
            let mark = token.start;
            return self.empty(mark);
        }
        let mark = self.scanner.next()?.end;
        match self.scanner.peek()?.kind {
            Key | Value | BlockEnd => self.empty(mark),
            _ => self.node(true, true),
        }
    }

    /// Steps to the next entry of a flow collection that ends with `close`; false at its end.
    fn flow_entry(&mut self, start: Mark, is_first: bool, close: &TokenKind) -> Result<bool> {
        if !is_first && self.scanner.peek()?.kind != *close {
            let token = self.scanner.peek()?;
            if token.kind != TokenKind::FlowEntry {
                let problem = match close {
                    TokenKind::FlowSequenceEnd => "did not find expected ',' or ']'",
                    _ => "did not find expected ',' or '}'",
                };
                return Err(SyntaxError::parser(problem, Some(start), token.start));
            }
            self.scanner.next()?;
        }
        Ok(self.scanner.peek()?.kind != *close)
    }

    fn flow_sequence(&mut self) -> Result<Node<P>> {
        let start = self.scanner.next()?.start;
        let mut items = Vec::new();
        while self.flow_entry(start, items.is_empty(), &TokenKind::FlowSequenceEnd)? {
            items.push(match self.scanner.peek()?.kind {
                TokenKind::Key => self.flow_pair()?,
                _ => self.node(false, false)?,
            });
        }
        let end = self.scanner.next()?.end;
        let span = self.span(start.offset, end.offset);
        Ok(Node { span, tag: None, kind: NodeKind::Sequence(items) })
    }

    /// `key: value` as an item of a flow sequence.
    fn flow_pair(&mut self) -> Result<Node<P>> {
        use TokenKind::{FlowEntry, FlowSequenceEnd, Value};
        self.count_node()?;
        let start = self.scanner.next()?.end;
        let token = self.scanner.peek()?;
        let key = match token.kind {
            Value | FlowEntry | FlowSequenceEnd => {
                // Go's library steps over this token, whatever it is.
                let mark = self.scanner.next()?.end;
                self.empty(mark)?
            }
            _ => self.node(false, false)?,
        };
        let value = self.flow_value(&FlowSequenceEnd)?;
        let span = self.span(start.offset, value.span.end());
        Ok(Node { span, tag: None, kind: NodeKind::Mapping(vec![(key, value)]) })
    }

    fn flow_value(&mut self, close: &TokenKind) -> Result<Node<P>> {
        if self.scanner.peek()?.kind == TokenKind::Value {
            self.scanner.next()?;
            let next = &self.scanner.peek()?.kind;
            if *next != TokenKind::FlowEntry && next != close {
                return self.node(false, false);
            }
        }
        let mark = self.scanner.peek()?.start;
        self.empty(mark)
    }

    fn flow_mapping(&mut self) -> Result<Node<P>> {
        use TokenKind::{FlowEntry, FlowMappingEnd, Key, Value};
        let start = self.scanner.next()?.start;
        let mut entries = Vec::new();
        while self.flow_entry(start, entries.is_empty(), &FlowMappingEnd)? {
            let entry = if self.scanner.peek()?.kind == Key {
                self.scanner.next()?;
                let token = self.scanner.peek()?;
                let key = match token.kind {
                    Value | FlowEntry | FlowMappingEnd => {
                        let mark = token.start;
                        self.empty(mark)?
                    }
                    _ => self.node(false, false)?,
                };
                (key, self.flow_value(&FlowMappingEnd)?)
            } else {
                let key = self.node(false, false)?;
                let mark = self.scanner.peek()?.start;
                (key, self.empty(mark)?)
            };
            entries.push(entry);
        }
        let end = self.scanner.next()?.end;
        let span = self.span(start.offset, end.offset);
        Ok(Node { span, tag: None, kind: NodeKind::Mapping(entries) })
    }
}

/// What stands in front of a node.
struct Properties {
    start: Mark,
    end: Mark,
    anchor: Option<String>,
    tag: Option<String>,
}

/// Whether too many nodes came from aliases, by the rule of Go's library: nearly all may in a
/// small document, few in a large one.
fn is_excessive(nodes: usize, nodes_aliased: usize) -> bool {
    const LOW: usize = 400_000;
    const HIGH: usize = 4_000_000;
    let allowed = match nodes {
        0..=LOW => 0.99,
        HIGH.. => 0.10,
        _ => 0.99 - 0.89 * ((nodes - LOW) as f64 / (HIGH - LOW) as f64),
    };
    nodes_aliased > 100 && nodes > 1000 && nodes_aliased as f64 / nodes as f64 > allowed
}

#[cfg(test)]
mod tests;
