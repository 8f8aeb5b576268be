//! Which of a thread's connections are meant, and what is done with all of these. Not what each does by itself.

use std::sync::Arc;

use super::connection::{Connection, Job, Ping, State};
use super::orders::Who;
use super::worker::Worker;

impl Worker {
    /// The connections of these clients.
    pub(super) fn those(&self, who: Who) -> Vec<usize> {
        let wanted = |connection: &Connection| match (who, &connection.job) {
            (Who::Publishers, Job::Publish(publisher)) => !publisher.clears,
            (Who::Cleaners, Job::Publish(publisher)) => publisher.clears,
            (Who::Receivers, Job::Receive(_)) | (Who::All, Job::Publish(_) | Job::Receive(_) | Job::Hold) => {
                true
            }
            _ => false,
        };
        self.connections.iter().enumerate().filter(|(_, one)| wanted(one)).map(|(index, _)| index).collect()
    }

    pub(super) fn leave(&mut self, who: Who) {
        for index in self.those(who) {
            if let Some(connection) = self.connections.get_mut(index) {
                connection.leave(&self.run, self.poll.registry(), &mut self.desk);
            }
        }
    }

    /// Asks every receiver's connection whether all has come.
    pub(super) fn ask_receivers(&mut self) {
        let run = Arc::clone(&self.run);
        for index in self.those(Who::All) {
            let Some(connection) = self.connections.get_mut(index) else { continue };
            if connection.state == State::Up
                && !matches!(connection.job, Job::Publish(_))
                && let Err(broken) = connection.ask(&run)
            {
                self.on_broken(index, &broken);
            }
        }
    }

    /// How many connections have been asked and have not answered.
    pub(super) fn unanswered(&self) -> usize {
        self.connections.iter().filter(|one| one.state == State::Up && one.ping == Ping::Asked).count()
    }
}
