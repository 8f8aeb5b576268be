//! The rules of one file, compiled. Not how the file reads.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::{
    claims::Claims,
    rights::Rights,
    rule::{Action, Actions, Rule, RuleId},
    tree::Tree,
};

/// Rules that a file may have, and topic filters in all of them together.
pub const RULES_MAX: usize = 200_000;

type Names = HashMap<Box<str>, u32, FixedState>;

/// Whose order and whose habits the rules have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    RuleFile,
    /// There is no file.
    Open,
    AclFile,
    DynamicSecurity,
}

/// All rules of a file.
#[derive(Debug)]
pub struct Rules {
    file: Box<str>,
    style: Style,
    rules: Vec<Rule>,
    tree: Tree,
    names: Lists,
    /// What is allowed where no rule decides.
    default: Actions,
    has_roles: bool,
}

/// Who there is, by the file.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    users: Names,
    groups: Names,
    /// Groups of each user.
    of_user: HashMap<u32, Vec<u32>, FixedState>,
    /// Roles of each user, the first first.
    roles: HashMap<Box<str>, Box<[u32]>, FixedState>,
    /// Roles of a client without a user name.
    roles_of_nobody: Box<[u32]>,
}

impl Lists {
    pub(crate) fn user(&mut self, name: &str) -> u32 {
        number(&mut self.users, name)
    }

    pub(crate) fn group(&mut self, name: &str) -> u32 {
        number(&mut self.groups, name)
    }

    pub(crate) fn knows_group(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }

    pub(crate) fn put_into_group(&mut self, user: u32, group: u32) {
        self.of_user.entry(user).or_default().push(group);
    }

    pub(crate) fn give_roles(&mut self, user: Option<&str>, roles: Vec<u32>) {
        match user {
            Some(user) => drop(self.roles.insert(user.into(), roles.into())),
            None => self.roles_of_nobody = roles.into(),
        }
    }
}

fn number(names: &mut Names, name: &str) -> u32 {
    let next = u32::try_from(names.len()).unwrap_or(u32::MAX);
    match names.get(name) {
        Some(number) => *number,
        None => *names.entry(name.into()).or_insert(next),
    }
}

/// A rule as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The file, as whoever named it wrote it.
    pub file: Box<str>,
    /// The line, from 1; none where the file is JSON, in which lines mean nothing.
    pub line: Option<usize>,
    /// How the rule reads.
    pub words: Box<str>,
}

impl Rules {
    pub(crate) fn new(
        file: &str,
        style: Style,
        rules: Vec<Rule>,
        names: Lists,
        default: Actions,
    ) -> Arc<Rules> {
        let mut tree = Tree::default();
        for (number, rule) in (0..).zip(&rules) {
            for pattern in &rule.patterns {
                tree.insert(pattern, number, rule.only_user());
            }
        }
        let has_roles = rules.iter().any(|rule| rule.role.is_some());
        Arc::new(Rules { file: file.into(), style, rules, tree, names, default, has_roles })
    }

    /// No rule at all, and everybody may do everything but those whose token says what they may do.
    #[must_use]
    pub fn open() -> Arc<Rules> {
        let all = Actions::of(Action::Publish).and(Actions::of(Action::Receive));
        Rules::new("", Style::Open, Vec::new(), Lists::default(), all.and(Actions::of(Action::Subscribe)))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none: then nobody may do anything that is not allowed by default.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The file, as whoever named it wrote it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line behind a decision.
    #[must_use]
    pub fn describe(&self, rule: RuleId) -> Option<Described> {
        let RuleId(number) = rule;
        self.rule(number).map(|rule| Described {
            file: self.file.clone(),
            line: Some(rule.line).filter(|line| *line > 0),
            words: rule.words.clone(),
        })
    }

    pub(crate) fn all(&self) -> &[Rule] {
        &self.rules
    }

    pub(crate) fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(number as usize)
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    pub(crate) fn has_roles(&self) -> bool {
        self.has_roles
    }

    pub(crate) fn user(&self, name: &str) -> Option<u32> {
        self.names.users.get(name).copied()
    }

    pub(crate) fn groups_of(&self, user: Option<u32>, claims: Option<&Claims>) -> Box<[u32]> {
        let by_file = user.and_then(|user| self.names.of_user.get(&user)).into_iter().flatten().copied();
        let by_token = claims.into_iter().flat_map(Claims::groups);
        by_file.chain(by_token.filter_map(|group| self.names.groups.get(group).copied())).collect()
    }

    pub(crate) fn roles_of(&self, user_name: Option<&str>) -> Box<[u32]> {
        match user_name {
            Some(user) => self.names.roles.get(user).cloned().unwrap_or_default(),
            None => self.names.roles_of_nobody.clone(),
        }
    }

    /// What is said where no rule decides.
    pub(crate) fn default_for(&self, rights: &Rights, action: Action, topic: &str) -> bool {
        if rights.is_unknown() || !self.default.has(action) {
            return false;
        }
        if self.style == Style::Open {
            return true;
        }
        if topic.starts_with("$CONTROL") {
            return false;
        }
        // A user that the file does not have is not its affair, and nobody else's.
        rights.who().user_name.as_ref().is_none_or(|user| self.names.roles.contains_key(&**user))
    }
}
