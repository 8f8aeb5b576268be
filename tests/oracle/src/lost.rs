//! What was acknowledged is never lost for whom it is owed: whose subscription was acknowledged before the message was
//! sent, and who has not unsubscribed before it was acknowledged. Where limits are small, no more is missing than the
//! server has counted.

use crate::{
    Facts, Finding,
    history::{ClientStory, History, Seq, SessionStory, Story},
};

/// Findings that are told one by one.
const TOLD: usize = 5;

pub(crate) fn check(history: &History, facts: &Facts) -> Vec<Finding> {
    let mut missing = Vec::new();
    let mut told_max = 0;
    for (number, client) in &history.clients {
        for session in &client.sessions {
            let is_here = !facts.absent.contains(number);
            missing.extend(of_session(history, *number, client, session, is_here));
        }
        told_max += history.arrivals(client).map(|(_, arrival)| arrival.dropped_told).sum::<u64>();
    }
    let mut findings = Vec::new();
    if missing.len() as u64 > facts.dropped {
        let (count, counted) = (missing.len(), facts.dropped);
        if counted > 0 {
            let text = format!("{count} messages are missing and the server counts {counted} as dropped");
            findings.push(Finding::new("lost", text));
        }
        findings.extend(missing.into_iter().take(TOLD));
    }
    if told_max > facts.dropped {
        let text = format!("clients are told of {told_max} dropped messages, {} are counted", facts.dropped);
        findings.push(Finding::new("lost", text));
    }
    findings
}

fn of_session(
    history: &History,
    number: u32,
    client: &ClientStory,
    session: &SessionStory,
    is_here: bool,
) -> Vec<Finding> {
    let end = session.end.unwrap_or(Seq::MAX);
    let mut missing = Vec::new();
    if session.filters.is_empty() {
        return missing;
    }
    let first_arrivals = first_arrivals(history, client);
    let witnesses = later_arrivals(history, client, session);
    // Messages are numbered as they are sent.
    for story in history.messages_since(session.begin).take_while(|story| story.sent <= end) {
        let Some((done, _)) = story.done.filter(|_| is_owed_to_somebody(story)) else { continue };
        if story.sent < session.begin || done > end {
            continue;
        }
        let topic = &*story.publication.topic;
        let interest = session.interest(topic, false, story.sent, done);
        let owed = interest.owed_qos(story.publisher == number).map(|qos| qos.min(story.publication.qos));
        if owed.is_none_or(|qos| qos == 0) {
            continue;
        }
        let message = story.publication.message;
        let came = first_arrivals.get(&message).copied().unwrap_or(Seq::MAX);
        // A session that may have ended, or is away, owes only what lay before a message that came.
        let due = if session.end.is_none() && is_here {
            Some(Seq::MAX - 1)
        } else {
            witnesses.iter().find(|(sent, _)| *sent > done).map(|(_, at)| *at)
        };
        if due.is_some_and(|due| came > due) {
            let text = format!("m{message} was acknowledged and owed to client {number}, and did not come");
            missing.push(Finding::new("lost", text).of(number).on(message));
        }
    }
    missing
}

/// Whether anybody can rely on it: promised, QoS 1 or 2, to be told from others, and not to expire.
pub(crate) fn is_owed_to_somebody(story: &Story) -> bool {
    let publication = &story.publication;
    story.is_promised()
        && !story.is_will
        && publication.qos > 0
        && !publication.empty
        && publication.expiry_secs.is_none()
}

pub(crate) fn first_arrivals(
    history: &History,
    client: &ClientStory,
) -> std::collections::BTreeMap<u64, Seq> {
    let mut first = std::collections::BTreeMap::new();
    for (seq, arrival) in history.arrivals(client) {
        if let Some(message) = arrival.message {
            first.entry(message).or_insert(seq);
        }
    }
    first
}

/// Live messages that came in this session by its own subscriptions alone: when they were sent and when they came,
/// each with the earliest arrival of what was sent then or later.
fn later_arrivals(history: &History, client: &ClientStory, session: &SessionStory) -> Vec<(Seq, Seq)> {
    let end = session.end.unwrap_or(Seq::MAX);
    let mut arrivals: Vec<(Seq, Seq)> = Vec::new();
    for (seq, arrival) in history.arrivals(client) {
        let story = arrival.message.and_then(|message| history.messages.get(&message));
        let Some(story) = story.filter(|_| seq > session.begin && seq < end) else { continue };
        let live = !arrival.retain && arrival.qos > 0 && !story.is_will;
        if live && client.maybe(&arrival.topic, true, 0, seq).is_empty() {
            arrivals.push((story.sent, seq));
        }
    }
    arrivals.sort_unstable();
    let mut earliest = Seq::MAX;
    for (_, seq) in arrivals.iter_mut().rev() {
        earliest = earliest.min(*seq);
        *seq = earliest;
    }
    arrivals
}
