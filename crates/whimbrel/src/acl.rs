//! `whimbrel acl`: what the rules say of a client, with the line that says it, and which rules decide nothing. It reads the
//! files; a running broker is not asked.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Subcommand, ValueEnum, ValueHint};
use whimbrel_access::{Claims, Partly, Rights, RuleId, Rules, Who};
use whimbrel_broker::access::{Kind, RulesFile};
use whimbrel_broker::config::{Config, PartialSubscriptions};
use whimbrel_codec::{Filter, check_topic_name};

use crate::cli::{FAILED, MISUSED};
use crate::ctl::shown;
use crate::{config_command, output, serve};

const EXIT_CODES: &str = "\
Exit codes: 0 it is allowed, or nothing is wrong; 1 it is denied, or something is found; 2 the command line is wrong, or \
the rules cannot be read.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell whether a client may do something, and which rule in which line says so
    #[command(after_long_help = EXIT_CODES)]
    Why(Why),
    /// Tell everything that is wrong with a file of rules, and which of its rules never decide
    #[command(after_long_help = EXIT_CODES)]
    Check {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,

        /// What it is; by its name if not said: `.toml` is a file of rules, `.json` a dynamic-security.json, else an acl_file
        #[arg(long, value_enum)]
        kind: Option<KindWord>,
    },
}

#[derive(Debug, clap::Args)]
struct Why {
    /// What it wants to do
    #[arg(value_enum)]
    action: Action,

    /// The topic, or the topic filter of a subscription
    topic: String,

    /// Its client identifier
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    client: String,

    /// Its user name; without one it is a client that has proved none
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// What its token says of it, for `${NAME}` in rules; can be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,

    /// A group that its token names; can be repeated
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,

    /// Where it comes from
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,

    /// The name of the listener on which it comes
    #[arg(long, value_name = "NAME", default_value = "")]
    listener: String,

    /// The QoS of its message
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,

    /// Its message is to be retained
    #[arg(long)]
    retain: bool,

    /// The configuration file that names the rules [env: WHIMBREL_CONFIG]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "rules")]
    config: Option<PathBuf>,

    /// The rules themselves
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    rules: Option<PathBuf>,

    /// What --rules is; by its name if not said
    #[arg(long, value_enum, requires = "rules")]
    kind: Option<KindWord>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Action {
    Publish,
    Subscribe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum KindWord {
    Rules,
    AclFile,
    DynamicSecurity,
}

/// What to say, and the exit code.
type Said = Result<(u8, String), String>;

pub(crate) fn run(args: Args) -> ExitCode {
    let said = match args.command {
        Command::Check { file, kind } => check(&named(file, kind)),
        Command::Why(why) => match sources(&why) {
            Ok((file, partly)) => explain(&why, &file, partly),
            Err(code) => return code,
        },
    };
    match said {
        Ok((code, text)) => {
            let written = output::text(text.as_bytes());
            if code == 0 { written } else { ExitCode::from(code) }
        }
        Err(sentence) => output::failure(MISUSED, sentence),
    }
}

fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Why {
    /// What its token says, where one is meant.
    fn claims(&self) -> Option<Arc<Claims>> {
        if self.claims.is_empty() && self.groups.is_empty() {
            return None;
        }
        let text = |text: &String| Box::from(text.as_str());
        let values = self.claims.iter().map(|(name, value)| (text(name), text(value)));
        Some(Arc::new(Claims::new(values.collect(), self.groups.iter().map(text).collect())))
    }
}

fn named(path: PathBuf, kind: Option<KindWord>) -> RulesFile {
    let by_name = || match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Kind::Rules,
        Some("json") => Kind::DynamicSecurity,
        _ => Kind::AclFile,
    };
    let kind = match kind {
        Some(KindWord::Rules) => Kind::Rules,
        Some(KindWord::AclFile) => Kind::AclFile,
        Some(KindWord::DynamicSecurity) => Kind::DynamicSecurity,
        None => by_name(),
    };
    RulesFile { path, kind }
}

/// The rules that are meant, and what becomes of a subscription of which a part may be read.
fn sources(why: &Why) -> Result<(RulesFile, Partly), ExitCode> {
    if let Some(rules) = &why.rules {
        return Ok((named(rules.clone(), why.kind), Partly::Refuse));
    }
    let config = serve::sources(why.config.clone()).and_then(|sources| Config::load(&sources));
    let config = config.map_err(|problems| config_command::refuse(&problems))?;
    let partly = match config.access.partial_subscriptions {
        PartialSubscriptions::Refuse => Partly::Refuse,
        PartialSubscriptions::Filter => Partly::Filter,
    };
    let file = RulesFile::of(&config.access).ok_or_else(|| {
        let sentence = "the configuration names no file of rules in [access], so everybody may do everything";
        output::failure(MISUSED, sentence)
    })?;
    Ok((file, partly))
}

fn read(file: &RulesFile) -> Result<Arc<Rules>, String> {
    file.read().map_err(|error| error.to_string())
}

fn check(file: &RulesFile) -> Said {
    let rules = read(file)?;
    let (findings, path) = (rules.lint(), shown_path(&file.path));
    if findings.is_empty() {
        return Ok((0, format!("{path}: {} rules, nothing is wrong\n", rules.len())));
    }
    let told = |finding: &whimbrel_access::Finding| {
        let line = finding.line.map(|line| format!("{line}:")).unwrap_or_default();
        format!("{path}:{line} {}\n", shown(&finding.message))
    };
    Ok((FAILED, findings.iter().map(told).collect()))
}

fn explain(why: &Why, file: &RulesFile, partly: Partly) -> Said {
    let rules = read(file)?;
    let who = Who {
        client_id: why.client.clone().into(),
        user_name: why.user.as_deref().map(Arc::from),
        address: why.address,
        listener: why.listener.as_str().into(),
        claims: why.claims(),
    };
    let rights = Rights::new(&rules, &Arc::new(who));
    let topic = &why.topic;
    let mut text = String::new();
    let allowed = match why.action {
        Action::Publish => {
            check_topic_name(topic).map_err(|fault| format!("{topic:?} is no topic: {fault}"))?;
            let decision = rights.publish(topic, why.qos, why.retain);
            text.push_str(&sentence(&rules, decision.allowed, "publish", decision.rule));
            decision.allowed
        }
        Action::Subscribe => {
            let filter =
                Filter::parse(topic).map_err(|fault| format!("{topic:?} is no topic filter: {fault}"))?;
            let grant = rights.subscribe(filter.filter, partly);
            text.push_str(&sentence(&rules, grant.granted, "subscribe", grant.rule));
            if grant.partly {
                text.push_str("a part of what it asks for may be read, another part not\n");
            }
            if !filter.has_wildcard() {
                let decision = rights.receive(filter.filter);
                text.push_str(&sentence(&rules, decision.allowed, "read", decision.rule));
            }
            grant.granted
        }
    };
    Ok((if allowed { 0 } else { FAILED }, text))
}

/// `allowed to publish by access.toml:3: allow = "publish", topics = "a/#"`.
fn sentence(rules: &Rules, allowed: bool, what: &str, rule: Option<RuleId>) -> String {
    let said = if allowed { "allowed" } else { "denied" };
    let file = shown(rules.file());
    match rule.and_then(|rule| rules.describe(rule)) {
        Some(rule) => {
            let line = rule.line.map(|line| format!("{line}:")).unwrap_or_default();
            format!("{said} to {what} by {file}:{line} {}\n", shown(&rule.words))
        }
        None if allowed => {
            format!("{said} to {what}: no rule of {file} speaks of it, and its default allows it\n")
        }
        None => format!("{said} to {what}: no rule of {file} allows it\n"),
    }
}

fn shown_path(path: &Path) -> String {
    shown(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_what_it_is_unless_somebody_says_it() {
        let kind = |name: &str, kind| named(name.into(), kind).kind;
        assert_eq!(kind("access.toml", None), Kind::Rules);
        assert_eq!(kind("dynamic-security.json", None), Kind::DynamicSecurity);
        assert_eq!(kind("acl", None), Kind::AclFile);
        assert_eq!(kind("acl.toml", Some(KindWord::AclFile)), Kind::AclFile);
    }
}
