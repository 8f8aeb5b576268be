//! The events of a run, put in order: what became of each message, each session and each subscription. It judges
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Facts,
    event::{Arrival, ClientNo, Ending, Event, LinkNo, MessageNo, Publication, Terms, What, Wish},
};

/// The place of an event in a run.
pub type Seq = usize;

/// What became of a message.
#[derive(Clone, Debug)]
pub struct Story {
    /// What was published.
    pub publication: Publication,
    /// Who published it.
    pub publisher: ClientNo,
    /// On which connection it was sent first.
    pub link: LinkNo,
    /// When it was sent first; for a will, when CONNECT was.
    pub sent: Seq,
    /// When the server said what became of it, and what.
    pub done: Option<(Seq, u8)>,
    /// By then the server has dealt with it, `Seq::MAX` where nothing proves it.
    pub settled: Seq,
    /// How often it may have been sent again.
    pub resends: u32,
    /// How often it may have been sent again to a session that knew nothing of it.
    pub anew: u32,
    /// It is the will of a connection.
    pub is_will: bool,
}

impl Story {
    /// Whether the server has promised it.
    #[must_use]
    pub fn is_promised(&self) -> bool {
        self.done.is_some_and(|(_, code)| code < 0x80)
    }

    /// Whether the server has refused it, and never taken it: it was not sent before.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.resends == 0 && self.done.is_some_and(|(_, code)| code >= 0x80)
    }

    /// How often the server may have taken it for a new message.
    #[must_use]
    pub fn routings_max(&self) -> usize {
        // What a session knows of a QoS 2 message ends with it.
        1 + if self.publication.qos == 1 { self.resends } else { self.anew } as usize
    }
}

/// One SUBSCRIBE or UNSUBSCRIBE of one filter.
#[derive(Clone, Debug)]
pub struct Step {
    /// When it was sent.
    pub sent: Seq,
    /// When it was answered.
    pub acked: Option<Seq>,
    /// What was asked for; `None` where the subscription ends.
    pub wish: Option<Wish>,
    /// The server refused.
    pub refused: bool,
    /// It is the step of an earlier session, which may be the same.
    pub is_inherited: bool,
}

/// A session as its client knows it.
#[derive(Clone, Debug)]
pub struct SessionStory {
    /// CONNACK that began it.
    pub begin: Seq,
    /// From then on it may be over.
    pub end: Option<Seq>,
    /// From then on it is certainly over: the next one has begun.
    pub over: Option<Seq>,
    /// What was done to each filter, in order.
    pub filters: BTreeMap<Box<str>, Vec<Step>>,
    /// It outlives its connection.
    pub is_persistent: bool,
}

/// A network connection.
#[derive(Clone, Debug)]
pub struct LinkStory {
    /// Whose.
    pub client: ClientNo,
    /// What CONNECT asked for.
    pub terms: Terms,
    /// CONNECT.
    pub connect: Seq,
    /// CONNACK that accepted, and whether it said that the session goes on.
    pub connected: Option<(Seq, bool)>,
    /// CONNACK that refused has come.
    pub refused: bool,
    /// The last packet that came.
    pub heard: Seq,
    /// DISCONNECT of the client: when, its code, its expiry.
    pub disconnect: Option<(Seq, u8, Option<u32>)>,
    /// The end.
    pub ended: Option<(Seq, Ending)>,
}

impl LinkStory {
    /// The last moment at which the server certainly had the connection.
    #[must_use]
    pub fn proof(&self) -> Seq {
        // Who did not read for a while may have heard words of a connection that was long over.
        let read_on = matches!(self.ended, Some((_, Ending::Own)));
        if read_on { self.heard } else { self.connected.map_or(self.connect, |(at, _)| at) }
    }

    /// Seconds that its session may outlive it, by what CONNECT and DISCONNECT said.
    #[must_use]
    pub fn lives(&self) -> Vec<u32> {
        let mut lives = vec![self.terms.expiry_secs];
        if let Some((_, _, Some(changed))) = self.disconnect {
            if matches!(self.ended, Some((_, Ending::Own))) {
                lives.clear();
            }
            lives.push(changed);
        }
        lives
    }
}

/// What a client has done.
#[derive(Clone, Debug, Default)]
pub struct ClientStory {
    /// Its sessions.
    pub sessions: Vec<SessionStory>,
    /// Its connections.
    pub links: Vec<LinkNo>,
    /// When messages came.
    pub arrivals: Vec<Seq>,
    /// Ends of its connections.
    pub breaks: Vec<Seq>,
    in_flight: BTreeSet<MessageNo>,
}

/// Which filters match a topic during a stretch of time.
#[derive(Debug, Default)]
pub struct Interest<'a> {
    /// Filters that are there throughout, each with every form that it may have had.
    pub sure: Vec<Vec<&'a Wish>>,
    /// Every form of every filter that may have been there.
    pub maybe: Vec<&'a Wish>,
}

impl Interest<'_> {
    /// The QoS that a message is owed at least; `None` where it is not owed.
    #[must_use]
    pub fn owed_qos(&self, publisher_itself: bool) -> Option<u8> {
        let least = |forms: &Vec<&Wish>| {
            let counts = |form: &&&Wish| !(publisher_itself && form.no_local);
            let all = forms.iter().all(|form| counts(&form));
            if all { forms.iter().map(|form| form.qos).min() } else { None }
        };
        self.sure.iter().filter_map(least).max()
    }
}

/// A run.
#[derive(Debug, Default)]
pub struct History {
    /// Everything that happened.
    pub events: Vec<Event>,
    /// Every message, wills among them.
    pub messages: BTreeMap<MessageNo, Story>,
    /// Every client.
    pub clients: BTreeMap<ClientNo, ClientStory>,
    /// Every connection.
    pub links: BTreeMap<LinkNo, LinkStory>,
    requests: BTreeMap<(LinkNo, u16), Vec<Box<str>>>,
    /// When each message was sent, in order.
    sent: Vec<(Seq, MessageNo)>,
    times: Vec<u64>,
    delay_max_millis: u64,
    expiry_max_secs: u32,
}

impl History {
    /// Puts events in order.
    #[must_use]
    pub fn new(events: Vec<Event>, facts: &Facts) -> History {
        let mut history = History {
            times: events.iter().map(|event| event.at).collect(),
            delay_max_millis: facts.delay_max_millis,
            expiry_max_secs: facts.expiry_max_secs,
            ..History::default()
        };
        for (seq, event) in events.iter().enumerate() {
            history.note(seq, event);
        }
        history.events = events;
        history
    }

    /// The message that came at this place.
    #[must_use]
    pub fn arrival(&self, seq: Seq) -> Option<&Arrival> {
        match &self.events.get(seq)?.what {
            What::Received(arrival) => Some(arrival),
            _ => None,
        }
    }

    /// Messages that came to a client, with their places.
    pub fn arrivals<'a>(
        &'a self,
        client: &'a ClientStory,
    ) -> impl DoubleEndedIterator<Item = (Seq, &'a Arrival)> {
        client.arrivals.iter().filter_map(|seq| Some((*seq, self.arrival(*seq)?)))
    }

    /// The time of an event.
    #[must_use]
    pub fn at(&self, seq: Seq) -> u64 {
        self.times.get(seq).copied().unwrap_or(u64::MAX)
    }

    /// The messages that were sent from this moment on, in the order of sending.
    pub fn messages_since(&self, from: Seq) -> impl Iterator<Item = &Story> {
        let first = self.sent.get(self.sent.partition_point(|(sent, _)| *sent < from));
        self.messages.range(first.map_or(MessageNo::MAX, |(_, number)| *number)..).map(|(_, story)| story)
    }

    /// The connections of a client before this one, the latest first.
    pub fn links_before(&self, client: ClientNo, link: LinkNo) -> impl Iterator<Item = &LinkStory> {
        let links = self.clients.get(&client).map_or(&[][..], |story| &story.links);
        let before = links.partition_point(|one| *one < link);
        links.iter().take(before).rev().filter_map(|one| self.links.get(one))
    }

    /// The connection of a client after this one.
    #[must_use]
    pub fn link_after(&self, client: ClientNo, link: LinkNo) -> Option<&LinkStory> {
        let links = &self.clients.get(&client)?.links;
        self.links.get(links.get(links.partition_point(|one| *one <= link))?)
    }

    fn note(&mut self, seq: Seq, event: &Event) {
        let Event { client, link, .. } = *event;
        let hears = !matches!(
            event.what,
            What::Connect(_)
                | What::Publish(_)
                | What::Subscribe { .. }
                | What::Unsubscribe { .. }
                | What::Disconnect { .. }
                | What::Ended(_)
        );
        if let Some(story) = self.links.get_mut(&link).filter(|_| hears) {
            story.heard = seq;
        }
        match &event.what {
            What::Connect(terms) => self.note_connect(seq, client, link, terms),
            What::Connected { session_present } => self.note_connected(seq, client, link, *session_present),
            What::Publish(publication) => {
                self.add_message(seq, client, link, publication, false);
                if publication.qos > 0 {
                    self.client(client).in_flight.insert(publication.message);
                }
            }
            What::Acknowledged { message, code } => {
                self.note_acknowledged(seq, client, link, *message, *code)
            }
            What::GivenUp { message } => {
                self.client(client).in_flight.remove(message);
            }
            What::Subscribe { request, wishes } => {
                let filters = wishes.iter().map(|wish| wish.text.clone()).collect();
                self.requests.insert((link, *request), filters);
                for wish in wishes {
                    self.add_step(seq, client, &wish.text, Some(wish.clone()));
                }
            }
            What::Unsubscribe { request, filters } => {
                self.requests.insert((link, *request), filters.clone());
                filters.iter().for_each(|filter| self.add_step(seq, client, filter, None));
            }
            What::Subscribed { request, codes } => self.note_answer(seq, client, link, *request, codes),
            What::Unsubscribed { request } => self.note_answer(seq, client, link, *request, &[]),
            What::Received(_) => self.client(client).arrivals.push(seq),
            What::Disconnect { code, expiry_secs } => {
                if let Some(story) = self.links.get_mut(&link) {
                    story.disconnect = Some((seq, *code, *expiry_secs));
                }
            }
            What::Ended(ending) => self.note_ended(seq, client, link, ending),
            What::Refused { .. } => {
                if let Some(story) = self.links.get_mut(&link) {
                    story.refused = true;
                }
            }
            What::Stray { .. } => {}
        }
    }

    fn client(&mut self, client: ClientNo) -> &mut ClientStory {
        self.clients.entry(client).or_default()
    }

    fn add_message(
        &mut self,
        seq: Seq,
        publisher: ClientNo,
        link: LinkNo,
        publication: &Publication,
        is_will: bool,
    ) {
        let publication = publication.clone();
        let (settled, done, sent) = (Seq::MAX, None, seq);
        let number = publication.message;
        let story = Story { publication, publisher, link, sent, done, settled, resends: 0, anew: 0, is_will };
        self.sent.push((seq, number));
        self.messages.insert(number, story);
    }

    fn note_connect(&mut self, seq: Seq, client: ClientNo, link: LinkNo, terms: &Terms) {
        if let Some(will) = &terms.will {
            self.add_message(seq, client, link, &will.publication, true);
        }
        let (terms, connect, heard) = (terms.clone(), seq, seq);
        let clean_start = terms.clean_start;
        let (connected, disconnect, ended) = (None, None, None);
        let story = LinkStory { client, terms, connect, connected, refused: false, heard, disconnect, ended };
        self.links.insert(link, story);
        let story = self.client(client);
        story.links.push(link);
        if clean_start && let Some(session) = story.sessions.last_mut() {
            session.end.get_or_insert(seq);
        }
    }

    fn note_connected(&mut self, seq: Seq, client: ClientNo, link: LinkNo, session_present: bool) {
        let Some(known) = self.links.get_mut(&link) else { return };
        known.connected = Some((seq, session_present));
        let is_persistent = known.terms.expiry_secs > 0;
        // 3.1 has no such flag, so that its client can only guess.
        let told = known.terms.version > 3;
        let lost = self.lost_since_expiry(client, link, seq).filter(|_| session_present);
        let last_break = self.client(client).breaks.last().copied().unwrap_or(seq);
        let goes_on = |session: &SessionStory| session_present && (told || session.end.is_none());
        if self.client(client).sessions.last().is_some_and(goes_on) {
            for number in self.client(client).in_flight.clone() {
                if let Some(message) = self.messages.get_mut(&number) {
                    message.resends += 1;
                    message.anew += u32::from(lost.is_some());
                }
            }
        }
        let story = self.client(client);
        match (story.sessions.last_mut(), lost) {
            (Some(session), None) if goes_on(session) => {
                session.end = None;
                session.is_persistent = is_persistent;
            }
            (Some(session), Some(connect)) if goes_on(session) => {
                session.end.get_or_insert(last_break);
                session.over = Some(seq);
                let filters = inherited(&session.filters, connect);
                let (end, over) = (None, None);
                story.sessions.push(SessionStory { begin: seq, end, over, filters, is_persistent });
            }
            (last, _) => {
                if let Some(session) = last {
                    session.end.get_or_insert(last_break);
                    session.over = Some(seq);
                }
                let session = SessionStory {
                    begin: seq,
                    end: None,
                    over: None,
                    filters: BTreeMap::new(),
                    is_persistent,
                };
                story.sessions.push(session);
            }
        }
    }

    /// The CONNECT of a connection without CONNACK, by which the session of the one before may have expired: the
    /// session that is present now may be the one that it began.
    fn lost_since_expiry(&self, client: ClientNo, link: LinkNo, connected: Seq) -> Option<Seq> {
        let mut lost = None;
        for before in self.links_before(client, link).filter(|before| !before.refused) {
            if before.connected.is_none() {
                lost = Some(before.connect);
                continue;
            }
            let least = self.at(before.proof()).saturating_sub(self.delay_max_millis);
            let secs = before.lives().into_iter().min().unwrap_or(0).min(self.expiry_max_secs);
            let expired = self.at(connected) >= least.saturating_add(u64::from(secs) * 1_000);
            return lost.filter(|_| expired);
        }
        None
    }

    fn note_acknowledged(&mut self, seq: Seq, client: ClientNo, link: LinkNo, message: MessageNo, code: u8) {
        self.client(client).in_flight.remove(&message);
        let Some(story) = self.messages.get_mut(&message) else { return };
        story.done = Some((seq, code));
        if code < 0x80 || story.resends == 0 {
            story.settled = story.settled.min(seq);
        }
        if story.link != link {
            return;
        }
        // The server deals with a connection's packets in their order.
        let earlier = self.messages.range_mut(..message).rev().take(256);
        for (_, earlier) in earlier.filter(|(_, one)| one.link == link && !one.is_will) {
            earlier.settled = earlier.settled.min(seq);
        }
    }

    fn add_step(&mut self, seq: Seq, client: ClientNo, filter: &str, wish: Option<Wish>) {
        if let Some(session) = self.client(client).sessions.last_mut() {
            let steps = session.filters.entry(filter.into()).or_default();
            steps.push(Step { sent: seq, acked: None, wish, refused: false, is_inherited: false });
        }
    }

    fn note_answer(&mut self, seq: Seq, client: ClientNo, link: LinkNo, request: u16, codes: &[u8]) {
        let Some(filters) = self.requests.remove(&(link, request)) else { return };
        // Answers come in the order of the requests; what an earlier connection asked for is never answered.
        let begin = self.links.get(&link).map_or(0, |story| story.connect);
        let Some(session) = self.client(client).sessions.last_mut() else { return };
        for (at, filter) in filters.iter().enumerate() {
            let steps = session.filters.get_mut(filter);
            let open = |step: &&mut Step| step.acked.is_none() && step.sent > begin && !step.is_inherited;
            let Some(step) = steps.and_then(|steps| steps.iter_mut().find(open)) else { continue };
            step.acked = Some(seq);
            if let Some(code) = codes.get(at) {
                step.refused = *code >= 0x80;
                if let Some(wish) = &mut step.wish {
                    wish.qos = wish.qos.min(*code);
                }
            }
        }
    }

    fn note_ended(&mut self, seq: Seq, client: ClientNo, link: LinkNo, ending: &Ending) {
        let Some(known) = self.links.get_mut(&link) else { return };
        known.ended = Some((seq, ending.clone()));
        let ends_with_link =
            known.terms.expiry_secs == 0 || matches!(known.disconnect, Some((_, _, Some(0))));
        let was_in = known.connected.is_some();
        let story = self.client(client);
        story.breaks.push(seq);
        if was_in
            && ends_with_link
            && let Some(session) = story.sessions.last_mut()
        {
            session.end.get_or_insert(seq);
        }
    }
}

/// The subscriptions of a session that may or may not go on: each may have ended with a CONNECT.
fn inherited(filters: &BTreeMap<Box<str>, Vec<Step>>, connect: Seq) -> BTreeMap<Box<str>, Vec<Step>> {
    let gone = Step { sent: connect, acked: None, wish: None, refused: false, is_inherited: true };
    let mut filters = filters.clone();
    for steps in filters.values_mut() {
        steps.iter_mut().for_each(|step| step.is_inherited = true);
        steps.push(gone.clone());
    }
    filters
}

impl SessionStory {
    /// Every form that a filter may have between two moments; `None` is its absence.
    pub fn forms(steps: &[Step], from: Seq, to: Seq) -> Vec<Option<&Wish>> {
        let mut forms = vec![None];
        for step in steps.iter().filter(|step| !step.refused && step.sent < to) {
            if step.acked.is_some_and(|acked| acked < from) {
                forms.clear();
            }
            forms.push(step.wish.as_ref());
        }
        forms
    }

    /// Which of the subscriptions match a topic between two moments: those of groups, or the others.
    #[must_use]
    pub fn interest(&self, topic: &str, shared: bool, from: Seq, to: Seq) -> Interest<'_> {
        let mut interest = Interest::default();
        for steps in self.filters.values() {
            // All steps speak of one filter.
            let wish = steps.iter().find_map(|step| step.wish.as_ref());
            if !wish.is_some_and(|wish| wish.is_shared() == shared && wish.fits(topic)) {
                continue;
            }
            let forms = Self::forms(steps, from, to);
            let present: Vec<&Wish> = forms.iter().copied().flatten().collect();
            interest.maybe.extend(&present);
            if !present.is_empty() && present.len() == forms.len() {
                interest.sure.push(present);
            }
        }
        interest
    }
}

impl ClientStory {
    /// Every form of every filter that may have matched a topic between two moments, over all sessions.
    #[must_use]
    pub fn maybe(&self, topic: &str, shared: bool, from: Seq, to: Seq) -> Vec<&Wish> {
        // A session is over for certain once the next one has begun.
        let possible =
            |session: &&SessionStory| session.begin <= to && session.over.is_none_or(|over| over >= from);
        self.sessions
            .iter()
            .filter(possible)
            .flat_map(|session| session.interest(topic, shared, from, to).maybe)
            .collect()
    }

    /// Ends of connections between two moments.
    #[must_use]
    pub fn breaks_between(&self, from: Seq, to: Seq) -> usize {
        self.breaks.iter().filter(|at| (from..=to).contains(at)).count()
    }
}
