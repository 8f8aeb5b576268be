//! The table of scenarios itself: names that are told apart, statements that look like statements.

use std::collections::BTreeSet;

use libtest_mimic::{Failed, Trial};
use whimbrel_conformance::scenarios;

/// The trials.
pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    [
        Trial::test("scenario_names_are_unique", names_are_unique),
        Trial::test("scenarios_name_what_they_prove", statements_have_their_form),
    ]
    .into_iter()
}

fn names_are_unique() -> Result<(), Failed> {
    let mut seen = BTreeSet::new();
    match scenarios().find(|scenario| !seen.insert(scenario.name)) {
        Some(twice) => Err(format!("{} is there twice", twice.name).into()),
        None => Ok(()),
    }
}

/// An identifier of the specification, a section, or a line of the differences of 3.1.
fn statements_have_their_form() -> Result<(), Failed> {
    for scenario in scenarios() {
        let right = |statement: &str| {
            let number = |text: &str| text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
            statement.strip_prefix("MQTT-").is_some_and(number)
                || statement.strip_prefix("section ").is_some_and(number)
                || statement.starts_with("3.1: ")
        };
        if scenario.proves.is_empty() || !scenario.proves.iter().all(|statement| right(statement)) {
            return Err(format!("{} proves {:?}", scenario.name, scenario.proves).into());
        }
    }
    Ok(())
}
