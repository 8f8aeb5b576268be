//! A start after `kill -9` with many messages queued and retained: how long until a client is served, and what it takes. Not how
//! fast they were stored.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use super::stage::{Level, Stage, bytes_on_disk, needed, of_process};
use crate::compare::contestant::Running;
use crate::json;

/// CONNECT of MQTT 3.1.1 with a clean session and the client identifier `late`.
const CONNECT: &[u8] = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04late";
const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
/// Sessions among which the queued messages are.
const SESSIONS: u32 = 1_000;

/// What one start took.
#[derive(Debug, Default, Clone, Copy)]
struct Figures {
    before_mb: f64,
    seconds: f64,
    peak_mb: f64,
    served_mb: f64,
    later_mb: f64,
}

pub(super) fn run(stage: &mut Stage) -> Result<String, String> {
    let messages = stage.size(1_000_000, 50_000);
    let mut text = "| | queued | retained | journal | resident before the kill | served after | resident at most | when served | 3 s later |\n|---|---|---|---|---|---|---|---|---|\n".to_owned();
    for (title, queued, retained) in
        [("both", messages, messages), ("queued alone", messages, 0), ("nothing", 0, 0)]
    {
        let row = one(stage, title, queued, retained)?;
        eprint!("  {row}");
        text.push_str(&row);
    }
    text.push_str(&format!(
        "\nPayloads of 64 bytes, {SESSIONS} sessions; started twice, the second time in the table. The files were in the cache \
         of the system. `whimbrel store check` found all of them after the kill.\n"
    ));
    Ok(text)
}

fn one(stage: &Stage, title: &str, queued: u32, retained: u32) -> Result<String, String> {
    let contestant = stage.whimbrel(Level::Power);
    let broker = stage.start_anew(&contestant)?;
    // A generator that waited for a second in vain calls that a fault. Whether all has been stored, the store tells.
    if queued > 0 {
        let each = queued / SESSIONS;
        let load = format!("offline -q 1 -n {SESSIONS} --messages {each} --leave -s 64");
        let _told = stage.bench(&broker, &load.split(' ').collect::<Vec<_>>())?;
    }
    if retained > 0 {
        let load = format!("retained -q 1 --messages {retained} --leave -s 64");
        let _told = stage.bench(&broker, &load.split(' ').collect::<Vec<_>>())?;
    }
    let mut figures =
        Figures { before_mb: of_process(broker.pid(), "status", "VmRSS")? / 1e3, ..Figures::default() };
    // Its end is `kill -9`.
    drop(broker);
    if queued > 0 {
        check(stage, queued, retained)?;
    }
    let journal = bytes_on_disk(&stage.store())? as f64 / 1e6;
    for _ in 0..2 {
        let start = Instant::now();
        let broker = contestant.start(&stage.folder)?;
        greet(&broker)?;
        figures.seconds = start.elapsed().as_secs_f64();
        figures.peak_mb = of_process(broker.pid(), "status", "VmHWM")? / 1e3;
        figures.served_mb = of_process(broker.pid(), "status", "VmRSS")? / 1e3;
        std::thread::sleep(Duration::from_secs(3));
        figures.later_mb = of_process(broker.pid(), "status", "VmRSS")? / 1e3;
    }
    let Figures { before_mb, seconds, peak_mb, served_mb, later_mb } = figures;
    Ok(format!(
        "| {title} | {queued} | {retained} | {journal:.0} MB | {before_mb:.0} MB | {seconds:.2} s | {peak_mb:.0} MB | {served_mb:.0} MB | {later_mb:.0} MB |\n"
    ))
}

/// Whether all is in the store.
fn check(stage: &Stage, queued: u32, retained: u32) -> Result<(), String> {
    let store = stage.store().display().to_string();
    let text = stage.program(&["store", "--json", "check", &store], &[0])?;
    let found = json::parse(&text)?;
    for (name, stored) in [("owed", queued), ("retained", retained)] {
        let held = needed(&found, &[name])?;
        if held < f64::from(stored) {
            return Err(format!("{stored} {name} were acknowledged, and the store holds {held}"));
        }
    }
    Ok(())
}

/// Waits until a client is served.
fn greet(broker: &Running) -> Result<(), String> {
    let told = |error: std::io::Error| format!("no CONNACK: {error}");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, broker.port)).map_err(told)?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(told)?;
    stream.write_all(CONNECT).map_err(told)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).map_err(told)?;
    if answer == CONNACK { Ok(()) } else { Err(format!("no CONNACK but {answer:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connect_is_as_long_as_it_says() {
        assert_eq!(CONNECT.len() - 2, usize::from(CONNECT[1]));
    }
}
