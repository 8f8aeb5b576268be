//! Wills: one for each connection that ends without a normal DISCONNECT, none for one that ends with it, none where the
//! client was back before the delay had passed. The witness counts them.

use std::collections::BTreeMap;

use crate::{
    Facts, Finding,
    event::{Ending, WillTerms},
    history::{History, LinkStory},
};

/// Timers are looked at so often at least.
const TICK_MILLIS: u64 = 2_000;

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
        let (mut least, most) = bounds(history, facts, *number, link, will);
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
