//! Rules as they are drawn, the file that says them, and an oracle that goes through them one by one, with texts. Not the
//! tests.

use std::net::IpAddr;

use whimbrel_access::Who;
use whimbrel_codec::matches;

use super::draw::{Draw, USERS};

/// A rule as it was drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plain {
    allow: bool,
    publish: bool,
    subscribe: bool,
    topics: Vec<String>,
    users: Option<Vec<&'static str>>,
    group: Option<&'static str>,
    anonymous: bool,
    client: Option<&'static str>,
    network: Option<&'static str>,
    listener: Option<&'static str>,
    qos: Option<u8>,
    retain: Option<bool>,
}

const GROUPS: [(&str, &[&str]); 2] = [("ops", &["alice", "x+"]), ("all", &["alice", "bob", "a/b"])];
const NETWORKS: [&str; 3] = ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"];
pub(crate) const ADDRESSES: [&str; 4] = ["10.1.2.3", "10.2.0.1", "2001:db8::1", "192.0.2.1"];
pub(crate) const LISTENERS: [&str; 2] = ["house", "field"];
const HOLES: [&str; 9] = ["%c", "%u", "dev-%c", "%u%c", "a", "b", "pump", "+", "$SYS"];

pub(crate) fn plain(draw: &mut Draw) -> Plain {
    let both = draw.below(3);
    let mut rule = Plain {
        allow: !draw.one_in(3),
        publish: both != 0,
        subscribe: both != 1,
        topics: (0..1 + draw.below(2)).map(|_| draw.filter(&HOLES)).collect(),
        ..Plain::default()
    };
    match draw.below(6) {
        0 => rule.users = Some((0..1 + draw.below(2)).map(|_| draw.of(&USERS)).collect()),
        1 => rule.group = Some(GROUPS[draw.below(2)].0),
        2 => rule.anonymous = true,
        _ => {}
    }
    rule.client = draw.one_in(6).then(|| draw.of(&["pump", "a*", "b"]));
    rule.network = draw.one_in(6).then(|| draw.of(&NETWORKS));
    rule.listener = draw.one_in(6).then(|| draw.of(&LISTENERS));
    if !rule.subscribe {
        rule.qos = draw.one_in(5).then(|| draw.below(3) as u8);
        rule.retain = draw.one_in(5).then(|| draw.one_in(2));
    }
    rule
}

fn quoted(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{:?}", text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

pub(crate) fn file(rules: &[Plain]) -> String {
    let mut out = "[groups]\n".to_owned();
    for (name, users) in GROUPS {
        out += &format!("{name} = {}\n", quoted(users));
    }
    for rule in rules {
        let actions = match (rule.publish, rule.subscribe) {
            (true, true) => quoted(&["publish", "subscribe"]),
            (true, false) => "\"publish\"".to_owned(),
            _ => "\"subscribe\"".to_owned(),
        };
        out += &format!("[[rule]]\n{} = {actions}\n", if rule.allow { "allow" } else { "deny" });
        out += &format!("topics = {}\n", quoted(&rule.topics));
        let mut key = |name: &str, value: Option<String>| {
            out += &value.map(|value| format!("{name} = {value}\n")).unwrap_or_default();
        };
        key("users", rule.users.as_ref().map(|users| quoted(users)));
        key("groups", rule.group.map(|group| format!("{group:?}")));
        key("anonymous", rule.anonymous.then(|| "true".to_owned()));
        key("clients", rule.client.map(|client| format!("{client:?}")));
        key("addresses", rule.network.map(|network| format!("{network:?}")));
        key("listeners", rule.listener.map(|listener| format!("{listener:?}")));
        key("qos", rule.qos.map(|qos| qos.to_string()));
        key("retain", rule.retain.map(|retain| retain.to_string()));
    }
    out
}

/// Whether a name cannot stand in a level of a filter; at its beginning `$` cannot, either.
fn is_odd(name: &str, at_the_beginning: bool) -> bool {
    name.is_empty() || name.contains(['+', '#', '/']) || (at_the_beginning && name.starts_with('$'))
}

pub(crate) fn matches_topic(allow: bool, filter: &str, who: &Who, topic: &str) -> bool {
    let user = who.user_name.as_deref().unwrap_or_default();
    let mut levels = Vec::new();
    for (at, level) in filter.split('/').enumerate() {
        let first = at == 0;
        if level.contains("%u") && who.user_name.is_none() {
            return false;
        }
        let odd = (level.contains("%c") && is_odd(&who.client_id, first && level.starts_with("%c")))
            || (level.contains("%u") && is_odd(user, first && level.starts_with("%u")));
        if odd {
            // Nothing is allowed by such a name, and everything behind it is denied.
            let front = topic.split('/').take(at).collect::<Vec<_>>().join("/");
            let is_there = topic.split('/').count() > at;
            return !allow && (at == 0 || (is_there && matches(&levels.join("/"), &front)));
        }
        levels.push(level.replace("%c", &who.client_id).replace("%u", user));
    }
    matches(&levels.join("/"), topic)
}

fn speaks_of(rule: &Plain, who: &Who) -> bool {
    let user = who.user_name.as_deref();
    let is_in = |address: IpAddr, network: &str| match (network, address) {
        ("10.0.0.0/8", IpAddr::V4(address)) => address.octets()[0] == 10,
        ("10.1.0.0/16", IpAddr::V4(address)) => address.octets()[..2] == [10, 1],
        ("2001:db8::/32", IpAddr::V6(address)) => address.segments()[..2] == [0x2001, 0xdb8],
        _ => false,
    };
    let of_group = |group: &str| GROUPS.iter().find(|(name, _)| *name == group).unwrap().1;
    rule.users.as_ref().is_none_or(|users| user.is_some_and(|user| users.contains(&user)))
        && rule.group.is_none_or(|group| user.is_some_and(|user| of_group(group).contains(&user)))
        && (!rule.anonymous || user.is_none())
        && rule.client.is_none_or(|client| match client.strip_suffix('*') {
            Some(front) => who.client_id.starts_with(front),
            None => *who.client_id == *client,
        })
        && rule.network.is_none_or(|network| is_in(who.address.unwrap(), network))
        && rule.listener.is_none_or(|listener| *who.listener == *listener)
}

/// The number of the rule that decides, and what it says.
pub(crate) fn oracle(
    rules: &[Plain],
    who: &Who,
    topic: &str,
    message: Option<(u8, bool)>,
) -> (bool, Option<usize>) {
    for (number, rule) in rules.iter().enumerate() {
        let asked = match message {
            Some((qos, retain)) => {
                rule.publish
                    && rule.qos.is_none_or(|wanted| wanted == qos)
                    && rule.retain.is_none_or(|wanted| wanted == retain)
            }
            None => rule.subscribe,
        };
        let is_meant = |filter: &String| matches_topic(rule.allow, filter, who, topic);
        if asked && speaks_of(rule, who) && rule.topics.iter().any(is_meant) {
            return (rule.allow, Some(number));
        }
    }
    (false, None)
}
