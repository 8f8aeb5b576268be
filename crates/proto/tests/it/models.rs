//! The parts that both roles share, against naive models that anybody can read, by random steps.

mod aliases;
mod incoming;
mod outgoing;
mod quota;
