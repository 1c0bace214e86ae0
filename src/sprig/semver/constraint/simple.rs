//! Ranges as charts write them: conditions side by side, such as `>=1.19-0 <1.30`. To compile the
//! expressions that describe every range takes longer than to render a small chart.

use super::{Condition, ConstraintError, Operator};

/// The conditions of a range without alternatives and hyphens; `None` for what only the whole
/// grammar can tell.
pub(super) fn conditions(text: &str) -> Option<Result<Vec<Condition>, ConstraintError>> {
    let mut rest = text.trim_matches(is_space);
    let mut conditions = Vec::new();
    loop {
        let (condition, behind) = condition(rest)?;
        match condition {
            Ok(condition) => conditions.push(condition),
            Err(error) => return Some(Err(error)),
        }
        if behind.is_empty() {
            return Some(Ok(conditions));
        }
        rest = behind.trim_start_matches(is_space);
        rest = rest.strip_prefix(',').map_or(rest, |rest| rest.trim_start_matches(is_space));
        // Something has to separate two conditions.
        if rest.len() == behind.len() {
            return None;
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\x0C' | '\r' | ' ')
}

fn condition(text: &str) -> Option<(Result<Condition, ConstraintError>, &str)> {
    let (operator, rest) = split(text, |byte| b"=!<>~^".contains(&byte));
    let operator = Operator::find(operator)?;
    let rest = rest.trim_start_matches(is_space);
    let mut rest = rest.strip_prefix('v').unwrap_or(rest);
    let mut numbers = [""; 3];
    for (at, number) in numbers.iter_mut().enumerate() {
        let behind = match at {
            0 => rest,
            _ => match rest.strip_prefix('.') {
                Some(behind) => behind,
                None => break,
            },
        };
        (*number, rest) = part(behind)?;
    }
    let (prerelease, rest) = identifiers(rest, '-')?;
    let (_, rest) = identifiers(rest, '+')?;
    Some((Condition::new(operator, numbers, prerelease), rest))
}

/// A number, or what leaves it open.
fn part(text: &str) -> Option<(&str, &str)> {
    let (number, rest) = split(text, |byte| byte.is_ascii_digit());
    if !number.is_empty() {
        return Some((number, rest));
    }
    text.starts_with(['x', 'X', '*']).then(|| text.split_at(1))
}

/// What a mark introduces, with it; nothing if it is not there.
fn identifiers(text: &str, mark: char) -> Option<(&str, &str)> {
    if !text.starts_with(mark) {
        return Some(("", text));
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let length = 1 + text[1..].bytes().take_while(|byte| is_part(*byte)).count();
    let (found, rest) = text.split_at(length);
    found[1..].split('.').all(|part| !part.is_empty()).then_some((found, rest))
}

fn split(text: &str, is_wanted: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().take_while(|byte| is_wanted(*byte)).count())
}

#[cfg(test)]
mod tests {
    use super::super::{Alternative, Constraint};

    #[test]
    fn simple_ranges_are_what_the_whole_grammar_says() {
        for text in [
            ">=1.19-0",
            "^1.x",
            "  ~> v1.2.3-rc.1+b.2 ",
            "1",
            "*",
            "=>1.2",
            "=<1.2.X",
            "!=1.2,<3",
            "> 1.2  , < 2",
            "<2 >1",
            "1.2.3.4",
            ">=1.2-",
            ">=1.2-a..b",
            "1.2 - 3.4",
            ">= 1 || < 2",
            "1|2",
            ">>1",
            "",
            ",",
            "1,",
            "v",
            "1.2=3",
            ">=99999999999999999999",
            "1.2-01",
        ] {
            let whole = Alternative::parse(text).map(|one| format!("{one:?}"));
            if let Some(conditions) = super::conditions(text) {
                assert_eq!(
                    conditions.map(|all| format!("{:?}", Alternative::of(all))),
                    whole,
                    "{text:?}"
                );
            } else {
                assert_ne!(format!("{:?}", Constraint::parse(text)), "", "{text:?}");
            }
        }
    }
}
