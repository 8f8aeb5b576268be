//! The configuration: a file, the environment and flags in; plain values out, or everything that is wrong at
//! once. Not what the values do.
//!
//! Each section is a room with a file of its own, which lists its keys once (`room!`): the struct, the
//! defaults, the checks, the messages, the variables, the flags, the default file and the reference all come
//! from that list.

mod access;
mod address;
mod authentication;
mod check;
mod control;
mod default_file;
mod difference;
mod form;
mod guard;
mod key;
mod limits;
mod listener;
mod log;
mod problem;
mod quota;
mod reader;
mod reference;
mod room;
mod session;
mod setting;
mod source;
mod store;
mod suggestion;
mod sys;
#[cfg(test)]
mod tests;
mod token;
mod transport;
mod worker;

pub use access::{Access, Characters, ClientIdOf, DeniedPublish, DeniedWill, PartialSubscriptions};
pub use address::{Address, NotAnAddress};
pub use authentication::{Authentication, Method, Methods};
pub use control::Control;
pub use default_file::default_file;
pub use difference::Difference;
pub use form::{ClientIdPattern, FileMode, Formless, MqttVersion, PageOrigin, UrlPath};
pub use guard::Guard;
pub use key::{Key, Kind, Reload};
pub use limits::Limits;
pub use listener::{ClientCertificates, Identity, IdentityAs, Listener, Protocol, TlsVersion};
pub use log::{Format, Level, Levels, Log};
pub use problem::{Fault, Problem, Problems};
pub use quota::Quota;
pub use reference::reference;
pub use session::{QueueFull, Session, SharedStrategy};
pub use setting::Auto;
pub use source::{File, Flag, Origin, Sources};
pub use store::{DiskFull, Durability, Store};
pub use sys::Sys;
pub use token::{Algorithm, KeysUrl, Token};
pub use worker::Worker;

use room::Room;

/// The sections that there can be several of.
pub(crate) const LISTENER: &str = "listener";
pub(crate) const TOKEN: &str = "token";

/// Whether there can be several of a section: then its tables are numbered from 1.
const fn is_numbered(section: &str) -> bool {
    matches!(section.as_bytes(), b"listener" | b"token")
}

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where clients connect: at least one.
    pub listeners: Vec<Listener>,
    /// Who may connect.
    pub authentication: Authentication,
    /// Whose tokens let somebody in.
    pub tokens: Vec<Token>,
    /// Who may publish and subscribe to what.
    pub access: Access,
    /// What somebody meets who tries passwords.
    pub guard: Guard,
    /// How much clients and users may send.
    pub quota: Quota,
    /// Bounds on what clients can make the broker hold.
    pub limits: Limits,
    /// What the broker offers to its clients.
    pub session: Session,
    /// What is kept on disk.
    pub store: Store,
    /// The threads that carry the load.
    pub worker: Worker,
    /// What is logged.
    pub log: Log,
    /// The topics under `$SYS/broker`.
    pub sys: Sys,
    /// The local socket for `whimbrel ctl`.
    pub control: Control,
}

impl Config {
    /// Reads the sources and checks them.
    ///
    /// Nothing is opened, resolved or looked up for that but the text of the sources, so a file can be
    /// checked on another machine than the one that it is for.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let (config, findings) = reader::read(sources);
        let mut problems = findings.problems;
        if findings.whole {
            problems.extend(check::check(&config, &findings.places));
        }
        if problems.is_empty() {
            return Ok(config);
        }
        problems.sort_by(|one, other| one.origin.cmp(&other.origin));
        Err(Problems(problems))
    }

    /// How a listener finds out who may connect.
    pub fn methods(&self, listener: &Listener) -> Methods {
        let by_all = || self.authentication.methods(!self.tokens.is_empty());
        let methods = listener.authentication.clone().or_else(by_all);
        let named = listener.identity != Identity::None && listener.identity_as == IdentityAs::UserName;
        if named { methods.after(Method::Certificate) } else { methods }
    }
}

impl Config {
    /// How sure what is promised on a listener has to be.
    pub fn durability(&self, listener: &Listener) -> Durability {
        listener.durability.or_else(|| self.store.durability)
    }

    /// Whether anything is kept on disk.
    pub fn keeps(&self) -> bool {
        self.listeners.iter().any(|listener| self.durability(listener) > Durability::Memory)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: vec![Listener::default()],
            authentication: Authentication::default(),
            tokens: Vec::new(),
            access: Access::default(),
            guard: Guard::default(),
            quota: Quota::default(),
            limits: Limits::default(),
            session: Session::default(),
            store: Store::default(),
            worker: Worker::default(),
            log: Log::default(),
            sys: Sys::default(),
            control: Control::default(),
        }
    }
}

/// A section of the file and its keys.
struct Section {
    name: &'static str,
    doc: &'static [&'static str],
    keys: Vec<&'static Key>,
}

impl Section {
    fn of<R: Room>() -> Self {
        Self { name: R::SECTION, doc: R::DOC, keys: R::ENTRIES.iter().map(|entry| &entry.key).collect() }
    }

    fn doc(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.doc.iter().map(|line| line.trim())
    }
}

/// Every section, in the order of the file and of the reference.
fn sections() -> [Section; 13] {
    [
        Section::of::<Listener>(),
        Section::of::<Authentication>(),
        Section::of::<Token>(),
        Section::of::<Access>(),
        Section::of::<Guard>(),
        Section::of::<Quota>(),
        Section::of::<Limits>(),
        Section::of::<Session>(),
        Section::of::<Store>(),
        Section::of::<Worker>(),
        Section::of::<Log>(),
        Section::of::<Sys>(),
        Section::of::<Control>(),
    ]
}

/// Every key, in the order of the file and of the reference.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    sections().into_iter().flat_map(|section| section.keys)
}
