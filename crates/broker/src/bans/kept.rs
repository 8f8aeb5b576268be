//! Bans as notes of the store. Not the store.

use whimbrel_engine::Engine;

use super::{Ban, Banned, Bans};

/// What the names of their notes begin with.
const PREFIX: &str = "ban/";

/// The name of a ban's note.
pub(crate) fn name(of: &Banned) -> String {
    let (kind, text) = match of {
        Banned::Client(id) => ("client", id),
        Banned::User(name) => ("user", name),
        Banned::Address(network) => ("address", network),
    };
    format!("{PREFIX}{kind}/{text}")
}

/// What the note says.
pub(crate) fn value(ban: &Ban) -> Vec<u8> {
    serde_json::to_vec(ban).unwrap_or_default()
}

/// The bans that the store has. What another version has written there and this one cannot read stays there.
pub(crate) fn restore(engine: &Engine, bans: &Bans, now_secs: u64) {
    let (mut restored, mut left) = (0_usize, 0_usize);
    for (name, value) in engine.notes(PREFIX) {
        let ban = serde_json::from_slice::<Ban>(&value).ok();
        match ban.and_then(|ban| bans.add(ban, now_secs).ok()) {
            Some(_) => restored += 1,
            None => {
                left += 1;
                tracing::warn!(%name, "a ban of the store does not count: it cannot be read, or there are too many");
            }
        }
    }
    if restored + left > 0 {
        tracing::info!("{restored} bans are in force");
    }
}
