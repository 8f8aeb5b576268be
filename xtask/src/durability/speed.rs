//! Messages per second and CPU per message at each level, beside Mosquitto in memory and beside each other. Not latencies.

use super::sides::{Bout, CPU, DELIVERED, Metric, Outcome, STORED, STORING_CPU, Target, verdict};
use super::stage::{Level, Stage};
use crate::compare::contestant::Contestant;
use crate::compare::mosquitto_version;

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// How long a load lasts.
fn lasting(stage: &Stage, line: &str) -> Vec<String> {
    words(&format!("{line} --warmup 300ms --duration {}", stage.size("2s", "500ms")))
}

/// Into the queues of sessions that are away, and to sessions that are there.
pub(super) fn persistent(stage: &mut Stage) -> Result<String, String> {
    let levels = [Level::Process, Level::Power, Level::Memory];
    let mut sides: Vec<Contestant> = levels.iter().map(|level| stage.whimbrel(*level)).collect();
    let has_mosquitto = mosquitto_version().is_some();
    if has_mosquitto {
        sides.push(Contestant::mosquitto());
    }
    let messages = stage.size(900, 100);
    let away = Bout {
        title: "300 sessions that are away, 300 publishers".to_owned(),
        sides: sides.clone(),
        reference: sides.len() - 1,
        load: words(&format!("offline -q 1 -n 300 --messages {messages}")),
        metrics: vec![STORED, STORING_CPU],
    };
    let there = Bout {
        title: "100 sessions that are there, 100 publishers".to_owned(),
        sides,
        reference: away.reference,
        load: lasting(stage, "p2p -q 1 -n 100 --persistent --batch 16"),
        metrics: vec![DELIVERED, CPU],
    };
    let single = Bout {
        title: "the same, one message at a time".to_owned(),
        sides: there.sides.clone(),
        reference: away.reference,
        load: lasting(stage, "p2p -q 1 -n 100 --persistent"),
        metrics: vec![DELIVERED, CPU],
    };
    let (mut text, mut verdicts) = (String::new(), String::new());
    for bout in [&away, &there, &single] {
        let outcome = bout.run(stage)?;
        text.push_str(&bout.table(&outcome));
        text.push('\n');
        if has_mosquitto {
            verdicts.push_str(&beside_mosquitto(bout, &outcome));
        }
    }
    Ok(text + &verdicts)
}

fn beside_mosquitto(bout: &Bout, outcome: &Outcome) -> String {
    let of = |metric| outcome.ratio(0, bout.reference, metric);
    let what = |metric: &str| format!("{}: {metric} of `process` ÷ Mosquitto", bout.title);
    verdict(&what("messages/s"), of(0), Target::AtLeast(1.0))
        + &verdict(&what("CPU per message"), of(1), Target::AtMost(1.0))
}

/// A thousand publishers, each with a session that is owed its messages.
pub(super) fn publishers(stage: &mut Stage) -> Result<String, String> {
    let sides: Vec<Contestant> =
        [Level::Power, Level::Process].iter().map(|level| stage.whimbrel(*level)).collect();
    let messages = stage.size(400, 40);
    let bout = |title: &str, load, metrics: [Metric; 2]| Bout {
        title: title.to_owned(),
        sides: sides.clone(),
        reference: 1,
        load,
        metrics: metrics.to_vec(),
    };
    let bouts = [
        bout(
            "sessions that are away, 16 messages of each under way",
            words(&format!("offline -q 1 -n 1000 --messages {messages}")),
            [STORED, STORING_CPU],
        ),
        bout(
            "sessions that are away, one message of each under way",
            words(&format!("offline -q 1 -n 1000 --window 1 --messages {messages}")),
            [STORED, STORING_CPU],
        ),
        bout(
            "sessions that are there, one message of each under way",
            lasting(stage, "p2p -q 1 -n 1000 --persistent"),
            [DELIVERED, CPU],
        ),
    ];
    let (mut text, mut verdicts) = (String::new(), String::new());
    for bout in &bouts {
        let outcome = bout.run(stage)?;
        text.push_str(&bout.table(&outcome));
        text.push('\n');
        let what = format!("{}: messages/s of `power` ÷ `process`", bout.title);
        verdicts.push_str(&verdict(&what, outcome.ratio(0, 1, 0), Target::AtLeast(0.5)));
    }
    Ok(text + &verdicts)
}

/// What nobody is owed on disk, with the journal and without.
pub(super) fn unowed(stage: &mut Stage) -> Result<String, String> {
    let loads = [
        ("QoS 0, 100 pairs, batches of 16", "p2p -q 0 -n 100 --batch 16"),
        ("QoS 1 to clean sessions, 100 pairs, batches of 16", "p2p -q 1 -n 100 --batch 16"),
        ("QoS 1 to clean sessions, one message at a time", "p2p -q 1 -n 100"),
        ("QoS 2 to clean sessions, 100 pairs, batches of 16", "p2p -q 2 -n 100 --batch 16"),
        ("fan-out from 1 to 1,000, QoS 0", "fan-out -q 0"),
    ];
    let (mut text, mut verdicts) = (String::new(), String::new());
    for (title, load) in loads {
        let sides = [Level::Power, Level::Memory].iter().map(|level| stage.whimbrel(*level)).collect();
        let bout = Bout {
            title: title.to_owned(),
            sides,
            reference: 1,
            load: lasting(stage, load),
            metrics: vec![CPU, DELIVERED],
        };
        let outcome = bout.run(stage)?;
        text.push_str(&bout.table(&outcome));
        text.push('\n');
        let what = format!("{title}: CPU per message with the journal ÷ without");
        let ratio = outcome.ratio(0, 1, 0);
        verdicts.push_str(&match ratio {
            Some(ratio) if !ratio.is_difference() => {
                format!("* {what}: no difference shown ({:.2}–{:.2}).\n", ratio.low, ratio.high)
            }
            ratio => verdict(&what, ratio, Target::AtMost(1.0)),
        });
    }
    Ok(text + &verdicts)
}
