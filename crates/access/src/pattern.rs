//! The topic filter of a rule, taken apart, with places for names that only the client fills. Not the tree in which it is
//! looked up.
//!
//! A name is never put into the text: a level is compared with it. So what a name contains (`+`, `#`, `/`) cannot become
//! part of the filter.

use whimbrel_codec::check_topic_filter;

/// A topic filter of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) text: Box<str>,
    pub(crate) levels: Box<[Level]>,
    /// Whether `#` follows the levels.
    pub(crate) deep: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// This text.
    Name(Box<str>),
    /// `+`.
    Any,
    Hole(Hole),
}

/// A level, or several, that the client's own names complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) parts: Box<[Part]>,
    /// Whether a name may contain `/`, `$` or nothing at all, and stand for what it then means: as in Mosquitto.
    pub(crate) lenient: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Text(Box<str>),
    ClientId,
    UserName,
}

/// What `%c` and `%u` are in a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holes {
    /// Nothing but these characters.
    None,
    /// The client's names; one that could mean more than one level is none that fits.
    Strict,
    /// The client's names, as Mosquitto puts them in.
    Lenient,
}

impl Pattern {
    /// Takes a filter apart.
    ///
    /// # Errors
    /// It is no topic filter, in words.
    pub(crate) fn parse(text: &str, holes: Holes) -> Result<Pattern, String> {
        if text.starts_with("$share/") {
            return Err("name the filter behind $share/NAME/: rules speak of topics, not of who shares them"
                .to_owned());
        }
        check_topic_filter(text).map_err(|fault| format!("{text:?} is no topic filter: {fault}"))?;
        let (rest, deep) = match text.strip_suffix('#') {
            Some("") => (None, true),
            Some(rest) => (rest.strip_suffix('/'), true),
            None => (Some(text), false),
        };
        let levels =
            rest.into_iter().flat_map(|rest| rest.split('/')).map(|level| Level::parse(level, holes));
        Ok(Pattern { text: text.into(), levels: levels.collect(), deep })
    }

    /// Whether it needs a user name.
    pub(crate) fn needs_user(&self) -> bool {
        self.holes().any(|hole| hole.parts.contains(&Part::UserName))
    }

    pub(crate) fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.levels.iter().filter_map(|level| match level {
            Level::Hole(hole) => Some(hole),
            Level::Name(_) | Level::Any => None,
        })
    }
}

impl Level {
    fn parse(level: &str, holes: Holes) -> Level {
        if level == "+" {
            return Level::Any;
        }
        if holes == Holes::None || !(level.contains("%c") || level.contains("%u")) {
            return Level::Name(level.into());
        }
        let (mut parts, mut text) = (Vec::new(), String::new());
        let mut rest = level;
        while let Some(first) = rest.chars().next() {
            let hole = match rest.get(..2) {
                Some("%c") => Some(Part::ClientId),
                Some("%u") => Some(Part::UserName),
                _ => None,
            };
            match hole {
                Some(part) => {
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text).into()));
                    }
                    parts.push(part);
                    rest = rest.get(2..).unwrap_or_default();
                }
                None => {
                    text.push(first);
                    rest = rest.get(first.len_utf8()..).unwrap_or_default();
                }
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        Level::Hole(Hole { parts: parts.into(), lenient: holes == Holes::Lenient })
    }
}

/// Whether a name can stand in a level of a rule: not nothing, and no character that means something in a filter.
pub(crate) fn fits(name: &str) -> bool {
    !name.is_empty() && !name.contains(['+', '#', '/', '\0'])
}
