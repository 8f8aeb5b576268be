//! What records amount to, in words: two folds that are restored as the same have the same lines. For comparing what
//! cleaning has left with all that there was; where records lie is no part of it.

use super::fold::{Content, Fold, FoldSession, Owed};

impl Fold {
    /// What would be restored, one line for each thing. Retained messages that expire are left out: what has expired is
    /// not recorded as gone.
    #[must_use]
    pub fn account(mut self) -> Vec<String> {
        self.drop_open();
        let mut lines = Vec::new();
        for (topic, (message, _)) in &self.retained {
            if self.content(*message).is_none_or(|content| content.expires == u64::MAX) {
                lines.push(format!("retained {topic}: {}", self.tell(*message)));
            }
        }
        for (key, session) in &self.sessions {
            if let Some(client_id) = &session.client_id {
                self.tell_session(&format!("{client_id} (session {key})"), session, &mut lines);
            }
        }
        for ((share, filter), queue) in &self.groups {
            for (number, owed) in queue {
                lines.push(format!("group {share}/{filter}: number {number}: {}", self.tell(owed.message)));
            }
        }
        lines.sort_unstable();
        lines
    }

    fn content(&self, message: u64) -> Option<&Content> {
        self.messages.get(&message).and_then(|known| known.content.as_ref())
    }

    fn tell(&self, message: u64) -> String {
        let Some(content) = self.content(message) else { return format!("message {message}, MISSING") };
        let Content { topic, payload, qos, retain, expires, publisher, .. } = content;
        let begin = String::from_utf8_lossy(payload.get(..payload.len().min(20)).unwrap_or_default());
        let length = payload.len();
        format!(
            "message {message} of session {publisher} on {topic}, {qos:?}, retain {retain}, expires {expires}, {length} \
             bytes from {begin:?} on"
        )
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
            let Owed { message, qos, retain, ids, group, .. } = owed;
            let message = self.tell(*message);
            lines.push(format!(
                "{name}: owed {number}: {qos:?}, retain {retain}, {ids:?}, {group:?}: {message}"
            ));
        }
        lines.push(format!("{name}: received {:?}, open {:?}", session.received, session.open));
    }
}
