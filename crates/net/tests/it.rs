//! The byte streams from outside: addresses, dialling, listening.

#[cfg(test)]
mod it {
    mod address;
    mod dial;
    mod listen;
    mod quic;
    mod tls;
    mod ws;
}
