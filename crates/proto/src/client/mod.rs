//! The client's side of one connection: what a server may say, and when.
