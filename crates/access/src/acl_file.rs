//! Mosquitto's `acl_file`, read and decided as Mosquitto 2.0 does.
//!
//! What holds there: lines of a user are for that user alone, those before the first `user` for clients without a name,
//! `pattern` lines for everybody. Of the user's lines the denials come first, then what allows; then the denials among the
//! patterns, then their allowances; the first that matches decides, and where none does it is denied. No pattern is for a
//! client with `+` or `#` in its names. A subscription is always granted, and each message is looked at.

use std::sync::Arc;

use crate::{
    mistake::{Complaints, Mistakes},
    pattern::{Holes, Pattern},
    rule::{Action, Actions, Rule, Whom},
    rules::{Lists, RULES_MAX, Rules, Style},
};

/// What C calls white space.
const SPACES: [char; 6] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];

/// In the order in which they decide.
#[derive(Default)]
struct Sections {
    user_denials: Vec<Rule>,
    user_allowances: Vec<Rule>,
    pattern_denials: Vec<Rule>,
    pattern_allowances: Vec<Rule>,
}

impl Rules {
    /// Reads an `acl_file` of Mosquitto. `file` is how it is called in decisions.
    ///
    /// # Errors
    /// Everything that Mosquitto would not read.
    pub fn from_acl_file(file: &str, text: &str) -> Result<Arc<Rules>, Mistakes> {
        let mut complaints = Complaints::new(text);
        let (mut sections, mut names) = (Sections::default(), Lists::default());
        let mut user: Option<String> = None;
        let mut count = 0;
        for (number, line) in (1..).zip(text.split('\n')) {
            let line = line.trim_end_matches(SPACES);
            if line.starts_with('#') {
                continue;
            }
            let (word, rest) = first_word(line);
            match word {
                "" => {}
                "topic" | "pattern" => {
                    let (is_pattern, user) = (word == "pattern", user.as_deref());
                    match rule(rest, number, is_pattern, user, &mut names) {
                        Ok(rule) => sections.add(rule, is_pattern),
                        Err(message) => complaints.line(number, message),
                    }
                    count += 1;
                }
                "user" => match rest.trim_matches(SPACES) {
                    "" => complaints.line(number, "a user name is missing behind `user`"),
                    name => user = Some(name.to_owned()),
                },
                _ => complaints.line(
                    number,
                    format!("{word:?} begins no line; lines begin with `user`, `topic`, `pattern` or #"),
                ),
            }
        }
        if count > RULES_MAX {
            complaints.line(1, format!("there are {count} rules; at most {RULES_MAX} are taken"));
        }
        let Sections { mut user_denials, user_allowances, pattern_denials, pattern_allowances } = sections;
        user_denials.extend(user_allowances);
        user_denials.extend(pattern_denials);
        user_denials.extend(pattern_allowances);
        complaints
            .finish(file, ())
            .map(|()| Rules::new(file, Style::AclFile, user_denials, names, Actions::NONE))
    }
}

impl Sections {
    fn add(&mut self, rule: Rule, is_pattern: bool) {
        let section = match (is_pattern, rule.allows) {
            (false, false) => &mut self.user_denials,
            (false, true) => &mut self.user_allowances,
            (true, false) => &mut self.pattern_denials,
            (true, true) => &mut self.pattern_allowances,
        };
        section.push(rule);
    }
}

/// The first word behind blanks, and what follows the blank behind it.
fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(' ');
    text.split_once(' ').unwrap_or((text, ""))
}

fn rule(
    rest: &str,
    line: usize,
    is_pattern: bool,
    user: Option<&str>,
    names: &mut Lists,
) -> Result<Rule, String> {
    const READ: Actions = Actions::of(Action::Receive);
    const WRITE: Actions = Actions::of(Action::Publish);
    let (word, topic) = first_word(rest);
    if word.is_empty() {
        return Err("a topic is missing".to_owned());
    }
    // A single word is the topic, whatever it is.
    let (access, topic) =
        if topic.is_empty() { ("readwrite", word) } else { (word, topic.trim_matches(SPACES)) };
    let (allows, actions) = match access {
        "read" => (true, READ),
        "write" => (true, WRITE),
        "readwrite" => (true, READ.and(WRITE)),
        "deny" => (false, READ.and(WRITE)),
        _ => return Err(format!("{access:?} is not `read`, `write`, `readwrite` or `deny`")),
    };
    let holes = if is_pattern { Holes::Lenient } else { Holes::None };
    let kind = if is_pattern { "pattern" } else { "topic" };
    let whose = match user {
        Some(user) if !is_pattern => format!(" (user {user})"),
        None if !is_pattern => " (clients without a user name)".to_owned(),
        _ => String::new(),
    };
    let mut rule = Rule::new(allows, actions, line, format!("{kind} {access} {topic}{whose}"));
    rule.patterns = vec![Pattern::parse(topic, holes)?];
    rule.whom = match user {
        _ if is_pattern => Whom { without_wildcards: true, ..Whom::default() },
        Some(user) => Whom { users: Some([names.user(user)].into()), ..Whom::default() },
        None => Whom { nobody: true, ..Whom::default() },
    };
    Ok(rule)
}
