//! Session Present says what is: set where the session must still be there, clear where it cannot be.

use crate::{
    Facts, Finding,
    history::{History, LinkStory},
    will::end_bounds,
};

/// Ends of sessions are looked for so often at least.
const TICK_MILLIS: u64 = 2_000;

pub(crate) fn check(history: &History, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, link) in &history.links {
        // 3.1 has no such flag.
        let Some((_, present)) = link.connected.filter(|_| link.terms.version > 3) else { continue };
        let expected = expected(history, facts, *number, link);
        if expected.is_some_and(|expected| expected != present) {
            let text = format!("link {number} of client {} got session present={present}", link.client);
            findings.push(Finding::new("session", text).of(link.client));
        }
    }
    findings
}

/// What the flag must be, if that is certain.
fn expected(history: &History, facts: &Facts, number: u32, link: &LinkStory) -> Option<bool> {
    if link.terms.clean_start {
        return Some(false);
    }
    let mut earlier = history.links_before(link.client, number).filter(|earlier| !earlier.refused);
    let Some(before) = earlier.next() else { return Some(false) };
    before.connected?;
    let (connected, _) = link.connected?;
    let (ended, _) = before.ended.as_ref()?;
    let (least, most) = end_bounds(history, facts, before, *ended);
    let most = most.min(history.at(connected));
    let lives: Vec<u64> =
        before.lives().iter().map(|secs| u64::from((*secs).min(facts.expiry_max_secs)) * 1_000).collect();
    if lives.iter().all(|life| *life > 0 && history.at(connected) < least + life) {
        return Some(true);
    }
    let over = |life: &u64| *life == 0 || history.at(link.connect) > most + life + TICK_MILLIS;
    lives.iter().all(over).then_some(false)
}
