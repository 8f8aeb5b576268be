//! `dynamic-security.json` of Mosquitto's plug-in: its roles, groups and clients, as far as they say what somebody may do.
//! Not its passwords.
//!
//! What holds there: a client's own roles come first, by priority, then those of its groups, by the groups' priority; in a
//! role the rule with the highest priority that matches decides. Where none does, `defaultACLAccess` says. A user that is
//! not in the file may do nothing.

use std::{cmp::Reverse, sync::Arc};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde_json::Value;

use crate::{
    mistake::{Complaints, Mistakes},
    pattern::{Holes, Pattern},
    rule::{Action, Actions, Rule},
    rules::{Lists, RULES_MAX, Rules, Style},
};

/// The priority of what names none.
const NO_PRIORITY: i64 = -1;

type Numbers<'a> = HashMap<&'a str, u32, FixedState>;

/// A group of a user: the priority of the user in it, its name, its roles.
type Joined<'a> = (Reverse<i64>, &'a str, Vec<u32>);

/// Where something is in the file, for whoever has to find it.
type Place<'a> = (&'a str, usize);

struct Reader<'a> {
    complaints: Complaints<'a>,
    rules: Vec<Rule>,
}

impl Rules {
    /// Reads a `dynamic-security.json`. `file` is how it is called in decisions.
    ///
    /// # Errors
    /// It is no JSON, or something in it is not what the plug-in writes.
    pub fn from_dynamic_security(file: &str, text: &str) -> Result<Arc<Rules>, Mistakes> {
        let mut reader = Reader { complaints: Complaints::new(text), rules: Vec::new() };
        let document: Value = match serde_json::from_str(text) {
            Ok(document) => document,
            Err(error) => {
                reader.complaints.line(error.line().max(1), format!("this is not JSON: {error}"));
                Value::Null
            }
        };
        let roles = reader.roles(&document);
        let names = reader.members(&document, &roles);
        let default = reader.default_access(&document);
        if reader.rules.len() > RULES_MAX {
            let count = reader.rules.len();
            reader.complaints.line(1, format!("there are {count} rules; at most {RULES_MAX} are taken"));
        }
        let Reader { complaints, rules } = reader;
        complaints.finish(file, ()).map(|()| Rules::new(file, Style::DynamicSecurity, rules, names, default))
    }
}

impl<'a> Reader<'a> {
    fn complain(&mut self, (list, number): Place<'_>, message: impl std::fmt::Display) {
        self.complaints.line(1, format!("{list}, number {number}: {message}"));
    }

    /// The objects of a list, with their places.
    fn list<'v>(&mut self, owner: &'v Value, name: &'static str) -> Vec<(Place<'static>, &'v Value)> {
        match owner.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => (1..).map(|number| (name, number)).zip(list).collect(),
            Some(_) => {
                self.complaints.line(1, format!("{name} is no list"));
                Vec::new()
            }
        }
    }

    fn text<'v>(&mut self, place: Place<'_>, owner: &'v Value, name: &str) -> Option<&'v str> {
        let text = owner.get(name).and_then(Value::as_str);
        if text.is_none() {
            self.complain(place, format_args!("{name} is missing"));
        }
        text
    }

    fn roles<'v>(&mut self, document: &'v Value) -> Numbers<'v> {
        let mut roles = Numbers::default();
        for (place, role) in self.list(document, "roles") {
            let Some(name) = self.text(place, role, "rolename") else { continue };
            let number = u32::try_from(roles.len()).unwrap_or(u32::MAX);
            if roles.insert(name, number).is_some() {
                self.complain(place, format_args!("there is a role {name:?} already"));
                continue;
            }
            let mut rules = Vec::new();
            for (at, acl) in self.list(role, "acls") {
                match rule(name, number, acl) {
                    Ok(rule) => rules.extend(rule),
                    Err(message) => self.complain(place, format_args!("{} number {}: {message}", at.0, at.1)),
                }
            }
            // Those that name a filter come before those that cover it; else the order of the file among equals.
            rules.sort_by_key(|(priority, rule): &(i64, Rule)| (Reverse(rule.literal), Reverse(*priority)));
            self.rules.extend(rules.into_iter().map(|(_, rule)| rule));
        }
        roles
    }

    /// Roles by priority, the highest first, among equals by name.
    fn roles_of(&mut self, place: Place<'_>, owner: &Value, roles: &Numbers<'_>) -> Vec<u32> {
        let mut found = Vec::new();
        for (_, entry) in self.list(owner, "roles") {
            let Some(name) = self.text(place, entry, "rolename") else { continue };
            match roles.get(name) {
                Some(number) => found.push((Reverse(priority(entry)), name, *number)),
                None => self.complain(place, format_args!("there is no role {name:?}")),
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, _, number)| number).collect()
    }

    fn members(&mut self, document: &Value, roles: &Numbers<'_>) -> Lists {
        let mut names = Lists::default();
        let mut clients: HashMap<&str, Vec<u32>, FixedState> = HashMap::default();
        for (place, client) in self.list(document, "clients") {
            let Some(name) = self.text(place, client, "username") else { continue };
            let own = self.roles_of(place, client, roles);
            clients.insert(name, own);
        }
        let anonymous = document.get("anonymousGroup").and_then(Value::as_str);
        let mut groups: HashMap<&str, Vec<Joined<'_>>, FixedState> = HashMap::default();
        for (place, group) in self.list(document, "groups") {
            let Some(name) = self.text(place, group, "groupname") else { continue };
            let of_group = self.roles_of(place, group, roles);
            if anonymous == Some(name) {
                names.give_roles(None, of_group.clone());
            }
            for (_, member) in self.list(group, "clients") {
                let Some(user) = self.text(place, member, "username") else { continue };
                if clients.contains_key(user) {
                    let joined = (Reverse(priority(member)), name, of_group.clone());
                    groups.entry(user).or_default().push(joined);
                }
            }
        }
        for (user, mut own) in clients {
            let mut joined = groups.remove(user).unwrap_or_default();
            joined.sort_unstable();
            own.extend(joined.into_iter().flat_map(|(_, _, roles)| roles));
            let mut known = Vec::new();
            own.retain(|role| {
                !known.contains(role) && {
                    known.push(*role);
                    true
                }
            });
            names.give_roles(Some(user), own);
        }
        names
    }

    fn default_access(&mut self, document: &Value) -> Actions {
        let mut default = Actions::NONE;
        let Some(access) = document.get("defaultACLAccess") else { return default };
        for (key, action) in [
            ("publishClientSend", Action::Publish),
            ("publishClientReceive", Action::Receive),
            ("subscribe", Action::Subscribe),
        ] {
            match access.get(key) {
                Some(Value::Bool(true)) => default = default.and(Actions::of(action)),
                Some(Value::Bool(false)) | None => {}
                Some(_) => self.complaints.line(1, format!("defaultACLAccess: {key} is not true or false")),
            }
        }
        default
    }
}

fn priority(entry: &Value) -> i64 {
    entry.get("priority").and_then(Value::as_i64).unwrap_or(NO_PRIORITY)
}

/// A rule of a role with its priority; none for what concerns UNSUBSCRIBE, which is always allowed.
fn rule(role_name: &str, role: u32, acl: &Value) -> Result<Option<(i64, Rule)>, String> {
    let kind = acl.get("acltype").and_then(Value::as_str).ok_or("acltype is missing")?;
    let topic = acl.get("topic").and_then(Value::as_str).ok_or("topic is missing")?;
    let allows = acl.get("allow").and_then(Value::as_bool).unwrap_or(false);
    let priority = acl.get("priority").and_then(Value::as_i64).unwrap_or(0);
    let (action, literal) = match kind.to_ascii_lowercase().as_str() {
        "publishclientsend" => (Action::Publish, false),
        "publishclientreceive" => (Action::Receive, false),
        "subscribeliteral" => (Action::Subscribe, true),
        "subscribepattern" => (Action::Subscribe, false),
        "unsubscribeliteral" | "unsubscribepattern" => return Ok(None),
        _ => return Err(format!("{kind:?} is no acltype")),
    };
    let says = if allows { "allow" } else { "deny" };
    let words = format!("role {role_name}: {says} {kind} {topic}, priority {priority}");
    let mut rule = Rule::new(allows, Actions::of(action), 0, words);
    rule.patterns = vec![Pattern::parse(topic, Holes::None)?];
    rule.role = Some(role);
    rule.literal = literal;
    Ok(Some((priority, rule)))
}
