//! `whimbrel bench`: loads a broker, any broker, and tells what it cost and whether all was right. Not the broker.
//!
//! A scenario becomes a `plan` (who connects, publishes, must get what); a `script` gives orders to a `crew` of threads,
//! each a `worker` with its own poll and connections; `findings` come out.

mod alarm;
mod arrival;
mod broken;
mod cast;
mod clock;
mod command;
mod connection;
mod crash;
mod crew;
mod crowd;
mod desk;
mod dialler;
mod display;
mod findings;
mod greeting;
mod histogram_log;
mod interrupt;
mod json;
mod lazy;
mod link;
mod mail;
mod meter;
mod options;
mod orders;
mod plan;
mod plot;
mod process;
mod publish_frame;
mod publisher;
mod quantity;
mod ready;
mod receiver;
mod recorder;
mod report;
mod roster;
mod rounds;
mod scenario;
mod script;
mod sequence;
mod settings;
mod stage;
mod stamp;
mod summary;
mod tally;
mod target;
mod template;
mod worker;

pub(crate) use command::{Args, run};
