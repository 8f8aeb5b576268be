//! Tells the program of which commit and with which features it is built. It asks git only if the repository
//! is this one: sources from an archive may lie inside somebody else's.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=WHIMBREL_BUILD_COMMIT");
    let given = env::var("WHIMBREL_BUILD_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(commit).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=WHIMBREL_COMMIT={commit}");
    println!("cargo::rustc-env=WHIMBREL_FEATURES={}", features());
}

fn commit() -> Option<String> {
    let repository = Path::new("../../.git");
    if !repository.exists() {
        return None;
    }
    // The log of HEAD grows with every commit and every change of the branch.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// The features that were chosen, as cargo tells a build script: in variables.
fn features() -> String {
    let feature = |(name, _): (String, String)| {
        name.strip_prefix("CARGO_FEATURE_").map(|name| name.to_lowercase().replace('_', "-"))
    };
    let mut features: Vec<String> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter_map(feature)
        .filter(|name| name != "default")
        .collect();
    features.sort_unstable();
    match features.is_empty() {
        true => "none".to_owned(),
        false => features.join(", "),
    }
}
