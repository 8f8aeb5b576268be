//! The client over loopback, against a small server that does what each test tells it.

#[cfg(test)]
mod it {
    mod connect;
    mod disconnect;
    mod memory;
    mod publish;
    mod receive;
    mod reconnect;
    mod scram;
    mod server;
    mod subscribe;
    mod ws;
}
