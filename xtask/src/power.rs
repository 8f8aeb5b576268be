//! Starts the power cuts and disk faults in `tests/power` against the release build of the broker. What they do is not
//! decided here.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::ci::succeed;
use crate::workspace::{Reach, cargo, load};

/// Why it is not even tried here. Where it cannot mount all the same, it fails and says why.
pub(crate) fn obstacle() -> Option<&'static str> {
    if !std::fs::exists("/dev/fuse").is_ok_and(|exists| exists) {
        return Some("there is no /dev/fuse: the kernel has no FUSE, or this container may not use it");
    }
    // A process belongs to its user, and so does its folder there.
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    (!is_root).then_some("only root may mount what it needs")
}

/// Builds broker and test, and runs the one against the other: all that CI runs, unless the arguments say what.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    succeed(cargo().args(["build", "--release", "--package", "whimbrel", "--package", "whimbrel-power"]))?;
    let folder = load(Reach::Members)?.target_directory.join("release");
    let (chore, rest) = match arguments {
        [] => ("all", arguments),
        [option, ..] if option.starts_with("--") => ("rounds", arguments),
        [chore, rest @ ..] => (chore.as_str(), rest),
    };
    let mut power = Command::new(folder.join("power"));
    succeed(power.arg(chore).arg("--whimbrel").arg(folder.join("whimbrel")).args(rest))
}
