//! The server keeps to the protocol, refuses nobody and ends no connection without a reason.

use crate::{
    Facts, Finding,
    event::{Ending, Event, What},
    history::History,
};

/// Quota exceeded: a queue is full and the policy is to refuse.
const QUOTA_EXCEEDED: u8 = 0x97;
/// The disk has failed and the policy is to refuse.
const IMPLEMENTATION_SPECIFIC: u8 = 0x83;
/// A PUBREL of which the session knows nothing.
const PACKET_ID_NOT_FOUND: u8 = 0x92;

pub(crate) fn check(history: &History, facts: &Facts) -> Vec<Finding> {
    let wrong = |event: &Event| {
        let text = wrong(history, facts, event)?;
        Some(Finding::new("protocol", format!("client {}: {text}", event.client)).of(event.client))
    };
    history.events.iter().filter_map(wrong).collect()
}

fn wrong(history: &History, facts: &Facts, event: &Event) -> Option<String> {
    let link = history.links.get(&event.link)?;
    match &event.what {
        What::Ended(Ending::Violation(text)) => Some(format!("the server broke the protocol: {text}")),
        What::Ended(Ending::Server { excused: true, .. }) => None,
        What::Ended(Ending::Server { .. }) if facts.refuses && link.terms.version < 5 => None,
        What::Ended(Ending::Server { code, .. }) => {
            Some(format!("the server ended link {} with {code:02x?}", event.link))
        }
        What::Refused { code } => Some(format!("CONNECT was refused with 0x{code:02x}")),
        What::Acknowledged { message, code } if *code >= 0x80 => {
            let story = history.messages.get(message);
            let forgotten = *code == PACKET_ID_NOT_FOUND && story.is_some_and(|story| story.anew > 0);
            let allowed =
                (facts.refuses && [QUOTA_EXCEEDED, IMPLEMENTATION_SPECIFIC].contains(code)) || forgotten;
            (!allowed).then(|| format!("m{message} was refused with 0x{code:02x}"))
        }
        What::Subscribed { codes, .. } if codes.iter().any(|code| *code >= 0x80) => {
            Some(format!("SUBSCRIBE was refused with {codes:02x?}"))
        }
        What::Stray { packet, packet_id } => {
            let resumed = link.connected.is_some_and(|(_, session_present)| session_present);
            let allowed = *packet == "PUBREL" && resumed;
            (!allowed).then(|| format!("a {packet} #{packet_id} that nobody waits for"))
        }
        _ => None,
    }
}
