//! The patterns of all rules in one tree of levels: what a topic costs depends on its levels, not on how many rules there
//! are. Not the order of the rules, and not whom they speak of.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::{
    pattern::{Hole, Level, Part, Pattern, fits},
    rights::Rights,
};

/// Numbers of rules.
type Numbers = Vec<u32>;

/// The rules of which a pattern ends in one place, in their order.
#[derive(Default, Debug)]
pub(crate) struct Ending {
    all: Numbers,
    /// Those that speak of one user alone.
    of_user: HashMap<u32, Numbers, FixedState>,
}

#[derive(Default, Debug)]
struct Node {
    names: HashMap<Box<str>, u32, FixedState>,
    any: Option<u32>,
    holes: Vec<(Hole, u32)>,
    /// Patterns that end with this level.
    exact: Option<Box<Ending>>,
    /// Patterns that go on with `#`.
    deep: Option<Box<Ending>>,
}

/// The patterns of all rules.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

/// What a walk meets.
pub(crate) trait Visitor {
    /// Rules that match. `only_denials`: those that allow do not, since the name of the client does not fit.
    fn meet(&mut self, rule: u32, only_denials: bool);

    /// Whether a rule of this number could change anything, given that all behind it are later.
    fn wants(&self, rule: u32) -> bool;
}

impl Default for Tree {
    fn default() -> Self {
        Tree { nodes: vec![Node::default()] }
    }
}

impl Ending {
    fn add(&mut self, rule: u32, user: Option<u32>) {
        let numbers = match user {
            Some(user) => self.of_user.entry(user).or_default(),
            None => &mut self.all,
        };
        if numbers.last() != Some(&rule) {
            numbers.push(rule);
        }
    }

    fn show(&self, rights: &Rights, only_denials: bool, to: &mut impl Visitor) {
        let own = rights.user().and_then(|user| self.of_user.get(&user));
        let possible = rights.is_unknown().then(|| self.of_user.values()).into_iter().flatten();
        for numbers in [Some(&self.all), own].into_iter().flatten().chain(possible) {
            for rule in numbers {
                if !to.wants(*rule) {
                    break;
                }
                to.meet(*rule, only_denials);
            }
        }
    }
}

impl Tree {
    /// Enters a pattern of a rule. Rules come in their order.
    pub(crate) fn insert(&mut self, pattern: &Pattern, rule: u32, user: Option<u32>) {
        let mut at = 0_u32;
        for level in &pattern.levels {
            let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
            let Some(node) = self.nodes.get_mut(at as usize) else { return };
            let known = match level {
                Level::Name(name) => *node.names.entry(name.clone()).or_insert(next),
                Level::Any => *node.any.get_or_insert(next),
                Level::Hole(hole) => match node.holes.iter().find(|(known, _)| known == hole) {
                    Some((_, known)) => *known,
                    None => {
                        node.holes.push((hole.clone(), next));
                        next
                    }
                },
            };
            if known == next {
                self.nodes.push(Node::default());
            }
            at = known;
        }
        let Some(node) = self.nodes.get_mut(at as usize) else { return };
        let ending = if pattern.deep { &mut node.deep } else { &mut node.exact };
        ending.get_or_insert_default().add(rule, user);
    }

    /// Shows the rules of which a pattern matches the topic.
    pub(crate) fn topic(&self, rights: &Rights, topic: &str, to: &mut impl Visitor) {
        self.levels(0, rights, Some(topic), topic.starts_with('$'), to);
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    /// `rest`: the levels that follow, if any. `reserved`: the first of them is the first of the topic and begins with `$`.
    fn levels(&self, at: u32, rights: &Rights, rest: Option<&str>, reserved: bool, to: &mut impl Visitor) {
        let Some(node) = self.node(at) else { return };
        if let Some(deep) = node.deep.as_ref().filter(|_| !reserved) {
            deep.show(rights, false, to); // [MQTT-4.7.2-1]
        }
        let Some(rest) = rest else {
            if let Some(exact) = &node.exact {
                exact.show(rights, false, to);
            }
            return;
        };
        let (level, behind) = match rest.split_once('/') {
            Some((level, behind)) => (level, Some(behind)),
            None => (rest, None),
        };
        if let Some(next) = node.names.get(level) {
            self.levels(*next, rights, behind, false, to);
        }
        if let Some(next) = node.any.filter(|_| !reserved) {
            self.levels(next, rights, behind, false, to);
        }
        for (hole, next) in &node.holes {
            match hole.eats(rights, rest, at == 0) {
                Eaten::Levels(behind) => self.levels(*next, rights, behind, false, to),
                Eaten::Nothing => {}
                Eaten::Misfit => self.everything(*next, rights, true, to),
            }
        }
    }

    /// Shows the rules below a node.
    fn everything(&self, at: u32, rights: &Rights, only_denials: bool, to: &mut impl Visitor) {
        let Some(node) = self.node(at) else { return };
        for ending in [&node.deep, &node.exact].into_iter().flatten() {
            ending.show(rights, only_denials, to);
        }
        let nexts =
            node.names.values().copied().chain(node.any).chain(node.holes.iter().map(|(_, next)| *next));
        for next in nexts {
            self.everything(next, rights, only_denials, to);
        }
    }

    /// Shows at least the rules of which a pattern matches anything that the filter matches; some more.
    pub(crate) fn filter(&self, rights: &Rights, levels: &[&str], to: &mut impl Visitor) {
        self.filter_levels(0, rights, levels, to);
    }

    fn filter_levels(&self, at: u32, rights: &Rights, levels: &[&str], to: &mut impl Visitor) {
        let Some(node) = self.node(at) else { return };
        if let Some(deep) = &node.deep {
            deep.show(rights, false, to);
        }
        let Some((level, behind)) = levels.split_first() else {
            if let Some(exact) = &node.exact {
                exact.show(rights, false, to);
            }
            return;
        };
        match *level {
            "#" => {
                self.everything(at, rights, false, to);
                return;
            }
            "+" => {
                for next in node.names.values() {
                    self.filter_levels(*next, rights, behind, to);
                }
            }
            name => {
                if let Some(next) = node.names.get(name) {
                    self.filter_levels(*next, rights, behind, to);
                }
            }
        }
        if let Some(next) = node.any {
            self.filter_levels(next, rights, behind, to);
        }
        for (hole, next) in &node.holes {
            if hole.is_one_level(rights, at == 0) {
                self.filter_levels(*next, rights, behind, to);
            } else {
                self.everything(*next, rights, false, to);
            }
        }
    }
}

/// What becomes of a topic at a hole.
enum Eaten<'a> {
    /// It fits; these levels follow.
    Levels(Option<&'a str>),
    /// It does not fit.
    Nothing,
    /// The client's name is none that can stand in a level.
    Misfit,
}

impl Hole {
    /// Whether the client's names leave it one level, or nothing.
    fn is_one_level(&self, rights: &Rights, is_first: bool) -> bool {
        !self.has_misfit(rights) && (self.lenient || !(is_first && self.begins_reserved(rights)))
    }

    /// What it stands for. Nothing if it needs a user name and the client has none; an error if a name does not fit.
    pub(crate) fn value(&self, rights: &Rights, is_first: bool) -> Result<Option<String>, Misfit> {
        let who = rights.who();
        let mut value = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => value.push_str(text),
                Part::ClientId => value.push_str(&who.client_id),
                Part::UserName => match &who.user_name {
                    Some(user) => value.push_str(user),
                    None if rights.is_unknown() => return Err(Misfit),
                    None => return Ok(None),
                },
                Part::Claim(name) => match rights.claim(name) {
                    Some(claim) => value.push_str(claim),
                    None if rights.is_unknown() => return Err(Misfit),
                    None => return Ok(None),
                },
            }
        }
        if !self.lenient && (self.has_misfit(rights) || (is_first && self.begins_reserved(rights))) {
            return Err(Misfit);
        }
        Ok(Some(value))
    }

    fn has_misfit(&self, rights: &Rights) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Text(_) => false,
            Part::ClientId => !rights.client_fits(),
            Part::UserName => !rights.user_fits(),
            Part::Claim(name) => rights.claim(name).is_none_or(|value| !fits(value)),
        })
    }

    /// Whether the client's own name would make the topic one of those that begin with `$`.
    fn begins_reserved(&self, rights: &Rights) -> bool {
        let who = rights.who();
        match self.parts.first() {
            Some(Part::ClientId) => who.client_id.starts_with('$'),
            Some(Part::UserName) => who.user_name.as_ref().is_some_and(|user| user.starts_with('$')),
            Some(Part::Claim(name)) => rights.claim(name).is_some_and(|value| value.starts_with('$')),
            _ => false,
        }
    }

    /// Whether it needs a name that the client has not.
    fn lacks_name(&self, rights: &Rights) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Text(_) | Part::ClientId => false,
            Part::UserName => rights.who().user_name.is_none(),
            Part::Claim(name) => rights.claim(name).is_none(),
        })
    }

    fn eats<'t>(&self, rights: &Rights, topic: &'t str, is_first: bool) -> Eaten<'t> {
        let who = rights.who();
        if self.lacks_name(rights) {
            return if rights.is_unknown() { Eaten::Misfit } else { Eaten::Nothing };
        }
        if !self.lenient && (self.has_misfit(rights) || (is_first && self.begins_reserved(rights))) {
            return Eaten::Misfit;
        }
        let mut rest = topic;
        for part in &self.parts {
            let text = match part {
                Part::Text(text) => text,
                Part::ClientId => &who.client_id,
                Part::UserName => who.user_name.as_deref().unwrap_or_default(),
                Part::Claim(name) => rights.claim(name).unwrap_or_default(),
            };
            match rest.strip_prefix(text) {
                Some(behind) => rest = behind,
                None => return Eaten::Nothing,
            }
        }
        match rest.strip_prefix('/') {
            Some(behind) => Eaten::Levels(Some(behind)),
            None if rest.is_empty() => Eaten::Levels(None),
            None => Eaten::Nothing,
        }
    }
}

/// A name that cannot stand in a level.
pub(crate) struct Misfit;
