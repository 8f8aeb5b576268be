//! The result of matching: who gets a message of a topic, and how, with overlapping subscriptions merged into one.

use std::sync::{Arc, atomic::Ordering};

use whimbrel_proto::codec::QoS;

use super::router::{Entry, Interest};
use crate::{queue::SubscriptionIds, session::Session, share::Group};

/// What a session gets of a topic after its overlapping subscriptions are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The highest of all that match [MQTT-3.3.4-2].
    pub qos: QoS,
    /// Set when any of them asks for it.
    pub retain_as_published: bool,
    /// The identifiers of all that match [MQTT-3.3.4-4].
    pub ids: SubscriptionIds,
    /// The oldest of all that match: a retained message up to this number is brought by SUBSCRIBE.
    pub since: u64,
    /// The latest stamp of any that match: what one of them brings freely is free.
    pub free: u64,
}

/// What a session gets of its own messages, when a subscription says No Local.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    Same,
    /// Every subscription that matches says No Local [MQTT-3.8.3-3].
    Nothing,
    /// What the subscriptions without No Local ask for.
    Other(Box<Granted>),
}

/// A receiver of a topic's messages. A cluster adds a variant: another node.
#[derive(Clone)]
pub(crate) enum Target {
    Session { session: Arc<Session>, granted: Granted, own: Own },
    Group(Arc<Group>),
}

impl Target {
    /// Whether what it is owed is kept on disk.
    pub(crate) fn is_durable(&self) -> bool {
        match self {
            Target::Group(group) => group.is_durable(),
            Target::Session { session, granted, .. } => {
                granted.qos > QoS::AtMostOnce && session.durable.load(Ordering::Relaxed)
            }
        }
    }

    /// What the session of this target gets of a message of `publisher`.
    pub(crate) fn granted<'a>(
        session: &Session,
        granted: &'a Granted,
        own: &'a Own,
        publisher: u64,
    ) -> Option<&'a Granted> {
        match own {
            Own::Same => Some(granted),
            _ if session.key != publisher => Some(granted),
            Own::Nothing => None,
            Own::Other(other) => Some(other),
        }
    }
}

/// Merges what matched: one target per session, groups as they are.
pub(crate) fn merge(mut found: Vec<(u64, &Entry)>) -> Arc<[Target]> {
    found.sort_by_key(|(key, _)| *key);
    found.chunk_by(|one, other| one.0 == other.0).filter_map(target).collect()
}

fn target(same: &[(u64, &Entry)]) -> Option<Target> {
    let session = match same.first()?.1 {
        Entry::Group(group) => return Some(Target::Group(group.clone())),
        Entry::Session { session, .. } => session.clone(),
    };
    let interests = || {
        same.iter().filter_map(|(_, entry)| match entry {
            Entry::Session { interest, .. } => Some(interest),
            Entry::Group(_) => None,
        })
    };
    let granted = grant(interests())?;
    let own = if !interests().any(|interest| interest.no_local) {
        Own::Same
    } else {
        grant(interests().filter(|interest| !interest.no_local))
            .map_or(Own::Nothing, |other| Own::Other(Box::new(other)))
    };
    Some(Target::Session { session, granted, own })
}

fn grant<'a>(interests: impl Iterator<Item = &'a Interest>) -> Option<Granted> {
    let mut granted: Option<Granted> = None;
    let mut ids = Vec::new();
    for interest in interests {
        if interest.id != 0 {
            ids.push(interest.id);
        }
        match &mut granted {
            None => {
                granted = Some(Granted {
                    qos: interest.qos,
                    retain_as_published: interest.retain_as_published,
                    ids: None,
                    since: interest.since,
                    free: interest.free,
                });
            }
            Some(granted) => {
                granted.qos = granted.qos.max(interest.qos);
                granted.retain_as_published |= interest.retain_as_published;
                granted.since = granted.since.min(interest.since);
                granted.free = granted.free.max(interest.free);
            }
        }
    }
    let mut granted = granted?;
    if !ids.is_empty() {
        // Identical ones stay: each stands for a subscription [section 3.8.4].
        ids.sort_unstable();
        granted.ids = Some(ids.into());
    }
    Some(granted)
}
