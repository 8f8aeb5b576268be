//! An administrator ends a connection, or a session: as a take-over or an expiry would end it, with all that follows.

use whimbrel_proto::codec::ReasonCode;

use crate::{
    Engine, Turn,
    session::{Locked, Session},
    timers::Timer,
};

/// What was found of the client that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kicked {
    /// Its connection was told to end; it is gone when [`Engine::has_connection`] says no.
    Told(Held),
    /// It has none, and its session is due to end with the next tick.
    Due(Held),
    /// It has none, and its session stays.
    Absent,
}

/// Names a session and one connection of it, so that neither is mistaken for the next of the same client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    key: u64,
    epoch: u32,
}

impl Held {
    fn of(session: &Session, epoch: u32) -> Self {
        Held { key: session.key, epoch }
    }
}

impl Engine {
    /// Ends the connection of a client with DISCONNECT 0x98 (5.0) and, if `with_session`, its session: with the
    /// connection, or at once where there is none. Its will is published as after any other loss. `None` where there is
    /// no such session. The caller flushes the turn.
    pub fn kick(&self, turn: &mut Turn, client_id: &str, with_session: bool) -> Option<Kicked> {
        let session = self.sessions.find(client_id)?;
        let mut locked = Locked::new(self, &session);
        if locked.state.ended {
            return None;
        }
        if with_session {
            locked.state.expiry_secs = 0;
        }
        let held = Held::of(&session, locked.state.epoch);
        if locked.state.link.is_some() {
            self.close_link(&mut locked, turn, ReasonCode::AdministrativeAction, None);
            return Some(Kicked::Told(held));
        }
        if !with_session {
            return Some(Kicked::Absent);
        }
        let due = self.timers.add(turn.now.mono, Timer::Session(session.clone()));
        if let Some(later) = locked.state.rare().expires.replace(due) {
            self.timers.cancel(later);
        }
        Some(Kicked::Due(held))
    }

    /// Whether this very connection of the client is still there.
    #[must_use]
    pub fn has_connection(&self, client_id: &str, held: Held) -> bool {
        self.sessions.find(client_id).is_some_and(|session| {
            let state = session.lock();
            Held::of(&session, state.epoch) == held && state.link.is_some()
        })
    }

    /// Whether this very session of the client is still there.
    #[must_use]
    pub fn has_session(&self, client_id: &str, held: Held) -> bool {
        self.sessions.find(client_id).is_some_and(|session| session.key == held.key && !session.lock().ended)
    }
}
