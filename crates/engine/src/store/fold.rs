//! All records in the order of the journal become what the engine was: sessions, what they are owed, retained messages.
//!
//! Live copies that cleaning has written anew may stand before or behind what they belong to, and twice: the fold takes
//! them in any order, and each once.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::quality::FixedState;
use whimbrel_proto::codec::{PacketId, QoS};

use super::{Owner, Parked, Record, StoredSession, StoredWill};

/// By numbers that the server itself gives out: nobody can choose them so that they collide.
pub(super) type Numbered<V> = hashbrown::HashMap<u64, V, FixedState>;

/// A record that this version of the program cannot read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Where it is.
    pub position: u64,
}

impl std::fmt::Display for BadRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "the record at {} is of no kind that this version knows", self.position)
    }
}

impl std::error::Error for BadRecord {}

/// A message, and how many need it.
#[derive(Default)]
pub(super) struct FoldMessage {
    pub content: Option<Content>,
    pub needed: u32,
    /// Its publish is not closed: more may need it, though nobody does now.
    is_open: bool,
    /// Cleaning has written it anew. Of those who need it some may be done with it before others have been written anew,
    /// whose older records are gone: it stays until the last record has been read.
    is_copy: bool,
}

impl FoldMessage {
    /// Whether somebody needs it, or may yet.
    fn stays(&self) -> bool {
        self.needed > 0 || self.is_open || self.is_copy
    }
}

/// Where a message is, and its record as long as there is room for it in memory.
pub(super) struct Content {
    pub position: u64,
    /// Bytes of the record in the journal.
    pub bytes: u32,
    /// What it counts towards limits.
    pub size: u32,
    /// Seconds since 1970, all ones: never.
    pub expires: u64,
    pub record: Option<Box<[u8]>>,
}

/// All messages by name. What their records take in memory is bounded; the rest is left on disk.
pub(super) struct FoldMessages {
    by_name: Numbered<FoldMessage>,
    /// Bytes of records in memory, and how many there may be.
    held: usize,
    held_max: usize,
}

impl Default for FoldMessages {
    fn default() -> Self {
        FoldMessages { by_name: Numbered::default(), held: 0, held_max: usize::MAX }
    }
}

impl FoldMessages {
    pub(super) fn get(&self, message: u64) -> Option<&FoldMessage> {
        self.by_name.get(&message)
    }

    pub(super) fn get_mut(&mut self, message: u64) -> Option<&mut FoldMessage> {
        self.by_name.get_mut(&message)
    }

    /// Those that somebody needs and that are there.
    pub(super) fn needed(&self) -> usize {
        self.by_name.values().filter(|one| one.needed > 0 && one.content.is_some()).count()
    }

    fn known(&mut self, message: u64) -> &mut FoldMessage {
        self.by_name.entry(message).or_default()
    }

    fn hold(&mut self, message: u64) {
        self.known(message).needed += 1;
    }

    fn release(&mut self, message: u64) {
        if let Some(known) = self.by_name.get_mut(&message) {
            known.needed = known.needed.saturating_sub(1);
        }
        self.look_at(message);
    }

    /// Nobody more will need the message.
    fn end(&mut self, message: u64) {
        if let Some(known) = self.by_name.get_mut(&message) {
            known.is_open = false;
        }
        self.look_at(message);
    }

    fn look_at(&mut self, message: u64) {
        if self.by_name.get(&message).is_some_and(|known| !known.stays())
            && let Some(FoldMessage { content: Some(gone), .. }) = self.by_name.remove(&message)
        {
            self.held -= gone.record.map_or(0, |record| record.len());
        }
    }

    /// The latest record of a message counts: an older one may lie in a segment that is about to go.
    fn put(&mut self, message: u64, is_copy: bool, content: Content, record: &[u8]) {
        let has_room = self.held + record.len() <= self.held_max;
        let known = self.by_name.entry(message).or_default();
        known.is_copy |= is_copy;
        let before = known.content.take().and_then(|before| before.record);
        self.held -= before.as_ref().map_or(0, |record| record.len());
        let record: Option<Box<[u8]>> = has_room.then(|| record.into());
        self.held += record.as_ref().map_or(0, |record| record.len());
        known.content = Some(Content { record, ..content });
    }
}

/// A message that a session or a group is owed.
pub(super) struct Owed {
    pub message: u64,
    pub place: u64,
    pub qos: QoS,
    pub retain: bool,
    /// What few have.
    pub rare: Option<Box<OwedRare>>,
    /// The publish that it came from has not been closed.
    open: bool,
}

#[derive(Default)]
pub(super) struct OwedRare {
    pub ids: Vec<u32>,
    pub group: Option<GroupName>,
}

pub(super) struct FoldSubscription {
    pub place: u64,
    pub qos: QoS,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub id: u32,
    /// Retained messages are owed, at most at this QoS.
    pub fetch: Option<QoS>,
}

/// A will of its own, without the record that it came from.
pub(super) struct FoldWill {
    topic: Box<str>,
    forwarded: Box<[u8]>,
    payload: Box<[u8]>,
    rest: StoredWill<'static>,
}

impl FoldWill {
    fn new(will: &StoredWill<'_>) -> Self {
        FoldWill {
            topic: will.topic.into(),
            forwarded: will.forwarded.into(),
            payload: will.payload.into(),
            rest: StoredWill { topic: "", forwarded: &[], payload: &[], ..*will },
        }
    }

    pub(super) fn stored(&self) -> StoredWill<'_> {
        StoredWill { topic: &self.topic, forwarded: &self.forwarded, payload: &self.payload, ..self.rest }
    }
}

#[derive(Default)]
pub(super) struct FoldSession {
    /// Absent until its own record has come.
    pub client_id: Option<Box<str>>,
    pub place: u64,
    pub expiry_secs: u32,
    pub receive_maximum: u16,
    pub absent_since: u64,
    pub unsent_from: u64,
    pub next_number: u64,
    pub will: Option<FoldWill>,
    pub subscriptions: BTreeMap<Box<str>, FoldSubscription>,
    pub owed: BTreeMap<u64, Owed>,
    /// Deliveries that the client has and whose PUBREL is due.
    pub received: BTreeSet<u64>,
    pub open: BTreeSet<PacketId>,
    /// The user who has it, if one has been proved; and the place of the record.
    pub user: Option<Box<str>>,
    pub user_place: u64,
    /// It is over; what is left is its will, which is due.
    pub ended: bool,
}

/// What of a publish under way has been recorded.
#[derive(Default)]
struct Open {
    sessions: Vec<(u64, u64)>,
    groups: Vec<(GroupName, u64)>,
    retain: Option<(Box<str>, u64)>,
}

pub(super) type GroupName = (Box<str>, Box<str>);

/// The state that the records so far amount to.
#[derive(Default)]
pub struct Fold {
    pub(super) sessions: Numbered<FoldSession>,
    pub(super) messages: FoldMessages,
    /// By topic: the message and the place of the record.
    pub(super) retained: BTreeMap<Box<str>, (u64, u64)>,
    pub(super) groups: BTreeMap<GroupName, BTreeMap<u64, Owed>>,
    open: Numbered<Open>,
    /// By name: what it says, and the place of the record.
    pub(super) notes: BTreeMap<Box<str>, (Box<[u8]>, u64)>,
    /// The latest time that any record tells.
    pub(super) wall_secs: u64,
    /// The highest key of a session.
    pub(super) key: u64,
}

impl Fold {
    /// Before the first record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, but it holds no more than so many bytes of messages in memory: what is more stays on disk, and is read
    /// when it is needed.
    #[must_use]
    pub fn with_room(held_max: usize) -> Self {
        let mut fold = Self::default();
        fold.messages.held_max = held_max;
        fold
    }

    /// Takes the record that lies from `position` to `end`.
    ///
    /// # Errors
    /// It is none that this version knows.
    pub fn take(&mut self, position: u64, end: u64, bytes: &[u8]) -> Result<(), BadRecord> {
        let record = Record::decode(bytes).ok_or(BadRecord { position })?;
        self.apply(position, end, &record, bytes);
        Ok(())
    }

    fn apply(&mut self, position: u64, end: u64, record: &Record<'_>, bytes: &[u8]) {
        match record {
            Record::Start { wall_secs } => self.note_time(*wall_secs),
            Record::Session(session) => self.session(position, session),
            Record::Absent { .. } => self.absent(record),
            Record::SessionEnd { key, has_will } => self.end_session(*key, *has_will),
            Record::Subscribe { .. } => self.subscribe(position, record),
            Record::Unsubscribe { key, filter } => {
                self.known(*key).subscriptions.remove(*filter);
            }
            Record::Fetched { key, filter } => {
                if let Some(known) = self.known(*key).subscriptions.get_mut(*filter) {
                    known.fetch = None;
                }
            }
            Record::Message { .. } => self.message(position, end, record, bytes),
            Record::Enqueue { .. } => self.enqueue(position, record),
            Record::Park { parked, message, closed } => self.park(position, parked, *message, *closed),
            Record::Unpark { parked } => self.unpark(parked),
            Record::GroupEnd { share, filter } => {
                let gone = self.groups.remove(&((*share).into(), (*filter).into()));
                gone.iter()
                    .flat_map(|queue| queue.values())
                    .for_each(|owed| self.messages.release(owed.message));
            }
            Record::Retain { message, topic, closed: true } => {
                self.retain(*message, (*topic).into(), position)
            }
            Record::Retain { message, topic, closed: false } => {
                self.begin(*message).retain = Some(((*topic).into(), position));
            }
            Record::Clear { topic } => {
                if let Some((message, _)) = self.retained.remove(*topic) {
                    self.messages.release(message);
                }
            }
            Record::Close { message, owner } => self.close(*message, *owner),
            Record::Received { key, number } => {
                let session = self.sessions.entry(*key).or_default();
                if let Some(owed) = session.owed.remove(number) {
                    self.messages.release(owed.message);
                }
                session.received.insert(*number);
                session.next_number = session.next_number.max(number + 1);
            }
            Record::Done { key, number } => {
                let session = self.known(*key);
                session.received.remove(number);
                if let Some(owed) = session.owed.remove(number) {
                    self.messages.release(owed.message);
                }
            }
            Record::Open { key, packet_ids } => self.known(*key).open.extend(packet_ids),
            Record::Released { key, packet_id } => {
                self.known(*key).open.remove(packet_id);
            }
            Record::WillGone { key } => self.end_will(*key),
            Record::Note { name, value } => {
                self.notes.insert((*name).into(), ((*value).into(), position));
            }
            Record::NoteGone { name } => {
                self.notes.remove(*name);
            }
            Record::User { key, user } => {
                let session = self.known(*key);
                (session.user, session.user_place) = (user.map(Box::from), position);
            }
        }
    }

    /// A publish that something of is recorded.
    fn begin(&mut self, message: u64) -> &mut Open {
        self.messages.known(message).is_open = true;
        self.open.entry(message).or_default()
    }

    fn known(&mut self, key: u64) -> &mut FoldSession {
        self.key = self.key.max(key);
        self.sessions.entry(key).or_default()
    }

    fn note_time(&mut self, wall_secs: u64) {
        self.wall_secs = self.wall_secs.max(wall_secs);
    }

    fn session(&mut self, position: u64, stored: &StoredSession<'_>) {
        self.note_time(stored.absent_since);
        let session = self.known(stored.key);
        session.client_id = Some(stored.client_id.into());
        session.place = position;
        (session.expiry_secs, session.receive_maximum) = (stored.expiry_secs, stored.receive_maximum);
        (session.absent_since, session.unsent_from) = (stored.absent_since, stored.unsent_from);
        session.next_number = session.next_number.max(stored.next_number);
        session.will = stored.will.as_ref().map(FoldWill::new);
    }

    fn absent(&mut self, record: &Record<'_>) {
        let Record::Absent { key, since, expiry_secs, unsent_from, has_will } = record else { return };
        self.note_time(*since);
        let session = self.known(*key);
        session.absent_since = (*since).max(1);
        (session.expiry_secs, session.unsent_from) = (*expiry_secs, *unsent_from);
        if !has_will {
            session.will = None;
        }
    }

    fn subscribe(&mut self, position: u64, record: &Record<'_>) {
        let Record::Subscribe { key, filter, qos, no_local, retain_as_published, id, fetch } = record else {
            return;
        };
        let subscriptions = &mut self.known(*key).subscriptions;
        let subscription = FoldSubscription {
            place: position,
            qos: *qos,
            no_local: *no_local,
            retain_as_published: *retain_as_published,
            id: *id,
            // A fetch that was owed before is owed still: at QoS 2 only where that is granted now, since it may begin anew.
            fetch: (*fetch)
                .max(subscriptions.get(*filter).and_then(|known| known.fetch))
                .map(|fetch| fetch.min((*qos).max(QoS::AtLeastOnce))),
        };
        subscriptions.insert((*filter).into(), subscription);
    }

    fn end_session(&mut self, key: u64, has_will: bool) {
        self.key = self.key.max(key);
        let Some(gone) = self.sessions.remove(&key) else { return };
        for owed in gone.owed.values() {
            self.messages.release(owed.message);
        }
        if has_will && gone.will.is_some() {
            let FoldSession { client_id, place, will, .. } = gone;
            let ended = true;
            self.sessions
                .insert(key, FoldSession { client_id, place, will, ended, ..FoldSession::default() });
        }
    }

    /// The will of a session is published, or gone.
    fn end_will(&mut self, key: u64) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.will = None;
        }
    }

    fn message(&mut self, position: u64, end: u64, record: &Record<'_>, bytes: &[u8]) {
        let Record::Message { id, topic, forwarded, payload, expires, publisher, .. } = record else {
            return;
        };
        self.key = self.key.max(*publisher);
        let size = u32::try_from(topic.len() + forwarded.len() + payload.len()).unwrap_or(u32::MAX);
        let length = u32::try_from(end.saturating_sub(position)).unwrap_or(u32::MAX);
        let content = Content { position, bytes: length, size, expires: *expires, record: None };
        let is_copy = *id != 0;
        self.messages.put(if is_copy { *id } else { end }, is_copy, content, bytes);
    }

    fn enqueue(&mut self, position: u64, record: &Record<'_>) {
        let Record::Enqueue { key, number, message, qos, retain, closed, ids, from, group } = record else {
            return;
        };
        let group: Option<GroupName> = group.map(|(share, filter)| (share.into(), filter.into()));
        let rare = (group.is_some() || !ids.is_empty()).then(|| OwedRare { ids: ids.clone(), group });
        let (place, rare, open) = (position, rare.map(Box::new), !closed);
        let owed = Owed { message: *message, place, qos: *qos, retain: *retain, rare, open };
        self.messages.hold(*message);
        let session = self.known(*key);
        session.next_number = session.next_number.max(number + 1);
        let before = session.owed.insert(*number, owed);
        if let Some(before) = before {
            self.messages.release(before.message);
        }
        if let Some(parked) = from {
            self.unpark(parked);
        }
        if !closed {
            self.begin(*message).sessions.push((*key, *number));
        }
    }

    fn park(&mut self, position: u64, parked: &Parked<'_>, message: u64, closed: bool) {
        let name: GroupName = (parked.share.into(), parked.filter.into());
        let (place, open) = (position, !closed);
        let owed = Owed { message, place, qos: QoS::AtMostOnce, retain: false, rare: None, open };
        self.messages.hold(message);
        if open {
            self.begin(message).groups.push((name.clone(), parked.number));
        }
        if let Some(before) = self.groups.entry(name).or_default().insert(parked.number, owed) {
            self.messages.release(before.message);
        }
    }

    fn unpark(&mut self, parked: &Parked<'_>) {
        let name: GroupName = (parked.share.into(), parked.filter.into());
        let owed = self.groups.get_mut(&name).and_then(|queue| queue.remove(&parked.number));
        if let Some(owed) = owed {
            self.messages.release(owed.message);
        }
    }

    fn retain(&mut self, message: u64, topic: Box<str>, place: u64) {
        self.messages.hold(message);
        if let Some((before, _)) = self.retained.insert(topic, (message, place)) {
            self.messages.release(before);
        }
    }

    fn close(&mut self, message: u64, owner: Owner) {
        if let Some(open) = self.open.remove(&message) {
            for (key, number) in open.sessions {
                let owed = self.sessions.get_mut(&key).and_then(|session| session.owed.get_mut(&number));
                if let Some(owed) = owed {
                    owed.open = false;
                }
            }
            for (name, number) in open.groups {
                if let Some(owed) = self.groups.get_mut(&name).and_then(|queue| queue.get_mut(&number)) {
                    owed.open = false;
                }
            }
            if let Some((topic, place)) = open.retain {
                self.retain(message, topic, place);
            }
        }
        self.messages.end(message);
        match owner {
            Owner::Nobody => {}
            Owner::Publisher(key, packet_id) => {
                self.known(key).open.insert(packet_id);
            }
            Owner::Will(key) => self.end_will(key),
        }
    }

    /// Takes out what members have given back to their groups where a crash came between the two records of that: a group
    /// is owed a message once, so what it has itself no member has. Gives the sessions, with the numbers there.
    pub(super) fn drop_given_back(&mut self) -> Vec<(u64, u64)> {
        let parked: BTreeSet<(u64, &GroupName)> = self
            .groups
            .iter()
            .flat_map(|(name, queue)| queue.values().map(move |owed| (owed.message, name)))
            .collect();
        let is_parked = |owed: &Owed| {
            let group = owed.rare.as_ref().and_then(|rare| rare.group.as_ref());
            owed.qos == QoS::AtLeastOnce && group.is_some_and(|group| parked.contains(&(owed.message, group)))
        };
        let mut gone = Vec::new();
        if !parked.is_empty() {
            for (key, session) in &mut self.sessions {
                session.owed.retain(|number, owed| {
                    let goes = is_parked(owed);
                    if goes {
                        self.messages.release(owed.message);
                        gone.push((*key, *number));
                    }
                    !goes
                });
            }
        }
        gone.sort_unstable();
        gone
    }

    /// Forgets publishes that were never closed: their publishers were not told that they were taken. Gives how many.
    pub(super) fn drop_open(&mut self) -> usize {
        let open = std::mem::take(&mut self.open);
        open.keys().for_each(|message| self.messages.end(*message));
        for publish in open.values() {
            for (key, number) in &publish.sessions {
                let Some(session) = self.sessions.get_mut(key) else { continue };
                if session.owed.get(number).is_some_and(|owed| owed.open)
                    && let Some(owed) = session.owed.remove(number)
                {
                    self.messages.release(owed.message);
                }
            }
            for (name, number) in &publish.groups {
                let Some(queue) = self.groups.get_mut(name) else { continue };
                if queue.get(number).is_some_and(|owed| owed.open)
                    && let Some(owed) = queue.remove(number)
                {
                    self.messages.release(owed.message);
                }
            }
        }
        open.len()
    }
}
