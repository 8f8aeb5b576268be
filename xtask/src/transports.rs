//! The conformance suite and a short soak at the release build over every transport but TCP, which has them anyway.

use crate::{
    conformance::{self, listener::Transport},
    soak,
};

/// Less than an episode of the soak: one it is then.
const MINUTES: &str = "0.1";

/// For a run of a minute: QUIC is left to the other, since each end of a connection waits for the word that it has arrived; and
/// one soak, over that which has TLS and WebSocket in it.
const SHORT: ([Transport; 4], [Transport; 1]) =
    ([Transport::Tls, Transport::Ws, Transport::Wss, Transport::Unix], [Transport::Wss]);

/// Runs both over each, whatever became of the one before.
pub(crate) fn run(is_short: bool) -> Result<(), String> {
    let all = &Transport::ALL[1..];
    let (suites, soaks) = if is_short { (SHORT.0.as_slice(), SHORT.1.as_slice()) } else { (all, all) };
    let mut failed = Vec::new();
    for transport in suites {
        let word = transport.word();
        println!("== the suite over {word}");
        let outcome = conformance::over(*transport);
        failed.extend(outcome.err().map(|error| format!("the suite over {word}: {error}")));
    }
    for transport in soaks {
        let word = transport.word();
        println!("== the soak over {word}");
        let arguments = ["--minutes", MINUTES, "--seed", "1", "--transport", word].map(str::to_owned);
        failed.extend(soak::run(&arguments).err().map(|error| format!("the soak over {word}: {error}")));
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}
