//! Shared groups: an acknowledged message of QoS 1 or 2 reaches a member while the group has one, and at QoS 2 exactly
//! one.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Facts, Finding,
    event::Wish,
    history::{History, Seq, SessionStory, Step, Story},
};

const TOLD: usize = 5;

pub(crate) fn check(history: &History, facts: &Facts) -> Vec<Finding> {
    let groups = Group::all(history);
    let is_weak = |group: &Group<'_>| group.members.keys().any(|member| facts.is_weak(*member));
    if groups.is_empty() {
        return Vec::new();
    }
    let receivers = receivers(history);
    let mut matching_of: BTreeMap<&str, Vec<&Group<'_>>> = BTreeMap::new();
    let mut missing = Vec::new();
    let mut findings = Vec::new();
    for story in history.messages.values().filter(|story| story.publication.qos > 0 && !story.is_will) {
        if facts.is_weak(story.publisher) {
            continue;
        }
        let topic = &*story.publication.topic;
        let matching = matching_of
            .entry(topic)
            .or_insert_with(|| groups.iter().filter(|group| group.fits(topic)).collect());
        let message = story.publication.message;
        // What came for a group that is promised less cannot be told from what came for another.
        if !matching.iter().any(|group| is_weak(group))
            && let Some(text) = twice(history, facts, story, matching, &receivers)
        {
            findings.push(Finding::new("share", text).on(message));
        }
        let keeps = |group: &&&Group<'_>| !is_weak(group) && group.keeps(history, facts, story);
        for group in matching.iter().filter(|group| is_owed(story) && keeps(group)) {
            let came = receivers.get(&message);
            if !came.is_some_and(|clients| group.members.keys().any(|one| clients.contains_key(one))) {
                let text = format!("m{message} was acknowledged and came to no member of {}", group.name);
                missing.push(Finding::new("share", text).on(message));
            }
        }
    }
    if missing.len() as u64 > facts.dropped {
        findings.extend(missing.into_iter().take(TOLD));
    }
    findings
}

fn is_owed(story: &Story) -> bool {
    let publication = &story.publication;
    story.is_promised() && !publication.empty && publication.expiry_secs.is_none()
}

/// Who has got each message, and how often at QoS 2.
type Receivers = BTreeMap<u64, BTreeMap<u32, usize>>;

fn receivers(history: &History) -> Receivers {
    let mut receivers = Receivers::new();
    for (number, client) in &history.clients {
        for (_, arrival) in history.arrivals(client) {
            if let Some(message) = arrival.message {
                let copies = receivers.entry(message).or_default().entry(*number).or_default();
                *copies += usize::from(arrival.qos == 2);
            }
        }
    }
    receivers
}

/// A group as its members know it: for each of them the sessions in which it belonged to it.
struct Group<'a> {
    name: &'a str,
    members: BTreeMap<u32, Vec<(&'a SessionStory, &'a [Step])>>,
}

impl<'a> Group<'a> {
    fn all(history: &'a History) -> Vec<Group<'a>> {
        let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
        for (number, client) in &history.clients {
            for session in &client.sessions {
                for (name, steps) in session.filters.iter().filter(|(name, _)| name.starts_with("$share/")) {
                    let group =
                        groups.entry(name).or_insert_with(|| Group { name, members: BTreeMap::new() });
                    group.members.entry(*number).or_default().push((session, steps));
                }
            }
        }
        groups.into_values().collect()
    }

    fn fits(&self, topic: &str) -> bool {
        let mut steps = self.members.values().flatten().flat_map(|(_, steps)| *steps);
        steps.find_map(|step| step.wish.as_ref()).is_some_and(|wish| wish.fits(topic))
    }

    /// Whether the group has certainly had a member since the message was sent, and nobody who could have taken the
    /// message to its end.
    fn keeps(&self, history: &History, facts: &Facts, story: &Story) -> bool {
        let now = history.events.len();
        let forms = |steps: &'a [Step]| SessionStory::forms(steps, story.sent, now);
        let mut stays = false;
        let sessions =
            self.members.iter().flat_map(|(member, sessions)| sessions.iter().map(move |one| (member, one)));
        for (member, (session, steps)) in sessions {
            let is_here = !facts.absent.contains(member);
            let forms = forms(steps);
            let may_take: Vec<&Wish> = forms.iter().copied().flatten().collect();
            if may_take.is_empty() || session.over.is_some_and(|over| over < story.sent) {
                continue;
            }
            // At QoS 0 nobody knows whether it came; at QoS 2 it ends with its session [MQTT-4.8.2-5].
            if may_take.iter().any(|wish| wish.qos == 0) {
                return false;
            }
            if (session.end.is_some() || !is_here) && story.publication.qos == 2 {
                return false;
            }
            stays |= is_here
                && session.end.is_none()
                && session.begin < story.sent
                && may_take.len() == forms.len();
        }
        stays
    }
}

/// At QoS 2 one member of each group gets it, and each of the others that subscribe on their own.
fn twice(
    history: &History,
    facts: &Facts,
    story: &Story,
    groups: &[&Group<'_>],
    receivers: &Receivers,
) -> Option<String> {
    if groups.is_empty() || story.publication.retain {
        return None;
    }
    let message = story.publication.message;
    let came = receivers.get(&message)?;
    let topic = &*story.publication.topic;
    let members: BTreeSet<u32> = groups.iter().flat_map(|group| group.members.keys().copied()).collect();
    let copies: usize = members.iter().filter_map(|member| came.get(member)).sum();
    if copies <= groups.len() {
        return None;
    }
    let until = story.settled.min(Seq::MAX - 1);
    let members = members.iter().filter_map(|member| history.clients.get(member));
    let own = members.filter(|client| !client.maybe(topic, false, story.sent, until).is_empty()).count();
    // What a member whose session ends with the server had not completed belongs to the group once more.
    let is_fleeting =
        |group: &&&Group<'_>| group.members.values().flatten().any(|(session, _)| !session.is_persistent);
    let deaths = facts.crashes_between(story.sent, Seq::MAX);
    let again = deaths * groups.iter().filter(is_fleeting).count();
    let allowed = (groups.len() + own) * story.routings_max() + again;
    (copies > allowed).then(|| format!("m{message} came {copies} times to {} groups at QoS 2", groups.len()))
}
