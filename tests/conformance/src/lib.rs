//! The conformance suite: one scenario for each rule of MQTT 5.0, 3.1.1 and 3.1 that a server must obey, with one text
//! for every broker. Each file is a section of the specification with a table of its scenarios; how they reach a broker
//! is the driver's matter (`whimbrel-testkit`). No scenario looks at code.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a scenario fails by panicking, with the transcript of what was said"
)]

mod connack;
mod connect;
mod flow_control;
mod malformed;
mod malformed_connect;
mod ordering;
mod publish;
mod qos;
mod redelivery;
mod retained;
mod run;
mod scenario;
mod session_state;
mod takeover;
mod will;

pub use run::{Against, Outcome, against, run};
pub use scenario::{Basis, Scenario, Setting};

/// The tables of the files, in the order of the specification.
const SECTIONS: &[&[Scenario]] = &[
    connect::SCENARIOS,
    malformed_connect::SCENARIOS,
    connack::SCENARIOS,
    will::SCENARIOS,
    takeover::SCENARIOS,
    session_state::SCENARIOS,
    publish::SCENARIOS,
    retained::SCENARIOS,
    qos::SCENARIOS,
    redelivery::SCENARIOS,
    ordering::SCENARIOS,
    flow_control::SCENARIOS,
    malformed::SCENARIOS,
];

/// All scenarios, section by section.
pub fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    SECTIONS.iter().copied().flatten()
}
