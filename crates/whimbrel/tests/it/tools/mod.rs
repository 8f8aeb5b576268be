//! `whimbrel pub` and `whimbrel sub` as a shell sees them: at Whimbrel's own broker, and at a server that says by script
//! what a broker seldom says.

mod command;
mod properties;
mod publish;
mod refusals;
mod script;
mod session;
mod subscribe;
