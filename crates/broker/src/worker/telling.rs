//! What the log hears of clients: a few lines of each kind in a second, and how many more there were. Not what is
//! counted: that is everything.

use std::{fmt, mem::take};

use whimbrel_engine::{Notice, proto::Millis};

/// Lines of one kind that a worker writes in one second. Somebody who tries passwords, or a full queue, does not fill
/// the disk.
const LINES_PER_SECOND: u32 = 5;

/// Characters of a client's own words that a line shows.
const WORDS_SHOWN: usize = 100;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Refused,
    QueueFull,
    RetainedFull,
    SlowClient,
    Handshake,
    Denied,
    Unheard,
}

/// A worker's lines about clients, by kind.
#[derive(Default)]
pub(super) struct Telling {
    refused: Quota,
    queue_full: Quota,
    retained_full: Quota,
    slow_client: Quota,
    handshake: Quota,
    denied: Quota,
    unheard: Quota,
    /// Something was held back and not yet summed up.
    holding: bool,
}

/// The lines of one kind.
#[derive(Default)]
struct Quota {
    /// The second of the last line.
    second: u64,
    told: u32,
    held_back: u64,
}

impl Quota {
    /// Whether one more line may be written.
    fn admits(&mut self, now: Millis) -> bool {
        let second = now.0 / 1_000;
        if self.second != second {
            (self.second, self.told) = (second, 0);
        }
        let admits = self.told < LINES_PER_SECOND;
        self.told += u32::from(admits);
        self.held_back += u64::from(!admits);
        admits
    }

    /// How many lines a second that is over has held back.
    fn overdue(&mut self, now: Millis) -> u64 {
        if self.second == now.0 / 1_000 { 0 } else { take(&mut self.held_back) }
    }
}

impl Telling {
    /// Writes a line, unless this second has seen enough of its kind.
    pub(super) fn tell(&mut self, kind: Kind, now: Millis, line: impl FnOnce()) {
        let quota = self.quota(kind);
        kind.sum_up(quota.overdue(now));
        if quota.admits(now) {
            line();
        } else {
            self.holding = true;
        }
    }

    /// Says what an operator wants to know of what the engine has done.
    pub(super) fn notice(&mut self, notice: &Notice, now: Millis) {
        match notice {
            Notice::QueueFull { client_id, cause } => self.tell(Kind::QueueFull, now, || {
                let (client, cause) = (Words(client_id), cause.name());
                tracing::warn!(%client, cause, "messages are dropped for this client");
            }),
            Notice::RetainedFull { topic } => self.tell(Kind::RetainedFull, now, || {
                let topic = Words(topic);
                tracing::warn!(%topic, "a message was not retained: the limit of retained messages is reached");
            }),
            Notice::ConnectRefused { client_id, reason } => self.tell(Kind::Refused, now, || {
                let client = Words(client_id);
                tracing::info!(%client, reason = reason.name(), "a client was refused");
            }),
            Notice::SlowClient { client_id, cause } => self.tell(Kind::SlowClient, now, || {
                let (client, cause) = (Words(client_id), cause.name());
                tracing::warn!(%client, cause, "disconnected: it does not take what is sent to it");
            }),
            Notice::Denied { client_id, what, by } => self.tell(Kind::Denied, now, || {
                let (client, what) = (Words(client_id), Words(what));
                tracing::info!(%client, %what, "denied to this client: {by}");
            }),
            Notice::SubscriptionEnded { client_id, filter } => self.tell(Kind::Denied, now, || {
                let (client, filter) = (Words(client_id), Words(filter));
                tracing::info!(%client, %filter, "a subscription ended: the rules do not allow it");
            }),
            _ => {}
        }
    }

    /// Sums up what former seconds have held back.
    pub(super) fn catch_up(&mut self, now: Millis) {
        if !self.holding {
            return;
        }
        self.holding = false;
        for kind in Kind::ALL {
            let quota = self.quota(kind);
            kind.sum_up(quota.overdue(now));
            let holds = quota.held_back > 0;
            self.holding |= holds;
        }
    }

    fn quota(&mut self, kind: Kind) -> &mut Quota {
        match kind {
            Kind::Refused => &mut self.refused,
            Kind::QueueFull => &mut self.queue_full,
            Kind::RetainedFull => &mut self.retained_full,
            Kind::SlowClient => &mut self.slow_client,
            Kind::Handshake => &mut self.handshake,
            Kind::Denied => &mut self.denied,
            Kind::Unheard => &mut self.unheard,
        }
    }
}

impl Kind {
    const ALL: [Kind; 7] = [
        Kind::Refused,
        Kind::QueueFull,
        Kind::RetainedFull,
        Kind::SlowClient,
        Kind::Handshake,
        Kind::Denied,
        Kind::Unheard,
    ];

    /// The engine names only some where very many come in one turn, so there may have been more.
    fn sum_up(self, more: u64) {
        if more == 0 {
            return;
        }
        match self {
            Self::Refused => tracing::info!("a client was refused: {more} more like this"),
            Self::QueueFull => {
                tracing::warn!("messages are dropped for a client: at least {more} more like this");
            }
            Self::RetainedFull => {
                tracing::warn!("a message was not retained: at least {more} more like this")
            }
            Self::Denied => {
                tracing::info!("something was denied to a client: at least {more} more like this")
            }
            Self::Unheard => tracing::warn!("not heard for too many wrong passwords: {more} more like this"),
            Self::Handshake => tracing::info!(
                "a handshake failed, or a certificate is no longer good: {more} more like this"
            ),
            Self::SlowClient => {
                tracing::warn!("disconnected for not taking what is sent: at least {more} more like this");
            }
        }
    }
}

/// Words that a client has chosen, fit for one line of a log.
pub(crate) struct Words<'a>(pub(crate) &'a str);

impl fmt::Display for Words<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, cut) = match self.0.char_indices().nth(WORDS_SHOWN) {
            Some((end, _)) => (self.0.get(..end).unwrap_or_default(), "…"),
            None => (self.0, ""),
        };
        write!(out, "{shown:?}{cut}")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_second_has_five_lines_of_a_kind_and_the_next_tells_how_many_were_held_back() {
        let (mut telling, lines) = (Telling::default(), Cell::new(0));
        let tell = |telling: &mut Telling, kind, now| {
            telling.tell(kind, now, || lines.set(lines.get() + 1));
            lines.get()
        };
        for _ in 0..2_990 {
            tell(&mut telling, Kind::RetainedFull, Millis(7_999));
        }
        assert_eq!(lines.get(), 5);
        assert_eq!(tell(&mut telling, Kind::QueueFull, Millis(7_999)), 6, "each kind has its own five");
        telling.catch_up(Millis(7_999));
        assert_eq!(telling.retained_full.held_back, 2_985, "the second is not over");
        telling.catch_up(Millis(8_000));
        assert_eq!((telling.retained_full.held_back, telling.holding), (0, false));
        assert_eq!(tell(&mut telling, Kind::RetainedFull, Millis(8_000)), 7);
    }

    #[test]
    fn what_is_held_back_is_told_once() {
        let mut quota = Quota::default();
        let admitted = (0..8).filter(|_| quota.admits(Millis(1_500))).count();
        assert_eq!((admitted, quota.overdue(Millis(1_900))), (5, 0));
        assert_eq!([quota.overdue(Millis(2_000)), quota.overdue(Millis(3_000))], [3, 0]);
    }

    #[test]
    fn a_clients_words_are_one_short_line() {
        assert_eq!(Words("a\nb\u{1b}[31m\"").to_string(), r#""a\nb\u{1b}[31m\"""#);
        let long = "ä".repeat(65_535 / 2);
        assert_eq!(Words(&long).to_string(), format!("\"{}\"…", "ä".repeat(100)));
        assert_eq!(Words(&"a".repeat(100)).to_string(), format!("\"{}\"", "a".repeat(100)));
    }
}
