//! What has come of a reload, as text.

use std::fmt::Write as _;

use whimbrel_broker::control::Reloaded;

use super::paint::Paint;
use super::table::shown;

pub(super) fn text(reloaded: &Reloaded, paint: Paint) -> String {
    let mut out = String::new();
    if reloaded.log_reopened {
        out.push_str("the log is open anew\n");
    }
    if let Some(users) = reloaded.users {
        let _ = writeln!(out, "the password file has {users} users");
    }
    if let (Some(rules), Some(ended)) = (reloaded.rules, reloaded.subscriptions_ended) {
        let _ = writeln!(out, "{rules} rules are in force; {ended} subscriptions ended");
    }
    if let Some(issuers) = reloaded.tokens {
        let _ = writeln!(out, "the tokens of {issuers} issuers are good");
    }
    for listener in &reloaded.certificates {
        let _ = writeln!(out, "listener {} has other certificates", shown(listener));
    }
    for listener in &reloaded.opened {
        let _ = writeln!(out, "listener {} is open", shown(listener));
    }
    for listener in &reloaded.closed {
        let _ = writeln!(out, "listener {} is closed", shown(listener));
    }
    for change in &reloaded.changed {
        let _ = writeln!(out, "{}, from now on", shown(&change.to_string()));
    }
    for change in &reloaded.needs_restart {
        let _ =
            writeln!(out, "{}", paint.warning(&format!("{}, after a restart", shown(&change.to_string()))));
    }
    for fault in &reloaded.faults {
        let _ = writeln!(out, "{}", paint.fault(&shown(&fault.to_string())));
    }
    match (reloaded.faults.len(), reloaded.changed.len() + reloaded.needs_restart.len()) {
        (0, 0) => out.push_str("the configuration is as it was\n"),
        (0, _) => {}
        (1, _) => out.push_str("this is wrong; what it is about stays as it was\n"),
        (count, _) => {
            let _ = writeln!(out, "these {count} things are wrong; what they are about stays as it was");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use whimbrel_broker::control::{Change, Fault};

    use super::*;

    #[test]
    fn a_reload_tells_what_counts_now_what_later_and_what_is_wrong() {
        let change = |key: &str, after: &str| Change {
            key: key.to_owned(),
            before: Some("1".to_owned()),
            after: Some(after.to_owned()),
        };
        let mut reloaded = Reloaded {
            log_reopened: true,
            users: Some(2),
            rules: Some(3),
            subscriptions_ended: Some(1),
            tokens: Some(2),
            certificates: vec!["door".to_owned()],
            opened: vec!["garden".to_owned()],
            closed: vec!["cellar".to_owned()],
            changed: vec![change("log.level", "\"debug\"")],
            needs_restart: vec![change("worker.threads", "4")],
            faults: Vec::new(),
        };
        let head = "the log is open anew\nthe password file has 2 users\n3 rules are in force; 1 subscriptions ended\nthe tokens of 2 issuers are good\nlistener door has other certificates\nlistener garden is open\nlistener cellar is closed\nlog.level: 1 → \"debug\", from now on\n\
                    worker.threads: 1 → 4, after a restart\n";
        assert_eq!(text(&reloaded, Paint::NONE), head);
        reloaded.faults = vec![Fault {
            file: Some("w.toml".into()),
            line: Some(3),
            column: Some(7),
            key: Some("log.level".to_owned()),
            message: "no".to_owned(),
            ..Fault::default()
        }];
        let told = "w.toml:3:7: log.level: no\nthis is wrong; what it is about stays as it was\n";
        assert_eq!(text(&reloaded, Paint::NONE), format!("{head}{told}"));
        assert!(text(&Reloaded::default(), Paint::NONE).contains("as it was"));
    }
}
