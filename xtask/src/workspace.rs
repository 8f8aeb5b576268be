//! The workspace as cargo sees it: where it lies, its packages and what they depend on. Knows no rule about them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::json::{self, Value};

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    // `xtask` lies directly below the root; the path is the one it was compiled at, which is the one it runs at.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The cargo that runs this program, or the one on the path.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// What `cargo metadata` says, as far as the checks need it.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

/// One package: of the workspace, or, where asked for, one that it depends on.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    /// The library's first file, if it has a library.
    pub(crate) library: Option<PathBuf>,
}

/// One line of a `[dependencies]` table.
#[derive(Debug, Default)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) uses_default_features: bool,
    pub(crate) features: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Normal,
    Build,
    Dev,
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The workspace's own packages.
    Members,
    /// These and everything that they depend on.
    Everything,
}

/// Asks cargo.
pub(crate) fn load(reach: Reach) -> Result<Workspace, String> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1"]);
    if reach == Reach::Members {
        command.arg("--no-deps");
    }
    let output = command.output().map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    read(&String::from_utf8_lossy(&output.stdout))
}

/// Reads the JSON that `cargo metadata` printed.
pub(crate) fn read(text: &str) -> Result<Workspace, String> {
    let metadata = json::parse(text).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages: Vec<_> = metadata.member("packages").items().iter().map(package).collect();
    if packages.is_empty() {
        return Err("cargo metadata: no packages".to_owned());
    }
    let target_directory = PathBuf::from(metadata.member("target_directory").text().unwrap_or("target"));
    Ok(Workspace { packages, target_directory })
}

fn package(value: &Value) -> Package {
    let is_library = |target: &&Value| {
        target
            .member("kind")
            .items()
            .iter()
            .any(|kind| matches!(kind.text(), Some("lib" | "rlib" | "proc-macro")))
    };
    let library = value.member("targets").items().iter().find(is_library);
    Package {
        name: owned(value.member("name")),
        dependencies: value.member("dependencies").items().iter().map(dependency).collect(),
        library: library.and_then(|target| target.member("src_path").text()).map(PathBuf::from),
    }
}

fn dependency(value: &Value) -> Dependency {
    Dependency {
        name: owned(value.member("name")),
        kind: match value.member("kind").text() {
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            _ => Kind::Normal,
        },
        uses_default_features: value.member("uses_default_features").is_true(),
        features: value.member("features").items().iter().map(owned).collect(),
    }
}

fn owned(value: &Value) -> String {
    value.text().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_packages_and_dependencies() {
        let workspace = read(
            r#"{"target_directory":"t","packages":[{"name":"a","targets":[{"kind":["lib"],"src_path":"src/lib.rs"}],
            "dependencies":[{"name":"b","kind":null,"uses_default_features":false,"features":["std"]},
            {"name":"c","kind":"dev","uses_default_features":true,"features":[]}]}]}"#,
        )
        .unwrap();
        let package = &workspace.packages[0];
        assert_eq!((package.name.as_str(), package.library.as_deref()), ("a", Some(Path::new("src/lib.rs"))));
        let [b, c] = &package.dependencies[..] else { panic!("two dependencies") };
        assert_eq!(
            (b.kind, b.uses_default_features, &b.features[..]),
            (Kind::Normal, false, &["std".to_owned()][..])
        );
        assert_eq!((c.kind, c.uses_default_features), (Kind::Dev, true));
    }

    #[test]
    fn refuses_an_answer_without_packages() {
        assert!(read("{}").is_err());
        assert!(read("not json").is_err());
    }
}
