//! `.helmignore`: which files of a folder are not part of the chart. Helm's rules, which are not
//! git's: no `**`, and a `!` rule ignores what it does not match.

/// The rules of one folder.
#[derive(Debug, Default)]
pub struct IgnoreRules {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: String,
    is_negated: bool,
    is_folder_only: bool,
    /// Whether the pattern is matched against the whole path.
    is_path: bool,
}

impl IgnoreRules {
    /// Reads a `.helmignore`; the empty text gives Helm's built-in rule only.
    ///
    /// # Errors
    /// Helm's text, for a pattern it does not have.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Self::default();
        for line in text.trim_start_matches('\u{feff}').lines() {
            rules.add(line)?;
        }
        rules.add("templates/.?*")?;
        Ok(rules)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.contains("**") {
            return Err("double-star (**) syntax is not supported".to_owned());
        }
        if !is_pattern(line) {
            return Err("syntax error in pattern".to_owned());
        }
        let (is_negated, line) = match line.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (is_folder_only, line) = match line.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let is_path = line.contains('/');
        let pattern = line.strip_prefix('/').unwrap_or(line).to_owned();
        self.rules.push(Rule { pattern, is_negated, is_folder_only, is_path });
        Ok(())
    }

    /// Whether a path relative to the chart is ignored; an ignored folder is not looked into.
    pub fn is_ignored(&self, path: &str, is_folder: bool) -> bool {
        if matches!(path, "" | "." | "./") {
            return false;
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        for rule in &self.rules {
            let subject = if rule.is_path { path } else { name };
            let is_kind = !rule.is_folder_only || is_folder;
            let is_match = is_kind && matches(&rule.pattern, subject);
            if is_match != rule.is_negated {
                return true;
            }
        }
        false
    }
}

/// Go's `filepath.Match`: `*` and `?` do not match `/`, `[a-z]` and `[^a-z]` are classes.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut chars = pattern.chars();
    let Some(first) = chars.next() else { return text.is_empty() };
    let behind = chars.as_str();
    match first {
        // The most usual patterns, such as `*.bak`.
        '*' if is_literal(behind) => {
            text.strip_suffix(behind).is_some_and(|start| !start.contains('/'))
        }
        '*' => {
            let reach = text.find('/').unwrap_or(text.len());
            let ends = text[..reach].char_indices().map(|(at, _)| at).chain([reach]);
            ends.into_iter().any(|at| matches(behind, &text[at..]))
        }
        '?' => after(text, |c| c != '/').is_some_and(|text| matches(behind, text)),
        '[' => class(behind).is_some_and(|(class, behind)| {
            after(text, |c| class.contains(c)).is_some_and(|text| matches(behind, text))
        }),
        '\\' => match split_first(behind) {
            Some((literal, behind)) => {
                after(text, |c| c == literal).is_some_and(|text| matches(behind, text))
            }
            None => false,
        },
        literal => text.strip_prefix(literal).is_some_and(|text| matches(behind, text)),
    }
}

/// Whether every character of a pattern stands for itself, and not for a folder's end.
fn is_literal(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '\\', '/'])
}

/// What stands behind the first character, if it is wanted.
fn after(text: &str, is_wanted: impl Fn(char) -> bool) -> Option<&str> {
    let (first, rest) = split_first(text)?;
    is_wanted(first).then_some(rest)
}

fn split_first(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    Some((chars.next()?, chars.as_str()))
}

struct Class {
    is_negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    fn contains(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != self.is_negated
    }
}

/// The class behind a `[`, and what follows its `]`.
fn class(pattern: &str) -> Option<(Class, &str)> {
    let (is_negated, mut rest) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut ranges = Vec::new();
    loop {
        if let Some(behind) = rest.strip_prefix(']')
            && !ranges.is_empty()
        {
            return Some((Class { is_negated, ranges }, behind));
        }
        let (low, behind) = class_char(rest)?;
        rest = behind;
        let mut high = low;
        if let Some(behind) = rest.strip_prefix('-') {
            (high, rest) = class_char(behind)?;
        }
        if rest.is_empty() {
            return None;
        }
        ranges.push((low, high));
    }
}

fn class_char(pattern: &str) -> Option<(char, &str)> {
    match split_first(pattern)? {
        ('-' | ']', _) => None,
        ('\\', rest) => split_first(rest),
        found => Some(found),
    }
}

/// Whether Go takes it for a pattern.
fn is_pattern(pattern: &str) -> bool {
    let mut rest = pattern;
    while let Some((first, behind)) = split_first(rest) {
        let next = match first {
            '\\' => split_first(behind).map(|(_, behind)| behind),
            '[' => class(behind).map(|(_, behind)| behind),
            _ => Some(behind),
        };
        match next {
            Some(next) => rest = next,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_ignore_what_helm_ignores() {
        let rules = "# comment\n*.bak\n/root.txt\ndir/\na/b.txt\n.git\n[xy]?.z\nlast\\*\n";
        let rules = IgnoreRules::parse(rules).expect("they are rules");
        let cases = [
            ("x.bak", false, true),
            ("a/x.bak", false, true),
            ("root.txt", false, true),
            ("a/root.txt", false, false),
            ("dir", true, true),
            ("dir", false, false),
            ("a/b.txt", false, true),
            ("c/a/b.txt", false, false),
            (".git", true, true),
            ("q/x1.z", false, true),
            ("q/z1.z", false, false),
            ("last*", false, true),
            ("templates/.hidden", false, true),
            ("templates/a.yaml", false, false),
        ];
        for (path, is_folder, expected) in cases {
            assert_eq!(rules.is_ignored(path, is_folder), expected, "{path}");
        }
    }

    #[test]
    fn a_negated_rule_ignores_everything_else() {
        let rules = IgnoreRules::parse("!*.yaml").expect("it is a rule");
        assert!(!rules.is_ignored("a.yaml", false));
        assert!(rules.is_ignored("a.txt", false));
    }

    #[test]
    fn patterns_that_helm_refuses_are_refused() {
        assert!(IgnoreRules::parse("a/**").is_err());
        assert!(IgnoreRules::parse("a[").is_err());
    }
}
