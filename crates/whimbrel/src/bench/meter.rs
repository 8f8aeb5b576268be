//! Looks at the broker, the generator and the machine at the two ends of the measured time. Not the arithmetic.

use std::io;

use super::clock::{Clock, Nanos};
use super::process::{Account, Machine, MachineUsage, Usage};

pub(super) struct Meter {
    clock: Clock,
    broker: Option<u32>,
    first: Option<Look>,
    last: Option<Look>,
}

struct Look {
    at: Nanos,
    broker: Option<Account>,
    own: Account,
    machine: Machine,
}

impl Meter {
    /// Fails if the broker's process cannot be looked at.
    pub(super) fn new(clock: Clock, broker: Option<u32>) -> Result<Meter, String> {
        let meter = Meter { clock, broker, first: None, last: None };
        if let Some(pid) = broker {
            let account = Account::read(pid, true).map_err(|error| format!("--pid {pid}: {error}"))?;
            if account.has_task(std::process::id()) {
                return Err(format!("--pid {pid}: the generator itself is among its children"));
            }
        }
        Ok(meter)
    }

    pub(super) fn begin(&mut self) {
        self.first = self.look().ok();
        self.last = None;
    }

    pub(super) fn end(&mut self) {
        self.last = self.look().ok();
    }

    /// The broker's memory now: resident, and its proportional share.
    pub(super) fn broker_rss(&self) -> Option<u64> {
        Account::read(self.broker?, true).ok().map(|account| account.rss_bytes)
    }

    fn look(&self) -> io::Result<Look> {
        Ok(Look {
            at: self.clock.now(),
            broker: self.broker.and_then(|pid| Account::read(pid, true).ok()),
            own: Account::read(std::process::id(), false)?,
            machine: Machine::read()?,
        })
    }

    /// Whether the broker's process was there and is not any more.
    pub(super) fn has_lost_broker(&self) -> bool {
        self.broker.is_some() && self.last.as_ref().is_some_and(|last| last.broker.is_none())
    }

    /// What the broker, the generator and the machine used between the looks, and how long that was.
    pub(super) fn usage(&self) -> (Option<Usage>, Usage, MachineUsage, Nanos) {
        let (Some(first), Some(last)) = (&self.first, &self.last) else {
            return (None, Usage::default(), MachineUsage::default(), 0);
        };
        let broker = last.broker.as_ref().zip(first.broker.as_ref()).map(|(last, first)| last.since(first));
        (broker, last.own.since(&first.own), last.machine.since(&first.machine), last.at - first.at)
    }
}
