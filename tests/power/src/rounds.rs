//! Round after round: the broker under load, the power cut at a random moment, the broker again on what is left. The load
//! and the account are `whimbrel bench crash`'s; here are its disk and its kills.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::control::{Cuts, Switch};
use crate::device::Pace;
use crate::disk::{Cut, Survival};
use crate::mount::Mount;

/// Four megabytes in a second at least, where the disk takes them.
const HEAVY: &[&str] = &["--size", "16384", "--rate", "2000", "--window", "30"];

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Rounds {
    pub(crate) rounds: u32,
    pub(crate) seed: u64,
    /// What each cut does; drawn from the seed where it is not said.
    pub(crate) cut: Option<Cut>,
    /// The broker's `--durability`.
    pub(crate) durability: String,
    pub(crate) is_sd_card: bool,
    /// Payloads of many sectors, and enough of them to begin new files.
    pub(crate) is_heavy: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Account {
    /// What the tool said to people.
    pub(crate) text: String,
    pub(crate) is_right: bool,
    lanes: Vec<Value>,
    cuts: Cuts,
}

impl Account {
    /// A column of the account, of all publishers together.
    pub(crate) fn sum(&self, column: &str) -> u64 {
        self.lanes.iter().filter_map(|lane| lane[column].as_u64()).sum()
    }

    /// What was cut, by kind.
    pub(crate) fn cuts(&self) -> String {
        let line = |(cut, all): (&Cut, &Vec<Survival>)| {
            let sum = |of: fn(&Survival) -> usize| all.iter().map(of).sum::<usize>();
            let met = all.iter().filter(|survival| survival.sectors > 0).count();
            format!(
                "{:<8}{:>5} cuts, {met} of them with unsynced data: {} sectors, {} survived; {} unsynced names\n",
                cut.name(),
                all.len(),
                sum(|one| one.sectors),
                sum(|one| one.survivors),
                sum(|one| one.names),
            )
        };
        let all: String = self.cuts.by_kind.iter().map(line).collect();
        format!("{all}{} of these cuts came while the broker was starting\n", self.cuts.stumbles)
    }
}

impl Rounds {
    /// Runs them against this program.
    ///
    /// # Errors
    /// It could not be found out: there is no account.
    pub(crate) fn run(&self, whimbrel: &Path) -> Result<Account, String> {
        let told = |error: std::io::Error| error.to_string();
        let mount = Mount::new(self.seed).map_err(told)?;
        // Without this a sync takes no time, and hardly a cut finds something that is not synced.
        mount.device.set_pace(if self.is_sd_card { Pace::sd_card() } else { Pace::syncs(500, 4_000) });
        let store = mount.store();
        let folder = tempfile::tempdir().map_err(told)?;
        let (socket, json) = (folder.path().join("switch"), folder.path().join("account.json"));
        let switch = Switch::new(mount, whimbrel, self.cut, self.seed).listen(&socket).map_err(told)?;
        let me = std::env::current_exe().map_err(told)?;
        let tell = format!("'{}' tell '{}'", me.display(), socket.display());
        let start = format!(
            "{tell} start $$ && exec '{}' serve --listen 127.0.0.1:{{port}} --durability {} --store-directory '{}'",
            whimbrel.display(),
            self.durability,
            store.display()
        );
        let output = Command::new(whimbrel)
            .args(["bench", "crash", &start, "--before-kill", &format!("{tell} cut"), "--json"])
            .arg(&json)
            .args(["--kills", &self.rounds.to_string(), "--seed", &self.seed.to_string()])
            .args(["--kill-min", "30ms", "--kill-max", "600ms"])
            .args(if self.is_heavy { HEAVY } else { &[] })
            .output();
        let is_kept = output.as_ref().is_ok_and(|output| output.status.success());
        // What a lower level loses is no news.
        let saved = if is_kept || self.durability != "power" {
            None
        } else {
            switch.lock().recover().ok().and_then(|()| save(&store))
        };
        let cuts = switch.lock().end();
        let output = output.map_err(|error| format!("{}: {error}", whimbrel.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let account =
            fs::read_to_string(&json).ok().and_then(|json| serde_json::from_str::<Value>(&json).ok());
        let Some(account) = account else {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("no account\n{text}{why}{}", saved.unwrap_or_default()));
        };
        let text = text + &saved.unwrap_or_default();
        Ok(Account {
            text,
            is_right: account["ok"] == true,
            lanes: account["lanes"].as_array().cloned().unwrap_or_default(),
            cuts,
        })
    }
}

/// Copies the store to where it outlives the run, for whoever wants to know what is wrong with it. Says where.
fn save(store: &Path) -> Option<String> {
    let folder = tempfile::Builder::new().prefix("whimbrel-store-").tempdir().ok()?.keep();
    for entry in fs::read_dir(store).ok()?.flatten() {
        fs::copy(entry.path(), folder.join(entry.file_name())).ok()?;
    }
    Some(format!("the store as it was at the end: {}\n", folder.display()))
}
