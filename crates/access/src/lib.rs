//! Who may publish and subscribe to what: rules, the files that hold them, and decisions that name the line which makes
//! them. Pure: no socket, no clock, no disk; whoever reads a file hands its text in.
//!
//! # How it is used
//! * [`Rules::from_rule_file`], [`Rules::from_acl_file`] or [`Rules::from_dynamic_security`] once per text of a file: the
//!   rules, compiled, or every [`Mistake`] of the text at once.
//! * [`Rights::new`] once per connection: what of the rules concerns a client.
//! * [`Rights::publish`] and [`Rights::receive`] per message, [`Rights::subscribe`] per filter. A decision costs a walk along
//!   the levels of the topic, not one along the rules.
//! * [`Rules::describe`] tells the line behind a decision, [`Rules::lint`] the rules that decide nothing.
//!
//! # Order
//! The first rule, in the order of the file, that speaks of a client, an action and a topic decides; where none does, it is
//! denied. The files of Mosquitto have orders of their own, which their readers translate into this one.
#![forbid(unsafe_code)]

mod acl_file;
mod claims;
mod dynamic_security;
mod lint;
mod mistake;
mod network;
mod pattern;
mod relation;
mod rights;
mod rule;
mod rule_file;
mod rules;
mod tree;

pub use claims::Claims;
pub use lint::Finding;
pub use mistake::{Mistake, Mistakes};
pub use network::{Network, NotANetwork};
pub use rights::{Decision, Grant, Partly, Rights, Who};
pub use rule::RuleId;
pub use rules::{Described, RULES_MAX, Rules};
