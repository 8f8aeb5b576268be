//! How two filters lie to each other: whether one matches all that the other does, or anything of it.

use std::borrow::Cow;

/// A filter without places to be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape<'a> {
    pub(crate) steps: Vec<Step<'a>>,
    pub(crate) deep: bool,
    /// Whether wildcards at the first level match topics that begin with `$`, too.
    pub(crate) all: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Name(Cow<'a, str>),
    Any,
}

impl<'a> Shape<'a> {
    /// Of a valid filter.
    pub(crate) fn of(filter: &'a str) -> Shape<'a> {
        let (mut steps, mut deep) = (Vec::new(), false);
        for level in filter.split('/') {
            match level {
                "#" => deep = true,
                "+" => steps.push(Step::Any),
                name => steps.push(Step::Name(name.into())),
            }
        }
        Shape { steps, deep, all: false }
    }

    /// Whether it begins with `$`, so that only filters which say so match the same topics.
    fn is_reserved(&self) -> bool {
        matches!(self.steps.first(), Some(Step::Name(name)) if name.starts_with('$'))
    }

    fn begins_with_wildcard(&self) -> bool {
        !matches!(self.steps.first(), Some(Step::Name(_)))
    }

    /// Whether the wildcard in front of one of the two keeps them apart.
    fn are_apart(&self, other: &Shape<'_>) -> bool {
        (self.is_reserved() && other.begins_with_wildcard() && !other.all)
            || (other.is_reserved() && self.begins_with_wildcard() && !self.all)
    }

    /// Whether it matches every topic that the other one matches.
    pub(crate) fn covers(&self, other: &Shape<'_>) -> bool {
        if self.are_apart(other) || (other.all && !self.all && other.begins_with_wildcard()) {
            return false;
        }
        if self.deep && matches!(self.steps.as_slice(), [Step::Any]) {
            return true; // `+/#` is all that `#` is: every topic has a first level.
        }
        let mut others = other.steps.iter();
        for own in &self.steps {
            let same = match (own, others.next()) {
                (_, None) => false,
                (Step::Any, Some(_)) => true,
                (Step::Name(own), Some(Step::Name(other))) => own == other,
                (Step::Name(_), Some(Step::Any)) => false,
            };
            if !same {
                return false;
            }
        }
        self.deep || (others.next().is_none() && !other.deep)
    }

    /// Whether there is a topic that both match.
    pub(crate) fn overlaps(&self, other: &Shape<'_>) -> bool {
        if self.are_apart(other) {
            return false;
        }
        let pairs = self.steps.iter().zip(&other.steps);
        let mut meet = pairs.map(|(own, other)| match (own, other) {
            (Step::Name(own), Step::Name(other)) => own == other,
            _ => true,
        });
        if !meet.all(|meets| meets) {
            return false;
        }
        match self.steps.len().cmp(&other.steps.len()) {
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Less => self.deep,
            std::cmp::Ordering::Greater => other.deep,
        }
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_codec::matches;

    use super::Shape;

    const LEVELS: [&str; 4] = ["a", "b", "$s", ""];

    /// Every filter and every topic of up to three of a few levels.
    fn filters_and_topics() -> (Vec<String>, Vec<String>) {
        let (mut filters, mut topics) = (vec!["#".to_owned()], Vec::new());
        let mut fronts = vec![None];
        for _ in 0..3 {
            let mut longer = Vec::new();
            for front in &fronts {
                let join = |level: &str| match front {
                    Some(front) => format!("{front}/{level}"),
                    None => level.to_owned(),
                };
                longer.extend(["+"].iter().chain(&LEVELS).map(|level| Some(join(level))));
            }
            for text in longer.iter().flatten() {
                filters.push(format!("{text}/#"));
                filters.extend((!text.is_empty()).then(|| text.clone()));
                topics.extend((!text.is_empty() && !text.contains('+')).then(|| text.clone()));
            }
            fronts = longer;
        }
        // One level more than any filter has.
        topics.extend(LEVELS.iter().map(|level| format!("a/b/a/{level}")));
        topics.extend(["$s/a/b/a", "z", "z/z", "a/z", "$z", "$z/a"].map(str::to_owned));
        (filters, topics)
    }

    #[test]
    fn covering_and_overlapping_are_what_topics_say() {
        let (filters, topics) = filters_and_topics();
        let filters: Vec<&String> = filters.iter().step_by(3).collect();
        for one in &filters {
            for other in &filters {
                let both = topics.iter().any(|topic| matches(one, topic) && matches(other, topic));
                let only_other = topics.iter().any(|topic| !matches(one, topic) && matches(other, topic));
                let (shape, other_shape) = (Shape::of(one), Shape::of(other));
                assert!(!both || shape.overlaps(&other_shape), "{one} meets {other}");
                assert!(!only_other || !shape.covers(&other_shape), "{one} does not cover {other}");
            }
        }
    }

    #[test]
    fn a_filter_covers_what_it_should() {
        let check = |one: &str, other: &str, covers: bool, overlaps: bool| {
            let (one_shape, other_shape) = (Shape::of(one), Shape::of(other));
            assert_eq!(one_shape.covers(&other_shape), covers, "{one} covers {other}");
            assert_eq!(one_shape.overlaps(&other_shape), overlaps, "{one} overlaps {other}");
        };
        check("#", "a/+/b", true, true);
        check("#", "#", true, true);
        check("+/#", "#", true, true);
        check("+/#", "$SYS/#", false, false);
        check("#", "$SYS/#", false, false);
        check("$SYS/#", "#", false, false);
        check("+/a", "$SYS/a", false, false);
        check("a/#", "a", true, true);
        check("a/#", "a/#", true, true);
        check("a/+", "a/#", false, true);
        check("a/+/#", "a/#", false, true);
        check("a/#", "a/+/#", true, true);
        check("a/+", "a/b", true, true);
        check("a/b", "a/+", false, true);
        check("a", "a/#", false, true);
        check("a/b", "a/c", false, false);
        check("+/+", "a/b", true, true);
        check("+", "a/b", false, false);
    }
}
