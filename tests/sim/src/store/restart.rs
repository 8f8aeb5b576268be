//! The server of a world dies and starts again: all links break, what was in memory is gone.

use whimbrel_oracle::Crash;

use crate::{run::note_counts, server::Server, world::World};

impl World {
    /// Whether the server dies now.
    pub(crate) fn is_doomed(&self) -> bool {
        self.server.store.as_ref().is_some_and(|store| {
            store.machine().is_calm.set(!self.faulty);
            store.dies_now()
        })
    }

    /// It dies, and starts again.
    pub(crate) fn restart(&mut self) {
        let Some(machine) = self.server.store.as_ref().map(|store| store.machine().clone()) else { return };
        note_counts(self);
        self.dropped += self.server.dropped();
        Server::dismiss();
        for link in self.server.links() {
            link.crash();
        }
        self.excuse_all();
        let is_power_cut = machine.die();
        let down = machine.dice.borrow_mut().within(0, machine.faults.down_millis_max);
        self.log.now += down;
        let now = self.now();
        let (engine, store, is_power_cut) = machine.start(now, Some(is_power_cut));
        let (seq, at) = (self.log.events.len(), now);
        self.crashes.push(Crash { seq, at, is_power_cut });
        let server = self.server.successor(engine, store);
        self.take_server(server);
    }
}
