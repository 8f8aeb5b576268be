//! The reference page of the configuration, in Markdown. Not the default file, which is a file to edit.

use std::fmt::Write as _;

use super::{Key, is_numbered, sections};

const HEAD: &str = "\
<!-- Made by `whimbrel config reference`; change the tables of keys in crates/broker/src/config instead. -->

# Configuration

Whimbrel runs without a configuration: it then listens on localhost, port 1883, and asks nobody for a
password. What should be otherwise stands in a file (TOML), in the environment or in flags:

```sh
whimbrel config default > whimbrel.toml    # a file with every key, its explanation and its default
whimbrel config check whimbrel.toml        # everything that is wrong with it, with line and key
whimbrel serve --config whimbrel.toml
```

* A flag counts more than the environment, the environment more than the file, the file more than the default.
* `--config FILE` can also be given as `WHIMBREL_CONFIG=FILE`. Without either there is no file.
* Sizes are in bytes and times in seconds, as the name of the key says. No value means *unlimited*.
* A key or a section that does not exist is an error, and so is a variable that begins like that of a key and
  is none.
* An empty variable counts as not set.
* The variables of a listener carry its number: `WHIMBREL_LISTENER_1_ADDRESS` is the address of the first. The
  number after the last adds a listener. Those of `[[token]]` do the same.
* A relative path in the file counts from the folder of the file; elsewhere, from the folder in which the
  broker runs.
* A changed value counts after a restart, if its key does not say that it is read at a reload. `whimbrel ctl reload`
  or SIGHUP (`kill -HUP`) is a reload: it opens the log file anew, reads the password file and the configuration
  again, and tells which changes wait for a restart ([control.md](control.md)).
";

/// The page.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    for section in sections() {
        let title = match section.name {
            name if is_numbered(name) => format!("[[{name}]]"),
            name => format!("[{name}]"),
        };
        let _ = writeln!(out, "\n## `{title}`\n");
        paragraphs(&mut out, section.doc());
        for key in section.keys {
            write_key(&mut out, key);
        }
    }
    out
}

fn write_key(out: &mut String, key: &Key) {
    let _ = writeln!(out, "\n### `{}`\n", key.path());
    paragraphs(out, key.doc());
    out.push('\n');
    let default = key.default().map_or_else(|| "not set".to_owned(), |default| format!("`{default}`"));
    let unit = key.unit.filter(|_| default.starts_with("`") && !default.contains('"'));
    let _ = writeln!(out, "* Default: {default}{}", unit.map(|unit| format!(" {unit}")).unwrap_or_default());
    let _ = writeln!(out, "* Allowed: {}", key.allowed());
    let variables: Vec<String> = key.environments("<number>").map(|name| format!("`{name}`")).collect();
    let _ = writeln!(out, "* Environment: {}", variables.join(" or "));
    if let Some(flag) = key.flag {
        let _ = writeln!(out, "* Flag: `--{flag}`");
    }
    let _ = writeln!(out, "* {}", key.reload.in_words());
}

fn paragraphs(out: &mut String, lines: impl Iterator<Item = &'static str>) {
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
}
