//! What client identifiers may look like, and which of them a user may have. Pure. Not who has a session already: that is the
//! engine's.

/// Which characters a name may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Characters {
    /// Every one that MQTT allows.
    #[default]
    Any,
    /// Those of one level of a topic that nobody mistakes: no `+`, `#`, `/`, no control characters and no space other than
    /// an ordinary one.
    Level,
    /// Letters and digits of ASCII, and `.`, `_`, `:`, `-`.
    Plain,
}

/// What a client identifier has to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) bytes_max: usize,
    pub(crate) characters: Characters,
    /// Patterns of which one has to fit; none: every one fits. `%u` is the user name, `*` any characters.
    pub(crate) patterns: Vec<String>,
}

impl Characters {
    /// The first that is not one of them.
    fn fault(self, text: &str) -> Option<char> {
        text.chars().find(|character| match self {
            Characters::Any => false,
            Characters::Level => {
                matches!(character, '+' | '#' | '/')
                    || character.is_control()
                    || (character.is_whitespace() && *character != ' ')
            }
            Characters::Plain => {
                !(character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | ':' | '-'))
            }
        })
    }
}

impl Rules {
    /// Why somebody who has proved this user name may not have this client identifier, in words for the client. One that
    /// the server assigns is not asked about.
    pub(crate) fn fault(&self, client_id: &str, user: Option<&str>) -> Option<String> {
        if client_id.is_empty() {
            return None;
        }
        if client_id.len() > self.bytes_max {
            return Some(format!("a client identifier has at most {} bytes here", self.bytes_max));
        }
        if let Some(character) = self.characters.fault(client_id) {
            return Some(format!("a client identifier has no {character:?} here"));
        }
        let fits = |pattern: &String| fits(pattern, client_id, user);
        (!self.patterns.is_empty() && !self.patterns.iter().any(fits))
            .then(|| "this client identifier is not one that its user may have".to_owned())
    }
}

/// Whether a client identifier is of the pattern. Where nobody has proved a name, `%u` fits nothing; nor does a name with
/// nothing in it.
fn fits(pattern: &str, client_id: &str, user: Option<&str>) -> bool {
    let pieces: Vec<&str> = pattern.split('*').collect();
    let user = user.filter(|user| !user.is_empty());
    if pattern.contains("%u") && user.is_none() {
        return false;
    }
    let piece = |piece: &str| piece.replace("%u", user.unwrap_or_default());
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return false };
    let Some(mut rest) = client_id.strip_prefix(&*piece(first)) else { return false };
    if pieces.len() == 1 {
        return rest.is_empty();
    }
    for middle in pieces.get(1..pieces.len() - 1).unwrap_or_default() {
        let middle = piece(middle);
        let Some(at) = rest.find(&*middle) else { return false };
        rest = rest.get(at + middle.len()..).unwrap_or_default();
    }
    rest.ends_with(&*piece(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(patterns: &[&str]) -> Rules {
        let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Rules { bytes_max: 20, characters: Characters::Any, patterns }
    }

    #[test]
    fn a_client_identifier_belongs_to_the_user_whose_name_is_in_it() {
        let own = rules(&["%u", "%u-*", "shared-*"]);
        for (id, user, allowed) in [
            ("anna", Some("anna"), true),
            ("anna-lamp", Some("anna"), true),
            ("anna-lamp", Some("ann"), false),
            ("annalamp", Some("anna"), false),
            ("ben-lamp", Some("anna"), false),
            ("shared-7", Some("anna"), true),
            ("shared-7", None, true),
            ("-lamp", None, false),
            ("-lamp", Some(""), false),
            ("", Some("anna"), true),
        ] {
            assert_eq!(own.fault(id, user).is_none(), allowed, "{id} of {user:?}");
        }
    }

    #[test]
    fn a_name_with_a_star_in_it_is_that_name() {
        let own = rules(&["%u-*"]);
        assert!(own.fault("*-x", Some("*")).is_none());
        assert!(own.fault("ben-x", Some("*")).is_some(), "a user who is called * has not all identifiers");
    }

    #[test]
    fn stars_stand_for_anything_between_what_has_to_be_there() {
        let between = rules(&["a*b*c"]);
        for (id, allowed) in
            [("abc", true), ("a-b-c", true), ("abbc", true), ("ac", false), ("abcd", false), ("ab", false)]
        {
            assert_eq!(between.fault(id, None).is_none(), allowed, "{id}");
        }
        assert!(rules(&["ab*ab"]).fault("ab", None).is_some(), "nothing is there twice");
    }

    #[test]
    fn length_and_characters() {
        let of = |characters, id: &str| Rules { characters, ..rules(&[]) }.fault(id, None).is_none();
        assert!(of(Characters::Any, "a/+ #\u{7}") && !of(Characters::Any, &"x".repeat(21)));
        for (id, level, plain) in [
            ("lamp-7", true, true),
            ("a:b_c.d", true, true),
            ("Lampe im Flür", true, false),
            ("a/b", false, false),
            ("a+", false, false),
            ("#", false, false),
            ("a\tb", false, false),
            ("a\u{a0}b", false, false),
        ] {
            assert_eq!((of(Characters::Level, id), of(Characters::Plain, id)), (level, plain), "{id:?}");
        }
    }
}
