//! Who receives a message: from topic to subscriptions.

pub(crate) mod arena;
mod cache;
pub(crate) mod edges;
pub(crate) mod levels;
mod list;
mod router;
pub(crate) mod seed;
mod target;
pub mod trie;

pub(crate) use cache::{MatchCache, Matched};
pub(crate) use router::{Entry, Interest, Router};
pub(crate) use seed::Seed;
pub(crate) use target::Target;
