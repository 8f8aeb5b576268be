//! What can be wrong with a configuration, as sentences that say what to do. Not how it is found.

use std::fmt;

use super::source::Origin;

/// Everything that is wrong with a configuration, in the order of the file, then of the environment, then the
/// flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// The key that it is about, with its section.
    pub key: Option<String>,
    /// What.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The file cannot be read; the system's words.
    Unreadable(String),
    /// The file is not TOML; the parser's words.
    Syntax(String),
    /// There is no such section.
    UnknownSection {
        /// What may have been meant.
        meant: Option<String>,
    },
    /// There is no such key.
    UnknownKey {
        /// What may have been meant.
        meant: Option<String>,
    },
    /// There is no such variable.
    UnknownVariable {
        /// What may have been meant.
        meant: Option<String>,
    },
    /// A variable names a listener, or another of several, that does not exist and would not be the next.
    UnknownNumber {
        /// The section.
        section: &'static str,
        /// How many there are.
        known: usize,
    },
    /// A section is not a table.
    NotATable,
    /// A section that there can be several of is not an array of tables.
    NotTables {
        /// Its name.
        section: &'static str,
    },
    /// The key does not allow the value.
    NotAllowed {
        /// What was given.
        given: String,
        /// What may be given.
        allowed: String,
    },
    /// A listener that other machines reach lets everybody in.
    OpenToNetwork {
        /// The address.
        address: String,
    },
    /// Passwords are asked for and there are none.
    NoPasswordFile,
    /// Tokens are asked for and nobody's are good.
    NoTokens,
    /// Two tables are about the tokens of one issuer.
    IssuerTaken,
    /// Nothing says by which keys tokens are verified.
    NoKeys,
    /// An algorithm that the keys of the table cannot have.
    AlgorithmUnlikeKey {
        /// The algorithm.
        algorithm: &'static str,
        /// Whether the table has a secret, and not public keys.
        by_secret: bool,
    },
    /// Of the ways to find out who may connect, one is never asked.
    NeverAsked {
        /// Its word.
        method: &'static str,
        /// The one in front of it that leaves nothing.
        before: &'static str,
    },
    /// Two listeners cannot both have their address.
    AddressTaken {
        /// The address of the other.
        by: String,
    },
    /// Two listeners have the same name.
    NameTaken,
    /// TLS without a certificate or without its key.
    NoCertificate,
    /// There are more or fewer keys than certificates.
    KeysUnlikeCertificates {
        /// How many certificates there are.
        certificates: usize,
        /// How many keys there are.
        keys: usize,
    },
    /// A key that counts only where another one has another value.
    NeedsOther {
        /// The other key and what it has to be.
        other: &'static str,
    },
    /// A limit is above the one that must not be below it.
    Above {
        /// Its value.
        value: String,
        /// The other key and its value.
        other: String,
    },
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                out.write_str("\n")?;
            }
            problem.fmt(out)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.origin)?;
        if let Some(key) = &self.key {
            write!(out, "{key}: ")?;
        }
        self.fault.fmt(out)
    }
}

impl std::error::Error for Problems {}

impl Fault {
    /// What is always told in the same words.
    fn sentence(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotATable => "this is a section; its keys belong under a line with its name in []",
            Self::NoPasswordFile => {
                "clients must give a password, but there is no file to look it up in. Make one with \
                 `whimbrel passwd` and name it in authentication.password_file"
            }
            Self::NameTaken => "another listener has this name already; give it one of its own",
            Self::NoCertificate => {
                "TLS needs a certificate and its key: name their files in certificate and key. For a try, `whimbrel \
                 cert dev DIR` makes both"
            }
            Self::NoTokens => {
                "clients must give a token, but nothing says whose are good. Write a table [[token]] for each issuer"
            }
            Self::IssuerTaken => {
                "another [[token]] is about this issuer already, or about every issuer that is not named; give each its own"
            }
            Self::NoKeys => {
                "nothing says by which keys the tokens are verified: name a jwks_url, a keys_file or a secret_file"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = |out: &mut fmt::Formatter<'_>, what: &str, meant: &Option<String>| {
            write!(out, "there is no such {what}")?;
            meant.as_ref().map_or(Ok(()), |meant| write!(out, "; did you mean {meant}?"))
        };
        if let Some(sentence) = self.sentence() {
            return out.write_str(sentence);
        }
        match self {
            Self::Unreadable(error) => write!(out, "the file cannot be read: {error}"),
            Self::Syntax(message) => write!(out, "this is not TOML: {message}"),
            Self::UnknownSection { meant } => unknown(out, "section", meant),
            Self::UnknownKey { meant } => unknown(out, "key", meant),
            Self::UnknownVariable { meant } => unknown(out, "setting", meant),
            Self::UnknownNumber { section, known } => write!(
                out,
                "there is no such {section}; there are {known} before the environment is read, and the \
                 next is WHIMBREL_{}_{}_…",
                section.to_ascii_uppercase(),
                known + 1
            ),
            Self::NotTables { section } => {
                write!(out, "there can be several {section}s; write [[{section}]] above each")
            }
            Self::NotAllowed { given, allowed } => {
                write!(out, "{given} is not allowed here; allowed is {allowed}")
            }
            Self::OpenToNetwork { address } => write!(
                out,
                "other machines can reach {address}, and nobody is asked for a password there, so the broker \
                 does not start. Make a password file with `whimbrel passwd` and name it in \
                 authentication.password_file; or listen on localhost; or, if everybody who reaches the \
                 address may read and write everything, set danger_allow_anonymous_on_network = true"
            ),
            Self::NeverAsked { method, before } if method == before => {
                write!(out, "{method} stands there twice; once is enough")
            }
            Self::NeverAsked { method, before } => write!(
                out,
                "{method} is never asked, since {before} stands in front of it and leaves nobody to it; put {before} behind it"
            ),
            Self::AlgorithmUnlikeKey { algorithm, by_secret: true } => write!(
                out,
                "{algorithm} needs a public key, and secret_file names a secret; a secret is good for HS256, HS384 and HS512"
            ),
            Self::AlgorithmUnlikeKey { algorithm, by_secret: false } => write!(
                out,
                "{algorithm} needs a secret (secret_file), and public keys are named here: whoever knows those could sign"
            ),
            Self::AddressTaken { by } => {
                write!(out, "the listener on {by} has this address already; change one of them or delete it")
            }
            Self::KeysUnlikeCertificates { certificates, keys } => {
                write!(
                    out,
                    "there are {certificates} certificates and {keys} keys; name one key for each certificate"
                )
            }
            Self::NeedsOther { other } => {
                write!(out, "this counts only if {other}; set that, or leave this out")
            }
            Self::Above { value, other } => {
                write!(out, "{value} is above {other}; make this smaller or that larger")
            }
            _ => Ok(()),
        }
    }
}
