//! One key of the configuration as data: its name, what it may hold, what it costs, where it can be set. Not
//! its value: that is a field of the room's struct.

use std::fmt;

/// One key: everything that the file, the environment, the flags and the reference say of it.
#[derive(Debug)]
pub struct Key {
    /// The table of the file in which the key stands.
    pub section: &'static str,
    /// The name of the key inside its section.
    pub name: &'static str,
    /// What the key may hold.
    pub kind: Kind,
    /// The smallest and the largest number allowed, where the kind is a number.
    pub bounds: (u64, u64),
    /// What a number counts.
    pub unit: Option<&'static str>,
    /// The flag of `whimbrel serve` that sets the key, without its dashes.
    pub flag: Option<&'static str>,
    /// A second, shorter name of the environment variable.
    pub environment_short: Option<&'static str>,
    /// A value to show where there is no default.
    pub example: Option<&'static str>,
    /// What it takes for a changed value to count.
    pub reload: Reload,
    doc: &'static [&'static str],
    default: fn() -> Option<String>,
}

/// What a key may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// An integer within the bounds of the key.
    Whole,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these words, or several.
    Choices(&'static [&'static str]),
    /// Any text that is not empty.
    Text,
    /// The path of a file.
    Path,
    /// The path of a file, or several.
    Paths,
    /// A word of a form.
    Form {
        /// The form, in words that follow "allowed is".
        words: &'static str,
        /// One of them.
        example: &'static str,
    },
    /// Words of a form, any number of them.
    Forms {
        /// The form of each, in words that follow "allowed is".
        words: &'static str,
        /// One of them.
        example: &'static str,
    },
    /// An IP address, or `localhost`, and a port; or the path of a Unix socket.
    Address,
    /// A log level, or several with the part of the program for which each counts.
    Levels,
    /// The word `auto`, or what this kind allows.
    OrAuto(&'static Kind),
}

/// What it takes for a changed value to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The value is read at start.
    Restart,
    /// The value is read at start and at a reload.
    Live,
    /// The value is read at start; a reload opens the file that it names anew.
    Reopened,
    /// The value is read at start; a reload reads the file that it names again.
    Reread,
}

impl Key {
    pub(super) const fn new(
        section: &'static str,
        name: &'static str,
        kind: Kind,
        doc: &'static [&'static str],
        default: fn() -> Option<String>,
    ) -> Self {
        Self {
            section,
            name,
            kind,
            bounds: (0, u64::MAX),
            unit: None,
            flag: None,
            environment_short: None,
            example: None,
            // What there can be several of comes, changes and goes by a reload.
            reload: if super::is_numbered(section) { Reload::Live } else { Reload::Restart },
            doc,
            default,
        }
    }

    pub(super) const fn within(mut self, min: u64, max: u64) -> Self {
        self.bounds = (min, max);
        self
    }

    pub(super) const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    pub(super) const fn flag(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }

    pub(super) const fn environment_short(mut self, name: &'static str) -> Self {
        self.environment_short = Some(name);
        self
    }

    pub(super) const fn example(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    pub(super) const fn reload(mut self, reload: Reload) -> Self {
        self.reload = reload;
        self
    }

    /// The key with its section: `limits.packet_bytes_max`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The environment variable that sets the key. `number` counts listeners or tokens from 1 and is used for
    /// nothing else.
    pub fn environment(&self, number: impl fmt::Display) -> String {
        let name = self.name.to_ascii_uppercase();
        let section = self.section.to_ascii_uppercase();
        match super::is_numbered(self.section) {
            true => format!("WHIMBREL_{section}_{number}_{name}"),
            false => format!("WHIMBREL_{section}_{name}"),
        }
    }

    /// All variables that set the key. The first counts if several are set.
    pub fn environments(&self, number: impl fmt::Display) -> impl Iterator<Item = String> {
        std::iter::once(self.environment(number)).chain(self.environment_short.map(str::to_owned))
    }

    /// The default as it would stand in the file; none where the key is then not set at all.
    pub fn default(&self) -> Option<String> {
        (self.default)()
    }

    /// The lines of the explanation: what the key does, and what it costs.
    pub fn doc(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.doc.iter().map(|line| line.trim())
    }

    /// What the key may hold, in words that follow "allowed is".
    pub fn allowed(&self) -> String {
        let mut words = self.kind.in_words(self.bounds);
        if let (Some(unit), true) = (self.unit, self.kind.is_whole()) {
            words.push_str(&format!(" ({unit})"));
        }
        words
    }
}

impl Kind {
    /// Whether a number may stand here.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Whole | Self::OrAuto(Self::Whole))
    }

    pub(super) fn in_words(self, (min, max): (u64, u64)) -> String {
        match self {
            Self::Switch => "true or false".to_owned(),
            Self::Whole => format!("an integer from {} to {}", grouped(min), grouped(max)),
            Self::Choice(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                quoted.join(" or ")
            }
            Self::Choices(words) => {
                let one = Self::Choice(words).in_words((min, max));
                format!("{one}, or several in [], in the environment with commas between them")
            }
            Self::Text => "a text that is not empty".to_owned(),
            Self::Path => "the path of a file".to_owned(),
            Self::Paths => {
                "the path of a file, or several: [\"a.pem\", \"b.pem\"], in the environment a.pem,b.pem"
                    .to_owned()
            }
            Self::Form { words, .. } => words.to_owned(),
            Self::Forms { words, .. } => {
                format!("{words}, or several in [], in the environment with commas between them")
            }
            Self::Address => {
                "an IP address and a port, such as \"0.0.0.0:1883\", \"[::]:1883\" or \"localhost:1883\", or the path \
                 of a Unix socket: \"unix:/run/whimbrel/mqtt.sock\""
                    .to_owned()
            }
            Self::Levels => {
                "\"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\", or several such as \
                 \"info,whimbrel_broker=debug\""
                    .to_owned()
            }
            Self::OrAuto(kind) => format!("\"auto\" or {}", kind.in_words((min, max))),
        }
    }
}

impl Reload {
    /// A sentence for the reference.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Restart => "Read at start.",
            Self::Live => "Read at start and at a reload.",
            Self::Reopened => "Read at start; a reload opens the file of that name anew.",
            Self::Reread => "Read at start; a reload reads the file of that name again.",
        }
    }
}

/// A number the way the file may write it: in groups of three digits from 10_000 up.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}
