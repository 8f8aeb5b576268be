//! Session Present says what is: set where the session must still be there, clear where it cannot be.

use crate::{
    Facts, Finding,
    event::{Ending, What},
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
    let earlier = history.links.range(..number).rev().map(|(number, earlier)| (*number, earlier));
    let mut earlier =
        earlier.filter(|(number, earlier)| earlier.client == link.client && !was_refused(history, *number));
    let Some((_, before)) = earlier.next() else { return Some(false) };
    before.connected?;
    let (connected, _) = link.connected?;
    let (ended, ending) = before.ended.as_ref()?;
    let (least, most) = end_bounds(history, facts, before, *ended);
    let most = most.min(history.at(connected));
    let asked = before.terms.expiry_secs;
    let mut lives = vec![asked];
    if let Some((_, _, Some(changed))) = before.disconnect {
        if *ending == Ending::Own {
            lives.clear();
        }
        lives.push(changed);
    }
    let lives: Vec<u64> =
        lives.iter().map(|secs| u64::from((*secs).min(facts.expiry_max_secs)) * 1_000).collect();
    if lives.iter().all(|life| *life > 0 && history.at(connected) < least + life) {
        return Some(true);
    }
    let over = |life: &u64| *life == 0 || history.at(link.connect) > most + life + TICK_MILLIS;
    lives.iter().all(over).then_some(false)
}

fn was_refused(history: &History, number: u32) -> bool {
    history.events.iter().any(|event| event.link == number && matches!(event.what, What::Refused { .. }))
}
