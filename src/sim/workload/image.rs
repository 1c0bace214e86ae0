//! What an image's tag foretells: the only knob of a simulated workload, and one that travels
//! with the change under test.

/// What becomes of a container that runs an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Starts within seconds.
    Fine,
    /// Takes a minute to start: the tag has `slow`.
    Slow,
    /// Cannot be pulled, ever: the tag has `broken`.
    Unpullable,
    /// Ends a second after each start: the tag has `crash`.
    Crashing,
    /// Runs well for three minutes, and is then [`Fate::Crashing`]: the tag has `fades`.
    Fading,
}

/// The fate of an image reference, by its tag.
pub(super) fn fate(image: &str) -> Fate {
    let tag = tag(image);
    if tag.contains("broken") {
        Fate::Unpullable
    } else if tag.contains("crash") {
        Fate::Crashing
    } else if tag.contains("fades") {
        Fate::Fading
    } else if tag.contains("slow") {
        Fate::Slow
    } else {
        Fate::Fine
    }
}

/// The tag of `registry:5000/path/name:tag@digest`; empty where there is none.
pub(in crate::sim) fn tag(image: &str) -> &str {
    let named = image.split('@').next().unwrap_or_default();
    let last = named.rsplit('/').next().unwrap_or_default();
    last.split_once(':').map_or("", |(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tag_tells() {
        assert_eq!(fate("registry.example.org:5000/broken/server:v1"), Fate::Fine);
        assert_eq!(fate("server:v1-broken"), Fate::Unpullable);
        assert_eq!(fate("server:v1-crash@sha256:0"), Fate::Crashing);
        assert_eq!(fate("r:5/server:slow"), Fate::Slow);
        assert_eq!(fate("server:v1-fades"), Fate::Fading);
        assert_eq!(fate("server"), Fate::Fine);
    }
}
