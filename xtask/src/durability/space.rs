//! What is written for a byte that was published, with a tenth of the messages never consumed, and what other clients notice while
//! the space of the others is given back. Not how fast it all goes.

use std::fs;
use std::path::Path;

use super::segments;
use super::stage::{Level, Stage, bytes_on_disk, needed};
use crate::json::Value;

/// Bytes of a payload; long, so that several generations of segments take seconds.
const PAYLOAD_BYTES: u32 = 1_000;
/// Pairs whose messages are consumed, and sessions whose are not.
const PAIRS: u32 = 45;
const AWAY: u32 = 5;

/// A time during which latencies were measured.
#[derive(Debug, Clone, Copy)]
struct Spell {
    given_back: u64,
    delivery: [f64; 3],
    puback: [f64; 3],
    /// Messages that were published, by all.
    messages: f64,
    files_bytes: u64,
}

pub(super) fn run(stage: &mut Stage) -> Result<String, String> {
    let rate = stage.size(18_000, 9_000);
    let mut text = "| messages/s in all | segments given back meanwhile | delivery: median, p99.9, max | PUBACK: median, p99.9, max |\n|---|---|---|---|\n".to_owned();
    let broker = stage.start_anew(&stage.whimbrel(Level::Power))?;
    let before = device_bytes(&stage.folder)?;
    let mut spells = Vec::new();
    // The first ends before the files are as long as cleaning begins at.
    for seconds in [stage.size(7, 2), stage.size(20, 4), stage.size(20, 4)] {
        let oldest = oldest(&stage.store())?;
        let pairs = begin(stage, &broker, rate, seconds)?;
        let spell = spell(stage, pairs, oldest)?;
        eprintln!("  {spell:.1?}");
        text.push_str(&row(&spell, seconds));
        spells.push(spell);
    }
    let written = device_bytes(&stage.folder)? - before;
    drop(broker);
    let (mut in_blocks, mut in_records) = (0, 0);
    let totals = segments::read(&stage.store(), |batch| {
        in_blocks += batch.block_bytes();
        in_records += batch.bytes;
    })?;
    let messages: f64 = spells.iter().map(|spell| spell.messages).sum();
    let published = messages * published_bytes();
    let records = totals.end as f64;
    let blocks = records * in_blocks as f64 / in_records.max(1) as f64;
    let files = spells.last().map_or(0, |spell| spell.files_bytes);
    let line = |bytes: f64| format!("{:.0} MB | {:.2} |\n", bytes / 1e6, bytes / published);
    text.push_str(&format!("\n| {messages:.0} messages of {PAYLOAD_BYTES} bytes | bytes | ÷ topics and payloads |\n|---|---|---|\n"));
    text.push_str(&format!("| topics and payloads | {}", line(published)));
    text.push_str(&format!("| records, with those that cleaning wrote anew | {}", line(records)));
    text.push_str(&format!("| blocks of 4 KiB that the syncs had to write | {}", line(blocks)));
    text.push_str(&format!("| written by the disk, for everybody on the machine | {}", line(written)));
    text.push_str(&format!("| files at the end | {}", line(files as f64)));
    text.push_str("\nOne message of ten is owed to sessions that never come, and stays.\n");
    Ok(text)
}

/// Bytes that the disk under a folder has written since the system started, for whomever. What a process is charged with
/// (write_bytes) does not serve: a byte in a large folio of the page cache is charged as the whole folio.
fn device_bytes(folder: &Path) -> Result<f64, String> {
    use std::os::unix::fs::MetadataExt;
    let device = fs::metadata(folder).map_err(|error| format!("{}: {error}", folder.display()))?.dev();
    let told = |error: std::io::Error| format!("/proc/diskstats: {error}");
    let text = fs::read_to_string("/proc/diskstats").map_err(told)?;
    let sectors = sectors_written(&text, device >> 8 & 0xFFF, device & 0xFF);
    // A file system without a disk writes nothing.
    Ok(sectors.unwrap_or(0.0) * 512.0)
}

fn sectors_written(text: &str, major: u64, minor: u64) -> Option<f64> {
    let fields = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut of_device = fields.filter(|fields| {
        fields.first() == Some(&major.to_string().as_str())
            && fields.get(1) == Some(&minor.to_string().as_str())
    });
    of_device.next()?.get(9)?.parse().ok()
}

/// Topic and payload of a message on average: `bench/RUN/INDEX`, where a run has eight letters.
fn published_bytes() -> f64 {
    f64::from(PAYLOAD_BYTES) + "bench/00000000/".len() as f64 + 1.75
}

type Loads = [super::stage::Load; 2];

/// Nine of ten messages are consumed, one waits for ever.
fn begin(
    stage: &Stage,
    broker: &crate::compare::contestant::Running,
    rate: u32,
    seconds: u32,
) -> Result<Loads, String> {
    let away = rate / 10;
    let each = away * seconds / AWAY;
    let left = format!("offline -q 1 -n {AWAY} --messages {each} --leave --rate {away} -s {PAYLOAD_BYTES}");
    let taken = format!(
        "p2p -q 1 -n {PAIRS} --persistent --rate {} --warmup 500ms --duration {seconds}s -s {PAYLOAD_BYTES}",
        rate - away
    );
    let begin = |line: &str, name| stage.begin_bench(broker, &line.split(' ').collect::<Vec<_>>(), name);
    Ok([begin(&left, "left")?, begin(&taken, "taken")?])
}

fn spell(stage: &Stage, [left, taken]: Loads, oldest_before: u64) -> Result<Spell, String> {
    // What two generators do to each other is no disturbance.
    let ignored = std::cell::RefCell::default();
    let (taken, left) = (taken.end(&ignored)??, left.end(&ignored)??);
    let quantiles = |name| -> Result<[f64; 3], String> {
        let at = |quantile: &str| needed(&taken, &[name, quantile]).map(|micros| micros / 1e3);
        Ok([at("p50_us")?, at("p99.9_us")?, at("max_us")?])
    };
    let sent = |value: &Value| needed(value, &["whole_run", "sent"]);
    Ok(Spell {
        given_back: oldest(&stage.store())? - oldest_before,
        delivery: quantiles("latency")?,
        puback: quantiles("acknowledgement")?,
        messages: sent(&taken)? + sent(&left)?,
        files_bytes: bytes_on_disk(&stage.store())?,
    })
}

fn row(spell: &Spell, seconds: u32) -> String {
    let told = |[p50, p999, max]: [f64; 3]| format!("{p50:.2}, {p999:.1}, {max:.1} ms");
    format!(
        "| {:.0} for {seconds} s | {} | {} | {} |\n",
        spell.messages / (f64::from(seconds) + 0.5),
        spell.given_back,
        told(spell.delivery),
        told(spell.puback)
    )
}

/// The number of the oldest segment; the first is made when there is something to write.
fn oldest(store: &Path) -> Result<u64, String> {
    let entries = fs::read_dir(store).map_err(|error| format!("{}: {error}", store.display()))?;
    let numbers =
        entries.filter_map(|entry| segments::segment_number(&entry.ok()?.file_name().to_string_lossy()));
    Ok(numbers.min().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sectors_are_those_of_the_device_and_of_writing() {
        let text = " 253 0 vda 1 2 3 4 5 6 777 8 9\n 253 1 vda1 1 2 3 4 5 6 555 8 9\n";
        assert_eq!(sectors_written(text, 253, 1), Some(555.0));
        assert_eq!(sectors_written(text, 253, 0), Some(777.0));
        assert_eq!(sectors_written(text, 8, 0), None);
    }
}
