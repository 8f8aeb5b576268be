//! What a store holds, in numbers, without an engine that it would be restored into.

use std::collections::HashSet;

use super::fold::{Fold, FoldMessages};

/// Missing messages that are named; the others are counted.
const NAMED_MAX: usize = 100;

/// What the records amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Sessions.
    pub sessions: usize,
    /// Their subscriptions.
    pub subscriptions: usize,
    /// Messages that sessions and shared groups are owed; one counts for each.
    pub owed: usize,
    /// Retained messages.
    pub retained: usize,
    /// Wills that are due when their clients do not come back.
    pub wills: usize,
    /// Messages, each once however many are owed it.
    pub messages: usize,
    /// Publishes that had not been recorded whole: nobody was told that they were taken.
    pub dropped: usize,
    /// Messages that somebody is owed and that are not there. 0 unless the store is damaged.
    pub missing: usize,
    /// Some of them.
    pub named: Vec<Missing>,
}

/// A message that somebody is owed and that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The name of the message: the position after its first record.
    pub message: u64,
    /// The position of the record by which it is owed.
    pub place: u64,
    /// To whom, in words.
    pub debt: String,
}

impl Fold {
    /// What has been read, as it would be restored.
    #[must_use]
    pub fn summary(mut self) -> Summary {
        let mut summary = Summary { dropped: self.drop_open(), ..Summary::default() };
        let messages = std::mem::take(&mut self.messages);
        for (topic, (message, place)) in &self.retained {
            summary.retained +=
                summary.finds(&messages, *message, *place, || format!("retained on {topic:?}"));
        }
        let mut groups = HashSet::new();
        let mut sessions: Vec<_> = std::mem::take(&mut self.sessions).into_iter().collect();
        sessions.sort_unstable_by_key(|(key, _)| *key);
        let mut known = HashSet::new();
        for (_, session) in &sessions {
            let Some(client_id) = &session.client_id else { continue };
            let (stays, has_will) = (session.expiry_secs > 0, session.will.is_some());
            if !(stays || has_will) {
                continue; // It ended with its connection.
            }
            if session.ended {
                // Its will is due; its client may have another session already.
                summary.wills += usize::from(has_will);
                continue;
            }
            if !known.insert(client_id) {
                continue; // Another one has its identifier.
            }
            summary.sessions += 1;
            summary.wills += usize::from(has_will);
            if !stays {
                continue;
            }
            summary.subscriptions += session.subscriptions.len();
            groups.extend(
                session.subscriptions.keys().filter_map(|filter| {
                    filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'))
                }),
            );
            for owed in session.owed.values() {
                let debt = || format!("owed to client {client_id:?}");
                summary.owed += summary.finds(&messages, owed.message, owed.place, debt);
            }
        }
        for ((share, filter), queue) in &self.groups {
            if !groups.contains(&(&**share, &**filter)) {
                continue; // It went with its last member.
            }
            for owed in queue.values() {
                let debt = || format!("owed to the shared group $share/{share}/{filter}");
                summary.owed += summary.finds(&messages, owed.message, owed.place, debt);
            }
        }
        summary.messages = messages.needed();
        summary
    }
}

impl Summary {
    /// 1 if the message is there.
    fn finds(
        &mut self,
        messages: &FoldMessages,
        message: u64,
        place: u64,
        debt: impl Fn() -> String,
    ) -> usize {
        if messages.get(message).is_some_and(|known| known.content.is_some()) {
            return 1;
        }
        self.missing += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(Missing { message, place, debt: debt() });
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_proto::codec::QoS;

    use super::super::{Record, StoredSession, StoredWill};
    use super::*;

    #[test]
    fn a_message_that_is_owed_and_not_there_is_named_with_the_record_that_owes_it() {
        let session = Record::Session(StoredSession {
            key: 1,
            client_id: "c",
            expiry_secs: 60,
            receive_maximum: 10,
            absent_since: 1,
            unsent_from: 0,
            next_number: 0,
            will: None,
        });
        let enqueue = Record::Enqueue {
            key: 1,
            number: 0,
            message: 99,
            qos: QoS::AtLeastOnce,
            retain: false,
            closed: true,
            ids: Vec::new(),
            from: None,
            group: None,
        };
        let mut fold = Fold::new();
        let retain = Record::Retain { message: 98, topic: "t", closed: true };
        for (at, record) in (0..).zip([session, enqueue, retain]) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            fold.take(at, at + 1, &bytes).unwrap();
        }
        let summary = fold.summary();
        let missing = |message, place, debt: &str| Missing { message, place, debt: debt.to_owned() };
        assert_eq!(
            summary.named,
            [missing(98, 2, "retained on \"t\""), missing(99, 1, "owed to client \"c\"")]
        );
        assert_eq!((summary.missing, summary.owed, summary.retained, summary.sessions), (2, 0, 0, 1));
    }

    #[test]
    fn a_session_that_is_over_and_whose_will_is_due_hides_none_that_its_client_has_since() {
        let will = StoredWill {
            topic: "w",
            forwarded: b"",
            payload: b"gone",
            qos: QoS::AtMostOnce,
            retain: false,
            delay_secs: 0,
            expiry_secs: None,
        };
        let session = |key, will| {
            Record::Session(StoredSession {
                key,
                client_id: "c",
                expiry_secs: 60,
                receive_maximum: 10,
                absent_since: 1,
                unsent_from: 0,
                next_number: 0,
                will,
            })
        };
        let over = Record::SessionEnd { key: 1, has_will: true };
        let mut fold = Fold::new();
        for (at, record) in (0..).zip([session(1, Some(will)), over, session(2, None)]) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            fold.take(at, at + 1, &bytes).unwrap();
        }
        let summary = fold.summary();
        assert_eq!((summary.sessions, summary.wills), (1, 1));
    }
}
