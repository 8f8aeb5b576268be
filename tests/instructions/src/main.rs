//! Operations whose instructions are counted: `instructions NAME ITERATIONS` runs one of them so often. Not what
//! counts: that is `cargo xtask instructions`, which runs each twice under Valgrind and takes the difference.
//!
//! Everything is the same in every run: seeds are fixed, no clock is read, no thread is started.

#![expect(
    clippy::expect_used,
    reason = "an operation that does not do what it is counted for must not be counted"
)]

mod codec;
mod draw;
mod matcher;
mod publish;
mod server;

use std::process::ExitCode;

/// One thing that is counted.
struct Operation {
    name: &'static str,
    /// How often the first of the two runs does it: enough that its cost is exact, few enough that Valgrind is quick.
    iterations: u32,
    run: fn(u32),
}

const OPERATIONS: &[Operation] = &[
    Operation { name: "codec-decode-publish-qos-0", iterations: 20_000, run: codec::decode_publish_qos_0 },
    Operation {
        name: "codec-decode-publish-qos-1-properties",
        iterations: 10_000,
        run: codec::decode_publish_qos_1,
    },
    Operation { name: "codec-encode-publish-head", iterations: 20_000, run: codec::encode_publish_head },
    Operation { name: "codec-decode-subscribe", iterations: 10_000, run: codec::decode_subscribe },
    Operation { name: "matcher-random-topic", iterations: 10_000, run: matcher::random_topic },
    Operation { name: "matcher-cached-topic", iterations: 10_000, run: matcher::cached_topic },
    Operation { name: "engine-qos-0", iterations: 4_096, run: publish::engine_qos_0 },
    Operation { name: "engine-qos-1", iterations: 4_096, run: publish::engine_qos_1 },
    Operation { name: "engine-qos-2", iterations: 4_096, run: publish::engine_qos_2 },
    Operation { name: "publish-to-1", iterations: 4_096, run: publish::to_1 },
    Operation { name: "publish-to-1000", iterations: 16, run: publish::to_1_000 },
    Operation { name: "rules-engine-qos-0", iterations: 4_096, run: publish::engine_qos_0_ruled },
    Operation { name: "rules-publish-to-1000", iterations: 16, run: publish::to_1_000_ruled },
    Operation { name: "rules-random-topic", iterations: 10_000, run: publish::rules_random_topic },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["--list"] = arguments[..] {
        for operation in OPERATIONS {
            println!("{} {}", operation.name, operation.iterations);
        }
        return ExitCode::SUCCESS;
    }
    let chosen = match arguments[..] {
        [name, iterations] => {
            let operation = OPERATIONS.iter().find(|operation| operation.name == name);
            operation.zip(iterations.parse().ok())
        }
        _ => None,
    };
    match chosen {
        Some((operation, iterations)) => {
            (operation.run)(iterations);
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("usage: instructions --list | instructions NAME ITERATIONS");
            ExitCode::from(2)
        }
    }
}
