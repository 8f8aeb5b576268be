//! The integration tests of the broker, in one binary: real sockets on loopback, every wait has a deadline.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what tests share fails by panicking"
)]

mod it {
    mod access;
    mod attacks;
    mod bans;
    mod client;
    mod closing;
    mod connection_limits;
    mod control;
    mod control_passwords;
    mod control_socket;
    mod exchange;
    mod fairness;
    mod guard;
    mod listener_reload;
    mod listeners;
    mod passwords;
    mod pipelining;
    mod pki;
    mod proxy;
    mod quic;
    mod quota;
    mod rates;
    mod running;
    mod scram;
    mod sessions;
    mod slow_reader;
    mod stop;
    mod store_fixture;
    mod storm;
    mod swap_load;
    mod time_outs;
    mod tls;
    mod tls_swap;
    mod tokens;
    mod unix;
    mod ws;
}
