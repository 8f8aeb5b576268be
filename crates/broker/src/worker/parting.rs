//! The end of a connection: what waits is written, the session is let go of, and the client is given the time to read its
//! last packet.

use std::task::{Context, Poll};

use tokio::io::ReadBuf;
use whimbrel_engine::Wire;

use super::{
    Bench,
    task::{Phase, READS_PER_TURN, Task, let_others_run},
    wrapped::Socket,
};

/// After the last packet the client is given this long to read it and close; what it still sends is thrown away.
const LINGER_MILLIS: u64 = 1_000;
const LINGER_BYTES: u32 = 4 << 20;

impl Task {
    /// The client sends no more.
    pub(super) fn hear_the_end(&mut self, bench: &mut Bench, context: &mut Context<'_>, broken: bool) {
        // Who has only closed its sending half still reads what it was answered.
        let engine = bench.shared.engine.clone();
        engine.flush(&mut bench.turn);
        if self.conversation.has_output(&engine) {
            let_others_run(context); // Another worker is writing; the next read finds the end again.
            return;
        }
        if !broken && self.conversation.owes(&engine) {
            return; // What it is promised is on its way to the disk; we are woken when it has left.
        }
        self.count_fall(bench);
        self.phase = Phase::Ending;
        if let Socket::Wrapped(wrapped) = &mut self.socket
            && !broken
        {
            // What was handed over is still to be sent.
            wrapped.shut_down();
            self.begin_linger(bench);
        }
    }

    /// Writes what waits, then what only the closing connection says.
    pub(super) fn say_goodbye(&mut self, bench: &mut Bench, context: &mut Context<'_>) {
        let engine = bench.shared.engine.clone();
        engine.flush(&mut bench.turn);
        if self.conversation.has_output(&engine) {
            let_others_run(context); // Another worker is writing; it is a matter of microseconds.
            return;
        }
        if !self.conversation.last_words().is_empty() {
            // A client that takes not even this is not owed more.
            let _ = self.wire.write(&[self.conversation.last_words()]);
        }
        if let Some(violation) = self.conversation.violation() {
            let client = self.conversation.attached().map(|attached| attached.session().client_id());
            tracing::debug!(address = %self.address, client, "closed: {violation}");
        }
        self.count_fall(bench);
        // The session is let go of first: a client that sees the close finds nothing of this connection any more, and
        // who takes the session over does not wait until the client has read its last packet.
        if !self.conversation.end(&engine, &mut bench.turn) {
            let_others_run(context);
        }
        self.forget_tail(bench);
        match &mut self.socket {
            Socket::Tcp(_) => self.wire.shut_down(),
            Socket::Wrapped(wrapped) => wrapped.bid_farewell(&self.conversation, &bench.shared),
        }
        self.begin_linger(bench);
    }

    fn begin_linger(&mut self, bench: &mut Bench) {
        let until = bench.turn.now.mono + LINGER_MILLIS;
        self.set_deadline(bench, until);
        self.phase = Phase::Lingering { until, bytes: LINGER_BYTES };
    }

    /// Throws away what still comes: closing a socket with unread bytes would take the last packet back.
    pub(super) fn linger(&mut self, bench: &mut Bench, context: &mut Context<'_>) {
        let Phase::Lingering { until, bytes } = &mut self.phase else { return };
        let engine = bench.shared.engine.clone();
        if !self.conversation.end(&engine, &mut bench.turn) && !self.conversation.waits_for_topic() {
            let_others_run(context); // A will that is due goes on meanwhile.
        }
        for _ in 0..READS_PER_TURN {
            let mut buffer = ReadBuf::new(&mut bench.read);
            let over = match self.socket.poll_read(context, &mut buffer) {
                Poll::Pending if bench.turn.now.mono < *until => return,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    *bytes = bytes.saturating_sub(u32::try_from(buffer.filled().len()).unwrap_or(u32::MAX));
                    *bytes == 0
                }
                Poll::Pending | Poll::Ready(_) => true,
            };
            if over {
                if let Socket::Wrapped(wrapped) = &self.socket
                    && !wrapped.is_shut_down()
                    && bench.turn.now.mono < *until
                {
                    return; // The last bytes are on their way.
                }
                self.phase = Phase::Ending;
                return;
            }
        }
        let_others_run(context);
    }

    pub(super) fn leave(&mut self, bench: &mut Bench, context: &mut Context<'_>) -> Poll<()> {
        let engine = bench.shared.engine.clone();
        if !self.conversation.end(&engine, &mut bench.turn) {
            if !self.conversation.waits_for_topic() {
                let_others_run(context);
            }
            return Poll::Pending;
        }
        self.forget_tail(bench);
        if let Some(peg) = self.peg.take() {
            bench.wires.remove(peg);
        }
        self.wire.set_gone();
        Poll::Ready(())
    }
}
