//! Runs scenarios and tells what came of them. Which driver carries the bytes is the caller's choice.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use whimbrel_testkit::{Demand, Driver, Tcp, Version, World};

use crate::scenario::{Basis, Scenario};

/// What came of one scenario in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All expectations were met; notes say what the broker does where the text leaves it free.
    Pass {
        /// What the scenario noted.
        notes: Vec<String>,
    },
    /// An expectation was not met.
    Fail {
        /// Which, and where in the scenario.
        why: String,
        /// Everything that was said.
        transcript: String,
    },
    /// It was not run.
    Skip {
        /// Why.
        why: String,
    },
}

thread_local! {
    static WHY: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the message of a panic in this thread for the outcome, instead of printing it.
fn catch_messages() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let payload = info.payload();
            let text = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without words");
            let place = info.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
            WHY.with_borrow_mut(|why| *why = Some(format!("{text}{place}")));
        }));
    });
}

/// Runs one scenario in one version over this driver. `lives_on` says that the broker outlives the scenario, which
/// then has to take back what it left there.
pub fn run(
    scenario: &Scenario,
    version: Version,
    demand: Demand,
    driver: Box<dyn Driver>,
    lives_on: bool,
) -> Outcome {
    catch_messages();
    let mut world = World::new(driver, version, demand);
    let result = catch_unwind(AssertUnwindSafe(|| (scenario.run)(&mut world)));
    let why = WHY.take();
    let outcome = match result {
        Ok(()) => Outcome::Pass { notes: world.notes() },
        Err(_) => Outcome::Fail { why: why.unwrap_or_default(), transcript: world.transcript() },
    };
    if lives_on && catch_unwind(AssertUnwindSafe(|| world.clean_up())).is_err() {
        let why = format!("the broker could not be cleaned: {}", WHY.take().unwrap_or_default());
        return Outcome::Fail { why, transcript: world.transcript() };
    }
    outcome
}

/// How to run the suite against a broker on a network.
#[derive(Clone, Debug)]
pub struct Against {
    /// Where the broker listens.
    pub address: SocketAddr,
    /// Runs only scenarios whose name contains one of these; all when empty.
    pub filters: Vec<String>,
    /// Runs also those that wait for time to pass.
    pub timed: bool,
    /// What is asked of the broker.
    pub demand: Demand,
    /// By when what is expected must come.
    pub deadline: Duration,
}

/// Runs the suite, one scenario after the other, and reports each.
pub fn against(options: &Against, mut report: impl FnMut(&Scenario, Version, &Outcome)) {
    for scenario in crate::scenarios() {
        if !options.filters.is_empty()
            && !options.filters.iter().any(|filter| scenario.name.contains(filter.as_str()))
        {
            continue;
        }
        for &version in scenario.versions {
            let outcome = match why_not(scenario, options) {
                Some(why) => Outcome::Skip { why },
                None => {
                    let driver = Box::new(Tcp::new(options.address, options.deadline));
                    run(scenario, version, options.demand, driver, true)
                }
            };
            report(scenario, version, &outcome);
        }
    }
}

fn why_not(scenario: &Scenario, options: &Against) -> Option<String> {
    if let Some(setting) = scenario.setting {
        return Some(format!("needs {setting}"));
    }
    if scenario.virtual_only {
        return Some("takes hours, on virtual time only".into());
    }
    if scenario.timed && !options.timed {
        return Some("waits for time to pass (--timed)".into());
    }
    if scenario.basis == Basis::Choice && options.demand == Demand::Text {
        return Some("Whimbrel's own choice (--house)".into());
    }
    None
}
