//! What carries bytes between a scenario and a broker: the network, or the broker's machines in memory. A scenario does
//! not know which.

use std::time::Duration;

/// One network connection of a driver. The number is never used twice by a driver.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link(pub usize);

/// What a link had to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes from the broker, at least one.
    Bytes(Vec<u8>),
    /// The broker has closed the connection, and all its bytes have been given.
    Closed,
    /// Nothing: in memory because the broker is idle, over a network because the deadline has passed.
    Nothing,
}

/// How a scenario learns that nothing comes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// `Received::Nothing` is proof: the broker has nothing more to do.
    Proven,
    /// Only a fence proves it: a question on the same connection whose answer comes after all that was owed before.
    Fence,
}

/// What carries bytes to a broker.
pub trait Driver {
    /// Opens a network connection.
    fn open(&mut self) -> Link;

    /// Sends bytes. After the broker has closed the link they are lost, as on a network.
    fn send(&mut self, link: Link, bytes: &[u8]);

    /// Takes what has come on the link. In memory everything, after the broker has become idle; over a network the
    /// next bytes or the close, waited for up to a deadline.
    fn receive(&mut self, link: Link) -> Received;

    /// Cuts the network connection without a word.
    fn close(&mut self, link: Link);

    /// Lets time pass for the broker and everybody else.
    fn advance(&mut self, time: Duration);

    /// How to find out that nothing comes on this link.
    fn quiet(&mut self, link: Link) -> Quiet;

    /// By how much something that is due may be late. Zero on virtual time.
    fn slack(&self) -> Duration {
        Duration::ZERO
    }
}
