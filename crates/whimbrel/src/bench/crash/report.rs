//! The account for people and for programs. Not what is in it.

use std::fmt::Write;

use whimbrel_codec::Version;

use super::account::{Lane, Tally};

/// What was done.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) command: String,
    pub(super) kills: u32,
    pub(super) seed: u64,
}

/// The account as text.
pub(super) fn text(deed: &Deed, lanes: &[Lane]) -> String {
    let mut text = format!("killed {} times (seed {}): {}\n\n", deed.kills, deed.seed, deed.command);
    let names: Vec<_> = lanes.iter().map(name).collect();
    text.push_str(&format!("{:<24}", ""));
    for name in &names {
        let _ = write!(text, "{name:>13}");
    }
    text.push('\n');
    for (row, label) in ROWS.iter().enumerate() {
        let _ = write!(text, "{label:<24}");
        for lane in lanes {
            let value = lane.tally.columns().get(row).map_or(0, |(_, value)| *value);
            let _ = write!(text, "{value:>13}");
        }
        text.push('\n');
    }
    text.push_str(match lanes.iter().all(|lane| lane.tally.is_right()) {
        true => "\nevery acknowledgement was kept\n",
        false => "\nNOT KEPT: the broker acknowledged what it then forgot, or sent what it must not\n",
    });
    text
}

/// The rows of the table, in the order of [`Tally::columns`].
const ROWS: [&str; 20] = [
    "published",
    "acknowledged",
    "refused",
    "abandoned, unpromised",
    "never answered",
    "deliveries owed",
    "LOST",
    "  with their session",
    "QoS 0 missing (may be)",
    "QoS 0 TWICE",
    "QoS 2 TWICE",
    "QoS 1 again (may be)",
    "after a later one",
    "never sent",
    "sessions resumed",
    "sessions LOST",
    "retained values checked",
    "retained LOST",
    "retained STALE",
    "retained, never sent",
];

/// The account as one JSON object.
pub(super) fn json(deed: &Deed, lanes: &[Lane]) -> String {
    let is_right = lanes.iter().all(|lane| lane.tally.is_right());
    let mut json = format!(
        "{{\"scenario\":\"crash\",\"command\":{},\"kills\":{},\"seed\":{},\"ok\":{is_right},\"lanes\":[",
        quoted(&deed.command),
        deed.kills,
        deed.seed
    );
    for (at, lane) in lanes.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ =
            write!(json, "{comma}{{\"protocol\":\"{}\",\"qos\":{}", protocol(lane.version), lane.qos.bits());
        for (name, value) in Tally::columns(&lane.tally) {
            let _ = write!(json, ",\"{name}\":{value}");
        }
        json.push('}');
    }
    json.push_str("]}\n");
    json
}

fn name(lane: &Lane) -> String {
    format!("{} QoS {}", protocol(lane.version), lane.qos.bits())
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::V31 => "3.1",
        Version::V311 => "3.1.1",
        Version::V5 => "5.0",
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use whimbrel_codec::QoS;

    use super::*;

    fn account(lost: u64) -> (Deed, Vec<Lane>) {
        let tally = Tally { acknowledged: 40, owed: 80, lost, ..Tally::default() };
        let deed = Deed { command: "a \"b\"\n".to_owned(), kills: 3, seed: 9 };
        (deed, vec![Lane { version: Version::V5, qos: QoS::ExactlyOnce, tally }])
    }

    #[test]
    fn a_loss_is_said() {
        let (deed, lanes) = account(0);
        assert!(text(&deed, &lanes).ends_with("every acknowledgement was kept\n"));
        let (deed, lanes) = account(2);
        let text = text(&deed, &lanes);
        assert!(
            text.contains("LOST                                2\n") && text.contains("NOT KEPT"),
            "{text}"
        );
    }

    #[test]
    fn json_carries_every_column() {
        let (deed, lanes) = account(2);
        let json = json(&deed, &lanes);
        assert!(json.starts_with(
            r#"{"scenario":"crash","command":"a \"b\"\u000a","kills":3,"seed":9,"ok":false,"lanes":[{"protocol":"5.0","qos":2,"published":0,"acknowledged":40,"#
        ));
        assert!(json.contains(r#""owed":80,"lost":2,"#) && json.ends_with("}]}\n"), "{json}");
    }
}
