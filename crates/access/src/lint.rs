//! Rules that decide nothing, or something else than they seem to. Not mistakes: a file with such rules counts.

use crate::{
    pattern::{Level, Part, Pattern},
    relation::{Shape, Step},
    rule::{Rule, Whom, is_client},
    rules::{Rules, Style},
};

/// Something that whoever wrote the file should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line, from 1; none where the file is JSON.
    pub line: Option<usize>,
    /// What it is.
    pub message: String,
}

/// How many rules are compared with each other at most: beyond, the comparison of all with all takes too long.
const COMPARED_MAX: usize = 5_000;

impl Rules {
    /// What decides nothing, in the order of the file.
    #[must_use]
    pub fn lint(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for rule in self.all() {
            if self.style() == Style::AclFile {
                findings.extend(of_acl_file(rule));
            }
        }
        let compared: Vec<(&Rule, Vec<Shape<'_>>)> = self
            .all()
            .iter()
            .take(COMPARED_MAX)
            .map(|rule| (rule, rule.patterns.iter().map(shape).collect()))
            .collect();
        for (at, (rule, shapes)) in compared.iter().enumerate() {
            let earlier = compared.iter().take(at);
            let shadow = |(other, others): &&(&Rule, Vec<Shape<'_>>)| {
                let is_covered = |own: &Shape<'_>| others.iter().any(|other| other.covers(own));
                decides_before(other, rule) && shapes.iter().all(is_covered)
            };
            if let Some((shadow, _)) = earlier.clone().find(shadow) {
                findings.push(shadowed(rule, shadow));
            }
        }
        if self.len() > COMPARED_MAX {
            let message = format!("the first {COMPARED_MAX} rules alone were compared with each other");
            findings.push(Finding { line: None, message });
        }
        findings.sort_by_key(|finding| finding.line);
        findings
    }
}

fn shadowed(rule: &Rule, shadow: &Rule) -> Finding {
    let place = if shadow.line == 0 { String::new() } else { format!("line {}: ", shadow.line) };
    let same = if rule.allows == shadow.allows {
        "says the same of all that it speaks of"
    } else {
        "decides all that it speaks of"
    };
    let message = format!("the rule never decides ({}): {place}{} {same}", rule.words, shadow.words);
    Finding { line: Some(rule.line).filter(|line| *line > 0), message }
}

/// What Mosquitto's own reader warns of, and what looks like a name and is none.
fn of_acl_file(rule: &Rule) -> Option<Finding> {
    let pattern = rule.patterns.first()?;
    let is_pattern = rule.words.starts_with("pattern");
    let message = if is_pattern && pattern.holes().next().is_none() {
        "the pattern has neither %c nor %u: it holds for everybody, also for clients without a user name"
    } else if !is_pattern && (pattern.text.contains("%c") || pattern.text.contains("%u")) {
        "in a `topic` line %c and %u are these characters and nothing else; the names of clients stand in `pattern` lines"
    } else {
        return None;
    };
    Some(Finding { line: Some(rule.line), message: format!("{message} ({})", rule.words) })
}

/// Whether whatever one rule says of a topic is said before the other is asked.
fn decides_before(one: &Rule, other: &Rule) -> bool {
    one.role == other.role
        && one.literal == other.literal
        && !one.literal
        && one.actions.covers(other.actions)
        && one.qos & other.qos == other.qos
        && (one.retain.is_none() || one.retain == other.retain)
        && covers(&one.whom, &other.whom)
        && (is_of_users(other) || !one.patterns.iter().any(Pattern::needs_user))
        && !one.patterns.iter().any(Pattern::needs_claim)
        // Names that cannot stand in a level are allowed nothing, and denied more.
        && (other.allows || !one.allows || one.patterns.iter().all(|pattern| pattern.holes().next().is_none()))
}

/// Whether it speaks of clients with a user name alone.
fn is_of_users(rule: &Rule) -> bool {
    rule.whom.users.is_some() || rule.whom.groups.is_some() || rule.patterns.iter().all(Pattern::needs_user)
}

/// Whether everybody of whom the other speaks is somebody of whom this one does.
fn covers(one: &Whom, other: &Whom) -> bool {
    fn within<T>(one: Option<&[T]>, other: Option<&[T]>, has: impl Fn(&T, &T) -> bool) -> bool {
        match (one, other) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(one), Some(other)) => other.iter().all(|other| one.iter().any(|one| has(one, other))),
        }
    }
    within(one.users.as_deref(), other.users.as_deref(), |one, other| one == other)
        && within(one.groups.as_deref(), other.groups.as_deref(), |one, other| one == other)
        && within(one.clients.as_deref(), other.clients.as_deref(), |one, other| {
            one == other || (one.ends_with('*') && is_client(one, other.trim_end_matches('*')))
        })
        && within(one.networks.as_deref(), other.networks.as_deref(), |one, other| one.covers(other))
        && within(one.listeners.as_deref(), other.listeners.as_deref(), |one, other| one == other)
        && (!one.nobody || other.nobody)
        && (!one.without_wildcards || other.without_wildcards)
}

/// A pattern with places for names as levels that are like no other text.
fn shape(pattern: &Pattern) -> Shape<'_> {
    let step = |level: &Level| match level {
        Level::Any => Step::Any,
        Level::Name(name) => Step::Name(name.to_string().into()),
        Level::Hole(hole) => {
            let mut text = String::new();
            for part in &hole.parts {
                match part {
                    Part::Text(known) => text.push_str(known),
                    Part::ClientId => text.push_str("\0c"),
                    Part::UserName => text.push_str("\0u"),
                    Part::Claim(name) => text.push_str(&format!("\0t{name}\0")),
                }
            }
            Step::Name(text.into())
        }
    };
    Shape { steps: pattern.levels.iter().map(step).collect(), deep: pattern.deep, all: false }
}
