//! Whimbrel's own file of rules: TOML, as the configuration is. It is read to its end, so that all mistakes are told at
//! once. Not what the rules mean.

use std::{ops::Range, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    mistake::{Complaints, Mistakes},
    network::Network,
    pattern::{Holes, Pattern},
    rule::{Action, Actions, Rule, Whom},
    rules::{Lists, RULES_MAX, Rules, Style},
};

/// The keys of a rule, in the order in which messages name them.
const KEYS: [&str; 11] = [
    "allow",
    "deny",
    "topics",
    "users",
    "groups",
    "anonymous",
    "clients",
    "addresses",
    "listeners",
    "qos",
    "retain",
];

struct Reader<'a> {
    complaints: Complaints<'a>,
    names: Lists,
}

/// A value and where it stands.
type Placed<T> = (T, usize);

impl Rules {
    /// Reads a file of rules. `file` is how it is called in decisions.
    ///
    /// # Errors
    /// Everything that is wrong with it; then none of it counts.
    pub fn from_rule_file(file: &str, text: &str) -> Result<Arc<Rules>, Mistakes> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader { complaints: Complaints::new(text), names: Lists::default() };
        let mut last_line = 0;
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            let line = reader.complaints.line_of(at);
            // Of each line the first: the others are what the parser makes of it.
            if std::mem::replace(&mut last_line, line) != line {
                reader.complaints.at(at, None, format!("this is not TOML: {}", error.message()));
            }
        }
        let whole = last_line == 0;
        let rules = if whole { reader.document(document.get_ref()) } else { Vec::new() };
        let Reader { complaints, names } = reader;
        complaints.finish(file, ()).map(|()| Rules::new(file, Style::RuleFile, rules, names, Actions::NONE))
    }
}

fn is_one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(", ")
}

impl Reader<'_> {
    fn at(&mut self, span: &Range<usize>, key: &str, message: impl Into<String>) {
        self.complaints.at(span.start, Some(key), message);
    }

    fn document(&mut self, document: &DeTable<'_>) -> Vec<Rule> {
        let mut rules = Vec::new();
        // Groups first: rules name them, wherever they stand.
        if let Some(groups) = document.get("groups") {
            self.groups(groups);
        }
        for (key, value) in document {
            let name: &str = key.get_ref();
            match (name, value.get_ref()) {
                ("groups", _) => {}
                ("rule", DeValue::Array(array)) => {
                    if array.len() > RULES_MAX {
                        let message =
                            format!("there are {} rules; at most {RULES_MAX} are taken", array.len());
                        self.at(&value.span(), "rule", message);
                    }
                    for element in array.iter().take(RULES_MAX) {
                        match element.get_ref() {
                            DeValue::Table(table) => rules.extend(self.rule(table, &element.span())),
                            _ => {
                                self.at(&element.span(), "rule", "write [[rule]] above the keys of each rule")
                            }
                        }
                    }
                }
                ("rule", _) => self.at(&value.span(), "rule", "write [[rule]] above the keys of each rule"),
                _ => {
                    let message = "there is no such section; there are [groups] and [[rule]]";
                    self.at(&key.span(), name, message);
                }
            }
        }
        rules
    }

    fn groups(&mut self, groups: &Spanned<DeValue<'_>>) {
        let DeValue::Table(table) = groups.get_ref() else {
            self.at(&groups.span(), "groups", "this is a section; its groups belong under a line [groups]");
            return;
        };
        for (key, value) in table {
            let path = format!("groups.{}", key.get_ref());
            let group = self.names.group(key.get_ref());
            // One of which tokens alone say who is in it.
            if value.get_ref().as_array().is_some_and(|members| members.is_empty()) {
                continue;
            }
            for (user, _) in self.texts(&path, value) {
                let user = self.names.user(&user);
                self.names.put_into_group(user, group);
            }
        }
    }

    fn rule(&mut self, table: &DeTable<'_>, span: &Range<usize>) -> Option<Rule> {
        for (key, _) in table {
            let name: &str = key.get_ref();
            if !KEYS.contains(&name) {
                let message = format!("there is no such key; a rule has {}", is_one_of(&KEYS));
                self.at(&key.span(), &format!("rule.{name}"), message);
            }
        }
        let (allows, actions) = self.says(table, span)?;
        let patterns = self.patterns(table, span);
        let whom = self.whom(table);
        let (qos, retain) = self.of_messages(table, actions);
        let line = self.complaints.line_of(span.start);
        let mut rule = Rule::new(allows, actions, line, self.words(table));
        (rule.patterns, rule.whom, rule.qos, rule.retain) = (patterns, whom, qos, retain);
        Some(rule)
    }

    /// Whether the rule allows or denies, and what.
    fn says(&mut self, table: &DeTable<'_>, span: &Range<usize>) -> Option<(bool, Actions)> {
        let (allows, name, value) = match (table.get("allow"), table.get("deny")) {
            (Some(value), None) => (true, "rule.allow", value),
            (None, Some(value)) => (false, "rule.deny", value),
            (Some(_), Some(second)) => {
                self.at(&second.span(), "rule.deny", "the rule has `allow` already: make two rules of it");
                return None;
            }
            (None, None) => {
                self.at(
                    span,
                    "rule",
                    "say what it does: allow = \"publish\", or deny = [\"publish\", \"subscribe\"]",
                );
                return None;
            }
        };
        let mut actions = Actions::NONE;
        for (word, at) in self.texts(name, value) {
            match &*word {
                "publish" => actions = actions.and(Actions::of(Action::Publish)),
                "subscribe" => actions = actions.and(Actions::of(Action::Receive)),
                _ => {
                    let message =
                        format!("{word:?} is not allowed here; allowed is \"publish\" or \"subscribe\"");
                    self.complaints.at(at, Some(name), message);
                }
            }
        }
        Some((allows, actions))
    }

    fn patterns(&mut self, table: &DeTable<'_>, span: &Range<usize>) -> Vec<Pattern> {
        let Some(value) = table.get("topics") else {
            self.at(span, "rule", "topics is missing: name one or several, such as \"devices/%c/#\"");
            return Vec::new();
        };
        let mut patterns = Vec::new();
        for (text, at) in self.texts("rule.topics", value) {
            match Pattern::parse(&text, Holes::Strict) {
                Ok(pattern) => patterns.push(pattern),
                Err(message) => self.complaints.at(at, Some("rule.topics"), message),
            }
        }
        patterns
    }

    fn whom(&mut self, table: &DeTable<'_>) -> Whom {
        let mut whom = Whom::default();
        if let Some(value) = table.get("users") {
            let users = self.texts("rule.users", value);
            whom.users = Some(users.iter().map(|(user, _)| self.names.user(user)).collect());
        }
        if let Some(value) = table.get("groups") {
            let mut groups = Vec::new();
            for (group, at) in self.texts("rule.groups", value) {
                if !self.names.knows_group(&group) {
                    let message = format!("there is no group {group:?} in [groups]");
                    self.complaints.at(at, Some("rule.groups"), message);
                }
                groups.push(self.names.group(&group));
            }
            whom.groups = Some(groups.into());
        }
        if let Some(value) = table.get("anonymous") {
            match value.get_ref() {
                DeValue::Boolean(true) if whom.users.is_none() && whom.groups.is_none() => whom.nobody = true,
                DeValue::Boolean(true) => {
                    let message =
                        "a client without a user name is no user and in no group: make two rules of it";
                    self.at(&value.span(), "rule.anonymous", message);
                }
                _ => self.at(
                    &value.span(),
                    "rule.anonymous",
                    "allowed is true; leave the key out for everybody",
                ),
            }
        }
        if let Some(value) = table.get("clients") {
            whom.clients = Some(self.clients(value));
        }
        if let Some(value) = table.get("addresses") {
            whom.networks = Some(self.networks(value));
        }
        if let Some(value) = table.get("listeners") {
            let listeners = self.texts("rule.listeners", value);
            whom.listeners = Some(listeners.into_iter().map(|(name, _)| name).collect());
        }
        whom
    }

    fn clients(&mut self, value: &Spanned<DeValue<'_>>) -> Box<[Box<str>]> {
        let clients = self.texts("rule.clients", value);
        for (client, at) in &clients {
            if client.strip_suffix('*').unwrap_or(client).contains('*') {
                let message = "* may stand at the end only, for all that begin so";
                self.complaints.at(*at, Some("rule.clients"), message);
            }
        }
        clients.into_iter().map(|(client, _)| client).collect()
    }

    fn networks(&mut self, value: &Spanned<DeValue<'_>>) -> Box<[Network]> {
        let mut networks = Vec::new();
        for (text, at) in self.texts("rule.addresses", value) {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(fault) => {
                    let message = format!("{text:?}: {fault}");
                    self.complaints.at(at, Some("rule.addresses"), message);
                }
            }
        }
        networks.into()
    }

    /// What a rule says of published messages besides their topic.
    fn of_messages(&mut self, table: &DeTable<'_>, actions: Actions) -> (u8, Option<bool>) {
        let (mut qos, mut retain) = (crate::rule::ANY_QOS, None);
        for name in ["qos", "retain"] {
            let Some(value) = table.get(name) else { continue };
            if actions.has(Action::Receive) {
                let message =
                    "it speaks of messages that are published: make a rule of its own for \"publish\"";
                self.at(&value.span(), &format!("rule.{name}"), message);
            }
        }
        if let Some(value) = table.get("qos") {
            qos = 0;
            let numbers: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
                DeValue::Array(array) => array.iter().collect(),
                _ => vec![value],
            };
            for number in numbers {
                match number.get_ref() {
                    DeValue::Integer(digits) if matches!(digits.as_str(), "0" | "1" | "2") => {
                        qos |= 1 << digits.as_str().parse::<u8>().unwrap_or_default();
                    }
                    _ => self.at(&number.span(), "rule.qos", "allowed is 0, 1 or 2, or several: [0, 1]"),
                }
            }
        }
        if let Some(value) = table.get("retain") {
            match value.get_ref() {
                DeValue::Boolean(value) => retain = Some(*value),
                _ => self.at(&value.span(), "rule.retain", "allowed is true or false"),
            }
        }
        (qos, retain)
    }

    /// A text, or several in []; none is a mistake, for a rule of nobody and nothing is not what was meant.
    fn texts(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Vec<Placed<Box<str>>> {
        let elements: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(array) if !array.is_empty() => array.iter().collect(),
            _ => vec![value],
        };
        let mut texts = Vec::new();
        for element in elements {
            match element.get_ref() {
                DeValue::String(text) if !text.is_empty() => {
                    texts.push((Box::from(&**text), element.span().start))
                }
                _ => self.at(
                    &element.span(),
                    key,
                    "allowed is a text that is not empty, or several: [\"a\", \"b\"]",
                ),
            }
        }
        texts
    }

    /// How the rule reads in one line.
    fn words(&self, table: &DeTable<'_>) -> String {
        let mut words = Vec::new();
        for key in KEYS {
            if let Some(value) = table.get(key) {
                words.push(format!("{key} = {}", shown(value.get_ref())));
            }
        }
        words.join(", ")
    }
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Integer(digits) => digits.as_str().to_owned(),
        DeValue::Array(array) => {
            let elements: Vec<String> = array.iter().map(|element| shown(element.get_ref())).collect();
            format!("[{}]", elements.join(", "))
        }
        _ => "…".to_owned(),
    }
}
