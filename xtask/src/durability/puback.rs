//! How long publishers wait for PUBACK at level `power` under a tenth of what the broker bears, beside two loops that write as
//! much and sync it and do nothing else, on the same file system: one again and again, so that it meets a stall of the machine
//! once, and one that is given as many messages at the same times, so that all who are due during a stall have waited. Not
//! throughput.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::segments;
use super::sides::{Target, verdict};
use super::stage::{Level, Stage, needed};
use super::unwritten::Shares;
use crate::compare::statistics::{Ratio, median};
use crate::compare::table::told;

/// The journal writes zeros so far ahead while its frames are small, and so do the loops.
const FILL_BYTES: u64 = 64 << 10;
/// Of what the broker bears.
const SHARE: f64 = 0.1;
const WARM_UP: Duration = Duration::from_millis(300);

/// What one round found: quantiles in microseconds.
#[derive(Debug, Clone, Copy)]
struct Round {
    puback: [f64; 2],
    bare: [f64; 2],
    due: [f64; 2],
    batch_bytes: u64,
    syncs: f64,
}

/// Median and p99 of one of the three.
type Of = fn(&Round) -> [f64; 2];

pub(super) fn run(stage: &mut Stage) -> Result<String, String> {
    let mut text = String::new();
    for publishers in [100, 1] {
        let rate = most(stage, publishers)? * SHARE;
        let mut rounds = Vec::new();
        for round in 0..stage.rounds {
            let found = one_round(stage, publishers, rate, round % 2 == 1)?;
            eprintln!("  {publishers} publishers, {rate:.0}/s, round {}: {found:.0?}", round + 1);
            rounds.push(found);
        }
        text.push_str(&section(publishers, rate, &rounds));
    }
    Ok(text)
}

fn section(publishers: u32, rate: f64, rounds: &[Round]) -> String {
    let middle =
        |of: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(of).collect::<Vec<_>>()).unwrap_or(0.0);
    let ratio = |of: Of, at: usize| {
        let pair = |round: &Round| Some((*round.puback.get(at)?, *of(round).get(at)?));
        Ratio::of(&rounds.iter().filter_map(pair).collect::<Vec<_>>())
    };
    let bare: Of = |round| round.bare;
    let due: Of = |round| round.due;
    let title = if publishers == 1 { "1 publisher".to_owned() } else { format!("{publishers} publishers") };
    let mut text = format!(
        "| {title}, {rate:.0} messages/s, {:.0} syncs/s of {:.0} bytes | median | p99 |\n|---|---|---|\n",
        middle(&|round| round.syncs),
        middle(&|round| round.batch_bytes as f64),
    );
    let row = |name: &str, of: Of| {
        format!(
            "| {name} | {:.0} µs | {:.0} µs |\n",
            middle(&|round| of(round)[0]),
            middle(&|round| of(round)[1])
        )
    };
    text.push_str(&row("PUBACK", |round| round.puback));
    text.push_str(&row("write and sync, again and again", bare));
    text.push_str(&format!("| ratio | {} | {} |\n", told(ratio(bare, 0)), told(ratio(bare, 1))));
    text.push_str(&row("write and sync what is due at the same rate", due));
    text.push_str(&format!("| ratio | {} | {} |\n\n", told(ratio(due, 0)), told(ratio(due, 1))));
    let what = format!("{title}: p99 of PUBACK ÷ p99 of writing and syncing as much, again and again");
    text.push_str(&verdict(&what, ratio(bare, 1), Target::AtMost(1.5)));
    let what = format!("{title}: p99 of PUBACK ÷ p99 of writing and syncing what is due at the same rate");
    text + &verdict(&what, ratio(due, 1), Target::AtMost(1.5)) + "\n"
}

/// What the broker bears of such a load: messages per second of so many publishers, each of whom sends the next when the one
/// before has arrived. With more on their way they would share wake-ups and syncs, and cost a fraction of what single
/// messages cost: a tenth of that is half of what the broker bears of these.
fn most(stage: &Stage, publishers: u32) -> Result<f64, String> {
    let broker = stage.start_anew(&stage.whimbrel(Level::Power))?;
    let load = format!(
        "p2p -q 1 -n {publishers} --persistent --window 1 --warmup 300ms --duration {}",
        stage.size("2s", "500ms")
    );
    let value = stage.bench(&broker, &load.split(' ').collect::<Vec<_>>())??;
    needed(&value, &["measured", "delivered_per_second"])
}

/// All three, one after the other; the loops write what a batch of the run before had.
fn one_round(stage: &Stage, publishers: u32, rate: f64, bare_first: bool) -> Result<Round, String> {
    let time = Duration::from_secs_f64(stage.size(3.0, 0.5));
    let before = if bare_first { Some(loops(stage, last_batch(stage)?, rate, time)?) } else { None };
    let broker = stage.start_anew(&stage.whimbrel(Level::Power))?;
    let load = format!(
        "p2p -q 1 -n {publishers} --persistent --rate {rate:.0} --warmup {}ms --duration {}ms",
        WARM_UP.as_millis(),
        time.as_millis()
    );
    let value = stage.bench(&broker, &load.split(' ').collect::<Vec<_>>())??;
    drop(broker);
    let (batch_bytes, batches) = last_batch(stage)?;
    let [bare, due] = before.map_or_else(|| loops(stage, (batch_bytes, batches), rate, time), Ok)?;
    let puback =
        [needed(&value, &["acknowledgement", "p50_us"])?, needed(&value, &["acknowledgement", "p99_us"])?];
    Ok(Round { puback, bare, due, batch_bytes, syncs: batches as f64 / (WARM_UP + time).as_secs_f64() })
}

/// Bytes of a batch on average, and how many there were, of the last run: from what it has left.
fn last_batch(stage: &Stage) -> Result<(u64, u64), String> {
    let mut shares = Shares::default();
    segments::read(&stage.store(), |batch| shares.take(batch))?;
    Ok((shares.batch_bytes(), shares.batches))
}

/// The quantiles of both loops: of writing batches of that size again and again, and of writing what is due.
fn loops(
    stage: &Stage,
    (bytes, batches): (u64, u64),
    rate: f64,
    time: Duration,
) -> Result<[[f64; 2]; 2], String> {
    let path = stage.folder.join("bare");
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let quantiles = |mut spans: Vec<u64>| {
        spans.sort_unstable();
        [quantile(&spans, 0.5), quantile(&spans, 0.99)]
    };
    let again = bare(Ahead::create(&path).map_err(told)?, bytes.max(1), time).map_err(told)?;
    let each = (bytes * batches) as f64 / (rate * (WARM_UP + time).as_secs_f64());
    let due =
        what_is_due(Ahead::create(&path).map_err(told)?, each.ceil() as u64, rate, time).map_err(told)?;
    fs::remove_file(&path).map_err(told)?;
    Ok([quantiles(again), quantiles(due)])
}

/// A file with zeros written ahead.
struct Ahead {
    file: File,
    at: u64,
    filled: u64,
}

impl Ahead {
    fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: File::create(path)?, at: 0, filled: 0 })
    }

    fn write_and_sync(&mut self, payload: &[u8]) -> std::io::Result<()> {
        let end = self.at + payload.len() as u64;
        while self.filled < end {
            self.file.write_all_at(&[0; FILL_BYTES as usize], self.filled)?;
            self.filled += FILL_BYTES;
        }
        self.file.write_all_at(payload, self.at)?;
        self.at = end;
        self.file.sync_data()
    }
}

/// Writes so many bytes and syncs them, again and again: how long each took, in nanoseconds.
fn bare(mut file: Ahead, bytes: u64, time: Duration) -> std::io::Result<Vec<u64>> {
    let payload = vec![0x5A; bytes as usize];
    let mut spans = Vec::new();
    let start = Instant::now();
    while start.elapsed() < time {
        let begun = Instant::now();
        file.write_and_sync(&payload)?;
        spans.push(nanos(begun.elapsed()));
    }
    Ok(spans)
}

/// Writes and syncs all that is due, `each` bytes a message: how long each message took from when it was due.
fn what_is_due(mut file: Ahead, each: u64, rate: f64, time: Duration) -> std::io::Result<Vec<u64>> {
    let mut spans = Vec::new();
    let due = |message: usize| Duration::from_secs_f64(message as f64 / rate);
    let start = Instant::now();
    while due(spans.len()) < time {
        let first = spans.len();
        thread::sleep(due(first).saturating_sub(start.elapsed()));
        let until = (start.elapsed().as_secs_f64() * rate) as usize + 1;
        file.write_and_sync(&vec![0x5A; until.saturating_sub(first) * each as usize])?;
        let now = start.elapsed();
        spans.extend((first..until).map(|message| nanos(now.saturating_sub(due(message)))));
    }
    Ok(spans)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// In microseconds; of spans in their order.
fn quantile(spans: &[u64], share: f64) -> f64 {
    let rank = (spans.len() as f64 * share).ceil() as usize;
    spans.get(rank.saturating_sub(1)).map_or(0.0, |nanos| *nanos as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_smallest_that_so_many_do_not_exceed() {
        let spans: Vec<u64> = (1..=100).map(|number| number * 1_000).collect();
        assert_eq!(
            (quantile(&spans, 0.5), quantile(&spans, 0.99), quantile(&spans, 1.0)),
            (50.0, 99.0, 100.0)
        );
        assert_eq!((quantile(&spans[..1], 0.99), quantile(&[], 0.5)), (1.0, 0.0));
    }

    #[test]
    fn a_section_tells_the_ratio_and_the_verdict() {
        let round = Round {
            puback: [200.0, 800.0],
            bare: [100.0, 400.0],
            due: [160.0, 640.0],
            batch_bytes: 300,
            syncs: 5e3,
        };
        let text = section(1, 900.0, &[round, round]);
        assert!(
            text.starts_with("| 1 publisher, 900 messages/s, 5000 syncs/s of 300 bytes | median | p99 |\n"),
            "{text}"
        );
        assert!(text.contains("| ratio | **2.00** (2.00–2.00) | **2.00**"), "{text}");
        assert!(text.contains("at most 1.5: 2.00 (2.00–2.00), **missed**"), "{text}");
        assert!(text.contains("at most 1.5: 1.25 (1.25–1.25), reached"), "{text}");
    }
}
