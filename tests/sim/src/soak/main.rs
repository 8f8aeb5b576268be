//! `soak`: the same clients on real sockets.
fn main() {}
