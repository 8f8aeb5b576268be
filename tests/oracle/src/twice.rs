//! QoS 2 comes once. QoS 1 comes again only where a connection broke, of its publisher or of its receiver. QoS 0 never
//! comes again.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Facts, Finding,
    event::Arrival,
    history::{ClientStory, History, Seq, Step, Story},
};

pub(crate) fn check(history: &History, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, client) in history.clients.iter().filter(|(number, _)| !facts.is_weak(**number)) {
        let mut copies: BTreeMap<u64, Vec<(Seq, &Arrival)>> = BTreeMap::new();
        for (seq, arrival) in history.arrivals(client) {
            if let Some(message) = arrival.message {
                copies.entry(message).or_default().push((seq, arrival));
            }
        }
        for (message, copies) in copies.iter().filter(|(_, copies)| copies.len() > 1) {
            let Some(story) = history.messages.get(message) else { continue };
            if facts.is_weak(story.publisher) {
                continue;
            }
            if let Some(text) = too_many(history, facts, client, story, copies) {
                let text = format!("m{message} at client {number}: {text}");
                findings.push(Finding::new("twice", text).of(*number).on(*message));
            }
        }
    }
    findings
}

fn too_many(
    history: &History,
    facts: &Facts,
    client: &ClientStory,
    story: &Story,
    copies: &[(Seq, &Arrival)],
) -> Option<String> {
    let (first, last) = (copies.first()?.0, copies.last()?.0);
    let slots = Slots::of(history, facts, client, story, last);
    let count = |test: &dyn Fn(&Arrival) -> bool| copies.iter().filter(|(_, arrival)| test(arrival)).count();
    let deaths = facts.crashes_between(story.sent, last);
    // A will whose publication was not on the disk is published once more, unless a copy of it would be one too many.
    let again = if story.is_will && story.publication.qos < 2 { deaths } else { 0 };
    let taken_anew = slots.live * (story.routings_max() + again);
    for (qos, retain) in [(0, false), (2, false), (2, true), (0, true)] {
        let came = count(&|arrival| arrival.qos == qos && arrival.retain == retain);
        let retained = if retain { slots.fetches } else { 0 };
        let live = if !retain || slots.as_published { taken_anew } else { 0 };
        // What another member had not acknowledged goes to this one at QoS 0 where it wants no more.
        let handed_over = match qos {
            _ if slots.groups == 0 => 0,
            0 => slots.breaks_of_members,
            // What a member whose session ends with the server had not completed belongs to the group once more.
            _ => deaths * slots.groups,
        };
        if came > retained + live + handed_over {
            let what = if retain { "retained" } else { "live" };
            return Some(format!("{came} {what} copies at QoS {qos}, at most {}", retained + live));
        }
    }
    let sendings = 1 + client.breaks_between(first, last);
    let allowed = (taken_anew + slots.fetches + slots.breaks_of_members) * sendings;
    if copies.len() > allowed {
        return Some(format!("{} copies, at most {allowed}", copies.len()));
    }
    let marked = count(&|arrival| !arrival.dup);
    // Of what was acknowledged at QoS 1 and not on the disk nobody knows that it was sent before: with each death that holds
    // for each time that it was taken.
    let allowed = (taken_anew + slots.fetches + slots.breaks_of_members) * (1 + deaths);
    if marked > allowed {
        return Some(format!("{marked} copies without DUP, at most {allowed}"));
    }
    let allowed = slots.subscribes + slots.groups + slots.breaks_of_members;
    if marked > allowed && story.routings_max() == 1 && deaths == 0 {
        return Some(format!("{marked} copies without DUP for {allowed} subscriptions"));
    }
    let marked_in_vain = copies.iter().find(|(seq, arrival)| {
        let link = history.events.get(*seq).map(|event| event.link);
        let resumed = link.and_then(|link| history.links.get(&link)).and_then(|link| link.connected);
        arrival.dup && !resumed.is_some_and(|(_, session_present)| session_present)
    });
    marked_in_vain.map(|_| "DUP on a connection that resumed nothing".to_owned())
}

/// For how many reasons a message may come to one client.
struct Slots {
    /// Subscriptions that are not shared count once together, each group once.
    live: usize,
    groups: usize,
    /// SUBSCRIBEs that may have brought it because it was retained.
    fetches: usize,
    as_published: bool,
    /// A subscription that was there before it was sent, and SUBSCRIBEs since: each brings it once, because it was
    /// retained or because it was published later.
    subscribes: usize,
    /// Times that a group may have got it back from a member whose connection broke.
    breaks_of_members: usize,
}

impl Slots {
    fn of(history: &History, facts: &Facts, client: &ClientStory, story: &Story, last: Seq) -> Slots {
        let topic = &*story.publication.topic;
        let until = if story.resends > 0 || story.is_will { last } else { story.settled.min(last) };
        let plain = client.maybe(topic, false, story.sent, until);
        let shared = client.maybe(topic, true, story.sent, last);
        let groups: BTreeSet<&str> = shared.iter().map(|wish| &*wish.text).collect();
        let breaks: usize = history
            .clients
            .values()
            .filter(|member| {
                groups
                    .iter()
                    .any(|group| member.sessions.iter().any(|session| session.filters.contains_key(*group)))
            })
            .map(|member| member.breaks_between(story.sent, last))
            .sum();
        let breaks_of_members = breaks * groups.len() * story.routings_max();
        Slots {
            live: usize::from(!plain.is_empty()) + groups.len(),
            groups: groups.len(),
            // A SUBSCRIBE that had not brought all when the server died brings it once more.
            fetches: if story.publication.retain {
                subscribes(client, topic, last, 2) * (1 + facts.crashes_between(0, last))
            } else {
                0
            },
            subscribes: subscribes_since(client, topic, story.sent, last),
            as_published: plain.iter().chain(&shared).any(|wish| wish.retain_as_published),
            breaks_of_members,
        }
    }
}

/// SUBSCRIBEs of this client before a moment that ask for retained messages of the topic.
pub(crate) fn fetches(client: &ClientStory, topic: &str, before: Seq) -> usize {
    subscribes(client, topic, before, 2)
}

/// SUBSCRIBEs of this client before a moment that match the topic, with a retain handling below this.
fn subscribes(client: &ClientStory, topic: &str, before: Seq, handling: u8) -> usize {
    let steps = client.sessions.iter().flat_map(|session| session.filters.values().flatten());
    let own = steps.filter(|step| step.sent < before && !step.is_inherited);
    let wishes = own.filter_map(|step| step.wish.as_ref());
    wishes.filter(|wish| !wish.is_shared() && wish.retain_handling < handling && wish.fits(topic)).count()
}

/// SUBSCRIBEs between two moments that match the topic, and one more if a subscription was there before.
fn subscribes_since(client: &ClientStory, topic: &str, from: Seq, to: Seq) -> usize {
    let mut count = 0;
    let mut was_there = false;
    for steps in client.sessions.iter().flat_map(|session| session.filters.values()) {
        let asks = |step: &&Step| {
            step.wish.as_ref().is_some_and(|wish| !wish.is_shared() && wish.fits(topic)) && step.sent < to
        };
        let is_past = |step: &Step| step.acked.is_some_and(|acked| acked < from);
        let (past, since): (Vec<&Step>, Vec<&Step>) =
            steps.iter().filter(asks).partition(|step| is_past(step));
        was_there |= !past.is_empty();
        count += since.iter().filter(|step| !step.is_inherited).count();
    }
    count + usize::from(was_there)
}
