//! File patterns of `.Files.Glob`: `*` and `?` stay within a folder, `**` does not, `[a-z]`,
//! `[!a]` and `{one,two}` choose.

/// A pattern.
#[derive(Debug)]
pub(super) struct Glob {
    /// One for each combination of the choices in braces.
    alternatives: Vec<Vec<char>>,
}

/// Combinations beyond this number do not count.
const ALTERNATIVES_MAX: usize = 1_000;

impl Glob {
    /// Reads a pattern. One that is no pattern matches everything, as in Helm.
    pub(super) fn new(pattern: &str) -> Self {
        let chars: Vec<char> = pattern.chars().collect();
        let alternatives = expand(&chars).unwrap_or_else(|| vec![vec!['*', '*']]);
        Self { alternatives }
    }

    /// Whether a path matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        self.alternatives.iter().any(|pattern| matches(pattern, &path))
    }
}

/// Writes out the choices in braces; `None` where braces or brackets are not closed.
fn expand(pattern: &[char]) -> Option<Vec<Vec<char>>> {
    let mut expanded: Vec<Vec<char>> = vec![Vec::new()];
    let mut rest = pattern;
    while let Some((first, behind)) = rest.split_first() {
        let (choices, behind) = match first {
            '\\' => {
                let (escaped, behind) = behind.split_first()?;
                (vec![vec!['\\', *escaped]], behind)
            }
            '[' => {
                let end = behind.iter().position(|c| *c == ']')?;
                let mut class = vec!['['];
                class.extend(&behind[..=end]);
                (vec![class], &behind[end + 1..])
            }
            '{' => choices(behind)?,
            c => (vec![vec![*c]], behind),
        };
        let mut next = Vec::new();
        for start in &expanded {
            for choice in choices.iter().take(ALTERNATIVES_MAX) {
                next.push([start.as_slice(), choice].concat());
            }
        }
        next.truncate(ALTERNATIVES_MAX);
        expanded = next;
        rest = behind;
    }
    Some(expanded)
}

/// The choices behind a `{`, each written out, and what follows the `}`.
fn choices(pattern: &[char]) -> Option<(Vec<Vec<char>>, &[char])> {
    let mut found = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    let mut at = 0;
    loop {
        match pattern.get(at)? {
            '\\' => at += 1,
            '{' => depth += 1,
            ',' if depth == 0 => {
                found.extend(expand(&pattern[start..at])?);
                start = at + 1;
            }
            '}' if depth == 0 => {
                found.extend(expand(&pattern[start..at])?);
                return Some((found, &pattern[at + 1..]));
            }
            '}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

fn matches(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', '*', rest @ ..] => (0..=path.len()).any(|skip| matches(rest, &path[skip..])),
        ['*', rest @ ..] => {
            let reach = path.iter().position(|c| *c == '/').unwrap_or(path.len());
            (0..=reach).any(|skip| matches(rest, &path[skip..]))
        }
        ['?', rest @ ..] => path.first().is_some_and(|c| *c != '/') && matches(rest, &path[1..]),
        ['[', rest @ ..] => {
            let end = rest.iter().position(|c| *c == ']').unwrap_or(rest.len());
            path.first().is_some_and(|c| class_has(&rest[..end], *c))
                && matches(rest.get(end + 1..).unwrap_or_default(), &path[1..])
        }
        ['\\', c, rest @ ..] | [c, rest @ ..] => {
            path.first() == Some(c) && matches(rest, &path[1..])
        }
    }
}

fn class_has(class: &[char], c: char) -> bool {
    let (is_negated, class) = match class {
        ['!', rest @ ..] => (true, rest),
        class => (false, class),
    };
    let is_in = match class {
        [low, '-', high] => (*low..=*high).contains(&c),
        class => class.contains(&c),
    };
    is_in != is_negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_helm_matches() {
        let cases = [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a/b.yaml", false),
            ("**.yaml", "a/b.yaml", true),
            ("a/**", "a/b/c", true),
            ("a/*", "a/b/c", false),
            ("a/?.txt", "a/b.txt", true),
            ("{a,b/*}.txt", "b/c.txt", true),
            ("{a,b{1,2}}", "b2", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("{a", "anything", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(Glob::new(pattern).matches(path), expected, "{pattern} {path}");
        }
    }
}
