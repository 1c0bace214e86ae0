//! Label selectors: as documents have them, and as `kubectl -l` writes them.

use std::collections::BTreeMap;

use super::model::{MatchExpression, MatchOperator, Selector};

impl Selector {
    /// Whether labels satisfy every term. An empty selector matches everything.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|expression| expression.matches(labels))
    }

    /// Every label that it looks at.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.match_labels
            .keys()
            .map(String::as_str)
            .chain(self.match_expressions.iter().map(|expression| expression.key.as_str()))
    }

    /// Reads kubectl's form: `a=b,c!=d,e in (x,y),f notin (z),g,!h`.
    ///
    /// # Errors
    /// Says which term cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut selector = Self::default();
        for term in terms(text) {
            let term = term.trim();
            if term.is_empty() {
                return Err("a term is empty".to_owned());
            }
            selector.match_expressions.push(expression(term)?);
        }
        Ok(selector)
    }
}

impl MatchExpression {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            MatchOperator::In => value.is_some_and(|value| self.values.contains(value)),
            MatchOperator::NotIn => !value.is_some_and(|value| self.values.contains(value)),
            MatchOperator::Exists => value.is_some(),
            MatchOperator::DoesNotExist => value.is_none(),
        }
    }
}

/// Splits at commas outside of parentheses; an empty text has no terms.
fn terms(text: &str) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut is_inside = false;
    text.split(move |c: char| {
        match c {
            '(' => is_inside = true,
            ')' => is_inside = false,
            _ => {}
        }
        c == ',' && !is_inside
    })
    .collect()
}

fn expression(term: &str) -> Result<MatchExpression, String> {
    let build = |key: &str, operator, values: Vec<String>| {
        let key = key.trim();
        if !is_label_key(key) {
            return Err(format!("`{term}` does not begin with a label"));
        }
        if let Some(value) = values.iter().find(|value| !is_label_value(value)) {
            return Err(format!("`{value}` cannot be a label's value"));
        }
        Ok(MatchExpression { key: key.to_owned(), operator, values })
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, value)) = term.split_once("!=") {
        return build(key, MatchOperator::NotIn, one(value));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return build(key, MatchOperator::In, one(value));
    }
    if let Some(key) = term.strip_prefix('!') {
        return build(key, MatchOperator::DoesNotExist, Vec::new());
    }
    let Some((key, rest)) = term.split_once(char::is_whitespace) else {
        return build(term, MatchOperator::Exists, Vec::new());
    };
    let rest = rest.trim_start();
    let (operator, list) = match rest.strip_prefix("notin") {
        Some(list) => (MatchOperator::NotIn, Some(list)),
        None => (MatchOperator::In, rest.strip_prefix("in")),
    };
    let values = list
        .map(str::trim)
        .and_then(|list| list.strip_prefix('('))
        .and_then(|list| list.strip_suffix(')'))
        .ok_or_else(|| format!("`{term}` is none of `a=b`, `a!=b`, `a in (b,c)`, `a`, `!a`"))?;
    let values = values.split(',').map(|value| value.trim().to_owned()).collect();
    build(key, operator, values)
}

/// Whether a text can be a label: an optional DNS prefix with `/`, and a name of at most 63
/// characters.
pub fn is_label_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    prefix.is_none_or(is_dns_subdomain) && !name.is_empty() && is_label_value(name)
}

/// Whether a text can be a label's value: at most 63 letters, digits, `-`, `_`, `.`, with a letter
/// or digit at both ends, or nothing.
pub fn is_label_value(text: &str) -> bool {
    let is_end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && is_end(text.chars().next())
        && is_end(text.chars().next_back())
}

/// Whether a text is a DNS label: at most 63 lower-case letters, digits and `-`, with a letter or
/// digit at both ends.
pub fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a text is DNS labels joined by dots, of at most 253 characters.
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        text.split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn terms_mean_what_kubectl_means() {
        let cases = [
            ("", "", true),
            ("a=b", "a=b", true),
            ("a==b", "a=c", false),
            ("a=b,c=d", "a=b", false),
            ("a!=b", "", true),
            ("a!=b", "a=b", false),
            ("a in (b, c)", "a=c", true),
            ("a in (b,c),d", "a=c", false),
            ("a in (b,c),d", "a=c,d=", true),
            ("a notin (b,c)", "", true),
            ("a notin (b,c)", "a=b", false),
            ("a", "a=", true),
            ("!a", "a=b", false),
            (" ! a ,b = c", "b=c", true),
            ("example.org/tier=x", "example.org/tier=x", true),
        ];
        for (selector, given, expected) in cases {
            let found = Selector::parse(selector).unwrap().matches(&labels(given));
            assert_eq!(found, expected, "{selector:?} on {given:?}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["a=b,", ",", "=b", "a in b", "a like (b)", "a=b c", "-a", "a=b=c", "!"] {
            let error = Selector::parse(text).expect_err(text);
            assert!(!error.is_empty());
        }
    }

    proptest! {
        #[test]
        fn match_labels_and_equality_terms_agree(
            wanted in proptest::collection::btree_map("[a-c]", "[x-z]", 0..4),
            given in proptest::collection::btree_map("[a-c]", "[x-z]", 0..4),
        ) {
            let text: Vec<String> = wanted.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let parsed = Selector::parse(&text.join(",")).unwrap();
            let written = Selector { match_labels: wanted, match_expressions: Vec::new() };
            prop_assert_eq!(parsed.matches(&given), written.matches(&given));
        }

        #[test]
        fn a_term_and_its_negation_never_agree(
            given in proptest::collection::btree_map("[a-c]", "[x-z]", 0..4),
        ) {
            for (term, negation) in [("a=x", "a!=x"), ("a in (x,y)", "a notin (x,y)"), ("a", "!a")] {
                let term = Selector::parse(term).unwrap().matches(&given);
                prop_assert_ne!(term, Selector::parse(negation).unwrap().matches(&given));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = Selector::parse(&text);
        }
    }
}
