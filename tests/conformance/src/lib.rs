//! The conformance suite: one scenario for each rule of MQTT 5.0, 3.1.1 and 3.1 that a server must obey, with one text
//! for every broker. Each file is a section of the specification with a table of its scenarios; how they reach a broker
//! is the driver's matter (`whimbrel-testkit`). No scenario looks at code.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a scenario fails by panicking, with the transcript of what was said"
)]

mod auth;
mod auth_exchange;
mod connack;
mod connect;
mod disconnect;
mod flow_control;
mod limits;
mod malformed;
mod malformed_connect;
mod message_expiry;
mod ordering;
mod packet_size;
mod ping;
mod problem_information;
mod publish;
mod qos;
mod redelivery;
mod retained;
mod row;
mod run;
mod scenario;
mod session_state;
mod share;
mod subscribe;
mod sys;
mod takeover;
mod topic_alias;
mod topics;
mod unavailable;
mod unsubscribe;
mod v31;
mod will;

pub use run::{Against, Outcome, against, run};
pub use scenario::{Basis, Scenario, Setting};

/// The tables of the files, in the order of the specification.
const SECTIONS: &[&[Scenario]] = &[
    connect::SCENARIOS,
    malformed_connect::SCENARIOS,
    takeover::SCENARIOS,
    will::SCENARIOS,
    session_state::SCENARIOS,
    connack::SCENARIOS,
    unavailable::SCENARIOS,
    publish::SCENARIOS,
    retained::SCENARIOS,
    message_expiry::SCENARIOS,
    topic_alias::SCENARIOS,
    subscribe::SCENARIOS,
    unsubscribe::SCENARIOS,
    ping::SCENARIOS,
    disconnect::SCENARIOS,
    auth::SCENARIOS,
    auth_exchange::SCENARIOS,
    qos::SCENARIOS,
    redelivery::SCENARIOS,
    ordering::SCENARIOS,
    topics::SCENARIOS,
    share::SCENARIOS,
    flow_control::SCENARIOS,
    packet_size::SCENARIOS,
    problem_information::SCENARIOS,
    limits::SCENARIOS,
    malformed::SCENARIOS,
    v31::SCENARIOS,
    sys::SCENARIOS,
];

/// All scenarios, section by section.
pub fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    SECTIONS.iter().copied().flatten()
}
