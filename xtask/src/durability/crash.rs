//! `whimbrel bench crash` against Whimbrel and against Mosquitto with the persistence that keeps most. Not a measure of speed.

use std::fmt::Write;
use std::fs;

use super::stage::{Level, Stage};
use crate::compare::mosquitto_version;
use crate::json::{self, Value};

/// It writes its file after every change that it counts as one, once a second at the soonest.
const MOSQUITTO: &str = "\
mkdir -p '{dir}/store' && printf '%s\\n' 'listener {port} 127.0.0.1' 'allow_anonymous true' 'persistence true' \
'persistence_location {dir}/store/' 'autosave_interval 1' 'autosave_on_changes true' 'max_queued_messages 0' \
'max_inflight_messages 0' 'log_dest none' 'user root' > '{dir}/config' && PATH=\"$PATH:/usr/sbin\" exec mosquitto -c '{dir}/config'";

/// The columns: heading, and the names in the account that are summed up.
const COLUMNS: [(&str, &[&str]); 10] = [
    ("published", &["published"]),
    ("acknowledged", &["acknowledged"]),
    ("deliveries owed", &["owed"]),
    ("lost", &["lost"]),
    ("QoS 2 twice", &["qos2_duplicates"]),
    ("QoS 0 twice", &["qos0_duplicates"]),
    ("never answered", &["unanswered"]),
    ("sessions lost", &["sessions_lost"]),
    ("retained lost or stale", &["retained_lost", "retained_stale", "retained_strangers"]),
    ("QoS 0 missing, as it may", &["qos0_missing"]),
];

pub(super) fn run(stage: &mut Stage) -> Result<String, String> {
    let mut brokers: Vec<(String, String)> = [Level::Power, Level::Process]
        .iter()
        .map(|level| (format!("Whimbrel, `{}`", level.name()), stage.serve(*level, "{dir}/store")))
        .collect();
    if mosquitto_version().is_some() {
        brokers.push(("Mosquitto, autosave after every change".to_owned(), MOSQUITTO.to_owned()));
    }
    let kills = stage.size("30", "3");
    let mut text = "| broker |".to_owned();
    COLUMNS.iter().for_each(|(heading, _)| text.push_str(&format!(" {heading} |")));
    let _ = write!(text, "\n|---{}|\n", "|---".repeat(COLUMNS.len()));
    let (mut lanes, mut seeds) = (String::new(), Vec::new());
    for (name, command) in brokers {
        let file = stage.folder.join("account.json");
        let account = file.display().to_string();
        let line = ["bench", "crash", &command, "--kills", kills, "--seed", "6", "--json", &account];
        stage.program(&line, &[0, 1])?;
        let told = fs::read_to_string(&file).map_err(|error| format!("{account}: {error}"))?;
        let account = json::parse(&told)?;
        let row = row(&name, account.member("lanes").items());
        eprint!("  {row}");
        text.push_str(&row);
        for lane in account.member("lanes").items() {
            let title = format!(
                "{name}: {} QoS {}",
                lane.member("protocol").text().unwrap_or_default(),
                lane.member("qos").number().unwrap_or_default()
            );
            lanes.push_str(&self::row(&title, std::slice::from_ref(lane)));
        }
        seeds.extend(account.member("kills").number());
    }
    let _ = write!(
        text,
        "\nBy version and QoS of the publisher:\n\n| broker |{}\n",
        COLUMNS.map(|(heading, _)| format!(" {heading} |")).concat()
    );
    let _ = writeln!(text, "|---{}|", "|---".repeat(COLUMNS.len()));
    text.push_str(&lanes);
    let _ =
        writeln!(text, "\nEach was killed {:.0} times, at the same moments.", seeds.first().unwrap_or(&0.0));
    Ok(text)
}

/// The sums over these lanes.
fn row(name: &str, lanes: &[Value]) -> String {
    let mut row = format!("| {name} |");
    for (_, names) in COLUMNS {
        let counts = lanes.iter().flat_map(|lane| names.iter().filter_map(|name| lane.member(name).number()));
        let _ = write!(row, " {} |", counts.map(|count| count as u64).sum::<u64>());
    }
    row.push('\n');
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_sums_up_the_lanes() {
        let told = r#"{"lanes":[{"published":16,"acknowledged":10,"lost":1,"retained_lost":2,"retained_stale":3},
            {"acknowledged":5,"lost":0,"qos2_duplicates":4,"retained_strangers":1}]}"#;
        let account = json::parse(told).unwrap();
        let row = row("A", account.member("lanes").items());
        assert_eq!(row, "| A | 16 | 15 | 0 | 1 | 4 | 0 | 0 | 0 | 6 | 0 |\n");
    }
}
