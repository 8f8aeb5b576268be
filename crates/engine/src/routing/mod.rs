//! Who receives a message: from topic to subscriptions.

pub(crate) mod arena;
pub(crate) mod edges;
pub(crate) mod levels;
mod list;
pub(crate) mod seed;
pub mod trie;
