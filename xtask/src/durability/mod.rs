//! What durability costs, measured side by side in one run, and written into docs/durability.md: one section for each part.
//! Not the load itself: that is `whimbrel bench`.

mod crash;
mod puback;
mod segments;
mod sides;
mod space;
mod speed;
mod stage;
mod start;
mod unwritten;

use std::fs;

use self::stage::Stage;
use crate::ci::succeed;
use crate::compare::{place, table};
use crate::workspace::{Reach, cargo, load, root};

const NOTE: &str = "docs/durability.md";
/// As users run it: what packages are built with.
const PROFILE: &str = "dist";

const USAGE: &str = "\
usage: cargo xtask durability [--part NAME]… [--rounds N] [--quick] [--threads N] [--profile NAME] [--print]

  --part NAME     only this part, and more of them: persistent, publishers, puback, unowed, start, space, unwritten,
                  crash
  --rounds N      how often each broker has its turn (default 4, at least 2)
  --quick         everything small: to see that it runs, not to believe the figures; writes nothing
  --threads N     workers of Whimbrel (default: as many as it has by itself)
  --profile NAME  how it is built (default dist)
  --print         do not write docs/durability.md
";

/// A part: its name, its heading, and what it does.
struct Part {
    name: &'static str,
    heading: &'static str,
    run: fn(&mut Stage) -> Result<String, String>,
}

const PARTS: [Part; 8] = [
    Part { name: "persistent", heading: "QoS 1 to persistent sessions", run: speed::persistent },
    Part { name: "publishers", heading: "1,000 publishers at once", run: speed::publishers },
    Part { name: "puback", heading: "The wait for PUBACK at a tenth of the load", run: puback::run },
    Part { name: "unowed", heading: "Traffic that owes nothing to the disk", run: speed::unowed },
    Part { name: "start", heading: "A start with much to read", run: start::run },
    Part { name: "space", heading: "Bytes written, and space given back", run: space::run },
    Part { name: "unwritten", heading: "What need not have been written", run: unwritten::run },
    Part { name: "crash", heading: "Killed 30 times", run: crash::run },
];

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
struct Options {
    parts: Vec<String>,
    rounds: usize,
    is_quick: bool,
    threads: Option<u16>,
    profile: String,
    is_print: bool,
}

/// `cargo xtask durability`.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}");
        return Ok(());
    }
    let options = parse(arguments).map_err(|wrong| format!("{wrong}\n{USAGE}"))?;
    succeed(cargo().args(["build", "--locked", "--profile", &options.profile, "--package", "whimbrel"]))?;
    let target = load(Reach::Members)?.target_directory;
    let folder = target.join(format!("durability-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let built = if options.profile == "dev" { "debug" } else { &options.profile };
    let mut stage = Stage::new(target.join(built).join("whimbrel"), folder.clone(), &options);
    let outcome = parts(&mut stage, &options);
    let removed = fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()));
    outcome.and(removed)
}

fn parts(stage: &mut Stage, options: &Options) -> Result<(), String> {
    let wanted =
        |part: &&Part| options.parts.is_empty() || options.parts.iter().any(|name| name == part.name);
    let mut failed = Vec::new();
    for part in PARTS.iter().filter(wanted) {
        eprintln!("{}: {}", part.name, part.heading);
        match (part.run)(stage) {
            Ok(text) => {
                let foot = format!("{}.{}\n", place(&options.profile), stage.disturbance());
                let section =
                    format!("### {}\n\n{}\n{foot}", part.heading, text.trim_end().to_owned() + "\n");
                println!("{section}");
                write(part, options, &section)?;
            }
            Err(error) => {
                eprintln!("{}: {error}", part.name);
                failed.push(part.name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not measured: {}", failed.join(", "))) }
}

/// At once, so that what comes later cannot take it away.
fn write(part: &Part, options: &Options, section: &str) -> Result<(), String> {
    if options.is_print || options.is_quick {
        return Ok(());
    }
    let path = root().join(NOTE);
    let note = fs::read_to_string(&path).map_err(|error| format!("{NOTE}: {error}"))?;
    let new = table::replace(&note, &format!("durability --part {}", part.name), section)?;
    fs::write(&path, new).map_err(|error| format!("{NOTE}: {error}"))
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        parts: Vec::new(),
        rounds: 4,
        is_quick: false,
        threads: None,
        profile: PROFILE.to_owned(),
        is_print: false,
    };
    let mut arguments = arguments.iter();
    let mut rounds = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--print" => options.is_print = true,
            "--quick" => options.is_quick = true,
            "--part" | "--rounds" | "--threads" | "--profile" => {
                let value = arguments.next().ok_or_else(|| format!("`{argument}` lacks its value"))?;
                let number = || value.parse().map_err(|_| format!("`{value}` is not a number"));
                match argument.as_str() {
                    "--part" if PARTS.iter().any(|part| part.name == value) => {
                        options.parts.push(value.clone())
                    }
                    "--part" => return Err(format!("there is no part `{value}`")),
                    "--rounds" => rounds = Some(usize::from(number()?)),
                    "--threads" => options.threads = Some(number()?),
                    _ => options.profile.clone_from(value),
                }
            }
            _ => return Err(format!("`{argument}` is unknown")),
        }
    }
    options.rounds = rounds.unwrap_or(if options.is_quick { 2 } else { 4 });
    if options.rounds < 2 {
        return Err("at least 2 rounds: one has no spread".to_owned());
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Options, String> {
        parse(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_and_wrong_ones_refused() {
        let options = parsed(&["--part", "start", "--part", "crash", "--threads", "1", "--quick"]).unwrap();
        assert_eq!((options.rounds, options.threads, options.is_quick), (2, Some(1), true));
        assert_eq!(options.parts, ["start", "crash"]);
        assert_eq!(parsed(&["--quick", "--rounds", "7"]).unwrap().rounds, 7);
        assert_eq!(parsed(&[]).unwrap().profile, PROFILE);
        for wrong in
            [&["--rounds", "1"][..], &["--rounds"], &["--part", "nothing"], &["--threads", "x"], &["x"]]
        {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_note_has_a_place_for_every_part() {
        let mut note = fs::read_to_string(root().join(NOTE)).unwrap();
        for part in PARTS {
            note = table::replace(&note, &format!("durability --part {}", part.name), part.heading).unwrap();
        }
        assert!(PARTS.iter().all(|part| note.contains(part.heading)));
    }
}
