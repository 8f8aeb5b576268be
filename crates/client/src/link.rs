//! One network connection: bytes between the socket and the client's machine, and what the machine says to the program.

mod happened;
mod proof;
mod requests;

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep_until, timeout},
};
use whimbrel_net::Stream;
use whimbrel_proto::{
    Millis, Violation,
    client::{Connection, Misuse, Session},
    codec::{Disconnect, QoS, ReasonCode, Split, UserProperties, Version, split},
};

use crate::{
    ConnectionError, Farewell, PublishError, RequestError,
    deliveries::{Again, Queued},
    input::Input,
    message::pairs,
    request::Ending,
    task::Work,
};
use happened::Happened;
pub(crate) use proof::{Derived, Exchange};
use requests::Waiting;

/// Bytes that wait to be written before no more messages are taken to be sent.
const OUT_SOFT_MAX: usize = 64 << 10;

/// Bytes that wait to be written before nothing more is read, since reading brings acknowledgements to write.
const OUT_HARD_MAX: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Link<'a> {
    work: &'a mut Work,
    stream: Stream,
    connection: Connection,
    /// Where the options ask for SCRAM.
    exchange: Option<Exchange>,
    input: Input,
    out: Vec<u8>,
    /// Bytes of `out` that have been written.
    written: usize,
    /// Bytes of the connection that have been written before `out`.
    written_before: u64,
    /// Bytes of `out` that have been logged.
    logged: usize,
    waiting: Waiting,
    sleep: Option<Pin<Box<Sleep>>>,
    /// What `sleep` waits for: the machine's deadline, or an earlier one that has moved on since.
    armed: Millis,
}

impl<'a> Link<'a> {
    pub(crate) fn new(
        stream: Stream,
        connection: Connection,
        exchange: Option<Exchange>,
        out: Vec<u8>,
        work: &'a mut Work,
    ) -> Link<'a> {
        Link {
            work,
            stream,
            connection,
            exchange,
            input: Input::default(),
            out,
            written: 0,
            written_before: 0,
            logged: 0,
            waiting: Waiting::default(),
            sleep: None,
            armed: Millis::NEVER,
        }
    }

    /// Runs the connection to its end; why it ended.
    pub(crate) async fn run(&mut self) -> ConnectionError {
        let cause = poll_fn(|cx| self.poll(cx)).await;
        match &cause {
            ConnectionError::Violation(violation) => {
                self.connection.farewell(violation.reason(), &mut self.out); // [MQTT-4.13.1-1]
                self.part().await;
            }
            ConnectionError::Authentication(_) => {
                self.connection.farewell(ReasonCode::Unspecified, &mut self.out);
                self.part().await;
            }
            // DISCONNECT is written, if there was anybody to part from.
            ConnectionError::Ended if self.connection.is_closed() => self.part().await,
            _ => {}
        }
        cause
    }

    /// Does whatever can be done, until nothing can.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionError> {
        self.work.inbox.register_task(cx.waker());
        loop {
            match self.turn(cx) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(cause) => return Poll::Ready(cause),
            }
        }
    }

    /// One round: the program's wishes, what came, what is to be written, what is due. Whether anything was done.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, ConnectionError> {
        let mut done = self.poll_program(cx)?;
        done |= self.poll_read(cx)?;
        done |= self.poll_exchange(cx)?;
        done |= self.poll_write(cx)?;
        done |= self.poll_deadline(cx)?;
        Ok(done)
    }

    fn poll_program(&mut self, cx: &mut Context<'_>) -> Result<bool, ConnectionError> {
        if self.work.inbox.wants_end() {
            self.end()?;
        }
        if !self.connection.is_open() {
            return Ok(false);
        }
        let now = self.work.clock.now();
        let mut done = false;
        for (ack, reason) in self.work.inbox.take_acks() {
            done = true;
            // The reason was looked at when the program gave it.
            let _ = self.connection.acknowledge(ack, reason, now, &mut self.out);
        }
        done |= self.poll_requests(cx);
        done |= self.poll_publishes(cx);
        Ok(done)
    }

    /// Sends messages as far as the server's window and the buffer have room.
    fn poll_publishes(&mut self, cx: &mut Context<'_>) -> bool {
        let mut done = false;
        while self.out.len() - self.written < OUT_SOFT_MAX {
            if !self.work.again.is_empty() {
                if !self.connection.has_room() {
                    break;
                }
                done |= self.send_again();
                continue;
            }
            if self.work.head.is_none() {
                let Poll::Ready(Some(queued)) = self.work.publishes.poll_recv(cx) else { break };
                self.work.head = Some(queued);
            }
            let room = self.connection.has_room();
            let fits = |queued: &mut Queued| queued.message.qos() == QoS::AtMostOnce || room;
            let Some(queued) = self.work.head.take_if(fits) else { break };
            self.send(queued);
            done = true;
        }
        done
    }

    fn send(&mut self, queued: Queued) {
        let Queued { message, since, outcome } = queued;
        let (qos, token, now) = (message.qos(), self.work.deliveries.token(), self.work.clock.now());
        match self.connection.publish(message, token, since, now, &mut self.out) {
            Ok(_) if qos == QoS::AtMostOnce => {
                let end = self.written_before + self.out.len() as u64;
                self.work.deliveries.wait_left(end, outcome);
            }
            Ok(_) => self.work.deliveries.wait_acknowledged(token, outcome),
            Err(misuse) => {
                let _ = outcome.send(Err(PublishError::Misuse(misuse)));
            }
        }
    }

    fn send_again(&mut self) -> bool {
        let Some(Again { message, token, since }) = self.work.again.pop_front() else { return false };
        let now = self.work.clock.now();
        if let Err(misuse) = self.connection.publish(message, token, since, now, &mut self.out) {
            self.work.deliveries.resolve(token, Err(PublishError::Misuse(misuse)));
        }
        true
    }

    /// The program wants to end, or is gone.
    fn end(&mut self) -> Result<(), ConnectionError> {
        let Some(Ending { farewell, reply }) = self.work.inbox.take_ending() else {
            return Err(ConnectionError::Ended);
        };
        if !self.connection.is_open() {
            let _ = reply.send(Ok(()));
            return Err(ConnectionError::Ended);
        }
        self.send_waiting();
        match self.disconnect(&farewell) {
            Ok(()) => {
                // The answer comes when the connection is closed.
                self.waiting.ended(reply);
                Err(ConnectionError::Ended)
            }
            Err(misuse) => {
                let _ = reply.send(Err(RequestError::Misuse(misuse)));
                Ok(())
            }
        }
    }

    /// Sends the messages that wait, as far as the server's window has room.
    fn send_waiting(&mut self) {
        for (ack, reason) in self.work.inbox.take_acks() {
            let now = self.work.clock.now();
            let _ = self.connection.acknowledge(ack, reason, now, &mut self.out);
        }
        while !self.work.again.is_empty() && self.connection.has_room() {
            self.send_again();
        }
        while let Some(queued) = self.work.head.take().or_else(|| self.work.publishes.try_recv().ok()) {
            if queued.message.qos() == QoS::AtMostOnce || self.connection.has_room() {
                self.send(queued);
            }
        }
    }

    fn disconnect(&mut self, farewell: &Farewell) -> Result<(), Misuse> {
        let options = &self.work.options;
        let v5 = options.version == Version::V5;
        // Who starts clean does not come back to this session.
        let forget = v5 && options.clean_start && options.session_expiry_secs > 0;
        let user = pairs(&farewell.user_properties);
        let disconnect = Disconnect {
            reason: farewell.reason,
            session_expiry_secs: farewell.session_expiry_secs.or(forget.then_some(0)),
            reason_string: farewell.reason_string.as_deref(),
            user_properties: UserProperties::from_pairs(&user),
            ..Disconnect::default()
        };
        self.connection.disconnect(&disconnect, self.work.clock.now(), &mut self.out)
    }

    /// Reads once, and hands on what came, unless the program does not take what came before.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, ConnectionError> {
        let done = self.take_frames()?;
        let full = self.work.inbox.is_full();
        self.connection.set_reading(!full, self.work.clock.now());
        if full || self.out.len() - self.written > OUT_HARD_MAX {
            return Ok(done);
        }
        let mut buffer = ReadBuf::new(self.input.room());
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => Ok(done),
            Poll::Ready(Err(error)) => Err(self.lost(error)),
            Poll::Ready(Ok(())) => {
                let count = buffer.filled().len();
                if count == 0 {
                    let before_connack = !self.connection.is_open();
                    return Err(ConnectionError::Closed { before_connack });
                }
                self.input.filled(count);
                self.take_frames()?;
                Ok(true)
            }
        }
    }

    /// Takes the whole frames that are there, while the program has room for messages.
    fn take_frames(&mut self) -> Result<bool, ConnectionError> {
        let mut done = false;
        while !self.work.inbox.is_full() {
            let bytes_max = self.connection.packet_bytes_max();
            let violation = |fault| ConnectionError::Violation(Violation::Malformed(fault));
            let Some((frame, len)) = self.input.frame(bytes_max).map_err(violation)? else { break };
            tracing::trace!(kind = ?frame.kind, bytes = len, "received");
            let now = self.work.clock.now();
            let event =
                self.connection.handle(frame, now, &mut self.out).map_err(ConnectionError::Violation)?;
            let happened = event.map(Happened::from);
            self.input.used(len);
            if let Some(happened) = happened {
                self.act(happened)?;
            }
            done = true;
        }
        Ok(done)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, ConnectionError> {
        self.log_sent();
        let mut done = false;
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Pending => return Ok(done),
                Poll::Ready(Ok(0)) => return Err(self.lost(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => return Err(self.lost(error)),
            }
            self.work.deliveries.bytes_left(self.written_before + self.written as u64);
            done = true;
        }
        // A transport that wraps bytes may still hold some.
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_flush(cx) {
            return Err(self.lost(error));
        }
        if self.written > 0 {
            self.written_before += self.written as u64;
            (self.written, self.logged) = (0, 0);
            self.out.clear();
            self.out.shrink_to(OUT_SOFT_MAX);
        }
        Ok(done)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Result<bool, ConnectionError> {
        let deadline = self.connection.deadline();
        if deadline < self.armed
            && let Some(at) = self.work.clock.instant(deadline)
        {
            // With every packet the deadline moves on; the timer is only set anew when it has to ring earlier.
            self.armed = deadline;
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(at),
                None => self.sleep = Some(Box::pin(sleep_until(at))),
            }
        }
        if self.armed == Millis::NEVER {
            return Ok(false);
        }
        let rang = self.sleep.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready());
        if !rang {
            return Ok(false);
        }
        self.armed = Millis::NEVER;
        let now = self.work.clock.now();
        self.connection.handle_timeout(now, &mut self.out).map_err(ConnectionError::Violation)?;
        Ok(true)
    }

    fn lost(&self, error: io::Error) -> ConnectionError {
        ConnectionError::Lost(error.into())
    }

    /// Logs the packets that were written since the last time, where anybody wants to know.
    fn log_sent(&mut self) {
        if tracing::enabled!(tracing::Level::TRACE) {
            let mut rest = self.out.get(self.logged..).unwrap_or_default();
            while let Ok(Split::Whole { frame, len }) = split(rest, u32::MAX) {
                tracing::trace!(kind = ?frame.kind, bytes = len, "sent");
                rest = rest.get(len..).unwrap_or_default();
            }
        }
        self.logged = self.out.len();
    }

    /// Parts from the server: what is written leaves, and the server is given time to read it and to close. A socket that is
    /// closed with unread input resets the connection, and the server may never see the last packets.
    async fn part(&mut self) {
        if self.out.is_empty() {
            return; // Nobody to part from: CONNACK had not come, or the version has no words for it.
        }
        let within = self.work.options.timeouts.close;
        let _ = timeout(within, poll_fn(|cx| self.poll_farewell(cx))).await;
    }

    /// Closes the network connection; what is left goes back into the work and the session.
    pub(crate) fn close(mut self) -> Session {
        self.leave_exchange();
        self.work.deliveries.connection_gone();
        self.waiting.into_unanswered(&mut self.work.unanswered);
        self.connection.into_session()
    }

    /// Writes the rest, shuts down, and reads until the server has closed.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_write(cx).is_err() {
            return Poll::Ready(());
        }
        if !self.out.is_empty() {
            return Poll::Pending;
        }
        if ready!(Pin::new(&mut self.stream).poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        loop {
            let mut scratch = [0; 1024];
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}
