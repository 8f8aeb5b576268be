//! Tests of the configuration as a whole: every key by every way, what is told of mistakes, the texts that
//! are made.

mod mistakes;
mod sources;
mod texts;

use std::path::PathBuf;

use super::{Config, File, Flag, Key, Problems, Sources, keys};

/// A file of this text, as if its path were `whimbrel.toml`.
fn file(text: &str) -> Sources {
    let file = File { path: PathBuf::from("whimbrel.toml"), text: text.to_owned() };
    Sources { file: Some(file), ..Sources::default() }
}

fn environment(variables: &[(&str, &str)]) -> Sources {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Sources { environment: variables.collect(), ..Sources::default() }
}

fn flag(path: &str, word: &str) -> Flag {
    let key = key(path);
    Flag { key, spelled: format!("--{}", key.flag.expect("the key has a flag")), word: word.to_owned() }
}

fn key(path: &str) -> &'static Key {
    keys().find(|key| key.path() == path).expect("there is such a key")
}

fn load(sources: Sources) -> Result<Config, Problems> {
    Config::load(&sources)
}
