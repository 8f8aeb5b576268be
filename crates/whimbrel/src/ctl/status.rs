//! The status of a broker as text.

use std::fmt::Write as _;
use std::path::Path;

use whimbrel_broker::control::{Gauge, Journal, Logins, Status, Tries};

use super::paint::Paint;
use super::quantity::{bytes, moment, number, span};
use super::table::{Align, Table, cell, shown};

pub(super) fn text(status: &Status, socket: &Path, paint: Paint) -> String {
    let mut out = String::new();
    for alarm in &status.alarms {
        let word = if alarm.reached { "reached" } else { "nearly reached" };
        let Gauge { now, max } = alarm.gauge;
        let line = format!("alarm: {} is {word}: {} of {}", alarm.limit, number(now), number(max));
        let _ = writeln!(out, "{}", paint.fault(&line));
    }
    for warning in &status.warnings {
        let _ = writeln!(out, "{}", paint.warning(&format!("warning: {}", shown(warning))));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&loaded(status, socket).text(paint));
    out.push('\n');
    out.push_str(&listeners(status).text(paint));
    out.push('\n');
    out.push_str(&amounts(status).text(paint));
    if let Some(journal) = &status.journal {
        let _ = write!(out, "\n{}", self::journal(journal).text(paint));
    }
    let logins = logins(&status.logins);
    if !logins.is_empty() {
        let _ = write!(out, "\n{}", logins.text(paint));
    }
    let counts = counts(status);
    if !counts.is_empty() {
        let _ = write!(out, "\n{}", counts.text(paint));
    }
    out
}

fn loaded(status: &Status, socket: &Path) -> Table {
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    let file = status.config_file.as_ref().map(|file| shown(&file.display().to_string()));
    let rows = [
        ("whimbrel", format!("{}, process {}", status.version, status.pid)),
        ("up", format!("{}, since {}", span(status.uptime_secs), moment(status.started))),
        ("configuration", file.unwrap_or_else(|| "no file: defaults, environment and flags".to_owned())),
        ("control socket", shown(&socket.display().to_string())),
        ("log", status.log_level.clone()),
        ("worker threads", status.workers.to_string()),
    ];
    rows.into_iter().for_each(|(name, value)| table.row([name.to_owned(), value]));
    table
}

fn listeners(status: &Status) -> Table {
    let mut table = Table::new(&[
        ("LISTENER", Align::Left),
        ("ADDRESS", Align::Left),
        ("WHO", Align::Left),
        ("CONNECTIONS", Align::Right),
        ("AT MOST", Align::Right),
    ]);
    for listener in &status.listeners {
        table.row([
            cell(&listener.name),
            listener.addresses.join(" "),
            listener.authentication.clone(),
            number(listener.connections as u64),
            listener.connections_max.map_or_else(|| "-".to_owned(), |max| number(max as u64)),
        ]);
    }
    table
}

fn amounts(status: &Status) -> Table {
    let mut table = Table::new(&[("", Align::Left), ("NOW", Align::Right), ("AT MOST", Align::Right)]);
    let counted = |gauge: Gauge| (number(gauge.now), number(gauge.max));
    let sized = |gauge: Gauge| (bytes(gauge.now), bytes(gauge.max));
    let alone = |text: String| (text, "-".to_owned());
    let Status { retained, queues, traffic, .. } = status;
    let rows = [
        ("clients connected", counted(status.clients)),
        ("connections", alone(number(status.connections as u64))),
        ("coming in", counted(status.newcomers.under_way)),
        ("waiting to come in", alone(number(status.newcomers.waiting as u64))),
        ("sessions", counted(status.sessions)),
        ("subscriptions", counted(status.subscriptions)),
        ("shared groups", alone(number(status.shared_groups as u64))),
        ("retained messages", counted(retained.messages)),
        ("retained bytes", sized(retained.bytes)),
        ("queued messages", alone(number(queues.messages as u64))),
        ("of them on disk alone", alone(number(queues.messages_on_disk as u64))),
        ("bytes of those", sized(queues.bytes_on_disk)),
        ("memory of messages", sized(queues.bytes)),
        ("waiting for sockets", sized(queues.outbox_bytes)),
        ("messages received", alone(number(traffic.messages_received))),
        ("messages sent", alone(number(traffic.messages_sent))),
        ("bytes received", alone(bytes(traffic.bytes_received))),
        ("bytes sent", alone(bytes(traffic.bytes_sent))),
    ];
    rows.into_iter().for_each(|(name, (now, max))| table.row([name.to_owned(), now, max]));
    table
}

fn journal(journal: &Journal) -> Table {
    let mut table = Table::new(&[("JOURNAL", Align::Left), ("", Align::Left)]);
    let rows = [
        ("level", journal.level.clone()),
        ("folder", shown(&journal.folder.to_string_lossy())),
        ("state", shown(&journal.state)),
        (
            "commit",
            format!(
                "p50 {} µs, p99 {} µs",
                number(journal.commit_micros_p50),
                number(journal.commit_micros_p99)
            ),
        ),
        ("commits", format!("{}, {} each", number(journal.commits), bytes(journal.batch_bytes))),
        ("waiting", format!("{} of {}", bytes(journal.staged_bytes.now), bytes(journal.staged_bytes.max))),
        ("on disk", format!("{}, of which {} are needed", bytes(journal.bytes), bytes(journal.live_bytes))),
    ];
    rows.into_iter().for_each(|(name, value)| table.row([name.to_owned(), value]));
    table
}

/// Who tries passwords; nothing while nobody does.
fn logins(logins: &Logins) -> Table {
    let mut table =
        Table::new(&[("WRONG PASSWORDS", Align::Left), ("OF", Align::Right), ("NOT HEARD", Align::Right)]);
    let rows = [
        ("users at an address", logins.users_at_addresses),
        ("addresses", logins.addresses),
        ("users", logins.users),
    ];
    for (name, Tries { wrong, unheard }) in rows.into_iter().filter(|(_, tries)| tries.wrong.now > 0) {
        table.row([name.to_owned(), number(wrong.now), number(unheard)]);
    }
    table
}

/// What has happened since the start and is worth a look; the JSON has everything.
fn counts(status: &Status) -> Table {
    let mut table = Table::new(&[("SINCE THE START", Align::Left), ("", Align::Right)]);
    let quiet = ["packets_received", "packets_sent", "payload_bytes_received", "payload_bytes_sent"];
    let told = status.counts.iter().filter(|(name, _)| !quiet.contains(&name.as_str()));
    told.for_each(|(name, value)| table.row([name.clone(), number(*value)]));
    table
}

#[cfg(test)]
mod tests {
    use whimbrel_broker::control::{Alarm, Newcomers, Queues, Retained, Traffic};

    use super::*;

    fn status() -> Status {
        let gauge = Gauge { now: 9, max: 10 };
        Status {
            version: "1.2.3".to_owned(),
            pid: 7,
            uptime_secs: 61,
            started: 0,
            config_file: None,
            log_level: "info".to_owned(),
            workers: 1,
            listeners: Vec::new(),
            clients: gauge,
            connections: 9,
            newcomers: Newcomers::default(),
            sessions: gauge,
            subscriptions: gauge,
            shared_groups: 0,
            retained: Retained { messages: gauge, bytes: gauge },
            queues: Queues {
                messages: 0,
                messages_on_disk: 0,
                bytes_on_disk: gauge,
                bytes: gauge,
                outbox_bytes: gauge,
            },
            traffic: Traffic { messages_received: 0, messages_sent: 0, bytes_received: 0, bytes_sent: 0 },
            logins: Logins::default(),
            counts: [("packets_received".to_owned(), 5), ("takeovers".to_owned(), 1_000)].into(),
            journal: None,
            alarms: vec![Alarm { limit: "limits.sessions_max".to_owned(), reached: true, gauge }],
            warnings: vec!["look\u{7}".to_owned()],
        }
    }

    #[test]
    fn what_an_operator_should_look_at_comes_first() {
        let text = text(&status(), Path::new("/c.sock"), Paint::NONE);
        let head = "alarm: limits.sessions_max is reached: 9 of 10\nwarning: look\\u{7}\n\nwhimbrel ";
        assert!(text.starts_with(head), "{text}");
        assert!(text.contains("up              1 min 1 s, since ") && text.contains("no file: "), "{text}");
        assert!(text.ends_with("takeovers        1,000\n") && !text.contains("packets_received"), "{text}");
    }

    #[test]
    fn the_journal_has_a_table_where_there_is_one() {
        let mut status = status();
        assert!(!text(&status, Path::new("/"), Paint::NONE).contains("JOURNAL"));
        status.journal = Some(Journal {
            level: "power".to_owned(),
            folder: "/var/lib/whimbrel".into(),
            state: "running".to_owned(),
            commits: 12_345,
            commit_micros_p50: 256,
            commit_micros_p99: 2_048,
            batch_bytes: 6_144,
            staged_bytes: Gauge { now: 1 << 20, max: 64 << 20 },
            bytes: 64 << 20,
            live_bytes: 16 << 20,
        });
        let text = text(&status, Path::new("/"), Paint::NONE);
        for line in [
            "level    power",
            "folder   /var/lib/whimbrel",
            "commit   p50 256 µs, p99 2,048 µs",
            "commits  12,345, 6.0 KiB each",
            "waiting  1.0 MiB of 64.0 MiB",
            "on disk  64.0 MiB, of which 16.0 MiB are needed",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
