//! Copies the engine's sources and lays the bugs of `planted.toml` into the copy, each behind a question whether it is
//! awake. A bug whose place is gone is left out and listed as homeless: a test says so, the build goes on.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

const ENGINE: &str = "../../crates/engine/src";
const LIST: &str = "planted.toml";

/// One bug: an expression, or statements, and what stands there instead while it is awake.
#[derive(Default)]
struct Bug {
    name: String,
    file: String,
    find: String,
    plant: String,
    seeds: u64,
    near: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={LIST}");
    println!("cargo::rerun-if-changed={ENGINE}");
    println!("cargo::rustc-cfg=interleaved");
    let out = env::var("OUT_DIR")?;
    let copy = Path::new(&out).join("engine");
    let _ = fs::remove_dir_all(&copy);
    copy_sources(Path::new(ENGINE), &copy)?;
    let bugs = parse(&fs::read_to_string(LIST)?)?;
    let mut table = String::from("/// Every bug.\npub const BUGS: &[Bug] = &[\n");
    for (number, bug) in bugs.iter().enumerate() {
        let path = copy.join(&bug.file);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let places = text.matches(&bug.find).count();
        let homeless = (places != 1).then_some(&bug.file);
        if places == 1 {
            let plant = bug
                .plant
                .replace("AWAKE", &format!("crate::planted::is_awake({number})"))
                .replace("SOUND", &bug.find);
            fs::write(&path, text.replace(&bug.find, &plant))?;
        }
        let Bug { name, seeds, near, .. } = bug;
        writeln!(
            table,
            "    Bug {{ name: {name:?}, seeds: {seeds}, near: {near}, homeless: {homeless:?} }},"
        )?;
    }
    table.push_str("];\n");
    fs::write(Path::new(&out).join("bugs.rs"), table)?;
    Ok(())
}

fn copy_sources(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let place = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_sources(&path, &place)?;
        } else if place.ends_with("engine/lib.rs") {
            // What is said of the whole crate cannot be said in the middle of another one.
            let text = fs::read_to_string(&path)?;
            let inner = |line: &&str| !line.starts_with("//!") && !line.starts_with("#![");
            fs::write(place, text.lines().filter(inner).collect::<Vec<_>>().join("\n"))?;
        } else {
            fs::copy(&path, place)?;
        }
    }
    Ok(())
}

/// Reads the list: tables `[[bug]]` of `key = "…"`, `key = '''…'''` over several lines, and `key = number`.
fn parse(text: &str) -> Result<Vec<Bug>, Box<dyn Error>> {
    let mut bugs: Vec<Bug> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "[[bug]]" {
            bugs.push(Bug::default());
            continue;
        }
        let wrong = || format!("{LIST}: {line}");
        let (key, value) = line.split_once(" = ").ok_or_else(wrong)?;
        let value = if value == "'''" {
            lines.by_ref().take_while(|line| *line != "'''").collect::<Vec<_>>().join("\n")
        } else {
            value.trim_matches('"').to_owned()
        };
        let bug = bugs.last_mut().ok_or_else(wrong)?;
        match key {
            "name" => bug.name = value,
            "file" => bug.file = value,
            "find" => bug.find = value,
            "plant" => bug.plant = value,
            "seeds" => bug.seeds = value.parse()?,
            "near" => bug.near = value.parse()?,
            _ => return Err(wrong().into()),
        }
    }
    Ok(bugs)
}
