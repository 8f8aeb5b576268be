//! `cargo xtask conformance`: which normative statements have a test, and which a reason; and the suite against a broker
//! on a network. The suite itself is `tests/conformance`.

mod differences;
mod exceptions;
#[path = "../../../tests/carrier/src/listener.rs"]
#[expect(unreachable_pub, reason = "it is of a library, without whose dependencies the chores do")]
pub(crate) mod listener;
mod page;
mod proof;
mod state;
mod statement;
mod suite;

use self::suite::Target;
use crate::workspace::root;

const USAGE: &str = "\
usage: cargo xtask conformance [--all] [--write | --check]
       cargo xtask conformance --against BROKER [--transport T] [--timed] [--filter TEXT]…
                           [--deadline SECONDS]

  --all              each statement with its tests or its reason
  --write            write docs/conformance.md
  --check            fail also when docs/conformance.md is not current
  --against BROKER   the suite over TCP: HOST:PORT, a PORT on the loopback, `whimbrel` (the release build, from which
                     more is asked than the text does) or `mosquitto` (whose failures must be those that are explained);
                     the last two are started with the files in tests/conformance/brokers
  --transport T      over this one, at `whimbrel`: tcp, tls, ws, wss, quic or unix
  --timed            also scenarios for which seconds have to pass: some minutes
  --filter TEXT      only scenarios whose name contains TEXT; may be given several times
  --deadline SECONDS by when what is expected must come (5)
";

/// What was asked for.
#[derive(Debug, Default, PartialEq)]
struct Options {
    is_all: bool,
    is_write: bool,
    is_check: bool,
    target: Option<Target>,
    is_timed: bool,
    /// For the suite.
    passed_on: Vec<String>,
}

/// `cargo xtask conformance`.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}");
        return Ok(());
    }
    let options = parse(arguments).map_err(|wrong| format!("{wrong}\n{USAGE}"))?;
    if let Some(target) = &options.target {
        return suite::run(target, options.is_timed, &options.passed_on);
    }
    let (state, text) = load()?;
    if options.is_all {
        print!("{}", state.listing());
    }
    print!("{}", state.summary());
    if options.is_write {
        page::write(&root(), &text)?;
    }
    let outdated = page::check(&root(), &text).filter(|_| options.is_check);
    crate::report(Ok(state.findings.into_iter().chain(outdated).collect()))
}

/// The whole suite at the release build over this transport.
pub(crate) fn over(transport: listener::Transport) -> Result<(), String> {
    suite::over(transport)
}

/// What `cargo xtask ci` asks: nothing is missing and the manual's page is current.
pub(crate) fn check() -> Result<Vec<String>, String> {
    let (state, text) = load()?;
    Ok(state.findings.into_iter().chain(page::check(&root(), &text)).collect())
}

fn load() -> Result<(state::State, String), String> {
    let state = state::load(&root())?;
    let text = page::text(&state, &differences::load(&root())?);
    Ok((state, text))
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut transport = None;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
        match word.as_str() {
            "--all" => options.is_all = true,
            "--write" => options.is_write = true,
            "--check" => options.is_check = true,
            "--timed" => options.is_timed = true,
            "--transport" => transport = Some(value()?.parse()?),
            "--against" => options.target = Some(Target::parse(value()?)?),
            "--filter" | "--deadline" => options.passed_on.extend([word.clone(), value()?.clone()]),
            _ => return Err(format!("`{word}` is unknown")),
        }
    }
    if let Some(transport) = transport {
        let target = options.target.take().ok_or("`--transport` needs `--against`")?;
        options.target = Some(target.over(transport)?);
    }
    let for_the_list = options.is_all || options.is_write || options.is_check;
    let for_the_suite = options.is_timed || !options.passed_on.is_empty();
    match options.target {
        Some(_) if for_the_list => Err("`--against` runs the suite and lists nothing".to_owned()),
        None if for_the_suite => Err("this needs `--against`".to_owned()),
        _ if options.is_write && options.is_check => Err("either `--write` or `--check`".to_owned()),
        _ => Ok(options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let check = |words: &str, is_right: bool| {
            let arguments: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
            assert_eq!(parse(&arguments).is_ok(), is_right, "{words}");
        };
        check("", true);
        check("--all --check", true);
        check("--write --check", false);
        check("--against 1883 --timed --filter will --deadline 3", true);
        check("--against 1883 --all", false);
        check("--against whimbrel --transport wss", true);
        check("--against 1883 --transport wss", false);
        check("--against whimbrel --transport pigeon", false);
        check("--transport wss", false);
        check("--against", false);
        check("--timed", false);
        check("--filter will", false);
        check("--everything", false);
    }
}
