//! Which crate of this repository may depend on which: the table, and its comparison with what cargo sees.
//!
//! It checks edges only. That `codec` and `proto` build without the standard library is `no_std`'s, that the pure
//! crates read no clock is `tidy`'s.

use crate::workspace::{Dependency, Kind, Package, Reach, Workspace, load};

/// One crate's place in the house.
struct Room {
    name: &'static str,
    /// The crates of this repository that it may use.
    may_use: &'static [&'static str],
    outside: Outside,
}

/// What a crate may use from elsewhere.
enum Outside {
    /// Anything that `deny.toml` lets in.
    Any,
    /// These alone, each without its default features: the crate must build where there is no standard library.
    Only(&'static [&'static str]),
}

/// From the bottom to the top. A crate that is not in the table fails the check: its place is a decision.
const ROOMS: &[Room] = &[
    Room { name: "whimbrel-codec", may_use: &[], outside: Outside::Only(&[]) },
    Room { name: "whimbrel-proto", may_use: &["codec"], outside: Outside::Only(&[]) },
    Room { name: "whimbrel-access", may_use: &["codec"], outside: Outside::Any },
    Room { name: "whimbrel-engine", may_use: &["access", "proto", "codec"], outside: Outside::Any },
    Room { name: "whimbrel-journal", may_use: &[], outside: Outside::Any },
    Room { name: "whimbrel-net", may_use: &[], outside: Outside::Any },
    Room { name: "whimbrel-scram", may_use: &[], outside: Outside::Any },
    Room { name: "whimbrel-client", may_use: &["proto", "codec", "net", "scram"], outside: Outside::Any },
    Room {
        name: "whimbrel-broker",
        may_use: &["access", "engine", "proto", "codec", "journal", "net", "scram"],
        outside: Outside::Any,
    },
    // `codec` and `net` for `bench` alone, which loads brokers with packets of its own making over sockets of its own.
    Room {
        name: "whimbrel",
        may_use: &["access", "client", "broker", "journal", "codec", "net"],
        outside: Outside::Any,
    },
];

/// Never published; they look at every room, and no room but their own kind uses them, save in its tests.
const TEST_CRATES: &[&str] = &[
    "whimbrel-carrier",
    "whimbrel-testkit",
    "whimbrel-conformance",
    "whimbrel-fuzz",
    "whimbrel-instructions",
    "whimbrel-interleaved",
    "whimbrel-limits",
    "whimbrel-locks",
    "whimbrel-oracle",
    "whimbrel-power",
    "whimbrel-relay",
    "whimbrel-sim",
];

/// The crates that must build without the standard library, with what they may use from elsewhere.
pub(crate) fn no_std_crates() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    ROOMS.iter().filter_map(|room| match room.outside {
        Outside::Only(names) => Some((room.name, names)),
        Outside::Any => None,
    })
}

/// Compares the workspace with the table.
pub(crate) fn run() -> Result<Vec<String>, String> {
    load(Reach::Members).map(|workspace| check(&workspace))
}

fn check(workspace: &Workspace) -> Vec<String> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        if package.name == "xtask" || TEST_CRATES.contains(&package.name.as_str()) {
            continue;
        }
        match ROOMS.iter().find(|room| room.name == package.name) {
            Some(room) => check_room(room, package, &mut findings),
            None => findings.push(format!("{}: is not in the table of layers", package.name)),
        }
    }
    findings
}

fn check_room(room: &Room, package: &Package, findings: &mut Vec<String>) {
    for dependency in &package.dependencies {
        if let Some(reason) = refusal(room, dependency) {
            findings.push(format!("{} -> {}: {reason}", package.name, dependency.name));
        }
    }
}

/// Why `room` may not have this dependency, or `None` where it may.
fn refusal(room: &Room, dependency: &Dependency) -> Option<&'static str> {
    let name = dependency.name.as_str();
    let is_dev = dependency.kind == Kind::Dev;
    if TEST_CRATES.contains(&name) {
        return (!is_dev).then_some("a crate for tests is for [dev-dependencies] only");
    }
    let ours = name.strip_prefix("whimbrel-").or_else(|| (name == "whimbrel").then_some(name));
    if is_dev && name == room.name {
        // A crate's tests may turn its own features on.
        return None;
    }
    if let Some(ours) = ours {
        return (!room.may_use.contains(&ours)).then_some("the layers do not allow it");
    }
    match room.outside {
        Outside::Any => None,
        Outside::Only(_) if is_dev => None,
        Outside::Only(names) if !names.contains(&name) => Some("not among the crates allowed without std"),
        Outside::Only(_) if dependency.uses_default_features => Some("needs `default-features = false`"),
        Outside::Only(_) if dependency.features.iter().any(|feature| feature == "std") => {
            Some("must not turn on the feature `std`")
        }
        Outside::Only(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(name: &str, kind: Kind) -> Dependency {
        Dependency { name: name.to_owned(), kind, ..Dependency::default() }
    }

    fn findings(package: &str, dependencies: Vec<Dependency>) -> Vec<String> {
        let package = Package { name: package.to_owned(), dependencies, ..Package::default() };
        check(&Workspace { packages: vec![package], ..Workspace::default() })
    }

    #[test]
    fn this_repository_keeps_its_layers() {
        assert_eq!(run().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_edge_upwards_is_found() {
        let check = |from: &str, to: &str, allowed: bool| {
            assert_eq!(findings(from, vec![on(to, Kind::Normal)]).is_empty(), allowed, "{from} -> {to}");
        };
        check("whimbrel-proto", "whimbrel-codec", true);
        check("whimbrel-codec", "whimbrel-proto", false);
        check("whimbrel-broker", "whimbrel-engine", true);
        check("whimbrel-broker", "whimbrel-client", false);
        check("whimbrel-client", "whimbrel-engine", false);
        check("whimbrel-engine", "whimbrel-journal", false);
        check("whimbrel-engine", "whimbrel", false);
        check("whimbrel", "whimbrel-engine", false);
        check("whimbrel-engine", "hashbrown", true);
    }

    #[test]
    fn a_layer_holds_for_tests_and_build_scripts_too() {
        assert_eq!(
            findings(
                "whimbrel-net",
                vec![on("whimbrel-codec", Kind::Dev), on("whimbrel-proto", Kind::Build)]
            ),
            [
                "whimbrel-net -> whimbrel-codec: the layers do not allow it",
                "whimbrel-net -> whimbrel-proto: the layers do not allow it"
            ]
        );
    }

    #[test]
    fn a_crate_for_tests_is_a_dev_dependency() {
        assert!(findings("whimbrel-proto", vec![on("whimbrel-testkit", Kind::Dev)]).is_empty());
        assert_eq!(findings("whimbrel-proto", vec![on("whimbrel-testkit", Kind::Normal)]).len(), 1);
        assert!(findings("whimbrel-proto", vec![on("whimbrel-proto", Kind::Dev)]).is_empty());
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        assert_eq!(findings("whimbrel-misc", vec![]), ["whimbrel-misc: is not in the table of layers"]);
        assert!(findings("whimbrel-conformance", vec![on("whimbrel-broker", Kind::Normal)]).is_empty());
    }

    #[test]
    fn a_crate_without_std_takes_what_is_listed() {
        let room = Room { name: "r", may_use: &[], outside: Outside::Only(&["bits"]) };
        let check =
            |dependency: Dependency, expect: Option<&str>| assert_eq!(refusal(&room, &dependency), expect);
        check(on("bits", Kind::Normal), None);
        check(on("proptest", Kind::Dev), None);
        check(on("rand", Kind::Normal), Some("not among the crates allowed without std"));
        check(
            Dependency { uses_default_features: true, ..on("bits", Kind::Normal) },
            Some("needs `default-features = false`"),
        );
        check(
            Dependency { features: vec!["std".to_owned()], ..on("bits", Kind::Normal) },
            Some("must not turn on the feature `std`"),
        );
    }
}
