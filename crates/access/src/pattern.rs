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
    /// What the client's token says under this name.
    Claim(Box<str>),
}

/// What `%c`, `%u` and `${claim}` are in a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holes {
    /// Nothing but these characters.
    None,
    /// The client's names; one that could mean more than one level is none that fits.
    Strict,
    /// The client's names, as Mosquitto puts them in; claims it does not know.
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
        let levels = rest.into_iter().flat_map(|rest| rest.split('/'));
        let levels = levels.map(|level| Level::parse(level, holes)).collect::<Result<_, String>>()?;
        Ok(Pattern { text: text.into(), levels, deep })
    }

    /// Whether it needs a user name.
    pub(crate) fn needs_user(&self) -> bool {
        self.holes().any(|hole| hole.parts.contains(&Part::UserName))
    }

    /// Whether it needs a token that says something.
    pub(crate) fn needs_claim(&self) -> bool {
        self.holes().any(|hole| hole.parts.iter().any(|part| matches!(part, Part::Claim(_))))
    }

    pub(crate) fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.levels.iter().filter_map(|level| match level {
            Level::Hole(hole) => Some(hole),
            Level::Name(_) | Level::Any => None,
        })
    }
}

impl Level {
    fn parse(level: &str, holes: Holes) -> Result<Level, String> {
        if level == "+" {
            return Ok(Level::Any);
        }
        let has_claim = holes == Holes::Strict && level.contains("${");
        if holes == Holes::None || !(level.contains("%c") || level.contains("%u") || has_claim) {
            return Ok(Level::Name(level.into()));
        }
        let (mut parts, mut text) = (Vec::new(), String::new());
        let mut rest = level;
        while let Some(first) = rest.chars().next() {
            let hole = match rest.get(..2) {
                Some("%c") => Some((Part::ClientId, 2)),
                Some("%u") => Some((Part::UserName, 2)),
                Some("${") if has_claim => Some(claim(rest)?),
                _ => None,
            };
            match hole {
                Some((part, length)) => {
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text).into()));
                    }
                    parts.push(part);
                    rest = rest.get(length..).unwrap_or_default();
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
        Ok(Level::Hole(Hole { parts: parts.into(), lenient: holes == Holes::Lenient }))
    }
}

/// The claim at the front of a text, and how long it is.
fn claim(text: &str) -> Result<(Part, usize), String> {
    let name = text.strip_prefix("${").and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
    match name {
        Some("") => Err("name a claim between `${` and `}`: `${tenant}`".to_owned()),
        Some(name) => Ok((Part::Claim(name.into()), name.len() + 3)),
        None => {
            Err("`${` begins the name of a claim, and no `}` ends it in the same level; the name has no `/`"
                .to_owned())
        }
    }
}

/// Whether a name can stand in a level of a rule: not nothing, and no character that means something in a filter.
pub(crate) fn fits(name: &str) -> bool {
    !name.is_empty() && !name.contains(['+', '#', '/', '\0'])
}
