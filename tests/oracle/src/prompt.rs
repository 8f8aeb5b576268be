//! Where nothing waits, what was acknowledged comes at once: bytes that nobody writes until something else happens are
//! as good as lost.

use crate::{
    Facts, Finding,
    history::{ClientStory, History, LinkStory},
    lost::{first_arrivals, is_owed_to_somebody},
};

pub(crate) fn check(history: &History, facts: &Facts) -> Vec<Finding> {
    let Some(patience) = facts.prompt_millis.filter(|_| facts.dropped == 0) else { return Vec::new() };
    let mut findings = Vec::new();
    for number in &facts.unqueued {
        let Some(client) = history.clients.get(number) else { continue };
        let first_arrivals = first_arrivals(history, client);
        for link in client.links.iter().filter_map(|link| history.links.get(link)) {
            for (message, done) in due(history, *number, client, link, patience) {
                let came = first_arrivals.get(&message).map_or(u64::MAX, |seq| history.at(*seq));
                if came > history.at(done) + patience {
                    let text = format!("m{message} was acknowledged and came late to client {number}");
                    findings.push(Finding::new("prompt", text).of(*number).on(message));
                }
            }
        }
    }
    findings
}

/// Messages that are owed to a client on a connection that began its session and lasts long enough, and when each was
/// acknowledged.
fn due(
    history: &History,
    number: u32,
    client: &ClientStory,
    link: &LinkStory,
    patience: u64,
) -> Vec<(u64, usize)> {
    let Some((begin, false)) = link.connected else { return Vec::new() };
    let Some(session) = client.sessions.iter().find(|session| session.begin == begin) else {
        return Vec::new();
    };
    let over = link.disconnect.map_or(usize::MAX, |(at, ..)| at);
    // A cut may be known to the client long after.
    let over = over.min(if link.ended.is_some() { link.heard } else { usize::MAX });
    let mut due = Vec::new();
    for story in history.messages_since(begin).take_while(|story| story.sent <= over) {
        let Some((done, _)) = story.done.filter(|_| is_owed_to_somebody(story) && story.resends == 0) else {
            continue;
        };
        if over < usize::MAX && history.at(done) + patience >= history.at(over) {
            continue;
        }
        let interest = session.interest(&story.publication.topic, false, story.sent, done);
        if interest.owed_qos(story.publisher == number).is_some_and(|qos| qos > 0) {
            due.push((story.publication.message, done));
        }
    }
    due
}
