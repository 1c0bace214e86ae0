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
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    matches_from(&pattern, &text)
}

fn matches_from(pattern: &[char], text: &[char]) -> bool {
    let Some(&first) = pattern.first() else { return text.is_empty() };
    match first {
        '*' => {
            let reach = text.iter().position(|c| *c == '/').unwrap_or(text.len());
            (0..=reach).any(|skip| matches_from(&pattern[1..], &text[skip..]))
        }
        '?' => text.first().is_some_and(|c| *c != '/') && matches_from(&pattern[1..], &text[1..]),
        '[' => {
            let Some((class, rest)) = class(&pattern[1..]) else { return false };
            text.first().is_some_and(|c| class.contains(*c)) && matches_from(rest, &text[1..])
        }
        '\\' => {
            let literal = pattern.get(1);
            literal.is_some() && text.first() == literal && matches_from(&pattern[2..], &text[1..])
        }
        c => text.first() == Some(&c) && matches_from(&pattern[1..], &text[1..]),
    }
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
fn class(pattern: &[char]) -> Option<(Class, &[char])> {
    let is_negated = pattern.first() == Some(&'^');
    let mut rest = &pattern[usize::from(is_negated)..];
    let mut ranges = Vec::new();
    loop {
        if rest.first()? == &']' && !ranges.is_empty() {
            return Some((Class { is_negated, ranges }, &rest[1..]));
        }
        let (low, behind) = class_char(rest)?;
        rest = behind;
        let mut high = low;
        if rest.first()? == &'-' {
            (high, rest) = class_char(&rest[1..])?;
        }
        ranges.push((low, high));
    }
}

fn class_char(pattern: &[char]) -> Option<(char, &[char])> {
    match pattern {
        ['-' | ']', ..] | [] | ['\\'] => None,
        ['\\', c, rest @ ..] | [c, rest @ ..] => Some((*c, rest)),
    }
}

/// Whether Go takes it for a pattern.
fn is_pattern(pattern: &str) -> bool {
    let chars: Vec<char> = pattern.chars().collect();
    let mut rest = chars.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        rest = match first {
            '\\' if behind.is_empty() => return false,
            '\\' => &behind[1..],
            '[' => match class(behind) {
                Some((_, behind)) => behind,
                None => return false,
            },
            _ => behind,
        };
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
