//! Integration tests of the codec, one module per subject.

#[cfg(test)]
mod it {
    pub(crate) mod wire;

    mod ack;
    mod any_bytes;
    mod auth;
    mod connack;
    mod connect;
    mod disconnect;
    mod display;
    mod draw;
    mod frame;
    mod lists;
    mod malformed;
    mod properties;
    mod publish;
    mod publish_head;
    mod reason_code;
    mod round_trip;
    mod sink;
    mod string;
    mod subscribe;
    mod topic;
    mod unsubscribe;
}
