//! Who may publish and subscribe to what: the rules in force, and where they are asked. Not the rules: those are
//! `whimbrel-access`.
//!
//! What was said of a client's last topics is remembered. A subscriber is asked about at each delivery, unless the rules
//! let it read all that its filter matches: then the match result carries a stamp that says so, of these rules and of this
//! client. Rules change under a generation, so what was remembered under another one counts no more.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use whimbrel_access::{Decision, Grant, Partly, Rights, RuleId, Rules, Who};
use whimbrel_proto::codec::{Filter, Publish, QoS, is_shared};

use crate::{
    Attached, Count, Engine, Notice, Turn,
    session::{Locked, Session},
    subscription::Subscription,
    sync::RwLock,
};

/// Topics of which a client's decisions are remembered, a power of two.
const REMEMBERED: usize = 8;
/// Rules that a question about a filter meets cost as much as one message: who asks much gives way between its packets.
const RULES_PER_WORK: usize = 16;
/// A longer topic is looked at each time.
const REMEMBERED_BYTES_MAX: usize = 256;

/// What becomes of what the rules deny, where there is a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessOptions {
    /// Messages whose publisher cannot be told: of clients older than 5.0, and at QoS 0.
    pub untold: Untold,
    /// Filters of which a part may be read.
    pub partly: Partly,
    /// Wills.
    pub will: DeniedWill,
    /// Who may come with the client identifier of a session.
    pub client_id: ClientIdOf,
}

/// What happens to a message that is denied to a client which cannot be told so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Untold {
    /// It is acknowledged, where it has to be, and nobody gets it.
    #[default]
    Drop,
    /// The connection ends.
    Disconnect,
}

/// What happens to a will that its client may not publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeniedWill {
    /// The connection is refused.
    #[default]
    Refuse,
    /// The client comes in, and the will is dropped.
    Drop,
}

/// Who may take a session over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientIdOf {
    /// The user whose session it is.
    #[default]
    User,
    /// Anyone.
    Anyone,
}

/// The rules in force.
pub(crate) struct Access {
    rules: RwLock<Arc<Rules>>,
    /// Counts the rules that there have been, from 1.
    generation: AtomicU32,
    pub(crate) options: AccessOptions,
}

impl Access {
    /// The rules, and which these are.
    fn now(&self) -> (u32, Arc<Rules>) {
        let rules = self.rules.read();
        (self.generation.load(SeqCst), rules.clone())
    }

    fn is_now(&self, generation: u32) -> bool {
        self.generation.load(SeqCst) == generation
    }
}

/// The last decisions about topics.
#[derive(Default)]
struct Remembered(Vec<Option<Known>>);

/// A decision about a topic. `kind`: of which question.
#[derive(Clone)]
struct Known {
    topic: Box<str>,
    kind: u8,
    decision: Decision,
}

impl Remembered {
    fn decide(&mut self, topic: &str, kind: u8, ask: impl FnOnce() -> Decision) -> Decision {
        // Two topics in one place cost a look at the rules, no more.
        let bytes = topic.as_bytes();
        let byte = |at: usize| bytes.get(at).map_or(0, |byte| usize::from(*byte));
        let (last, middle) = (byte(bytes.len().wrapping_sub(1)), byte(bytes.len() / 2));
        let place = (bytes.len() ^ last ^ (middle << 1) ^ usize::from(kind)) % REMEMBERED;
        if let Some(Some(known)) = self.0.get(place)
            && *known.topic == *topic
            && known.kind == kind
        {
            return known.decision;
        }
        let decision = ask();
        if topic.len() <= REMEMBERED_BYTES_MAX {
            self.0.resize(REMEMBERED, None);
            if let Some(entry) = self.0.get_mut(place) {
                *entry = Some(Known { topic: topic.into(), kind, decision });
            }
        }
        decision
    }
}

/// What the rules mean for one client, and for how long.
pub(crate) struct Bearing {
    generation: u32,
    /// Counts the clients that the session has had.
    identity: u32,
    rights: Rights,
    remembered: Remembered,
    /// The operator has been told of a denial.
    is_noticed: bool,
}

impl Bearing {
    fn new(access: &Access, who: &Arc<Who>) -> Bearing {
        let (generation, rules) = access.now();
        Bearing::of(generation, Rights::new(&rules, who))
    }

    fn of(generation: u32, rights: Rights) -> Bearing {
        let remembered = Remembered::default();
        Bearing { generation, identity: 0, rights, remembered, is_noticed: false }
    }

    /// Makes it what the present rules say.
    fn renew(&mut self, access: &Access) {
        if !access.is_now(self.generation) {
            let (identity, is_noticed) = (self.identity, self.is_noticed);
            *self = Bearing { identity, is_noticed, ..Bearing::new(access, self.rights.who()) };
        }
    }

    pub(crate) fn who(&self) -> &Arc<Who> {
        self.rights.who()
    }

    /// Tells these rules and this client from all others of the session; never 0.
    fn stamp(&self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.identity)
    }

    /// What a client is told of a denial. The file is the operator's affair.
    fn why(&self, what: &str, rule: Option<RuleId>) -> String {
        let place = rule.and_then(|rule| self.rights.rules().describe(rule)).map(|rule| rule.line);
        match place {
            Some(Some(line)) => format!("{what}: denied by the rule in line {line}"),
            Some(None) => format!("{what}: denied by a rule"),
            None => format!("{what}: no rule allows it"),
        }
    }

    /// The same for the operator, once for each connection.
    fn notice(&mut self, turn: &mut Turn, what: impl FnOnce() -> String, rule: Option<RuleId>) {
        if std::mem::replace(&mut self.is_noticed, true) {
            return;
        }
        let told = rule.and_then(|rule| self.rights.rules().describe(rule));
        let by = match told {
            Some(rule) => match rule.line {
                Some(line) => format!("{}:{line}: {}", rule.file, rule.words),
                None => format!("{}: {}", rule.file, rule.words),
            },
            None => format!("{}: no rule allows it", self.rights.rules().file()),
        };
        let client_id = self.rights.who().client_id.clone();
        turn.notice(Notice::Denied { client_id, what: what(), by });
    }
}

/// A denial, in the words for the client.
pub(crate) struct Denied(pub(crate) String);

impl Engine {
    /// Has every client asked about by these rules. Without them nobody is.
    #[must_use]
    pub fn with_access(mut self, rules: Arc<Rules>, options: AccessOptions) -> Self {
        let (rules, generation) = (RwLock::new(rules), AtomicU32::new(1));
        self.access = Some(Box::new(Access { rules, generation, options }));
        self
    }

    /// The rules in force, if there are any.
    #[must_use]
    pub fn rules(&self) -> Option<Arc<Rules>> {
        self.access.as_ref().map(|access| access.now().1)
    }

    /// Whether there are any.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.access.is_some()
    }

    /// What becomes of what they deny.
    #[must_use]
    pub fn access_options(&self) -> Option<AccessOptions> {
        self.access.as_ref().map(|access| access.options)
    }

    /// From now on these rules count: no message is taken or delivered against them. Subscriptions that they no longer
    /// allow bring nothing any more and end with [`Self::apply_rules`]. Nothing happens where there were none from the start.
    pub fn set_rules(&self, rules: Arc<Rules>) {
        if let Some(access) = &self.access {
            let mut now = access.rules.write();
            *now = rules;
            access.generation.fetch_add(1, SeqCst);
        }
    }

    /// Ends the subscriptions of one slice of all sessions, from 0 on, that the rules in force do not allow, and gives
    /// their number; `None` behind the last slice. The caller flushes the turn.
    pub fn apply_rules(&self, turn: &mut Turn, slice: usize) -> Option<usize> {
        let sessions = self.sessions.slice(slice)?;
        Some(sessions.iter().map(|session| self.recheck(turn, session)).sum())
    }

    /// Whether somebody else's session may be had with this client identifier.
    pub(crate) fn is_foreign(&self, own: Option<&Bearing>, coming: Option<&Arc<Who>>) -> bool {
        let Some(access) = &self.access else { return false };
        let (Some(own), Some(coming)) = (own, coming) else { return false };
        access.options.client_id == ClientIdOf::User && own.who().user_name != coming.user_name
    }

    /// Whether the session is one of a user who is not the one that comes.
    pub(crate) fn is_owned_by_another(&self, own: Option<&str>, coming: Option<&Arc<str>>) -> bool {
        let may = self.access.as_ref().map_or(self.limits.session_of, |access| access.options.client_id);
        own.is_some() && own != coming.map(|user| &**user) && may == ClientIdOf::User
    }

    /// Why a client may not publish this message. Who has lost its session meanwhile publishes nothing.
    pub(crate) fn denies_publish(
        &self,
        turn: &mut Turn,
        from: &Attached,
        publish: &Publish<'_>,
        topic: &str,
    ) -> Option<Denied> {
        let access = self.access.as_ref()?;
        let nobody = || Some(Denied("publish: the session is another connection's".to_owned()));
        let Some(mut own) = self.lock_attached(from) else { return nobody() };
        let Some(bearing) = &mut own.state.bearing else { return nobody() };
        bearing.renew(access);
        let Bearing { rights, remembered, .. } = &mut **bearing;
        let kind = publish.qos.bits() | (u8::from(publish.retain) << 2);
        let ask = || rights.publish(topic, publish.qos.bits(), publish.retain);
        let decision = remembered.decide(topic, kind, ask);
        if decision.allowed {
            return None;
        }
        bearing.notice(turn, || format!("publish to {topic}"), decision.rule);
        Some(Denied(bearing.why("publish", decision.rule)))
    }

    /// Why a client may not leave this will; asked again when the will is due. After a restart nobody knows who it was.
    pub(crate) fn denies_will(
        &self,
        turn: &mut Turn,
        who: Result<&Arc<Who>, &str>,
        (topic, qos, retain): (&str, QoS, bool),
    ) -> Option<Denied> {
        let access = self.access.as_ref()?;
        let mut bearing = match who {
            Ok(who) => Bearing::new(access, who),
            Err(client_id) => {
                let (generation, rules) = access.now();
                Bearing::of(generation, Rights::of_unknown(&rules, client_id))
            }
        };
        let decision = bearing.rights.publish(topic, qos.bits(), retain);
        if decision.allowed {
            return None;
        }
        turn.count(Count::DeniedWill, 1);
        bearing.notice(turn, || format!("will to {topic}"), decision.rule);
        Some(Denied(bearing.why("will", decision.rule)))
    }

    /// Looks at a session's subscriptions by the present rules; gives how many have ended.
    pub(crate) fn recheck(&self, turn: &mut Turn, session: &Arc<Session>) -> usize {
        let mut own = Locked::new(self, session);
        let Some(stamp) = own.stamp().filter(|_| !own.state.ended) else { return 0 };
        let mut gone = Vec::new();
        let mut at = own.state.subscriptions.len();
        while at > 0 {
            at -= 1;
            let Some(known) = own.state.subscriptions.get(at) else { break };
            let Some(grant) = own.grant(&known.filter) else { continue };
            if grant.granted {
                self.restamp(&mut own, at, if grant.whole { stamp } else { 0 });
            } else {
                let subscription = own.state.subscriptions.remove(at);
                own.forget_subscription(turn, &subscription);
                let (client_id, filter) = (session.client_id.clone(), subscription.filter.clone());
                turn.notice(Notice::SubscriptionEnded { client_id, filter });
                gone.push(subscription);
            }
        }
        drop(own);
        let count = gone.len();
        turn.count(Count::SubscriptionsEnded, count as u64);
        turn.work += count as u64;
        self.drop_subscriptions(turn, session, gone);
        count
    }

    /// Notes whether everything that a subscription brings may be read. While the session is locked: whoever ends the
    /// subscription does so before, and it is not here any more, or after, and takes this out again.
    fn restamp(&self, own: &mut Locked<'_>, at: usize, free: u64) {
        let session = own.session;
        let Some(known) = own.state.subscriptions.get_mut(at).filter(|known| known.interest.free != free)
        else {
            return;
        };
        known.interest.free = free;
        match &known.group {
            Some(group) => group.restamp(session.key, free),
            None if is_shared(&known.filter) => {} // It is on its way into its group.
            None => {
                let interest = known.interest;
                self.router.insert(session, &known.filter, interest, Some(interest.since), || 0);
            }
        }
    }
}

impl Locked<'_> {
    /// The client of this session is somebody now.
    pub(crate) fn identify(&mut self, who: Option<&Arc<Who>>) {
        let (Some(access), Some(who)) = (&self.engine.access, who) else { return };
        let before = self.state.bearing.as_ref();
        if before.is_none_or(|bearing| **bearing.who() != **who) {
            let identity = before.map_or(0, |bearing| bearing.identity.wrapping_add(1));
            self.state.bearing = Some(Box::new(Bearing { identity, ..Bearing::new(access, who) }));
        }
    }

    /// Tells the present rules and this client from all others; none where nobody knows who the client is.
    pub(crate) fn stamp(&mut self) -> Option<u64> {
        let access = self.engine.access.as_ref()?;
        let bearing = self.state.bearing.as_mut()?;
        bearing.renew(access);
        Some(bearing.stamp())
    }

    /// What a SUBSCRIBE to this filter is granted; none where no rules are asked. The caller has asked for the stamp.
    pub(crate) fn grant(&self, filter: &str) -> Option<Grant> {
        let access = self.engine.access.as_ref()?;
        let bearing = self.state.bearing.as_ref()?;
        let filter = Filter::parse(filter).ok()?.filter;
        Some(bearing.rights.subscribe(filter, access.options.partly))
    }

    /// What a SUBSCRIBE to this filter is told; as what its messages are stamped where it is granted.
    pub(crate) fn ask_filter(&mut self, turn: &mut Turn, text: &str) -> Result<u64, Denied> {
        let Some(stamp) = self.stamp() else { return Ok(0) };
        let Some(grant) = self.grant(text) else { return Ok(0) };
        turn.work += (grant.met / RULES_PER_WORK) as u64;
        if grant.granted {
            return Ok(if grant.whole { stamp } else { 0 });
        }
        turn.count(Count::DeniedSubscribe, 1);
        let Some(bearing) = &mut self.state.bearing else { return Ok(0) };
        let what = if grant.partly { "subscribe to all of it" } else { "subscribe" };
        bearing.notice(turn, || format!("{what}: {text}"), grant.rule);
        Err(Denied(bearing.why(what, grant.rule)))
    }

    /// Whether the client may read a topic. `free`: the stamp of the subscription that brings it. An absent client of
    /// whom nobody knows who it is is asked about when it comes for the message.
    #[inline]
    pub(crate) fn may_read(&mut self, free: u64, topic: &str) -> bool {
        self.engine.access.is_none() || self.is_readable(free, topic)
    }

    /// By itself: without rules a receiver pays for a look at the engine alone.
    #[inline(never)]
    fn is_readable(&mut self, free: u64, topic: &str) -> bool {
        match self.stamp() {
            Some(stamp) if stamp == free => return true,
            Some(_) => {}
            None => return true,
        }
        let Some(bearing) = &mut self.state.bearing else { return true };
        let Bearing { rights, remembered, .. } = &mut **bearing;
        remembered.decide(topic, u8::MAX, || rights.receive(topic)).allowed
    }

    /// A subscription has left the session's list: what else the session has of it goes, too, and the journal learns it.
    pub(crate) fn forget_subscription(&mut self, turn: &mut Turn, subscription: &Subscription) {
        self.record_unsubscribe(turn, subscription);
        if is_shared(&subscription.filter) {
            self.state.shared -= 1;
        } else if let Some(rare) = &mut self.state.rare {
            rare.fetches.retain(|fetch| !fetch.is_for(&subscription.filter));
        }
    }
}
