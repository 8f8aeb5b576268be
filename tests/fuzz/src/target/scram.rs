//! The messages of SCRAM: no panic, and nobody is let in or believed but by the one right answer.

use std::sync::LazyLock;

use whimbrel_scram::{
    Challenge, Client, Hash, ITERATIONS_MAX, ITERATIONS_MIN, Keys, Opening, Proof, Verifier,
};

/// One exchange that goes well, as far as it is needed.
struct Exchange {
    verifier: Verifier,
    answer: String,
    proof: Proof,
    signature: String,
}

static EXCHANGE: LazyLock<Exchange> = LazyLock::new(|| {
    let verifier = Verifier::create(Hash::Sha256, b"pencil", b"fuzz-salt", ITERATIONS_MIN);
    let (client, first) = begin();
    let (challenge, question) = challenge(verifier.clone(), &first);
    let question = client.question(question.as_bytes()).expect("a good question");
    let keys = Keys::derive(Hash::Sha256, b"pencil", &question.salt, question.iterations);
    let (proof, answer) = question.answer(&keys);
    let signature = challenge.judge(answer.as_bytes()).expect("a good answer");
    Exchange { verifier, answer, proof, signature }
});

fn begin() -> (Client, String) {
    Client::new(Hash::Sha256, "user", "client").expect("a good name")
}

fn challenge(verifier: Verifier, first: &str) -> (Challenge, String) {
    Opening::read(first.as_bytes()).expect("a good message").challenge(verifier, "server")
}

/// A byte that says whose turn it is, then a message.
pub(super) fn scram(data: &[u8]) {
    let Some((turn, message)) = data.split_first() else { return };
    let exchange = &*EXCHANGE;
    match turn % 5 {
        0 => {
            let Ok(opening) = Opening::read(message) else { return };
            assert!(!opening.user_name().is_empty() && !opening.user_name().contains('\0'));
            let (challenge, question) = opening.challenge(exchange.verifier.clone(), "server");
            assert!(question.starts_with("r=") && question.ends_with(",i=4096"), "{question}");
            assert!(challenge.judge(exchange.answer.as_bytes()).is_err() || message == begin().1.as_bytes());
        }
        1 => {
            let (challenge, _) = challenge(exchange.verifier.clone(), &begin().1);
            let judged = challenge.judge(message);
            assert_eq!(judged.is_ok(), message == exchange.answer.as_bytes(), "{judged:?}");
        }
        2 => {
            let Ok(question) = begin().0.question(message) else { return };
            assert!((ITERATIONS_MIN..=ITERATIONS_MAX).contains(&question.iterations));
            assert!(!question.salt.is_empty());
        }
        3 => {
            if exchange.proof.confirm(message).is_ok() {
                assert!(message.starts_with(exchange.signature.as_bytes()), "something else was believed");
            }
        }
        _ => {
            let Ok(text) = str::from_utf8(message) else { return };
            let Ok(verifier) = Verifier::parse(text) else { return };
            assert_eq!(verifier.to_string(), text);
        }
    }
}
