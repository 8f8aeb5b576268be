//! What records amount to, in words: two folds that are restored as the same have the same lines. For comparing what
//! cleaning has left with all that there was; where records lie is no part of it.

use super::{
    Record,
    fold::{Fold, FoldSession, Owed},
};

impl Fold {
    /// What would be restored, one line for each thing; the fold is one that holds all messages. Retained messages that
    /// expire are left out: what has expired is not recorded as gone. So is what is owed of a message that is not there:
    /// nobody gets it, and cleaning does not know it.
    #[must_use]
    pub fn account(mut self) -> Vec<String> {
        self.drop_open();
        let mut lines = Vec::new();
        for (topic, (message, _)) in &self.retained {
            let expires = match self.record(*message) {
                Some(Record::Message { expires, .. }) => expires,
                _ => u64::MAX,
            };
            if expires == u64::MAX {
                lines.extend(self.tell(*message).map(|message| format!("retained {topic}: {message}")));
            }
        }
        for (key, session) in &self.sessions {
            if let Some(client_id) = &session.client_id {
                self.tell_session(&format!("{client_id} (session {key})"), session, &mut lines);
            }
        }
        for ((share, filter), queue) in &self.groups {
            for (number, owed) in queue {
                let message = self.tell(owed.message);
                lines.extend(message.map(|told| format!("group {share}/{filter}: number {number}: {told}")));
            }
        }
        lines.sort_unstable();
        lines
    }

    fn record(&self, message: u64) -> Option<Record<'_>> {
        let content = self.messages.get(message)?.content.as_ref()?;
        Record::decode(content.record.as_ref()?)
    }

    /// `None` where the message is not there.
    fn tell(&self, message: u64) -> Option<String> {
        let Some(Record::Message { topic, payload, qos, retain, expires, publisher, .. }) =
            self.record(message)
        else {
            return None;
        };
        let begin = String::from_utf8_lossy(payload.get(..payload.len().min(20)).unwrap_or_default());
        let length = payload.len();
        Some(format!(
            "message {message} of session {publisher} on {topic}, {qos:?}, retain {retain}, expires {expires}, {length} \
             bytes from {begin:?} on"
        ))
    }

    fn tell_session(&self, name: &str, session: &FoldSession, lines: &mut Vec<String>) {
        let FoldSession { expiry_secs, absent_since, unsent_from, ended, .. } = session;
        if let Some(will) = &session.will {
            lines.push(format!("{name}: will: {:?}", will.stored()));
        }
        if *ended || *expiry_secs == 0 {
            return; // Nothing but a will is left of it.
        }
        lines.push(format!(
            "{name}: expires after {expiry_secs}, absent since {absent_since}, unsent from {unsent_from}, receive maximum \
             {}, next number {}",
            session.receive_maximum, session.next_number
        ));
        for (filter, one) in &session.subscriptions {
            lines.push(format!(
                "{name}: subscription {filter}: {:?}, no local {}, retain as published {}, identifier {}, fetch {:?}",
                one.qos, one.no_local, one.retain_as_published, one.id, one.fetch
            ));
        }
        for (number, owed) in &session.owed {
            let Owed { message, qos, retain, rare, .. } = owed;
            let (ids, group) = rare.as_ref().map(|rare| (&rare.ids, &rare.group)).unzip();
            lines.extend(self.tell(*message).map(|message| {
                format!("{name}: owed {number}: {qos:?}, retain {retain}, {ids:?}, {group:?}: {message}")
            }));
        }
        lines.push(format!("{name}: received {:?}, open {:?}", session.received, session.open));
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_proto::{Millis, codec::QoS};

    use super::super::{Parked, Restored, StoredSession};
    use super::*;
    use crate::{Engine, Limits, Now};

    fn fold(records: &[Record<'_>]) -> Fold {
        let mut fold = Fold::new();
        for (at, record) in (0..).zip(records) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            fold.take(at, at + 1, &bytes).unwrap();
        }
        fold
    }

    #[test]
    fn what_is_owed_of_a_message_that_is_not_there_is_neither_restored_nor_accounted_for() {
        let session = Record::Session(StoredSession {
            key: 1,
            client_id: "c",
            expiry_secs: 60,
            receive_maximum: 10,
            absent_since: 1,
            unsent_from: 0,
            next_number: 1,
            will: None,
        });
        let (key, qos, retain, closed) = (1, QoS::AtLeastOnce, false, true);
        let (filter, retain_as_published, fetch) = ("$share/g/t", false, None);
        let member =
            Record::Subscribe { key, filter, qos, no_local: false, retain_as_published, id: 0, fetch };
        let (ids, from, group) = (Vec::new(), None, None);
        let enqueue = Record::Enqueue { key, number: 0, message: 99, qos, retain, closed, ids, from, group };
        let parked = Parked { share: "g", filter: "t", number: 0 };
        let park = Record::Park { parked, message: 98, closed };
        let retain = Record::Retain { message: 97, topic: "t", closed };

        let cleaned = [session.clone(), member.clone()];
        let all = [session, member, enqueue, park, retain];
        assert_eq!(fold(&all).account(), fold(&cleaned).account());
        let engine = Engine::new(Limits::default(), 1);
        let restored = fold(&all).restore(&engine, Now { mono: Millis(1_000), wall_secs: 10 });
        let (sessions, subscriptions, missing) = (1, 1, 3);
        assert_eq!(restored, Restored { sessions, subscriptions, missing, ..Restored::default() });
    }
}
