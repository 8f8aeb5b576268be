//! One rule: whom, what and where it speaks of, and what it says. Not the order of several.

use crate::{network::Network, pattern::Pattern, rights::Rights};

/// Names a rule in its [`crate::Rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(pub(crate) u32);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A message of the client.
    Publish,
    /// A message for the client.
    Receive,
    /// A filter, where that is a question of its own.
    Subscribe,
}

/// Several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Actions(u8);

impl Actions {
    pub(crate) const NONE: Actions = Actions(0);

    pub(crate) const fn of(action: Action) -> Actions {
        Actions(1 << action as u8)
    }

    pub(crate) const fn and(self, other: Actions) -> Actions {
        Actions(self.0 | other.0)
    }

    pub(crate) const fn has(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    /// Whether it has all that the other has.
    pub(crate) const fn covers(self, other: Actions) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What is known of what is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) action: Action,
    /// Of a message that is published.
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

impl Request {
    pub(crate) const RECEIVE: Request = Request { action: Action::Receive, qos: 0, retain: false };
    pub(crate) const SUBSCRIBE: Request = Request { action: Action::Subscribe, qos: 0, retain: false };
}

/// Every QoS.
pub(crate) const ANY_QOS: u8 = 0b111;

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) allows: bool,
    pub(crate) actions: Actions,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) whom: Whom,
    /// A bit for each QoS of a published message.
    pub(crate) qos: u8,
    pub(crate) retain: Option<bool>,
    /// It speaks of the very filter of a SUBSCRIBE, not of what that covers.
    pub(crate) literal: bool,
    /// The role that it belongs to: it is for those who have the role, in the order of their roles.
    pub(crate) role: Option<u32>,
    /// The line in which it stands, 0 where the file has none that mean anything.
    pub(crate) line: usize,
    /// How it reads.
    pub(crate) words: Box<str>,
}

/// Whom a rule speaks of: everybody of whom all that is given is true.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whom {
    /// One of these users.
    pub(crate) users: Option<Box<[u32]>>,
    /// Members of one of these groups.
    pub(crate) groups: Option<Box<[u32]>>,
    /// Clients that have proved no user name.
    pub(crate) nobody: bool,
    /// One of these client identifiers; `*` at the end stands for anything.
    pub(crate) clients: Option<Box<[Box<str>]>>,
    pub(crate) networks: Option<Box<[Network]>>,
    pub(crate) listeners: Option<Box<[Box<str>]>>,
    /// Clients without `+` and `#` in their user name and identifier.
    pub(crate) without_wildcards: bool,
}

impl Rule {
    pub(crate) fn new(allows: bool, actions: Actions, line: usize, words: impl Into<Box<str>>) -> Rule {
        Rule {
            allows,
            actions,
            patterns: Vec::new(),
            whom: Whom::default(),
            qos: ANY_QOS,
            retain: None,
            literal: false,
            role: None,
            line,
            words: words.into(),
        }
    }

    /// Whether it speaks of this client and this request, whatever the topic.
    pub(crate) fn speaks_of(&self, rights: &Rights, request: &Request) -> bool {
        self.actions.has(request.action)
            && (request.action != Action::Publish
                || (self.qos & (1 << request.qos) != 0
                    && self.retain.is_none_or(|retain| retain == request.retain)))
            && self.whom.includes(rights, self.allows)
    }

    /// The user that it speaks of, where it is one.
    pub(crate) fn only_user(&self) -> Option<u32> {
        match self.whom.users.as_deref() {
            Some([user]) => Some(*user),
            _ => None,
        }
    }
}

impl Whom {
    fn includes(&self, rights: &Rights, allows: bool) -> bool {
        let who = rights.who();
        // Whoever may have been somebody else is taken for the one that gets less.
        let is_meant =
            if rights.is_unknown() { !(allows && self.asks_who()) } else { self.includes_person(rights) };
        if !is_meant {
            return false;
        }
        if let Some(clients) = &self.clients
            && !clients.iter().any(|client| is_client(client, &who.client_id))
        {
            return false;
        }
        !(self.without_wildcards && rights.has_wildcards())
    }

    /// Whether it matters who the client is besides its identifier.
    fn asks_who(&self) -> bool {
        self.nobody
            || self.users.is_some()
            || self.groups.is_some()
            || self.networks.is_some()
            || self.listeners.is_some()
    }

    fn includes_person(&self, rights: &Rights) -> bool {
        let who = rights.who();
        if let Some(users) = &self.users
            && !rights.user().is_some_and(|user| users.contains(&user))
        {
            return false;
        }
        if let Some(groups) = &self.groups
            && !rights.groups().iter().any(|group| groups.contains(group))
        {
            return false;
        }
        if self.nobody && who.user_name.is_some() {
            return false;
        }
        if let Some(networks) = &self.networks
            && !who.address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
        {
            return false;
        }
        self.listeners
            .as_ref()
            .is_none_or(|listeners| listeners.iter().any(|listener| **listener == *who.listener))
    }
}

/// Whether a client identifier is the one of a rule, or begins as it says.
pub(crate) fn is_client(wanted: &str, client_id: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => client_id.starts_with(beginning),
        None => wanted == client_id,
    }
}
