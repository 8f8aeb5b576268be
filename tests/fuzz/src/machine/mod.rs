//! What targets drive: the machines of the protocol with a naive application on top. Not the inputs.

pub(crate) mod client;
pub(crate) mod kit;
pub(crate) mod pair;
pub(crate) mod retained;
pub(crate) mod server;
