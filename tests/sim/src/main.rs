//! `sim`: runs seeds and says what they found. How it is built and called is `cargo xtask sim`'s.

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

use whimbrel_engine::planted::Bug;
use whimbrel_sim::{
    log::{FAULTS, Tally},
    planted,
    run::{Disk, run_caught},
};

const USAGE: &str = "usage: sim --seed N | --seeds N [--from S] [--jobs J] [--keep-going] [--quiet] [--events] [--disk | --sound]\n       \
                     sim --planted [--disk] [--only NAME]";

struct Options {
    from: u64,
    seeds: u64,
    jobs: usize,
    keep_going: bool,
    quiet: bool,
    events: bool,
    /// The server has a disk, and dies.
    disk: Disk,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("--planted", only)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return plant(only);
    }
    let Some(options) = read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let (next, stop, failed) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    let total = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    let at = next.fetch_add(1, Relaxed);
                    if at >= options.seeds {
                        break;
                    }
                    let seed = options.from + at;
                    let outcome = run_caught(seed, options.disk);
                    if let Ok(mut total) = total.lock() {
                        total.merge(&outcome.tally);
                        total.add("runs", 1);
                    }
                    if options.events {
                        outcome.events.iter().for_each(|event| println!("{event}"));
                    }
                    if let Some(first) = outcome.findings.first() {
                        failed.fetch_add(1, Relaxed);
                        let more = outcome.findings.len() - 1;
                        println!("seed {seed} FAILED: {first} (and {more} more)");
                        if !options.quiet {
                            let disk = match options.disk {
                                Disk::None => "",
                                Disk::Sound => "--sound ",
                                Disk::Failing => "--disk ",
                            };
                            println!("{}replay: cargo xtask sim {disk}--seed {seed}", outcome.report);
                        }
                        stop.fetch_or(!options.keep_going, Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.load(Relaxed);
    if !options.quiet
        && let Ok(total) = total.lock()
    {
        for (name, count) in total.iter() {
            println!("{count:>12}  {name}");
        }
        let kinds = FAULTS.iter().filter(|fault| total.count(fault) > 0).count();
        let faults: u64 = FAULTS.iter().map(|fault| total.count(fault)).sum();
        println!("{faults:>12}  faults of {kinds} kinds (of {} that there are):", FAULTS.len());
        for fault in FAULTS.iter().filter(|fault| total.count(fault) > 0) {
            println!("{:>12}    {fault}", total.count(fault));
        }
        let (runs, seconds) = (total.count("runs"), start.elapsed().as_secs_f64());
        let rate = runs as f64 / seconds.max(0.001);
        println!("{failed} of {runs} seeds failed; {seconds:.0} s, {rate:.0} seeds/s");
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether planted bugs are found: all of them, or the one that is named.
fn plant(arguments: &[String]) -> ExitCode {
    let (disk, only) = match arguments {
        [] => (false, None),
        [disk] if disk == "--disk" => (true, None),
        [only, name] if only == "--only" => (false, Some(name.as_str())),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    // Some show themselves by a panic, which is a finding and no news.
    std::panic::set_hook(Box::new(|_| ()));
    let (mut looked, mut missed) = (0, 0);
    let is_meant = |bug: &Bug| only.is_none_or(|only| only == bug.name) && (bug.disk || !disk);
    for (number, bug) in planted::bugs().filter(|(_, bug)| is_meant(bug)) {
        looked += 1;
        match planted::look_for(number, bug) {
            Ok((seed, finding)) => println!("{:<66} seed {seed:>3}  {finding:.90}", bug.name),
            Err(why) => {
                missed += 1;
                println!("{:<66} {why}", bug.name);
            }
        }
    }
    println!("{} of {looked} planted bugs were found", looked - missed);
    if missed == 0 && looked > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(arguments: &[String]) -> Option<Options> {
    let mut options = Options {
        from: 0,
        seeds: 0,
        jobs: 1,
        keep_going: false,
        quiet: false,
        events: false,
        disk: Disk::None,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seed" => (options.from, options.seeds) = (words.next()?.parse().ok()?, 1),
            "--seeds" => options.seeds = words.next()?.parse().ok()?,
            "--from" => options.from = words.next()?.parse().ok()?,
            "--jobs" => options.jobs = words.next()?.parse().ok()?,
            "--keep-going" => options.keep_going = true,
            "--disk" if options.disk == Disk::None => options.disk = Disk::Failing,
            "--disk" => {}
            "--sound" => options.disk = Disk::Sound,
            "--events" => options.events = true,
            "--quiet" => options.quiet = true,
            _ => return None,
        }
    }
    (options.seeds > 0).then_some(options)
}
