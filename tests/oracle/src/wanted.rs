//! A client gets what it has subscribed to and nothing else: never a message that matches none of its filters, never at
//! a higher QoS than granted, never with other identifiers than its subscriptions have, never what was refused or has
//! expired.

use std::collections::BTreeSet;

use crate::{
    Facts, Finding,
    event::{Arrival, Wish},
    history::{ClientStory, History, Seq, SessionStory, Story},
};

pub(crate) fn check(history: &History, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, client) in history.clients.iter().filter(|(number, _)| !facts.is_weak(**number)) {
        for (seq, arrival) in history.arrivals(client) {
            let Some(message) = arrival.message else { continue };
            let wrong = match history.messages.get(&message) {
                Some(story) => wrong(history, facts, *number, client, story, (arrival, seq)),
                None => Some("nobody has published it".to_owned()),
            };
            let wrong = wrong.or_else(|| late(history, facts, *number, client, arrival, seq));
            if let Some(text) = wrong {
                let text = format!("m{message} at client {number}: {text}");
                findings.push(Finding::new("wanted", text).of(*number).on(message));
            }
        }
    }
    findings
}

fn wrong(
    history: &History,
    facts: &Facts,
    number: u32,
    client: &ClientStory,
    story: &Story,
    (arrival, seq): (&Arrival, Seq),
) -> Option<String> {
    let publication = &story.publication;
    if arrival.topic != publication.topic {
        return Some(format!("the topic is {}", arrival.topic));
    }
    if story.is_refused() {
        return Some("the server has refused it".to_owned());
    }
    if arrival.retain && !publication.retain {
        return Some("it has RETAIN and was published without".to_owned());
    }
    if arrival.qos > publication.qos {
        return Some(format!("QoS {} is above that of its publication", arrival.qos));
    }
    let until = if story.is_will { seq } else { story.settled.min(seq) };
    let until = if arrival.retain { seq } else { until };
    let plain = client.maybe(&arrival.topic, false, story.sent, until);
    // What another member had not acknowledged comes late.
    let shared = client.maybe(&arrival.topic, true, story.sent, seq);
    let all: Vec<&Wish> = plain.iter().chain(&shared).copied().collect();
    if all.is_empty() {
        return Some("no filter matches it".to_owned());
    }
    if all.iter().all(|wish| wish.no_local) && story.publisher == number && !arrival.retain {
        return Some("it is its own, and no-local".to_owned());
    }
    let is_again = arrival.retain && arrival.qos == 1 && facts.crashes_between(story.sent, seq) > 0;
    // A fetch that had not ended when the server died begins anew, with what is retained then, at QoS 1 if the SUBSCRIBE
    // that asked for it had that, whatever a later one has.
    let earlier = if is_again { client.maybe(&arrival.topic, false, 0, until) } else { Vec::new() };
    if all.iter().chain(&earlier).all(|wish| wish.qos < arrival.qos) {
        return Some(format!("QoS {} is above what was granted", arrival.qos));
    }
    wrong_ids(client, story.publisher == number, story, arrival, &all, until, seq)
        .or_else(|| expired(history, facts, story, arrival, seq))
}

fn wrong_ids(
    client: &ClientStory,
    own: bool,
    story: &Story,
    arrival: &Arrival,
    all: &[&Wish],
    until: Seq,
    seq: Seq,
) -> Option<String> {
    let known: BTreeSet<u32> = all.iter().map(|wish| wish.id).collect();
    if let Some(id) = arrival.ids.iter().find(|id| !known.contains(id)) {
        return Some(format!("no subscription that matches has the identifier {id}"));
    }
    let shared = all.iter().any(|wish| wish.is_shared());
    if arrival.retain || shared || story.resends > 0 || story.is_will {
        return None;
    }
    // The identifiers of all subscriptions that certainly matched are there [MQTT-3.3.4-3].
    let lasts =
        |session: &&SessionStory| session.begin < story.sent && session.end.is_none_or(|end| end > seq);
    let session = client.sessions.iter().rev().find(lasts)?;
    let sure = session.interest(&arrival.topic, false, story.sent, until).sure;
    let single = |forms: &Vec<&Wish>| if let [one] = forms[..] { Some(one.clone()) } else { None };
    let due = |one: &Wish| one.id > 0 && !(one.no_local && own) && !arrival.ids.contains(&one.id);
    let missing = sure.iter().filter_map(single).find(due);
    missing.map(|one| format!("the identifier {} of a subscription that matches is missing", one.id))
}

/// Whether it came behind UNSUBACK although nothing had been waiting [MQTT-3.10.4-2].
fn late(
    history: &History,
    facts: &Facts,
    number: u32,
    client: &ClientStory,
    arrival: &Arrival,
    seq: Seq,
) -> Option<String> {
    let link = history.events.get(seq).and_then(|event| history.links.get(&event.link))?;
    let (connected, resumed) = link.connected?;
    if !facts.unqueued.contains(&number) || resumed || client.sessions.last()?.begin > connected {
        return None;
    }
    let now = |shared| client.maybe(&arrival.topic, shared, seq, seq);
    (now(false).is_empty() && now(true).is_empty()).then(|| "it came after UNSUBACK".to_owned())
}

/// Whether it came on a connection that began after it had expired. What was in flight before may come again.
fn expired(history: &History, facts: &Facts, story: &Story, arrival: &Arrival, seq: Seq) -> Option<String> {
    let expiry_secs = u64::from(story.publication.expiry_secs?);
    if arrival.expiry_secs.is_some_and(|left| u64::from(left) > expiry_secs) {
        return Some("more of its expiry is left than it had".to_owned());
    }
    let settled = history.at(story.settled);
    let link = history.events.get(seq).and_then(|event| history.links.get(&event.link))?;
    if arrival.dup || story.is_will || settled == u64::MAX {
        return None;
    }
    let begun = history.at(link.connect);
    // The journal has whole seconds: each life of the server may add one.
    let deaths = facts.crashes_between(story.sent, seq) as u64;
    let rounded_secs = if deaths > 0 { deaths + 1 } else { 0 };
    let ends = settled.saturating_add((expiry_secs + rounded_secs) * 1_000);
    (begun > ends).then(|| "it had expired".to_owned())
}
