//! What the rules mean for one client: its decisions. Not the rules.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use crate::{
    claims::Claims,
    pattern::{Level, Pattern, fits},
    relation::{Shape, Step},
    rule::{Action, Request, Rule, RuleId},
    rules::{Rules, Style},
    tree::Visitor,
};

/// Who a client is, as far as rules ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Its identifier.
    pub client_id: Box<str>,
    /// The user name that it has proved.
    pub user_name: Option<Arc<str>>,
    /// Where it comes from.
    pub address: Option<IpAddr>,
    /// The name of the listener on which it came.
    pub listener: Arc<str>,
    /// What its token says of it.
    pub claims: Option<Arc<Claims>>,
}

/// Whether something is allowed, and which rule says so; none where no rule speaks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The rule that decides.
    pub rule: Option<RuleId>,
}

/// What becomes of a subscription of which the client may read a part only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partly {
    /// It is refused.
    #[default]
    Refuse,
    /// It is granted, and what the client may not read is left out.
    Filter,
}

/// Whether a filter may be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Whether it may.
    pub granted: bool,
    /// Whether everything that it matches may be read, so that nothing need be asked for each message.
    pub whole: bool,
    /// Whether a part of what it matches may be read, and another part not.
    pub partly: bool,
    /// The rule that decides.
    pub rule: Option<RuleId>,
    /// How many rules were met on the way to it.
    pub met: usize,
}

/// The rules as they concern one client. Cheap to ask; made anew when the rules or the client change.
#[derive(Clone, Debug)]
pub struct Rights {
    rules: Arc<Rules>,
    who: Arc<Who>,
    user: Option<u32>,
    groups: Box<[u32]>,
    /// Its roles, the first first.
    roles: Box<[u32]>,
    client_fits: bool,
    user_fits: bool,
    has_wildcards: bool,
    /// Nothing is known of the client but its identifier.
    unknown: bool,
}

/// The rule that comes first among those that match.
struct First<'a> {
    rights: &'a Rights,
    request: Request,
    /// Its place in the order.
    place: u64,
    rule: Option<u32>,
}

impl Visitor for First<'_> {
    fn meet(&mut self, number: u32, only_denials: bool) {
        let Some(rule) = self.rights.rules.rule(number) else { return };
        let Some(place) = self.rights.place(number, rule) else { return };
        if place < self.place
            && !(only_denials && rule.allows)
            && !rule.literal
            && rule.speaks_of(self.rights, &self.request)
        {
            self.place = place;
            self.rule = Some(number);
        }
    }

    fn wants(&self, rule: u32) -> bool {
        self.rights.rules.has_roles() || u64::from(rule) < self.place
    }
}

/// All rules that a walk meets.
struct Gather(Vec<u32>);

impl Visitor for Gather {
    fn meet(&mut self, rule: u32, _only_denials: bool) {
        self.0.push(rule);
    }

    fn wants(&self, _rule: u32) -> bool {
        true
    }
}

/// How the rules for reading lie to a filter.
struct Readable {
    whole: bool,
    any: bool,
    rule: Option<u32>,
    met: usize,
}

impl Rights {
    /// What these rules mean for this client.
    #[must_use]
    pub fn new(rules: &Arc<Rules>, who: &Arc<Who>) -> Rights {
        let user = who.user_name.as_deref().and_then(|name| rules.user(name));
        let has_wildcards = |name: &str| name.contains(['+', '#']);
        Rights {
            user,
            groups: rules.groups_of(user, who.claims.as_deref()),
            roles: rules.roles_of(who.user_name.as_deref()),
            client_fits: fits(&who.client_id),
            user_fits: who.user_name.as_deref().is_some_and(fits),
            has_wildcards: has_wildcards(&who.client_id)
                || who.user_name.as_deref().is_some_and(has_wildcards),
            unknown: false,
            rules: rules.clone(),
            who: who.clone(),
        }
    }

    /// What they mean for a client of which nobody knows any more who it was, where it came from and on which listener:
    /// what allows and asks for that is not for it, what denies is, and where no rule decides it is denied.
    #[must_use]
    pub fn of_unknown(rules: &Arc<Rules>, client_id: &str) -> Rights {
        let (client_id, listener) = (client_id.into(), Arc::from(""));
        let who = Who { client_id, user_name: None, address: None, listener, claims: None };
        Rights { unknown: true, ..Rights::new(rules, &Arc::new(who)) }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// The client.
    #[must_use]
    pub fn who(&self) -> &Arc<Who> {
        &self.who
    }

    pub(crate) fn user(&self) -> Option<u32> {
        self.user
    }

    pub(crate) fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// What the client's token says under this name.
    pub(crate) fn claim(&self, name: &str) -> Option<&str> {
        self.who.claims.as_ref()?.value(name)
    }

    pub(crate) fn client_fits(&self) -> bool {
        self.client_fits
    }

    pub(crate) fn user_fits(&self) -> bool {
        self.user_fits
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.unknown
    }

    pub(crate) fn has_wildcards(&self) -> bool {
        self.has_wildcards
    }

    /// The place of a rule among all that concern this client; none if it has not the rule's role.
    fn place(&self, number: u32, rule: &Rule) -> Option<u64> {
        let Some(role) = rule.role else { return Some(number.into()) };
        if self.unknown {
            return (!rule.allows).then_some(number.into());
        }
        let rank = self.roles.iter().position(|known| *known == role)?;
        Some(((rank as u64) << 32) | u64::from(number))
    }

    /// Whether the client may publish to a topic.
    #[must_use]
    pub fn publish(&self, topic: &str, qos: u8, retain: bool) -> Decision {
        self.decide(topic, Request { action: Action::Publish, qos, retain })
    }

    /// Whether a message of this topic may be delivered to the client.
    #[must_use]
    pub fn receive(&self, topic: &str) -> Decision {
        self.decide(topic, Request::RECEIVE)
    }

    fn decide(&self, topic: &str, request: Request) -> Decision {
        let mut first = First { rights: self, request, place: u64::MAX, rule: None };
        self.rules.tree().topic(self, topic, &mut first);
        let rule = first.rule.and_then(|number| self.rules.rule(number));
        let allowed =
            rule.map_or_else(|| self.is_otherwise_allowed(request.action, topic), |rule| rule.allows);
        Decision { allowed, rule: first.rule.map(RuleId) }
    }

    /// What is said of a topic of which no rule speaks: by the client's token, else by default.
    fn is_otherwise_allowed(&self, action: Action, topic: &str) -> bool {
        let claims = self.who.claims.as_deref();
        match claims.and_then(|claims| claims.granted(action)) {
            Some(granted) => granted.matches(topic),
            None => self.rules.default_for(self, action, topic),
        }
    }

    /// Whether the client may subscribe to a filter, which has no `$share/NAME/` in front.
    #[must_use]
    pub fn subscribe(&self, filter: &str, partly: Partly) -> Grant {
        let readable = self.readable(filter);
        let (granted, rule) = match self.rules.style() {
            Style::RuleFile | Style::Open => {
                (readable.whole || (readable.any && partly == Partly::Filter), readable.rule)
            }
            Style::AclFile => (true, readable.rule),
            Style::DynamicSecurity => self.subscribe_by_roles(filter),
        };
        let is_partly = readable.any && !readable.whole;
        let (whole, rule, met) = (readable.whole, rule.map(RuleId), readable.met);
        Grant { granted, whole, partly: is_partly, rule, met }
    }

    /// Looks at the rules for reading in their order: the first that covers the filter decides for all that those before
    /// it have left open.
    fn readable(&self, filter: &str) -> Readable {
        let wanted = Shape::of(filter);
        let (mut allowed, mut denied) = (None, None);
        let (concerned, met) = self.concerned(filter, &Request::RECEIVE);
        for number in concerned {
            let Some(rule) = self.rules.rule(number) else { continue };
            let shapes: Vec<Shape<'_>> =
                rule.patterns.iter().filter_map(|pattern| self.shape(pattern, rule.allows)).collect();
            if !shapes.iter().any(|shape| shape.overlaps(&wanted)) {
                continue;
            }
            let covers = shapes.iter().any(|shape| shape.covers(&wanted));
            match (rule.allows, covers) {
                (true, true) => {
                    let whole = denied.is_none();
                    return Readable { whole, any: true, rule: denied.or(Some(number)), met };
                }
                (false, true) => {
                    let rule = Some(number);
                    return Readable { whole: false, any: allowed.is_some(), rule, met };
                }
                (true, false) => allowed = allowed.or(Some(number)),
                (false, false) => denied = denied.or(Some(number)),
            }
        }
        // What no rule covers is left to the client's token, else to the default.
        let claims = self.who.claims.as_deref();
        let (all, some) = match claims.and_then(|claims| claims.granted(Action::Receive)) {
            Some(granted) => (granted.cover(&wanted), granted.overlap(&wanted)),
            None => {
                let by_default = self.rules.default_for(self, Action::Receive, filter);
                (by_default, by_default)
            }
        };
        Readable {
            whole: all && denied.is_none(),
            any: some || allowed.is_some(),
            rule: denied.or(allowed),
            met,
        }
    }

    fn subscribe_by_roles(&self, filter: &str) -> (bool, Option<u32>) {
        let wanted = Shape::of(filter);
        let decides = |number: &u32| {
            self.rules.rule(*number).is_some_and(|rule| {
                rule.patterns.iter().any(|pattern| {
                    if rule.literal {
                        *pattern.text == *filter
                    } else {
                        // Mosquitto compares level by level, and `#` has everything.
                        &*pattern.text == "#"
                            || self
                                .shape(pattern, rule.allows)
                                .is_some_and(|shape| Shape { all: true, ..shape }.covers(&wanted))
                    }
                })
            })
        };
        let number = self.concerned(filter, &Request::SUBSCRIBE).0.into_iter().find(decides);
        let allowed = number.and_then(|number| self.rules.rule(number)).map(|rule| rule.allows);
        let claims = self.who.claims.as_deref();
        let otherwise = || match claims.and_then(|claims| claims.granted(Action::Subscribe)) {
            Some(granted) => granted.cover(&wanted),
            None => self.rules.default_for(self, Action::Subscribe, filter),
        };
        (allowed.unwrap_or_else(otherwise), number)
    }

    /// The rules that may speak of something that the filter matches, in their order, and how many were met.
    fn concerned(&self, filter: &str, request: &Request) -> (Vec<u32>, usize) {
        let levels: Vec<&str> = filter.split('/').collect();
        let mut gathered = Gather(Vec::new());
        self.rules.tree().filter(self, &levels, &mut gathered);
        let met = gathered.0.len();
        let mut placed: Vec<(u64, u32)> = gathered
            .0
            .into_iter()
            .filter_map(|number| {
                let rule = self.rules.rule(number).filter(|rule| rule.speaks_of(self, request))?;
                Some((self.place(number, rule)?, number))
            })
            .collect();
        placed.sort_unstable();
        placed.dedup();
        (placed.into_iter().map(|(_, number)| number).collect(), met)
    }

    /// A pattern with the client's names in it. One that lacks a name matches nothing; where a name cannot stand in a
    /// level, what denies takes all that there could be, and what allows nothing.
    fn shape<'a>(&self, pattern: &'a Pattern, allows: bool) -> Option<Shape<'a>> {
        let mut steps = Vec::with_capacity(pattern.levels.len());
        for (at, level) in pattern.levels.iter().enumerate() {
            match level {
                Level::Name(name) => steps.push(Step::Name(Cow::Borrowed(name))),
                Level::Any => steps.push(Step::Any),
                Level::Hole(hole) => match hole.value(self, at == 0) {
                    Ok(Some(value)) => {
                        steps.extend(value.split('/').map(|level| Step::Name(Cow::Owned(level.to_owned()))));
                    }
                    Ok(None) => return None,
                    Err(_) if allows => return None,
                    Err(_) => {
                        steps.push(Step::Any);
                        return Some(Shape { all: at == 0, steps, deep: true });
                    }
                },
            }
        }
        Some(Shape { steps, deep: pattern.deep, all: false })
    }
}
