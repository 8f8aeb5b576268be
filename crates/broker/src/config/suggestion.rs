//! What may have been meant by a name that does not exist. Not a judgement on it.

/// Below this likeness a suggestion would puzzle more than it helps.
const LIKENESS_MIN: f64 = 0.65;

/// The known name that is most like this one, if any is like it.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (likeness(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

/// From 0 to 1. Names that differ in the order of their words only (`max_connections`) are like each other.
fn likeness(one: &str, other: &str) -> f64 {
    let letters = strsim::normalized_damerau_levenshtein(one, other);
    let words = strsim::normalized_damerau_levenshtein(&sorted_words(one), &sorted_words(other));
    letters.max(words)
}

fn sorted_words(name: &str) -> String {
    let lower = name.to_lowercase();
    let mut words: Vec<&str> = lower.split(['_', '-']).collect();
    words.sort_unstable();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelled_name_finds_the_one_that_was_meant() {
        let known = ["connections_max", "packet_bytes_max", "queue_bytes_max", "topic_levels_max"];
        let check = |name: &str, expect: Option<&str>| assert_eq!(nearest(name, known), expect, "{name}");
        check("conections_max", Some("connections_max"));
        check("max_connections", Some("connections_max"));
        check("packet-bytes-max", Some("packet_bytes_max"));
        check("PACKET_BYTES_MAX", Some("packet_bytes_max"));
        check("topic_level_max", Some("topic_levels_max"));
        check("colour", None);
        check("", None);
    }
}
