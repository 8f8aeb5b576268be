//! Retained messages: at most one per topic and SUBSCRIBE, never one that was replaced before, and one where there is
//! one; the final value is that of the last publication, and who was subscribed all the time has seen it last.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Facts, Finding,
    event::{Arrival, Wish},
    history::{ClientStory, History, Seq, SessionStory, Story},
    twice::fetches,
};

pub(crate) fn check(history: &History, facts: &Facts) -> Vec<Finding> {
    let topics = Topics::of(history, facts);
    let mut findings = Vec::new();
    for (number, client) in history.clients.iter().filter(|(number, _)| !facts.is_weak(**number)) {
        let mut came: BTreeMap<&str, usize> = BTreeMap::new();
        for (seq, arrival) in history.arrivals(client).filter(|(_, arrival)| arrival.retain && !arrival.dup) {
            let plain = client.maybe(&arrival.topic, false, 0, seq);
            let groups = client.maybe(&arrival.topic, true, 0, seq);
            if plain.iter().chain(&groups).any(|wish| wish.retain_as_published) {
                continue;
            }
            let came = came.entry(&arrival.topic).or_default();
            let wrong = wrong_fetch(&topics, facts, client, seq, arrival, came);
            findings.extend(wrong.map(|text| {
                let finding = Finding::new("retained", format!("client {number}: {text}")).of(*number);
                Finding { message: arrival.message, ..finding }
            }));
        }
        if facts.dropped == 0 && !facts.absent.contains(number) {
            for session in client.sessions.iter().filter(|session| session.end.is_none()) {
                findings.extend(unserved(history, &topics, *number, client, session));
            }
        }
    }
    findings.extend(final_values(history, facts, &topics));
    findings
}

/// What was published with RETAIN, by topic, in the order of sending; and what of it a death of the server may have
/// taken back.
struct Topics<'a>(BTreeMap<&'a str, Vec<&'a Story>>, BTreeSet<u64>);

impl<'a> Topics<'a> {
    fn of(history: &'a History, facts: &Facts) -> Self {
        let mut topics: BTreeMap<&str, Vec<&Story>> = BTreeMap::new();
        let mut shaky = BTreeSet::new();
        for story in history.messages.values() {
            if story.publication.retain && !story.is_refused() {
                topics.entry(&story.publication.topic).or_default().push(story);
                let is_promised = story.publication.qos > 0 && !story.is_will;
                let until = story.done.filter(|_| is_promised).map_or(Seq::MAX, |(done, _)| done);
                if facts.crashes_between(story.sent, until) > 0 {
                    shaky.insert(story.publication.message);
                }
            }
        }
        topics.retain(|_, stories| !stories.iter().any(|story| facts.is_weak(story.publisher)));
        Topics(topics, shaky)
    }

    /// Whether the server may have lost it with its life, and perhaps nobody has sent it again.
    fn is_shaky(&self, story: &Story) -> bool {
        self.1.contains(&story.publication.message)
    }

    fn on(&self, topic: &str) -> &[&'a Story] {
        self.0.get(topic).map_or(&[], Vec::as_slice)
    }
}

/// Whether the server has certainly dealt with `later` after it had dealt with `earlier` for the last time.
fn is_after(later: &Story, earlier: &Story) -> bool {
    if later.is_will || earlier.is_will {
        return false;
    }
    let same_line = later.link == earlier.link && later.sent > earlier.sent && earlier.resends == 0;
    same_line || later.sent > earlier.settled
}

fn wrong_fetch(
    topics: &Topics<'_>,
    facts: &Facts,
    client: &ClientStory,
    seq: Seq,
    arrival: &Arrival,
    came: &mut usize,
) -> Option<String> {
    *came += 1;
    let topic = &*arrival.topic;
    // A SUBSCRIBE that had not brought all when the server died brings it once more.
    let asked = fetches(client, topic, seq) * (1 + facts.crashes_between(0, seq));
    if *came > asked {
        return Some(format!("{came} retained messages on {topic} for {asked} SUBSCRIBEs"));
    }
    let steps = client.sessions.iter().flat_map(|session| session.filters.values().flatten());
    let asks = |wish: &Wish| !wish.is_shared() && wish.retain_handling < 2 && wish.fits(topic);
    let first = steps.filter(|step| step.wish.as_ref().is_some_and(asks)).map(|step| step.sent).min()?;
    let message = arrival.message?;
    let story = topics.on(topic).iter().find(|story| story.publication.message == message)?;
    let is_newer =
        |newer: &&&Story| newer.settled < first && is_after(newer, story) && !topics.is_shaky(newer);
    let newer = topics.on(topic).iter().find(is_newer)?;
    let newer = newer.publication.message;
    Some(format!("the retained m{message} on {topic} had been replaced by m{newer} before SUBSCRIBE"))
}

/// SUBSCRIBEs of a session that has lasted to the end, of topics that had a value then, and nothing came since.
fn unserved(
    history: &History,
    topics: &Topics<'_>,
    number: u32,
    client: &ClientStory,
    session: &SessionStory,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for steps in session.filters.values() {
        let Some(at) = steps.iter().rposition(|step| step.wish.is_none()).map_or(Some(0), |at| Some(at + 1))
        else {
            continue;
        };
        let Some(step) = steps.get(at) else { continue };
        let Some(wish) = step.wish.as_ref().filter(|_| step.acked.is_some() && !step.refused) else {
            continue;
        };
        let certain_new = steps.iter().take(at).all(|step| step.acked.is_some());
        let asks = wish.retain_handling == 0 || (wish.retain_handling == 1 && certain_new);
        // At QoS 0 it may be lost.
        if wish.is_shared() || !asks || wish.qos == 0 {
            continue;
        }
        for (topic, stories) in topics.0.iter().filter(|(topic, _)| wish.fits(topic)) {
            let is_there = |story: &&&Story| {
                story.settled < step.sent && lasts(story, stories) && !topics.is_shaky(story)
            };
            let Some(story) = stories.iter().rfind(is_there) else { continue };
            // What has taken its place since came by the subscription as a later SUBSCRIBE has it [MQTT-3.8.4-3].
            let has_replaced = |asked: fn(&Wish) -> bool, by: Option<u32>| {
                let mut later = steps.iter().skip(at).filter(|step| step.wish.as_ref().is_some_and(asked));
                let since = later.next().map_or(Seq::MAX, |step| step.sent);
                let counts = |other: &&&Story| by.is_none_or(|publisher| other.publisher == publisher);
                stories.iter().filter(counts).any(|other| other.settled > since)
            };
            // At QoS 0 it may be lost [MQTT-3.8.4-8]; what is its own does not come with No Local [MQTT-3.8.3-3].
            if has_replaced(|wish| wish.qos == 0, None) || has_replaced(|wish| wish.no_local, Some(number)) {
                continue;
            }
            let mut arrivals = history.arrivals(client);
            if !arrivals.any(|(seq, arrival)| seq > step.sent && *arrival.topic == **topic) {
                let message = story.publication.message;
                let text =
                    format!("client {number} subscribed to {topic}, where m{message} was, and got nothing");
                findings.push(Finding::new("retained", text).of(number).on(message));
            }
        }
    }
    findings
}

/// Whether something is on the topic from this message on, whatever else happens: nothing that may come later clears
/// it, expires, or may be lost on its way.
fn lasts(story: &Story, stories: &[&Story]) -> bool {
    let solid = |story: &Story| {
        let publication = &story.publication;
        !publication.empty && publication.expiry_secs.is_none() && publication.qos > 0 && !story.is_will
    };
    solid(story) && stories.iter().all(|other| is_after(story, other) || solid(other))
}

/// What the auditor found in the end against what was published, and against what others saw last.
fn final_values(history: &History, facts: &Facts, topics: &Topics<'_>) -> Vec<Finding> {
    let Some(auditor) = facts.auditor.and_then(|number| history.clients.get(&number)) else {
        return Vec::new();
    };
    let values: BTreeMap<&str, u64> = history
        .arrivals(auditor)
        .filter_map(|(_, arrival)| Some((&*arrival.topic, arrival.message?)))
        .collect();
    let mut findings = Vec::new();
    for (topic, stories) in &topics.0 {
        let value = values.get(topic).copied();
        let finding = |text: String| {
            let finding = Finding::new("retained", format!("{topic}: {text}"));
            Finding { message: value, ..finding }
        };
        if stories.iter().any(|story| story.publication.expiry_secs.is_some()) {
            continue;
        }
        if !stories.iter().any(|story| story.is_will)
            && let Some(text) = wrong_final(topics, stories, value)
        {
            findings.push(finding(text));
        }
        if facts.dropped > 0 || stories.iter().any(|story| topics.is_shaky(story)) {
            continue;
        }
        for (number, client) in &history.clients {
            if facts.is_weak(*number) {
                continue;
            }
            let Some((at, last)) = last_value(history, client, topic, stories) else { continue };
            let is_witness = facts.witness == Some(*number);
            let others = || Some(*number) != facts.auditor && watched(history, client, stories, topic, at);
            // At QoS 0 it may have come while the witness was away.
            let has_missed = !facts.crashes.is_empty()
                && stories.iter().any(|story| story.publication.qos == 0 || story.is_will);
            if has_missed || !is_witness && !others() {
                continue;
            }
            if last != value {
                let text =
                    format!("client {number} saw {last:?} last, and the retained message is {value:?}");
                findings.push(finding(text).of(*number));
            }
        }
    }
    findings
}

fn wrong_final(topics: &Topics<'_>, stories: &[&Story], value: Option<u64>) -> Option<String> {
    let certain = |story: &&&Story| story.settled != Seq::MAX && !topics.is_shaky(story);
    let replaced = |story: &Story| stories.iter().filter(certain).any(|later| is_after(later, story));
    let candidates: Vec<&&Story> = stories.iter().filter(|story| !replaced(story)).collect();
    let fits = match value {
        Some(value) => {
            candidates.iter().any(|story| story.publication.message == value && !story.publication.empty)
        }
        None => {
            candidates.iter().any(|story| story.publication.empty)
                || !stories.iter().any(|story| certain(&story))
        }
    };
    let last: Vec<u64> = candidates.iter().map(|story| story.publication.message).collect();
    (!fits).then(|| format!("the retained message is {value:?}, and the last publications are {last:?}"))
}

/// Whether a client has certainly seen all that was retained on a topic since it subscribed, in order: on one
/// connection that lasted, at QoS 1 or 2.
fn watched(history: &History, client: &ClientStory, stories: &[&Story], topic: &str, last: Seq) -> bool {
    let Some(session) = client.sessions.last().filter(|session| session.end.is_none()) else { return false };
    let Some(link) = client.links.last().and_then(|link| history.links.get(link)) else { return false };
    let begun =
        link.connected.is_some_and(|(at, present)| at <= session.begin && !present) && link.ended.is_none();
    let solid = stories.iter().all(|story| story.publication.qos > 0 && !story.is_will);
    let now = history.events.len();
    let groups = session.interest(topic, true, 0, now).maybe;
    // Subscribed without a gap since the last that came was published: it may have waited while others were missed.
    let message = history.arrival(last).and_then(|arrival| arrival.message);
    let Some(story) = stories.iter().find(|story| Some(story.publication.message) == message) else {
        return false;
    };
    let interest = session.interest(topic, false, story.sent, now);
    let stays = interest.sure.iter().any(|forms| forms.iter().all(|wish| wish.qos > 0 && !wish.no_local));
    last > session.begin && begun && solid && groups.is_empty() && stays
}

/// When the last value of a topic came to a client, and which; `None` stands for a topic that was cleared.
fn last_value(
    history: &History,
    client: &ClientStory,
    topic: &str,
    stories: &[&Story],
) -> Option<(Seq, Option<u64>)> {
    let retained: BTreeSet<u64> = stories.iter().map(|story| story.publication.message).collect();
    let counts = |(_, arrival): &(Seq, &Arrival)| {
        *arrival.topic == *topic && arrival.message.is_none_or(|message| retained.contains(&message))
    };
    history.arrivals(client).rfind(counts).map(|(at, arrival)| (at, arrival.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Publication, Terms, What};

    fn connected(client: u32) -> [(u32, What); 2] {
        let terms = Terms { version: 5, clean_start: true, expiry_secs: 600, keep_alive_secs: 0, will: None };
        [(client, What::Connect(terms)), (client, What::Connected { session_present: false })]
    }

    fn retained(client: u32, message: u64) -> [(u32, What); 2] {
        let topic = "a".into();
        let publication =
            Publication { message, topic, qos: 1, retain: true, empty: false, expiry_secs: None };
        [(client, What::Publish(publication)), (client, What::Acknowledged { message, code: 0 })]
    }

    fn subscribed(client: u32, request: u16, no_local: bool) -> [(u32, What); 2] {
        let (text, retain_as_published) = ("a".into(), false);
        let wish = Wish { text, qos: 1, no_local, retain_as_published, retain_handling: 0, id: 0 };
        [
            (client, What::Subscribe { request, wishes: vec![wish] }),
            (client, What::Subscribed { request, codes: vec![1] }),
        ]
    }

    fn findings(deeds: &[[(u32, What); 2]]) -> usize {
        let event = |(at, (client, what)): (u64, (u32, What))| Event { at, client, link: client, what };
        let events = (0..).zip(deeds.iter().flatten().cloned()).map(event).collect();
        let facts = Facts::default();
        check(&History::new(events, &facts), &facts).len()
    }

    #[test]
    fn v5_3_8_3_3_its_own_takes_the_place_of_what_is_owed_once_a_subscribe_has_no_local() {
        let [there, own] = [retained(1, 1), retained(2, 2)];
        let begun = [connected(1), connected(2), there];
        let after = |rest: &[[(u32, What); 2]]| findings(&[&begun, rest].concat());
        let (plain, mute) = (subscribed(2, 1, false), subscribed(2, 2, true));
        assert_eq!(after(&[mute.clone(), own.clone()]), 0);
        assert_eq!(after(&[plain.clone(), mute.clone(), own.clone()]), 0);
        assert_eq!(after(&[plain.clone(), own.clone()]), 1, "it comes by the subscription");
        assert_eq!(after(&[plain.clone(), own, mute.clone()]), 1, "it came by the subscription as it was");
        assert_eq!(after(&[plain, mute.clone(), retained(1, 2)]), 1, "it is another's");
        assert_eq!(after(&[mute]), 1, "nothing has taken its place");
    }
}
