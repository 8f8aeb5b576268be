//! The shipped journal on a disk that fails, and a server that dies: what outlives the server is its [`Machine`], what
//! one life of it has of the disk is a `Store`. Clients and links are those of every run.

mod chronicle;
pub(crate) mod cleaning;
mod disk;
mod faults;
mod journal;
mod machine;
mod open;
mod restart;

pub(crate) use cleaning::Cleaner;
pub use faults::Faults;
pub use machine::Machine;
pub(crate) use open::Store;
