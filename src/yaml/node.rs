//! The spanned tree that both dialects start from. Scalars are still text.

use crate::base::span::Span;

/// A node, with its place or without; aliases are already expanded (within [`crate::base::limits::YAML_NODES_MAX`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Node<P = Span> {
    /// Where it stands.
    pub span: P,
    /// An explicit tag such as `!!str`, as written.
    pub tag: Option<String>,
    /// What it is.
    pub kind: NodeKind<P>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind<P = Span> {
    /// A scalar, unresolved.
    Scalar {
        /// The text, unescaped and unfolded.
        text: String,
        /// How it was written: only plain scalars resolve to anything but a string.
        style: ScalarStyle,
    },
    /// A sequence.
    Sequence(Vec<Node<P>>),
    /// A mapping in source order, duplicates included.
    Mapping(Vec<(Node<P>, Node<P>)>),
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarStyle {
    /// Without quotes.
    Plain,
    /// `'…'`.
    SingleQuoted,
    /// `"…"`.
    DoubleQuoted,
    /// `|`.
    Literal,
    /// `>`.
    Folded,
}

impl<P> Node<P> {
    /// The value of a key, the last one of several; `None` where this is no mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// A key and its value.
    pub fn entry(&self, key: &str) -> Option<(&Self, &Self)> {
        let NodeKind::Mapping(entries) = &self.kind else { return None };
        entries
            .iter()
            .rev()
            .find(|(name, _)| name.text() == Some(key))
            .map(|(name, value)| (name, value))
    }

    /// The node that a path of keys and indexes leads to.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match &node.kind {
            NodeKind::Mapping(_) => node.get(step),
            NodeKind::Sequence(items) => step.parse().ok().and_then(|at: usize| items.get(at)),
            NodeKind::Scalar { .. } => None,
        })
    }

    /// The span of a path, or of the longest part of it that is there.
    pub fn span_at(&self, path: &[&str]) -> &P {
        (0..=path.len())
            .rev()
            .find_map(|length| self.at(&path[..length]))
            .map_or(&self.span, |node| &node.span)
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The items of a sequence; of anything else, none.
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            NodeKind::Sequence(items) => items,
            _ => &[],
        }
    }
}
