//! The room `[sys]`: the topics under `$SYS/broker`. Not the topics.

use super::room::room;

room! {
    /// The topics under `$SYS/broker`, in which the broker tells about itself.
    pub struct Sys("sys") {
        /// How often subscribers get the values: all of them each time. While nobody subscribes only the
        /// averages are kept up.
        interval_secs: u32 = 10, within(1, 86_400), unit("seconds");
    }
}
