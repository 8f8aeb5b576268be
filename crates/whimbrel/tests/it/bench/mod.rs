//! `whimbrel bench` against the broker, and against the broker behind a proxy that does what it should not.

mod broker;
mod crash;
mod faults;
mod interrupt;
mod proxy;
mod scenarios;
mod transports;

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use super::program::run;

/// What a run ended with: the exit code, the results, and what it said on standard error.
struct Ended {
    code: i32,
    results: Value,
    said: String,
}

/// Runs a scenario against this address.
#[track_caller]
fn bench(address: SocketAddr, arguments: &[&str]) -> Ended {
    let port = address.port().to_string();
    bench_in(Path::new("."), &[arguments, &["--port", &port]].concat())
}

/// The same with the address among the arguments.
#[track_caller]
fn bench_in(folder: &Path, arguments: &[&str]) -> Ended {
    let line = [&["bench"], arguments, &["--quiet", "--json", "-"]].concat();
    let said = run(folder, &line, &[]);
    let results = serde_json::from_str(&said.out).unwrap_or_default();
    Ended { code: said.code, results, said: said.err }
}

impl Ended {
    /// The faults that were counted, without those that were not.
    fn faults(&self) -> Vec<(String, u64)> {
        let faults = self.results["whole_run"]["faults"].as_object().expect(&self.said);
        let counts = faults.iter().map(|(name, count)| (name.clone(), count.as_u64().expect("a count")));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    fn number(&self, pointer: &str) -> f64 {
        self.results.pointer(pointer).and_then(Value::as_f64).expect(&self.said)
    }
}
