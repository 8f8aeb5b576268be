//! That `codec` and `proto` need no standard library: said in the source, built without features, true of all that
//! they depend on. The host is the only target that can be counted on, so what they link is read, not linked.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::layers::no_std_crates;
use crate::workspace::{Package, Reach, cargo, load};

/// Checks every crate that the table of layers marks as free of the standard library.
pub(crate) fn run() -> Result<Vec<String>, String> {
    let everything = load(Reach::Everything)?;
    let mut findings = Vec::new();
    for (name, allowed) in no_std_crates() {
        build_without_features(name, &mut findings)?;
        findings.extend(check_closure(name, &closure(name)?, allowed));
        let dependencies = allowed.iter().copied().chain([name]);
        for dependency in dependencies {
            let package = everything.packages.iter().find(|package| package.name == dependency);
            findings.extend(package.and_then(check_source));
        }
    }
    Ok(findings)
}

fn build_without_features(name: &str, findings: &mut Vec<String>) -> Result<(), String> {
    let status = cargo()
        .args(["build", "--quiet", "--package", name, "--no-default-features", "--lib"])
        .status()
        .map_err(|error| format!("cargo build: {error}"))?;
    if !status.success() {
        findings.push(format!("{name}: does not build with no default features"));
    }
    Ok(())
}

/// The names of all packages in the crate's tree, itself included.
fn closure(name: &str) -> Result<BTreeSet<String>, String> {
    let output = cargo()
        .args(["tree", "--package", name, "--no-default-features", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}"])
        .output()
        .map_err(|error| format!("cargo tree: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect())
}

fn check_closure(name: &str, closure: &BTreeSet<String>, allowed: &[&str]) -> Vec<String> {
    closure
        .iter()
        .filter(|dependency| !dependency.starts_with("whimbrel-") && !allowed.contains(&dependency.as_str()))
        .map(|dependency| format!("{name}: its tree holds {dependency}, which is not allowed without std"))
        .collect()
}

fn check_source(package: &Package) -> Option<String> {
    let library: &Path = package.library.as_deref()?;
    match fs::read_to_string(library) {
        Ok(source) if says_no_std(&source) => None,
        Ok(_) => Some(format!("{}: {} does not say `#![no_std]`", package.name, library.display())),
        Err(error) => Some(format!("{}: {error}", library.display())),
    }
}

/// `#![no_std]`, or a `cfg_attr` that gives it when a feature (for tests or `std`) is off.
fn says_no_std(source: &str) -> bool {
    source.lines().map(str::trim).any(|line| {
        line == "#![no_std]"
            || (line.starts_with("#![cfg_attr(") && line.trim_end_matches(")]").ends_with("no_std"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attribute_is_looked_for_in_the_source() {
        assert!(says_no_std("//! Packets.\n#![no_std]\n"));
        assert!(says_no_std("#![cfg_attr(not(feature = \"std\"), no_std)]"));
        assert!(!says_no_std("//! Says no_std in a comment: #![no_std]\n"));
        assert!(!says_no_std("#![cfg_attr(docsrs, feature(doc_cfg))]"));
    }

    #[test]
    fn a_stranger_in_the_tree_is_found() {
        let closure = ["whimbrel-proto", "whimbrel-codec", "bits", "getrandom"].map(str::to_owned).into();
        assert_eq!(
            check_closure("whimbrel-proto", &closure, &["bits"]),
            ["whimbrel-proto: its tree holds getrandom, which is not allowed without std"]
        );
    }

    #[test]
    fn a_library_that_does_not_say_it_is_found() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs");
        let package = Package { name: "p".to_owned(), library: Some(here), ..Package::default() };
        assert!(check_source(&package).unwrap().ends_with("does not say `#![no_std]`"));
    }
}
