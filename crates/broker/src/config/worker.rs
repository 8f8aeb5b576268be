//! The room `[worker]`: the threads that carry the load. Not the threads.

use super::room::room;
use super::setting::Auto;

room! {
    /// The threads that carry the load.
    pub struct Worker("worker") {
        /// Worker threads. `auto` is one for each core that the process may use. More than that costs turns
        /// between threads and brings nothing.
        threads: Auto<u16> = Auto::Auto, within(1, 1_024), unit("threads"), flag("threads");
    }
}
