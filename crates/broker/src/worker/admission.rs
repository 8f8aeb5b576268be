//! What keeps a client out, or ends its connection, whoever it has proved to be: bans, and falls without end. Not
//! authentication.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use whimbrel_engine::{
    Count,
    proto::{Millis, codec::ReasonCode},
};

use super::{
    Bench,
    login::{Claim, Login},
    task::Task,
    telling::{Kind, Words},
};
use crate::{bans::flapping::Whose, quota::Share};

/// Why somebody is kept out, in words for the client.
pub(super) struct KeptOut {
    pub(super) reason: ReasonCode,
    pub(super) why: String,
}

/// Who is at the other end of a connection, from CONNECT on.
pub(super) enum Visitor {
    /// It says who it is.
    Coming(Box<Login>),
    /// It has been let in.
    Known(Known),
}

/// What is known of a client that was let in.
pub(super) struct Known {
    /// The user name that it has proved.
    pub(super) user: Option<Arc<str>>,
    /// The change of what is trusted and banned by which it was looked at.
    pub(super) judged: u32,
    /// Its part in the quotas, if there are any that it could exceed.
    pub(super) share: Option<Box<Share>>,
    /// It is not read from before: it has sent more than it may.
    pub(super) rests_until: Millis,
}

impl Task {
    /// The user name that the client has proved.
    fn user(&self) -> Option<&str> {
        match self.visitor.as_deref()? {
            Visitor::Known(known) => known.user.as_deref(),
            Visitor::Coming(_) => None,
        }
    }

    /// Why nobody from this address is let in: asked before anything that a client says is looked at.
    pub(super) fn is_address_banned(&self, bench: &Bench) -> Option<KeptOut> {
        let shared = &bench.shared;
        let why = shared.guards.bans.of_address(self.address.ip(), shared.now().wall_secs)?;
        bench.turn.count(Count::BannedRefused, 1);
        Some(KeptOut { reason: ReasonCode::Banned, why })
    }

    /// Why this client is not let in, although it is who it says.
    pub(super) fn is_kept_out(&self, bench: &Bench, claim: &Claim, user: Option<&str>) -> Option<KeptOut> {
        let shared = &bench.shared;
        let now = shared.now();
        if let Some(why) = shared.guards.bans.of_client(&claim.client_id, user, now.wall_secs) {
            bench.turn.count(Count::BannedRefused, 1);
            return Some(KeptOut { reason: ReasonCode::Banned, why });
        }
        // It may have been banned while its password was verified.
        if let Some(kept_out) = self.is_address_banned(bench) {
            return Some(kept_out);
        }
        if let Some(why) = shared.guards.names.fault(&claim.client_id, user) {
            bench.turn.count(Count::ClientIdRefused, 1);
            return Some(KeptOut { reason: ReasonCode::ClientIdNotValid, why });
        }
        let whose = Whose { client_id: &claim.client_id, user, address: self.address.ip() };
        let left = shared.guards.flapping.held(whose, now.mono.0)?;
        bench.turn.count(Count::HeldOffRefused, 1);
        let why = format!(
            "held off for {} seconds more: it has lost its connection too often",
            left.div_ceil(1_000)
        );
        Some(KeptOut { reason: ReasonCode::ConnectionRateExceeded, why })
    }

    /// Its part in the quotas, or why it is not let in.
    pub(super) fn enter_quotas(
        &self,
        bench: &Bench,
        claim: &Claim,
        user: Option<&Arc<str>>,
    ) -> Result<Option<Box<Share>>, KeptOut> {
        let shared = &bench.shared;
        // Who has a connection takes its own place.
        let own = || shared.engine.session(&claim.client_id).and_then(|session| session.is_connected());
        let takes_over = user.is_some() && shared.guards.quotas.bounds_connections() && own() == Some(true);
        shared.guards.quotas.enter(user, self.place.door.quota, takes_over).map_err(|too_many| {
            bench.turn.count(Count::UserConnectionsLimit, 1);
            let why = format!("this user has {} connections already", too_many.connections_max);
            KeptOut { reason: ReasonCode::QuotaExceeded, why }
        })
    }

    /// Until when the client is not read from, [`Millis::NEVER`] if it is read from now.
    pub(super) fn rests_until(&mut self, now: Millis) -> Millis {
        match self.visitor.as_deref() {
            Some(Visitor::Known(known)) if known.rests_until > now => known.rests_until,
            _ => Millis::NEVER,
        }
    }

    /// What this worker has counted of what clients have sent.
    pub(super) fn sent_so_far(bench: &Bench) -> [u64; 2] {
        [Count::PublishReceived, Count::BytesReceived].map(|count| bench.turn.counted(count))
    }

    /// The client was read from; where it has sent more than it may, it rests.
    pub(super) fn charge(&mut self, bench: &mut Bench, before: [u64; 2]) {
        let Some(Visitor::Known(known)) = self.visitor.as_deref_mut() else { return };
        let Some(share) = &known.share else { return };
        let [messages, bytes] = Task::sent_so_far(bench);
        let now = bench.shared.micros();
        let until = share.take(messages.wrapping_sub(before[0]), bytes.wrapping_sub(before[1]), now);
        if until <= now {
            return;
        }
        bench.turn.count(Count::QuotaRests, 1);
        known.rests_until = bench.turn.now.mono + (until - now).div_ceil(1_000);
        self.conversation.rest_until(known.rests_until);
    }

    /// Tells the client and the log that it is kept out.
    pub(super) fn keep_out(&mut self, bench: &mut Bench, claim: &Claim, kept_out: &KeptOut) {
        let KeptOut { reason, why } = kept_out;
        let (client, address, listener) = (Words(&claim.client_id), self.address, &self.place.door.name);
        bench.telling.tell(Kind::Refused, bench.turn.now.mono, || {
            tracing::info!(%client, %address, %listener, reason = reason.name(), "a client was refused: {why}");
        });
        self.conversation.keep_out(&bench.turn, *reason, why);
    }

    /// Ends the connection if it is one that is banned by now.
    pub(super) fn look_for_ban(&mut self, bench: &mut Bench) {
        let shared = bench.shared.clone();
        let changes = shared.trust_changes.load(Relaxed);
        let Some(Visitor::Known(known)) = self.visitor.as_deref_mut() else { return };
        let Some(attached) = self.conversation.attached() else { return }; // It is looked at when it has its session.
        if std::mem::replace(&mut known.judged, changes) == changes {
            return;
        }
        let client_id = attached.session().client_id();
        let (bans, now_secs) = (&shared.guards.bans, shared.now().wall_secs);
        let banned = bans.of_address(self.address.ip(), now_secs);
        let Some(why) = banned.or_else(|| bans.of_client(client_id, self.user(), now_secs)) else {
            return;
        };
        let (client, address) = (Words(client_id), self.address);
        bench.telling.tell(Kind::Refused, bench.turn.now.mono, || {
            tracing::info!(%client, %address, "disconnected: {why}");
        });
        bench.turn.count(Count::BannedEnds, 1);
        // 0x8A is a word of CONNACK alone: in DISCONNECT this is what an administrator says.
        let (engine, reason) = (&shared.engine, ReasonCode::AdministrativeAction);
        self.conversation.close_because(engine, &mut bench.turn, reason, Some(&why));
    }

    /// The connection ends: counts it if it has fallen. Before the conversation lets go of its session.
    pub(super) fn count_fall(&mut self, bench: &mut Bench) {
        if !self.conversation.has_fallen() || bench.shared.stopping.load(Relaxed) {
            return;
        }
        let Some(attached) = self.conversation.attached() else { return };
        let client_id = attached.session().client_id();
        let (user, address) = (self.user(), self.address.ip());
        let now = bench.turn.now.mono;
        if bench.shared.guards.flapping.fall(Whose { client_id, user, address }, now.0) {
            bench.turn.count(Count::HeldOff, 1);
            let (client, address) = (Words(client_id), self.address);
            bench.telling.tell(Kind::Unheard, now, || {
                tracing::warn!(%client, %address, "held off for a while: it has lost its connection too often");
            });
        }
    }
}
