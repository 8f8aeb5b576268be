//! How a value that somebody wrote becomes the value of a field, and how a field is written back. Not where
//! the value was written: that is `source`.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::key::{Kind, grouped};

/// A type that a key may have.
pub(super) trait Setting: Sized {
    /// What the type allows, for messages and the reference.
    const KIND: Kind;

    /// The value that was given, or nothing if it is not allowed here.
    fn read(given: &Given<'_>, bounds: (u64, u64)) -> Option<Self>;

    /// The value as it would stand in the file, or nothing if the key is not set.
    fn show(&self) -> Option<String>;
}

/// A value that somebody gave for a key.
pub(super) struct Given<'a> {
    pub(super) value: Value<'a>,
    /// The folder from which a relative path counts; none for the folder in which the process runs.
    pub(super) folder: Option<&'a Path>,
}

/// The shape in which a value was given.
pub(super) enum Value<'a> {
    /// `true` or `false` in the file.
    Switch(bool),
    /// A number in the file.
    Whole(u64),
    /// A text in quotes in the file.
    Text(&'a str),
    /// A word from the environment or a flag: it is what the key takes it for.
    Word(&'a str),
    /// Texts in [] in the file.
    Texts(Vec<&'a str>),
    /// Anything else: a table, a date, a number below zero.
    Foreign,
}

/// A value, or the word `auto`: the broker then finds a value that fits the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auto<T> {
    /// The broker chooses.
    #[default]
    Auto,
    /// This value and no other.
    Set(T),
}

/// A type whose values are a handful of words.
pub(super) trait Choice: Copy + PartialEq + 'static {
    const WORDS: &'static [&'static str];
    const VALUES: &'static [Self];
}

impl<T> Auto<T> {
    /// The value that was set, or the one that `choose` finds.
    pub fn or_else(self, choose: impl FnOnce() -> T) -> T {
        match self {
            Self::Auto => choose(),
            Self::Set(value) => value,
        }
    }
}

impl<'a> Value<'a> {
    /// What stands at this place of the file.
    pub(super) fn of(value: &'a DeValue<'_>) -> Self {
        match value {
            DeValue::Boolean(value) => Self::Switch(*value),
            DeValue::String(text) => Self::Text(text),
            DeValue::Integer(number) => {
                u64::from_str_radix(number.as_str(), number.radix()).map_or(Self::Foreign, Self::Whole)
            }
            DeValue::Array(elements) => {
                let texts = elements.iter().map(|element| element.get_ref().as_str());
                texts.collect::<Option<_>>().map_or(Self::Foreign, Self::Texts)
            }
            _ => Self::Foreign,
        }
    }

    fn text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) | Self::Word(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

impl Setting for bool {
    const KIND: Kind = Kind::Switch;

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        match given.value {
            Value::Switch(value) => Some(value),
            Value::Word(word) => word.parse().ok(),
            _ => None,
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// A number is read at its widest, held against the bounds of its key, and narrowed.
fn whole(given: &Given<'_>, (min, max): (u64, u64)) -> Option<u64> {
    let number = match given.value {
        Value::Whole(number) => number,
        // A word is read by the rules of the file, so that what stands there can be copied into the
        // environment.
        Value::Word(word) => match Value::of(DeValue::parse(word).ok()?.get_ref()) {
            Value::Whole(number) => number,
            _ => return None,
        },
        _ => return None,
    };
    (min..=max).contains(&number).then_some(number)
}

macro_rules! whole {
    ($($width:ty)+) => {$(
        impl Setting for $width {
            const KIND: Kind = Kind::Whole;

            fn read(given: &Given<'_>, bounds: (u64, u64)) -> Option<Self> {
                whole(given, bounds)?.try_into().ok()
            }

            fn show(&self) -> Option<String> {
                Some(grouped(u64::from(*self)))
            }
        }
    )+};
}

whole!(u8 u16 u32 u64);

impl<T: Choice> Setting for T {
    const KIND: Kind = Kind::Choice(T::WORDS);

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        let text = given.value.text()?;
        let at = T::WORDS.iter().position(|word| *word == text)?;
        T::VALUES.get(at).copied()
    }

    fn show(&self) -> Option<String> {
        let at = T::VALUES.iter().position(|value| value == self)?;
        T::WORDS.get(at).map(|word| quoted(word))
    }
}

impl<T: Setting> Setting for Auto<T> {
    const KIND: Kind = Kind::OrAuto(&T::KIND);

    fn read(given: &Given<'_>, bounds: (u64, u64)) -> Option<Self> {
        match given.value.text() {
            Some("auto") => Some(Self::Auto),
            _ => T::read(given, bounds).map(Self::Set),
        }
    }

    fn show(&self) -> Option<String> {
        match self {
            Self::Auto => Some(quoted("auto")),
            Self::Set(value) => value.show(),
        }
    }
}

impl Setting for Option<String> {
    const KIND: Kind = Kind::Text;

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        given.value.text().map(|text| Some(text.to_owned()))
    }

    fn show(&self) -> Option<String> {
        self.as_deref().map(quoted)
    }
}

impl Setting for Option<PathBuf> {
    const KIND: Kind = Kind::Path;

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        let path = Path::new(given.value.text()?);
        Some(Some(given.folder.map_or_else(|| path.to_owned(), |folder| folder.join(path))))
    }

    fn show(&self) -> Option<String> {
        self.as_ref().map(|path| quoted(&path.to_string_lossy()))
    }
}

impl Setting for Vec<PathBuf> {
    const KIND: Kind = Kind::Paths;

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        let texts = match &given.value {
            Value::Texts(texts) => texts.clone(),
            Value::Text(text) => vec![*text],
            // A word cannot say where one path ends but by a comma.
            Value::Word(word) => word.split(',').collect(),
            _ => return None,
        };
        if texts.is_empty() || texts.iter().any(|text| text.is_empty()) {
            return None;
        }
        let within = |path: &Path| given.folder.map_or_else(|| path.to_owned(), |folder| folder.join(path));
        Some(texts.into_iter().map(|text| within(Path::new(text))).collect())
    }

    fn show(&self) -> Option<String> {
        let texts: Vec<String> = self.iter().map(|path| quoted(&path.to_string_lossy())).collect();
        match texts.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(format!("[{}]", several.join(", "))),
        }
    }
}

/// A text in the quotes of the file, with what must not stand in them escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
