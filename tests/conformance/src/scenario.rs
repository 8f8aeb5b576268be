//! What a scenario is: a text against any broker, its name, and the statements that it proves. The texts are in the
//! files named after the specification's sections.

use std::fmt;

use whimbrel_testkit::{QoS, Version, World};

/// On what a scenario stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The specification: every conforming broker passes.
    Text,
    /// Whimbrel's own choice where the specification leaves one, or a recommendation that Whimbrel follows.
    Choice,
}

/// A setting of the broker that a scenario needs, other than its defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// At most so many messages wait in one session's queue.
    QueueMessagesMax(usize),
    /// No client identifier longer than so many bytes.
    ClientIdBytesMax(usize),
    /// No PUBLISH above this QoS.
    QosMax(QoS),
    /// No retained messages.
    NoRetained,
    /// No wildcards in filters.
    NoWildcards,
    /// No subscription identifiers.
    NoSubscriptionIds,
    /// No shared subscriptions.
    NoShared,
    /// SCRAM-SHA-256 with this user; who names no method connects as before.
    Scram {
        /// The name.
        user: &'static str,
        /// The password.
        password: &'static str,
    },
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueMessagesMax(count) => write!(f, "a queue of at most {count} messages per session"),
            Self::ClientIdBytesMax(max) => write!(f, "client identifiers of at most {max} bytes"),
            Self::QosMax(qos) => write!(f, "a broker that takes no QoS above {}", *qos as u8),
            Self::NoRetained => f.write_str("a broker without retained messages"),
            Self::NoWildcards => f.write_str("a broker without wildcards"),
            Self::NoSubscriptionIds => f.write_str("a broker without subscription identifiers"),
            Self::NoShared => f.write_str("a broker without shared subscriptions"),
            Self::Scram { user, .. } => write!(f, "a broker that knows {user} by SCRAM-SHA-256"),
        }
    }
}

/// One scenario. Its name begins with the version whose statement it is about (`v5_`, `v311_`, `v31_`) and goes on
/// with the statement's number.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The name, unique in the suite.
    pub name: &'static str,
    /// The text.
    pub run: fn(&mut World),
    /// The statements that it proves, by identifier, or `section 4.7.2` where the text has none.
    pub proves: &'static [&'static str],
    /// The versions in which it runs.
    pub versions: &'static [Version],
    /// Whether it needs time to pass: seconds of waiting over a network, none in memory.
    pub timed: bool,
    /// Whether so much time has to pass that it runs on virtual time only.
    pub virtual_only: bool,
    /// On what it stands.
    pub basis: Basis,
    /// The setting that the broker needs.
    pub setting: Option<Setting>,
}

impl Scenario {
    /// A scenario that stands on the text, in the version that its name begins with.
    pub(crate) const fn new(
        name: &'static str,
        run: fn(&mut World),
        proves: &'static [&'static str],
    ) -> Self {
        let versions: &[Version] = match name.as_bytes() {
            [b'v', b'5', b'_', ..] => &[Version::V5],
            [b'v', b'3', b'1', b'1', b'_', ..] => &[Version::V311],
            [b'v', b'3', b'1', b'_', ..] => &[Version::V31],
            _ => panic!("a scenario's name begins with its version"),
        };
        Self {
            name,
            run,
            proves,
            versions,
            timed: false,
            virtual_only: false,
            basis: Basis::Text,
            setting: None,
        }
    }

    /// Runs in 3.1 too, where the text of 3.1 says the same.
    pub(crate) const fn and_v31(mut self) -> Self {
        self.versions = &[Version::V311, Version::V31];
        self
    }

    /// Needs time to pass.
    pub(crate) const fn timed(mut self) -> Self {
        self.timed = true;
        self
    }

    /// Needs hours to pass: on virtual time only.
    pub(crate) const fn virtual_only(mut self) -> Self {
        self.virtual_only = true;
        self
    }

    /// Stands on Whimbrel's choice.
    pub(crate) const fn choice(mut self) -> Self {
        self.basis = Basis::Choice;
        self
    }

    /// Needs this setting.
    pub(crate) const fn needs(mut self, setting: Setting) -> Self {
        self.setting = Some(setting);
        self
    }
}
