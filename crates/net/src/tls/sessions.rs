//! What a dialling side remembers of servers that it has met, where it is many clients in one. Not the sessions.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::ServerName,
};

/// Tickets of one server, at most.
const TICKETS_MAX: usize = 1_000_000;

/// Whether a server that was met before is met again for less.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Sessions {
    /// As one client does it: a few tickets of each server are kept.
    #[default]
    Few,
    /// As a fleet does it that is one process: as many tickets as there were connections, and each is used once, by
    /// whoever comes first.
    Many,
    /// Never: every handshake is a full one.
    None,
}

impl Sessions {
    pub(super) fn resumption(self) -> Option<Resumption> {
        match self {
            Sessions::Few => None,
            Sessions::Many => Some(Resumption::store(Arc::new(Fleet::default()))),
            Sessions::None => Some(Resumption::disabled()),
        }
    }
}

/// What is known of servers, by their names.
#[derive(Debug, Default)]
struct Fleet(Mutex<HashMap<ServerName<'static>, Known>>);

#[derive(Debug, Default)]
struct Known {
    group: Option<NamedGroup>,
    session: Option<Tls12ClientSessionValue>,
    tickets: Vec<Tls13ClientSessionValue>,
}

impl ClientSessionStore for Fleet {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.0.lock().entry(server).or_default().group = Some(group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.lock().get(server)?.group
    }

    fn set_tls12_session(&self, server: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.0.lock().entry(server).or_default().session = Some(session);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.lock().get(server)?.session.clone()
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        if let Some(known) = self.0.lock().get_mut(server) {
            known.session = None;
        }
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut all = self.0.lock();
        let known = all.entry(server).or_default();
        if known.tickets.len() < TICKETS_MAX {
            known.tickets.push(ticket);
        }
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.lock().get_mut(server)?.tickets.pop()
    }
}
