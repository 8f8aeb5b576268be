//! Messages of one publisher, one topic and one QoS come in the order of publishing, as far as they come for the first
//! time. Not those of shared groups, which several members divide among them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Facts, Finding,
    history::{ClientStory, History, Seq, Story},
};

pub(crate) fn check(history: &History, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, client) in &history.clients {
        let mut seen = BTreeSet::new();
        let mut last: BTreeMap<(u32, &str, u8, u8), u64> = BTreeMap::new();
        let has_groups = client.sessions.iter().any(|session| {
            session
                .filters
                .values()
                .flatten()
                .filter_map(|step| step.wish.as_ref())
                .any(|wish| wish.is_shared())
        });
        for (seq, arrival) in history.arrivals(client) {
            let Some(message) = arrival.message else { continue };
            let Some(story) = history.messages.get(&message).filter(|story| !story.is_will) else { continue };
            if !seen.insert(message) || arrival.retain {
                continue;
            }
            if has_groups && !client.maybe(&arrival.topic, true, 0, seq).is_empty() {
                continue;
            }
            if story.resends > 0
                && (arrival.qos == 0
                    || facts.refuses
                    || facts.dropped > 0
                    || story.publication.expiry_secs.is_some()
                    || !is_sure(client, story, *number, arrival.qos))
            {
                continue; // Its first copy was lost, refused, expired, or routed before it had subscribed, perhaps.
            }
            let line = (story.publisher, &*arrival.topic, story.publication.qos, arrival.qos);
            let newest = last.entry(line).or_default();
            if *newest > message {
                let text =
                    format!("m{message} came to client {number} after m{newest} of the same publisher");
                findings.push(Finding::new("order", text).of(*number).on(message));
            }
            *newest = message.max(*newest);
        }
    }
    findings
}

/// Whether the client has certainly been subscribed, at this QoS, from the first sending of the message on.
fn is_sure(client: &ClientStory, story: &Story, number: u32, qos: u8) -> bool {
    let until = story.done.map_or(Seq::MAX, |(done, _)| done);
    client.sessions.iter().filter(|session| session.begin < story.sent).any(|session| {
        let lasts = session.end.is_none_or(|end| end > until);
        let interest = session.interest(&story.publication.topic, false, story.sent, until);
        lasts && interest.owed_qos(story.publisher == number).is_some_and(|owed| owed >= qos)
    })
}
