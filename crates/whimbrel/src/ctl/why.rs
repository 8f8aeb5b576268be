//! A decision about a client and the rule behind it, as text. Not the decision.

use clap::ValueEnum;
use whimbrel_broker::control::{Action, Answer, Decided, Request};

use super::{Failure, Said, door::Door, line, table::shown};
use crate::cli::FAILED;

/// What somebody wants to know of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Wish {
    Publish,
    Subscribe,
}

impl From<Wish> for Action {
    fn from(wish: Wish) -> Self {
        match wish {
            Wish::Publish => Self::Publish,
            Wish::Subscribe => Self::Subscribe,
        }
    }
}

/// Asks and tells; exit code 1 where it is denied.
pub(super) async fn ask(door: &mut Door, asked: Request, json: bool) -> Result<Said, Failure> {
    let Answer::Decided(decided) = door.ask(&asked).await? else { return Err(door.foreign()) };
    let code = if decided.allowed { 0 } else { FAILED };
    Ok(Said { code, text: if json { line(&decided)? } else { text(&decided) }, note: None })
}

fn text(decided: &Decided) -> String {
    let said = if decided.allowed { "allowed" } else { "denied" };
    let file = shown(&decided.file);
    let why = match (&decided.rule, decided.allowed) {
        (Some(rule), _) => {
            let line = decided.line.map(|line| format!("{line}:")).unwrap_or_default();
            format!("{file}:{line} {}", shown(rule))
        }
        (None, true) => format!("{file}: no rule speaks of it, and its default allows it"),
        (None, false) => format!("{file}: no rule allows it"),
    };
    let user =
        decided.user.as_deref().map_or("no user name".to_owned(), |user| format!("user {}", shown(user)));
    let address = decided.address.as_deref().unwrap_or("nowhere that is known");
    let partly = match decided.partly {
        true => "\na part of what it asks for may be read, another part not",
        false => "",
    };
    let (client, listener) = (shown(&decided.client_id), shown(&decided.listener));
    format!("{said} to {client} ({user}, from {address}, listener {listener})\n{why}{partly}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_told_with_the_client_and_the_line() {
        let decided = Decided {
            client_id: "pump".to_owned(),
            user: Some("anna".to_owned()),
            address: Some("192.0.2.1".to_owned()),
            listener: "house".to_owned(),
            allowed: false,
            partly: true,
            file: "access.toml".to_owned(),
            line: Some(3),
            rule: Some("deny = \"subscribe\", topics = \"a\"".to_owned()),
        };
        assert_eq!(
            text(&decided),
            "denied to pump (user anna, from 192.0.2.1, listener house)\naccess.toml:3: deny = \"subscribe\", topics = \
             \"a\"\na part of what it asks for may be read, another part not\n"
        );
        let silent = Decided { user: None, rule: None, line: None, partly: false, ..decided };
        assert!(text(&silent).ends_with("access.toml: no rule allows it\n"));
    }
}
