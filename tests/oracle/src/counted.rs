//! The server counts as many subscriptions as its clients have: exactly, but for those whose answer was lost.

use crate::{
    Facts, Finding,
    history::{History, SessionStory},
};

pub(crate) fn check(history: &History, facts: &Facts) -> Vec<Finding> {
    let Some(counted) = facts.subscriptions else { return Vec::new() };
    let (mut least, mut most) = (0, 0);
    let now = history.events.len();
    let sessions = history.clients.values().filter_map(|client| client.sessions.last());
    for session in sessions {
        for steps in session.filters.values() {
            let forms = SessionStory::forms(steps, now, now);
            most += usize::from(forms.iter().any(Option::is_some));
            least += usize::from(session.end.is_none() && forms.iter().all(Option::is_some));
        }
    }
    if (least..=most).contains(&counted) {
        return Vec::new();
    }
    let text = format!("the server counts {counted} subscriptions, and its clients have {least} to {most}");
    vec![Finding::new("counted", text)]
}
