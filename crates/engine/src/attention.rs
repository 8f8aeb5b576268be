//! What the owner of a connection has to know about its link, and what it tells of its wire. Not how the link is written: that
//! is `flush.rs`.

use whimbrel_proto::{Millis, codec::ReasonCode};

use crate::{Attached, Count, Engine, Turn, session::Locked};

/// What the owner of a connection has to know about its link.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// The connection is to be closed once what was appended has been flushed.
    pub closing: Option<ReasonCode>,
    /// The wire took less than all: wait until it can take more, then [`Engine::writable`].
    pub blocked: bool,
    /// So much waits for the client that nothing more is to be read from it.
    pub hold_reading: bool,
    /// When the client has taken nothing for too long.
    pub stalled_at: Millis,
}

impl Engine {
    /// The owner looks at its link: what waits is sent as far as it may, and it learns what to do.
    pub fn attend(&self, turn: &mut Turn, from: &Attached) -> Attention {
        let Some(mut own) = self.lock_attached(from) else {
            return Attention { closing: Some(ReasonCode::SessionTakenOver), ..Attention::default() };
        };
        own.pump(turn);
        let limits = &self.limits;
        let Some(link) = &own.state.link else { return Attention::default() };
        let stalled_at = link.stuck_since + limits.link_stall_millis;
        let (waiting, blocked) = (link.out.len(), link.blocked);
        let held = link.held.as_ref().map_or(0, |held| held.len());
        let is_owed_much = held >= usize::from(limits.connection.receive_maximum);
        if waiting > limits.link_hard_bytes + limits.connection.packet_bytes_max as usize {
            self.close_slow(&mut own, turn, Count::SlowOverflow);
        } else if stalled_at <= turn.now.mono {
            self.close_slow(&mut own, turn, Count::SlowStalled);
        }
        let closing = own.state.link.as_ref().and_then(|link| link.closing);
        let hold_reading = is_owed_much || (blocked && waiting >= limits.link_soft_bytes);
        Attention { closing, blocked, hold_reading, stalled_at }
    }

    fn close_slow(&self, own: &mut Locked<'_>, turn: &mut Turn, cause: Count) {
        if own.state.open_link().is_some() {
            turn.count(cause, 1);
            turn.notice(crate::Notice::SlowClient { client_id: own.session.client_id.clone(), cause });
            self.close_link(own, turn, ReasonCode::QuotaExceeded, Some(cause.name()));
        }
    }

    /// Whether promises wait for the disk. The wire is woken when they have left.
    pub(crate) fn owes(&self, from: &Attached) -> bool {
        let Some(mut own) = self.lock_attached(from) else { return false };
        let link = own.state.link.as_mut().filter(|link| link.held.is_some());
        link.map(|link| link.is_awaited = true).is_some()
    }

    /// Whether so many promises wait for the disk that the client is not listened to.
    pub(crate) fn owes_much(&self, from: &Attached) -> bool {
        let most = usize::from(self.limits.connection.receive_maximum);
        self.store.is_on()
            && self.lock_attached(from).is_some_and(|own| {
                let held = own.state.link.as_ref().and_then(|link| link.held.as_ref());
                held.is_some_and(|held| held.len() >= most)
            })
    }

    /// Whether bytes are under way on a link that is not blocked.
    pub(crate) fn has_output(&self, from: &Attached) -> bool {
        let Some(own) = self.lock_attached(from) else { return false };
        own.state.link.as_ref().is_some_and(|link| link.writing || (!link.blocked && !link.out.is_empty()))
    }

    /// The wire of a blocked link can take more.
    pub fn writable(&self, turn: &mut Turn, from: &Attached) {
        let Some(mut own) = self.lock_attached(from) else { return };
        if let Some(link) = &mut own.state.link {
            link.blocked = false;
            self.budget.follow(link);
        }
        own.mark_dirty(turn);
    }
}
