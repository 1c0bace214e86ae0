//! Errors with their causes as one line.

use std::error::Error;

/// An error and its causes. Some errors repeat their cause in their own text: those are told once.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Told {
        text: &'static str,
        source: Option<Box<Told>>,
    }

    #[test]
    fn a_cause_that_is_told_already_is_not_told_again() {
        let inner = Told { text: "no route", source: None };
        let middle = Told { text: "connect: no route", source: Some(Box::new(inner)) };
        let outer = Told { text: "reading the pods", source: Some(Box::new(middle)) };
        assert_eq!(chain(&outer), "reading the pods: connect: no route");
    }
}
