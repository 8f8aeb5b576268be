//! What a task reads from: plain TCP, or a connection whose bytes are wrapped (TLS, WebSocket). A wrapped one is driven by its task:
//! what others hand over is sent here and nowhere else. Not how the connection came about.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::tcp::OwnedReadHalf,
};
use whimbrel_engine::Conversation;
use whimbrel_net::{Stream, tls::Acceptor, ws::CloseCode};

use super::{Shared, gate::Pass, link::SocketWire};
use crate::auth::Denial;

/// What is read from.
pub(super) enum Socket {
    /// Plain TCP; whoever has something to send writes it through the wire.
    Tcp(OwnedReadHalf),
    /// Anything else; this task sends what is handed over.
    Wrapped(Box<Wrapped>),
}

impl Socket {
    #[inline]
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(reader) => Pin::new(reader).poll_read(context, buffer),
            Socket::Wrapped(wrapped) => wrapped.poll_read(context, buffer),
        }
    }
}

/// A wrapped connection. Between packets it holds no buffer of its own.
pub(super) struct Wrapped {
    stream: Stream,
    /// What was taken from the wire and how much of it has been sent.
    sending: Vec<u8>,
    sent: usize,
    end: End,
    /// Who the client's certificate says it is, where the listener looks at that.
    identity: Option<Arc<str>>,
    /// Where TLS is spoken: who judges the client's certificate, and the change of trust at which that was done last.
    judge: Option<(Arc<Acceptor>, u32)>,
    /// Present until CONNECT is answered.
    pass: Option<Pass>,
}

/// How far the sending half is on its way out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// To be closed once all is sent.
    Asked,
    /// Closed, or broken.
    Over,
}

impl Wrapped {
    pub(super) fn new(
        stream: Stream,
        identity: Option<Arc<str>>,
        judge: Option<(Arc<Acceptor>, u32)>,
        pass: Option<Pass>,
    ) -> Wrapped {
        Wrapped { stream, sending: Vec::new(), sent: 0, end: End::Open, identity, judge, pass }
    }

    /// Whether whom to trust has changed since the client was let in.
    pub(super) fn is_to_be_judged(&self) -> bool {
        self.judge.as_ref().is_some_and(|(acceptor, seen)| acceptor.trust_changes() != *seen)
    }

    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }

    /// Sends what was handed over; ready when nothing is left of it.
    pub(super) fn poll_send(&mut self, wire: &SocketWire, context: &mut Context<'_>) -> Poll<()> {
        if self.end == End::Over {
            return Poll::Ready(());
        }
        match self.try_send(wire, context) {
            Poll::Pending => {
                wire.set_stuck(true);
                return Poll::Pending;
            }
            Poll::Ready(Ok(())) => wire.set_stuck(false),
            Poll::Ready(Err(_)) => {
                // The reading half finds the same, and the task ends by that.
                self.end = End::Over;
                wire.set_gone();
            }
        }
        Poll::Ready(())
    }

    fn try_send(&mut self, wire: &SocketWire, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while let Some(rest) = self.sending.get(self.sent..).filter(|rest| !rest.is_empty()) {
                match ready!(Pin::new(&mut self.stream).poll_write(context, rest))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    count => self.sent += count,
                }
            }
            (self.sending, self.sent) = (wire.take(), 0);
            if self.sending.is_empty() {
                break;
            }
        }
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        if self.end == End::Asked {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.end = End::Over;
        }
        Poll::Ready(Ok(()))
    }

    /// Closes the sending half because this side ends the conversation; where the transport has words for it, it says why.
    pub(super) fn bid_farewell(&mut self, conversation: &Conversation, shared: &Shared) {
        if let Stream::WebSocket(stream) = &mut self.stream {
            stream.close_with(match conversation.violation() {
                Some(_) => CloseCode::POLICY,
                None if shared.stopping.load(Relaxed) => CloseCode::GOING_AWAY,
                None => CloseCode::NORMAL,
            });
        }
        self.shut_down();
    }

    /// Closes the sending half once all is sent.
    pub(super) fn shut_down(&mut self) {
        if self.end == End::Open {
            self.end = End::Asked;
        }
    }

    /// CONNECT was answered: somebody else may begin.
    pub(super) fn is_answered(&mut self) {
        self.pass = None;
    }

    /// Whether nothing more is to be sent.
    pub(super) fn is_shut_down(&self) -> bool {
        self.end == End::Over
    }

    /// The user name that the client's certificate has, if it has one.
    pub(super) fn vouches(&self, is_client_id: bool, client_id: &str) -> Result<Option<Arc<str>>, Denial> {
        match &self.identity {
            Some(name) if !is_client_id => Ok(Some(name.clone())),
            Some(name) if *client_id != **name => Err(Denial::ForeignClientId),
            _ => Ok(None),
        }
    }

    /// Whether the client would still be let in, if whom to trust was changed since it was asked last.
    pub(super) fn judge(&mut self) -> Result<(), String> {
        let Some((acceptor, seen)) = &mut self.judge else { return Ok(()) };
        let changes = acceptor.trust_changes();
        if changes == *seen {
            return Ok(());
        }
        *seen = changes;
        acceptor.judge(&self.stream).map_err(|why| format!("whom to trust has changed: {why}"))
    }
}
