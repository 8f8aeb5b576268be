//! Wills: one for each connection that ends without a normal DISCONNECT, none for one that ends with it, none where the
//! client was back before the delay had passed. The witness counts them.

use std::collections::BTreeMap;

use crate::{
    Crash, Facts, Finding,
    event::{Ending, WillTerms},
    history::{History, LinkStory, Seq},
};

/// Timers are looked at so often at least.
const TICK_MILLIS: u64 = 2_000;
/// A will that is due has been published, and is on the disk, so much later.
const NOTICE_MILLIS: u64 = 10_000;

pub(crate) fn check(history: &History, facts: &Facts) -> Vec<Finding> {
    let Some(witness) = facts.witness.and_then(|number| history.clients.get(&number)) else {
        return Vec::new();
    };
    let mut came_of: BTreeMap<u64, usize> = BTreeMap::new();
    for message in history.arrivals(witness).filter_map(|(_, arrival)| arrival.message) {
        *came_of.entry(message).or_default() += 1;
    }
    let mut findings = Vec::new();
    for (number, link) in &history.links {
        let Some(will) = &link.terms.will else { continue };
        let message = will.publication.message;
        let came = came_of.get(&message).copied().unwrap_or(0);
        let bounds = bounds(history, facts, *number, link, will);
        let (mut least, most) = crashed_bounds(history, facts, *number, link, will, bounds);
        if facts.dropped > 0 {
            least = 0;
        }
        if came < least || came > most {
            let text =
                format!("the will m{message} of link {number} came {came} times, not {least} to {most}");
            findings.push(Finding::new("will", text).of(link.client).on(message));
        }
    }
    findings
}

/// How often a will comes where the server may have died while it had it: then its client may have been back in the
/// grace, and what was not on the disk happens once more.
fn crashed_bounds(
    history: &History,
    facts: &Facts,
    number: u32,
    link: &LinkStory,
    will: &WillTerms,
    (least, most): (usize, usize),
) -> (usize, usize) {
    if facts.crashes.is_empty() {
        return (least, most);
    }
    let qos = will.publication.qos;
    // At QoS 0 it may have come while the witness was away; at QoS 1 it may have to come again.
    let least = if qos == 0 { 0 } else { least };
    let most = if qos == 1 { most + facts.crashes.len() } else { most };
    let delay = u64::from(will.delay_secs) * 1_000;
    let next = history.link_after(link.client, number);
    let back = next.and_then(|next| next.connected).map_or(Seq::MAX, |(at, _)| at);
    // Once its client is back the will is on the disk as published, or gone.
    let had = |crash: &&Crash| link.connect <= crash.seq && crash.seq <= back;
    if facts.is_weak(link.client) && facts.crashes.iter().any(|crash| link.connect <= crash.seq) {
        return (0, usize::MAX); // Its CONNACK does not say that its old will is there after a crash.
    }
    let Some(last) = facts.crashes.iter().rfind(had) else { return (least, most) };
    let again = if qos == 2 { 0 } else { facts.crashes.iter().filter(had).count() };
    let due = last.at + facts.will_grace_millis + delay + NOTICE_MILLIS + TICK_MILLIS;
    let first = facts.crashes.iter().find(had).map_or(0, |crash| crash.seq);
    let links = history.clients.get(&link.client).map(|client| client.links.as_slice()).unwrap_or_default();
    let after = links.iter().filter_map(|one| history.links.get(one)).find(|one| one.connect > first);
    let until =
        after.map_or(history.events.last().map_or(0, |event| event.at), |after| history.at(after.connect));
    (if until > due { least } else { 0 }, most.max(1) + again)
}

/// How often a will comes: at least, at most.
fn bounds(
    history: &History,
    facts: &Facts,
    number: u32,
    link: &LinkStory,
    will: &WillTerms,
) -> (usize, usize) {
    if link.connected.is_none() {
        return (0, 1);
    }
    let Some((ended, ending)) = &link.ended else { return (0, 0) };
    let orderly = *ending == Ending::Own;
    match link.disconnect {
        Some((_, 0, _)) if orderly && !facts.refuses => return (0, 0),
        Some((_, 0, _)) => return (0, 1),
        Some((_, _, Some(_))) => return (0, 1),
        Some(_) | None => {}
    }
    let delay = u64::from(will.delay_secs.min(link.terms.expiry_secs).min(facts.expiry_max_secs)) * 1_000;
    let bounds = end_bounds(history, facts, link, *ended);
    let last = history.events.last().map_or(0, |event| event.at);
    let Some(next) = history.link_after(link.client, number) else {
        return if bounds.1 + delay + TICK_MILLIS < last { (1, 1) } else { (0, 1) };
    };
    let Some((connected, _)) = next.connected else { return (0, 1) };
    let back = history.at(connected);
    if delay == 0 || next.terms.clean_start {
        (1, 1)
    } else if back < bounds.0 + delay {
        (0, 0)
    } else if history.at(next.connect) > bounds.1.min(back) + delay + TICK_MILLIS {
        (1, 1)
    } else {
        (0, 1)
    }
}

/// When the server has let go of a connection: not before, not after.
pub(crate) fn end_bounds(history: &History, facts: &Facts, link: &LinkStory, ended: usize) -> (u64, u64) {
    let earliest = history.at(link.proof()).saturating_sub(facts.delay_max_millis);
    let keep_alive = u64::from(link.terms.keep_alive_secs) * 1_500 + 2_000;
    (earliest, history.at(ended) + keep_alive.max(facts.notice_max_millis))
}
