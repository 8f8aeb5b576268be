//! Runs every scenario against the broker in memory, on virtual time: one test for each scenario and version. The
//! tests come from the tables of the suite, so the harness is not the usual one. That the suite notices what is wrong
//! is tested in `it::tampering`.

use libtest_mimic::{Arguments, Failed, Trial};
use whimbrel_conformance::{Outcome, Scenario, Setting, run, scenarios};
use whimbrel_engine::{Limits, proto::codec};
use whimbrel_testkit::{Demand, Memory, QoS, Version};

mod it {
    pub(crate) mod table;
    pub(crate) mod tampering;
}

fn main() -> std::process::ExitCode {
    let trials = scenarios().flat_map(|scenario| {
        scenario.versions.iter().map(move |&version| {
            let name = match scenario.versions {
                [_] => scenario.name.to_owned(),
                _ => format!("{}_in_{version:?}", scenario.name).to_lowercase(),
            };
            Trial::test(name, move || check(scenario, version))
        })
    });
    libtest_mimic::run(
        &Arguments::from_args(),
        trials.chain(it::table::trials()).chain(it::tampering::trials()).collect(),
    )
    .exit_code()
}

fn check(scenario: &Scenario, version: Version) -> Result<(), Failed> {
    match run(scenario, version, Demand::House, Box::new(memory(scenario.setting)), false) {
        Outcome::Pass { .. } => Ok(()),
        Outcome::Fail { why, transcript } => {
            let proves = scenario.proves.join(", ");
            Err(format!("{why}\nproves: {proves}\n{transcript}").into())
        }
        Outcome::Skip { why } => Err(format!("skipped: {why}").into()),
    }
}

/// A broker that is set up in this way.
fn memory(setting: Option<Setting>) -> Memory {
    let memory = Memory::new(limits(setting));
    match setting {
        Some(Setting::Scram { user, password }) => memory.knowing(user, password),
        _ => memory,
    }
}

/// The limits of a broker that is set up in this way.
fn limits(setting: Option<Setting>) -> Limits {
    let mut limits = Limits::default();
    let connection = &mut limits.connection;
    match setting {
        None | Some(Setting::Scram { .. }) => {}
        Some(Setting::QueueMessagesMax(count)) => limits.queue_messages_max = count,
        Some(Setting::ClientIdBytesMax(max)) => connection.topic_bytes_max = max,
        Some(Setting::QosMax(qos)) => {
            connection.qos_max = match qos {
                QoS::QoS0 => codec::QoS::AtMostOnce,
                QoS::QoS1 => codec::QoS::AtLeastOnce,
                QoS::QoS2 => codec::QoS::ExactlyOnce,
            }
        }
        Some(Setting::NoRetained) => connection.retain_available = false,
        Some(Setting::NoWildcards) => connection.wildcard_available = false,
        Some(Setting::NoSubscriptionIds) => connection.subscription_ids_available = false,
        Some(Setting::NoShared) => connection.shared_available = false,
    }
    limits
}
