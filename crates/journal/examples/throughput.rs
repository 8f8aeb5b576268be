//! What the log costs: CPU per record, and the latency of a commit beside a bare loop of write and `fdatasync`.
//!
//! `cargo run --release -p whimbrel-journal --example throughput [FOLDER]` writes some gigabytes into a folder of its own
//! and removes it. CPU is that of the whole process, the system's share for it included.

#![expect(clippy::unwrap_used, reason = "an example ends where the disk does")]

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use whimbrel_journal::{Committer, FileDisk, Level, Log, Options};

fn main() {
    let folder =
        std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("journal-throughput");
    let _ = fs::remove_dir_all(&folder);
    staging(&folder);
    commits(&folder);
    latency(&folder);
    many_waiting(&folder);
    recovery(&folder);
    fs::remove_dir_all(&folder).unwrap();
}

fn open(folder: &Path) -> (Log, Committer) {
    let disk = FileDisk::new(folder).unwrap();
    let (log, committer, _) = Log::open(Arc::new(disk), Options::default(), &mut |_, _, _| Ok(())).unwrap();
    (log, committer)
}

/// Microseconds of CPU that the process has used.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn staging(folder: &Path) {
    println!("staging alone, one thread, nanoseconds per record");
    for length in [64, 100, 256, 1024] {
        let (log, mut committer) = open(folder);
        let record = vec![7; length];
        let mut took = Duration::ZERO;
        let rounds = 200;
        for round in 0..rounds + 20 {
            let begin = Instant::now();
            for _ in 0..1_000 {
                log.stage(&record).unwrap();
            }
            // The first rounds find their buffers cold.
            if round >= 20 {
                took += begin.elapsed();
            }
            committer.commit_once();
        }
        println!("  {length:5} B  {:6.1} ns", took.as_nanos() as f64 / (f64::from(rounds) * 1e3));
        reclaim(&log, &mut committer);
    }
}

/// Everything is dead: files are used again, as they are where messages come and go.
fn reclaim(log: &Log, committer: &mut Committer) {
    log.ask(log.staged(), Level::Power);
    committer.commit_once();
    while let Some(oldest) = log.oldest() {
        log.drop_segment(oldest.number, log.staged()).unwrap();
        committer.commit_once();
    }
}

fn commits(folder: &Path) {
    println!("staged and committed by one thread: CPU per record, records per second");
    println!("  {:>7} {:>6} {:>8} {:>8} {:>12}", "level", "bytes", "batch", "us CPU", "records/s");
    for level in [Level::Process, Level::Power] {
        for length in [64, 256, 1024] {
            for batch in [1, 16, 64, 1024] {
                let (log, mut committer) = open(folder);
                let record = vec![7; length];
                let (begin, used) = (Instant::now(), cpu());
                let mut records = 0_u32;
                while begin.elapsed() < Duration::from_secs(1) {
                    for _ in 0..batch {
                        log.stage(&record).unwrap();
                    }
                    log.ask(log.staged(), level);
                    committer.commit_once();
                    records += batch;
                    if log.segments().len() > 3 {
                        reclaim(&log, &mut committer);
                    }
                }
                let per_second = f64::from(records) / begin.elapsed().as_secs_f64();
                let used = (cpu() - used) / f64::from(records);
                println!(
                    "  {:>7} {length:>6} {batch:>8} {used:>8.3} {per_second:>12.0}",
                    format!("{level:?}")
                );
                reclaim(&log, &mut committer);
            }
        }
    }
}

/// In turns, so that what else the machine does meets all of them alike.
fn latency(folder: &Path) {
    println!("one 256 B record per commit: microseconds p50, p99");
    let (log, mut committer) = open(folder);
    let path = folder.join("bare");
    let grows = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let filled = File::create(folder.join("filled")).unwrap();
    (&filled).write_all(&vec![0; 16 << 20]).unwrap();
    filled.sync_all().unwrap();
    (&filled).rewind().unwrap();
    let mut commit = |level| {
        log.stage(&[7; 256]).unwrap();
        log.ask(log.staged(), level);
        committer.commit_once();
    };
    let mut histograms = [(); 4].map(|()| Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap());
    for _ in 0..20 {
        let [process, power, growing, there] = &mut histograms;
        rounds(process, || commit(Level::Process));
        rounds(power, || commit(Level::Power));
        rounds(growing, || write_and_sync(&grows));
        rounds(there, || write_and_sync(&filled));
    }
    let names =
        ["Process", "Power", "bare write + fdatasync, file grows", "bare write + fdatasync, file filled"];
    for (name, histogram) in names.iter().zip(&histograms) {
        let micros = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        println!("  {name:<36} {:8.1} {:8.1}", micros(0.5), micros(0.99));
    }
    reclaim(&log, &mut committer);
}

fn write_and_sync(mut file: &File) {
    file.write_all(&[7; 304]).unwrap();
    file.sync_data().unwrap();
}

fn rounds(histogram: &mut Histogram<u64>, mut round: impl FnMut()) {
    for _ in 0..250 {
        let begin = Instant::now();
        round();
        histogram.saturating_record(begin.elapsed().as_nanos() as u64);
    }
}

/// Threads that each wait for their record to be synced, and the committer on a thread of its own.
fn many_waiting(folder: &Path) {
    println!("records in flight, each waited for at level Power: records per second, us CPU, mean batch");
    for in_flight in [1, 16, 256, 4096] {
        let (log, mut committer) = open(folder);
        let (told, reached) = std::sync::mpsc::channel();
        committer.on_reached(move |reached| {
            let _ = told.send(reached);
        });
        let running = thread::spawn(move || {
            committer.run();
            committer
        });
        let (begin, used) = (Instant::now(), cpu());
        let (mut staged, mut commits) = (0_u32, 0_u32);
        let mut ends = std::collections::VecDeque::new();
        while begin.elapsed() < Duration::from_secs(2) {
            while ends.len() < in_flight {
                ends.push_back(log.stage(&[7; 256]).unwrap().end);
                staged += 1;
            }
            log.ask(log.staged(), Level::Power);
            let synced = reached.recv().unwrap().synced;
            let before = ends.len();
            ends.retain(|end| *end > synced);
            commits += u32::from(ends.len() < before);
        }
        let rate = f64::from(staged) / begin.elapsed().as_secs_f64();
        let used = (cpu() - used) / f64::from(staged);
        println!("  {in_flight:>5} {rate:>10.0} {used:>8.2} {:>8.1}", f64::from(staged) / f64::from(commits));
        log.stop();
        let mut committer = running.join().unwrap();
        reclaim(&log, &mut committer);
    }
}

fn recovery(folder: &Path) {
    let (log, mut committer) = open(folder);
    for _ in 0..1_000_000 {
        log.stage(&[7; 544]).unwrap();
        if log.is_over_budget() {
            committer.commit_once();
        }
    }
    committer.close();
    drop((log, committer));
    let begin = Instant::now();
    let disk = FileDisk::new(folder).unwrap();
    let (mut records, mut bytes) = (0_u64, 0);
    let opened = Log::open(Arc::new(disk), Options::default(), &mut |_, _, record| {
        records += 1;
        bytes += record.len();
        Ok(())
    })
    .unwrap();
    println!(
        "recovery of {records} records, {} MB: {:.2} s",
        bytes / 1_000_000,
        begin.elapsed().as_secs_f64()
    );
    drop(opened);
}
