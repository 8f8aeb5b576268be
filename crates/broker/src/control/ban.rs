//! Bans: made, taken back and listed by whoever administers the broker. Not who is let in.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, interval};

use super::{Control, Refusal};
use crate::{
    bans::{Ban, Banned, WHY_BYTES_MAX, kept},
    worker::Words,
};

/// How long the disk may take to have a ban.
const KEPT_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether it has it.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A ban that was made or taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanChanged {
    /// The ban.
    pub ban: Ban,
    /// Whether the disk has it: what it does not have ends with the broker.
    pub kept: bool,
}

/// Everybody who is kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bans {
    /// Bans, those that end soonest first.
    pub bans: Vec<Ban>,
    /// Clients that are held off because they fell over and over.
    pub held_off: Vec<HeldOff>,
}

/// A client that is held off because it fell over and over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOff {
    /// Its identifier.
    pub client_id: String,
    /// The user who has it, where one was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where it comes from, if no user was proved: what is held off comes from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Until when, in seconds since 1970.
    pub until: u64,
}

impl Control {
    /// Keeps somebody out for so long, or until it is taken back, and ends the connections that it has: within a quarter
    /// of a second, with DISCONNECT 0x98. A ban that there is already is replaced. Answers when the disk has it; needs the
    /// clock of a tokio runtime.
    ///
    /// # Errors
    /// [`Refusal::NoNetwork`], [`Refusal::BanTooLong`], [`Refusal::TooManyBans`].
    pub async fn ban(
        &self,
        of: Banned,
        secs: Option<u64>,
        why: Option<String>,
    ) -> Result<BanChanged, Refusal> {
        let of = canonical(of)?;
        let why = why.filter(|why| !why.is_empty());
        if why.as_ref().is_some_and(|why| why.len() > WHY_BYTES_MAX) {
            return Err(Refusal::BanTooLong { bytes_max: WHY_BYTES_MAX });
        }
        let now_secs = self.moment().unix_secs;
        let until = secs.map(|secs| now_secs.saturating_add(secs));
        let ban = Ban { of, since: now_secs, until, why };
        let end = {
            let mut turn = self.0.turn.lock();
            turn.now = self.0.shared.now();
            let bans = &self.0.shared.guards.bans;
            let over = bans
                .add(ban.clone(), now_secs)
                .map_err(|_| Refusal::TooManyBans { bans_max: bans.bans_max() })?;
            for of in over.iter().filter(|of| **of != ban.of) {
                self.engine().forget_note(&mut turn, &kept::name(of));
            }
            let end = self.engine().keep_note(&mut turn, &kept::name(&ban.of), &kept::value(&ban));
            self.engine().flush(&mut turn);
            end
        };
        self.0.shared.trust_changes.fetch_add(1, Relaxed);
        tracing::info!("control: banned: {}", in_words(&ban));
        let kept = match end {
            Ok(end) => self.is_kept(end).await,
            Err(_) => false,
        };
        Ok(BanChanged { ban, kept })
    }

    /// Takes a ban back; of a client identifier also what holds it off because it fell over and over.
    ///
    /// # Errors
    /// [`Refusal::NotBanned`], [`Refusal::NoNetwork`].
    pub async fn unban(&self, of: Banned) -> Result<BanChanged, Refusal> {
        let of = canonical(of)?;
        let released = match &of {
            Banned::Client(id) => self.0.shared.guards.flapping.release(id),
            _ => 0,
        };
        let now_secs = self.moment().unix_secs;
        let (ban, end) = {
            let mut turn = self.0.turn.lock();
            turn.now = self.0.shared.now();
            let ban = self.0.shared.guards.bans.remove(&of);
            let end = self.engine().forget_note(&mut turn, &kept::name(&of));
            self.engine().flush(&mut turn);
            (ban, end)
        };
        let held = || Ban { of: of.clone(), since: now_secs, until: Some(now_secs), why: None };
        let Some(ban) = ban.or_else(|| (released > 0).then(held)) else {
            return Err(Refusal::NotBanned { of });
        };
        tracing::info!("control: no longer banned: {}", in_words(&ban));
        let kept = match end {
            Some(end) => self.is_kept(end).await,
            None => true,
        };
        Ok(BanChanged { ban, kept })
    }

    /// Everybody who is kept out now.
    pub async fn bans(&self) -> Bans {
        let moment = self.moment();
        let held_off = self.0.shared.guards.flapping.list(moment.mono.0);
        let held_off = held_off.into_iter().map(|held| HeldOff {
            client_id: held.client_id.into(),
            user: held.user.map(String::from),
            address: held.address.map(|address| address.to_string()),
            until: moment.unix_secs + held.until.saturating_sub(moment.mono.0).div_ceil(1_000),
        });
        Bans { bans: self.0.shared.guards.bans.list(moment.unix_secs), held_off: held_off.collect() }
    }

    /// Whether the disk has it in time.
    async fn is_kept(&self, end: u64) -> bool {
        if !self.engine().keeps() {
            return false;
        }
        let until = Instant::now() + KEPT_WITHIN;
        let mut looks = interval(LOOK_EVERY);
        while !self.engine().has_note(end) {
            if Instant::now() >= until {
                return false;
            }
            looks.tick().await;
        }
        true
    }
}

fn canonical(of: Banned) -> Result<Banned, Refusal> {
    let text = match &of {
        Banned::Address(text) => text.clone(),
        Banned::Client(_) | Banned::User(_) => String::new(),
    };
    of.canonical().ok_or(Refusal::NoNetwork { text })
}

/// A ban in a line of the log.
fn in_words(ban: &Ban) -> String {
    let of = match &ban.of {
        Banned::Client(id) => format!("client {}", Words(id)),
        Banned::User(name) => format!("user {}", Words(name)),
        Banned::Address(network) => format!("address {network}"),
    };
    match &ban.why {
        Some(why) => format!("{of} ({})", Words(why)),
        None => of,
    }
}
