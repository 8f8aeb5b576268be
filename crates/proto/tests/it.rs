//! The tests of the connection's rules, on virtual time and without sockets.

#[cfg(test)]
mod it {
    mod client;
    mod models;
    mod pair;
    mod server;
    mod transcript;
    mod violation;
}
