//! Where the store is, when nobody says it.

use std::{env, path::PathBuf};

use crate::config::Config;

/// The folder that the configuration names, or the platform's.
#[must_use]
pub fn of(config: &Config) -> Option<PathBuf> {
    config
        .store
        .directory
        .clone()
        .or_else(|| by_convention(|name| env::var_os(name), rustix::process::geteuid().is_root()))
}

fn by_convention(variable: impl Fn(&str) -> Option<std::ffi::OsString>, is_root: bool) -> Option<PathBuf> {
    let named = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd names several folders with colons between them; the first is meant.
    let state = variable("STATE_DIRECTORY")
        .and_then(|all| env::split_paths(&all).next())
        .filter(|path| path.is_absolute());
    if state.is_some() {
        return state;
    }
    if is_root {
        return Some(PathBuf::from("/var/lib/whimbrel"));
    }
    named("XDG_DATA_HOME")
        .or_else(|| named("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("whimbrel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_where_the_platform_keeps_such_things() {
        let of = |variables: &[(&str, &str)], is_root| {
            let variable = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
            };
            by_convention(variable, is_root).map(|path| path.display().to_string())
        };
        let home = [("HOME", "/u")];
        assert_eq!(of(&home, false).as_deref(), Some("/u/.local/share/whimbrel"));
        assert_eq!(of(&home, true).as_deref(), Some("/var/lib/whimbrel"));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")], false).as_deref(), Some("/d/whimbrel"));
        assert_eq!(
            of(&[("HOME", "/h"), ("XDG_DATA_HOME", "d")], false).as_deref(),
            Some("/h/.local/share/whimbrel")
        );
        assert_eq!(of(&[("STATE_DIRECTORY", "/s/a:/s/b")], true).as_deref(), Some("/s/a"));
        assert_eq!(of(&[], false), None);
    }
}
