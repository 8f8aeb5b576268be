//! Starts the simulation in `tests/sim`, in release mode. What it simulates is not decided here.

use crate::ci::succeed;
use crate::workspace::cargo;

/// Runs seeds; the arguments are the simulation's own.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let run = ["run", "--quiet", "--release", "--package", "whimbrel-sim", "--bin", "sim", "--"];
    succeed(cargo().args(run).args(arguments))
}
