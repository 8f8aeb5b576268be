//! `soak`: the clients of the simulation on real sockets, against a broker that runs as its users run it. The same
//! oracles account for every message, in episodes, so that what they remember stays bounded. How it is built and called
//! is `cargo xtask soak`'s.

#![expect(
    clippy::indexing_slicing,
    reason = "a test program whose places are its own: a wrong one shall stop the run"
)]

mod broker;
mod episode;
mod question;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use broker::Broker;
use episode::Episode;
use whimbrel_carrier::Transport;
use whimbrel_sim::log::Tally;

const USAGE: &str =
    "usage: soak --whimbrel PROGRAM --minutes N --seed S [--transport tcp|tls|ws|wss|quic|unix]";
/// Kibibytes that the broker may have more at the end than after the first episode.
const GROWTH_KIB_MAX: u64 = 48 << 10;
/// What the broker counts of clients when nobody but the one who asks is there.
const ALONE: &[(&str, &str)] = &[
    ("$SYS/broker/clients/total", "1"),
    ("$SYS/broker/clients/connected", "1"),
    ("$SYS/broker/store/messages/count", "0"),
    ("$SYS/broker/store/messages/bytes", "0"),
    ("$SYS/broker/retained messages/count", "0"),
    ("$SYS/broker/shared_subscriptions/count", "0"),
];

struct Options {
    program: PathBuf,
    minutes: f64,
    seed: u64,
    transport: Transport,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match soak(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            let Options { minutes, seed, transport, .. } = options;
            println!(
                "again: cargo xtask soak --minutes {minutes} --seed {seed} --transport {}",
                transport.word()
            );
            ExitCode::FAILURE
        }
    }
}

fn soak(options: &Options) -> Result<(), String> {
    let broker = Broker::start(&options.program, options.transport)?;
    let end = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let mut tally = Tally::default();
    let (mut number, mut first_kib) = (0, 0);
    while Instant::now() < end {
        let seed = options.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number));
        let outcome = Episode::new(broker.address, seed, number)?.run()?;
        tally.merge(&outcome.tally);
        if let Some(first) = outcome.findings.first() {
            return Err(format!("episode {number}: {first}\n{}", outcome.report));
        }
        let counts =
            question::ask(broker.address, &ALONE.iter().map(|(topic, _)| *topic).collect::<Vec<_>>())?;
        for (topic, expected) in ALONE {
            let found = counts.iter().find(|(name, _)| name == topic).map(|(_, value)| value.as_str());
            if found != Some(expected) {
                return Err(format!("episode {number}: {topic} is {found:?} when all have left"));
            }
        }
        number += 1;
        let kib = broker.resident_kib();
        if number == 1 {
            first_kib = kib;
        }
        println!(
            "episode {number}: {} messages received so far, {kib} KiB",
            tally.count("messages received")
        );
    }
    for (name, count) in tally.iter() {
        println!("{count:>12}  {name}");
    }
    let last_kib = broker.resident_kib();
    println!("{number} episodes; the broker has {last_kib} KiB, after the first it had {first_kib} KiB");
    if last_kib == 0 || last_kib > first_kib + GROWTH_KIB_MAX {
        return Err(format!("the broker's memory went from {first_kib} to {last_kib} KiB"));
    }
    Ok(())
}

fn read(arguments: &[String]) -> Option<Options> {
    let (mut program, mut minutes, mut seed, mut transport) = (None, None, None, Transport::Tcp);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return None };
        match name.as_str() {
            "--whimbrel" => program = Some(PathBuf::from(value)),
            "--minutes" => minutes = value.parse().ok(),
            "--seed" => seed = value.parse().ok(),
            "--transport" => transport = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(Options { program: program?, minutes: minutes?, seed: seed?, transport })
}
