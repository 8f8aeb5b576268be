//! Starts the soak in `tests/sim` against the release build of the broker. What it does is not decided here.

use crate::ci::succeed;
use crate::workspace::{Reach, cargo, load};

/// Builds broker and soak, and runs the one against the other.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    succeed(cargo().args(["build", "--release", "--package", "whimbrel", "--package", "whimbrel-sim"]))?;
    let folder = load(Reach::Members)?.target_directory.join("release");
    let mut soak = std::process::Command::new(folder.join("soak"));
    succeed(soak.arg("--whimbrel").arg(folder.join("whimbrel")).args(arguments))
}
