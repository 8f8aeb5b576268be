//! The room `[authentication]`: who may connect, and what checking it may cost. Not the check.

use std::path::PathBuf;

use super::key::{Kind, Reload};
use super::room::room;
use super::setting::{Auto, Choice, Given, Setting, Value, quoted};

room! {
    /// Who may connect, and what it may cost to find out.
    pub struct Authentication("authentication") {
        /// Who may connect at a listener that does not say it itself: `token` is who has a good token (`[[token]]`),
        /// `password_file` who is in the password file, `certificate` who has a certificate that says who it is
        /// (listener.identity), `anonymous` everybody. Several in [] are asked in their order, and the first for which what a
        /// client gives is of its kind decides: docs/access.md shows it. `auto` is `token` if there is a `[[token]]`, then
        /// `password_file` if there is one; without either it is `anonymous`.
        method: Auto<Methods> = Auto::Auto;

        /// The file with the names and the hashed passwords. `whimbrel passwd` writes it; files of Mosquitto
        /// and FlashMQ are read as they are. SIGHUP takes changes of its content in: who is connected stays, and a file with
        /// faults changes nothing. In the configuration file a relative path counts from the folder of that
        /// file.
        password_file: Option<PathBuf> = None, flag("password-file"), example("passwords"),
            reload(Reload::Reread);

        /// Passwords that are verified at the same time, and tokens besides them. Each occupies a thread for tens of milliseconds and,
        /// with argon2id, the memory that its line of the password file names (19 MiB for lines of `whimbrel
        /// passwd`). `auto` is half of the cores, at least one.
        verifications_at_once_max: Auto<u16> = Auto::Auto, within(1, 1_024), unit("verifications");

        /// Passwords that wait to be verified. Clients beyond are told that the server is busy. Each costs a
        /// few hundred bytes, and up to 64 KiB of what the client has sent behind its CONNECT.
        verifications_waiting_max: u32 = 1_000, within(1, 1_000_000), unit("verifications");

        /// Verified passwords that are remembered as keyed hashes, so that a fleet that comes back costs
        /// microseconds for each client. Each costs about 150 bytes. At 0 every connect is verified.
        remembered_max: u32 = 100_000, within(0, 10_000_000), unit("passwords");

        /// How long a verified password is remembered. Longer lets a fleet that was connected for days come
        /// back at once; shorter leaves less in memory for somebody who can read it.
        remembered_secs_max: u32 = 604_800, within(1, 31_536_000), unit("seconds");
    }
}

/// How a listener finds out who may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Everybody may connect; names and passwords are not looked at.
    Anonymous,
    /// Who has a certificate with a name in it.
    Certificate,
    /// Only a name with its password as the password file has them.
    PasswordFile,
    /// Who has a token of an identity provider.
    Token,
}

impl Choice for Method {
    const WORDS: &'static [&'static str] = &["anonymous", "certificate", "password_file", "token"];
    const VALUES: &'static [Self] = &[Self::Anonymous, Self::Certificate, Self::PasswordFile, Self::Token];
}

/// How a listener finds out who may connect: at least one way, the one that is asked first in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods(Vec<Method>);

impl Methods {
    /// From the first to the last.
    pub fn iter(&self) -> impl Iterator<Item = Method> + '_ {
        self.0.iter().copied()
    }

    /// Whether this one is among them.
    pub fn has(&self, method: Method) -> bool {
        self.0.contains(&method)
    }

    /// With this one in front, unless it is among them.
    pub(super) fn after(mut self, first: Method) -> Self {
        if !self.has(first) {
            self.0.insert(0, first);
        }
        self
    }

    /// The method that makes another one pointless, with that one, if there are such.
    pub(super) fn pointless(&self) -> Option<(Method, Method)> {
        let mut earlier: Vec<Method> = Vec::new();
        for method in self.iter() {
            let before =
                earlier.iter().copied().find(|before| *before == method || before.takes_all_of(method));
            if let Some(before) = before {
                return Some((before, method));
            }
            earlier.push(method);
        }
        None
    }
}

impl Method {
    /// Whether nothing reaches another method that stands behind this one.
    fn takes_all_of(self, behind: Method) -> bool {
        // A token comes as a password.
        self == Self::Anonymous || (self, behind) == (Self::PasswordFile, Self::Token)
    }

    /// The word in the file.
    pub fn word(self) -> &'static str {
        let at = Self::VALUES.iter().position(|value| *value == self);
        at.and_then(|at| Self::WORDS.get(at)).copied().unwrap_or_default()
    }
}

impl From<Method> for Methods {
    fn from(method: Method) -> Self {
        Self(vec![method])
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Self {
        Self(methods.into_iter().collect())
    }
}

impl std::fmt::Display for Methods {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> = self.iter().map(Method::word).collect();
        out.write_str(&words.join(", "))
    }
}

impl Setting for Methods {
    const KIND: Kind = Kind::Choices(Method::WORDS);

    fn read(given: &Given<'_>, bounds: (u64, u64)) -> Option<Self> {
        let words = match &given.value {
            Value::Texts(texts) if !texts.is_empty() => texts.clone(),
            Value::Text(text) => vec![*text],
            Value::Word(word) => word.split(',').map(str::trim).collect(),
            _ => return None,
        };
        let method = |word| Method::read(&Given { value: Value::Text(word), folder: None }, bounds);
        words.into_iter().map(method).collect()
    }

    fn show(&self) -> Option<String> {
        match self.0.as_slice() {
            [one] => one.show(),
            several => {
                let words: Vec<String> = several.iter().map(|method| quoted(method.word())).collect();
                Some(format!("[{}]", words.join(", ")))
            }
        }
    }
}

impl Authentication {
    /// What a listener does that does not say it itself.
    pub fn methods(&self, has_tokens: bool) -> Methods {
        self.method.clone().or_else(|| {
            let passwords = self.password_file.as_ref().map(|_| Method::PasswordFile);
            let known: Vec<Method> =
                has_tokens.then_some(Method::Token).into_iter().chain(passwords).collect();
            if known.is_empty() { Method::Anonymous.into() } else { Methods(known) }
        })
    }
}
