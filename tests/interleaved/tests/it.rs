//! Models of what the engine's locks promise, each run in many interleavings of its threads: those of `shuttle`, which
//! changes threads before and behind every lock. Each model is shown to fail where its promise is broken.

extern crate whimbrel_interleaved as whimbrel_engine;

mod it {
    #[path = "../../../../crates/engine/tests/it/dice.rs"]
    mod dice;
    mod models;
    #[path = "../../../../crates/engine/tests/it/paper.rs"]
    mod paper;
    #[path = "../../../../crates/engine/tests/it/wire.rs"]
    mod wire;
    #[path = "../../../../crates/engine/tests/it/worker.rs"]
    mod worker;
}
