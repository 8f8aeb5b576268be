//! A WebSocket as a stream of bytes: what is read are the payloads of binary frames in a row, what is written goes in
//! binary frames. Not its handshake.
//!
//! ```text
//!           first of: the peer's Close, a fault            poll_shutdown: Close has been put
//!   Open ─────────────────────────────────────▶ reading    ─────────────────────────────────▶ closed, once the
//!                                               is over                                       stream below is
//! ```
//! Between two frames it holds no buffer but that of a few bytes for heads.

use std::{
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    frame::{CloseCode, Decoded, Decoder, End, Opcode, apply_mask, put_head},
    mask::Masks,
};
use crate::Stream;

/// Bytes that a client puts into one frame, at most: so many are copied to be masked.
const MASKED_BYTES_MAX: usize = 64 << 10;

/// Bytes that bring no data (heads, control frames) and are read before others have their turn.
const IDLE_BYTES_MAX: usize = 16 << 10;

/// What a read that brings no data counts for at least: it costs a call of the system.
const IDLE_READ_BYTES: usize = 4 << 10;

/// A buffer for heads that is not worth giving back.
const KEPT_BYTES: usize = 32;

/// A WebSocket over a connection that stands.
#[derive(Debug)]
pub struct WebSocket {
    inner: Stream,
    decoder: Decoder,
    /// How the peer's half ended.
    end: Option<End>,
    /// Why this side closes.
    code: CloseCode,
    /// Close was put behind everything else, or is not to be sent.
    is_closed: bool,
    /// Whole control frames, heads, and masked payloads, and how much of them has left.
    out: Vec<u8>,
    out_sent: usize,
    /// The payload of the frame that has begun, as far as it has not left.
    frame_left: usize,
    /// Bytes without data that were read since others had their turn.
    idle_bytes: usize,
    /// The payload of a Ping that is to be answered when the next frame can begin.
    ping: Option<Box<[u8]>>,
    /// For the client's side alone.
    client: Option<Box<Client>>,
}

/// What only the client's side has.
#[derive(Debug)]
struct Client {
    /// What came behind the server's answer.
    early: Vec<u8>,
    masks: Masks,
}

impl WebSocket {
    pub(super) fn of_server(inner: Stream) -> WebSocket {
        WebSocket::new(inner, Decoder::new(true), None)
    }

    /// `early` is what came behind the server's answer.
    pub(super) fn of_client(inner: Stream, early: Vec<u8>) -> WebSocket {
        let client = Client { early, masks: Masks::default() };
        WebSocket::new(inner, Decoder::new(false), Some(Box::new(client)))
    }

    fn new(inner: Stream, decoder: Decoder, client: Option<Box<Client>>) -> WebSocket {
        WebSocket {
            inner,
            decoder,
            end: None,
            code: CloseCode::NORMAL,
            is_closed: false,
            out: Vec::new(),
            out_sent: 0,
            frame_left: 0,
            idle_bytes: 0,
            ping: None,
            client,
        }
    }

    /// The stream below.
    #[must_use]
    pub fn inner(&self) -> &Stream {
        &self.inner
    }

    /// Why this side will close, if the peer does not before.
    pub fn close_with(&mut self, code: CloseCode) {
        self.code = code;
    }

    fn put_frame(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        let mask = self.client.as_mut().map(|client| client.masks.next()).transpose()?;
        put_head(&mut self.out, opcode, payload.len() as u64, mask);
        let from = self.out.len();
        self.out.extend_from_slice(payload);
        if let (Some(mask), Some(payload)) = (mask, self.out.get_mut(from..)) {
            apply_mask(payload, mask, 0);
        }
        Ok(())
    }

    /// Between two frames: answers the last Ping.
    fn put_pong(&mut self) -> io::Result<()> {
        // One that is still on its way out is not followed by another: a peer that asks and does not listen gets no more.
        let may = self.frame_left == 0 && !self.is_closed && self.out.is_empty();
        match self.ping.take_if(|_| may) {
            Some(payload) => self.put_frame(Opcode::Pong, &payload),
            None => Ok(()),
        }
    }

    /// Sends what is in `out`.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.out_sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.out_sent += count,
            }
        }
        self.forget_out();
        Poll::Ready(Ok(()))
    }

    fn forget_out(&mut self) {
        self.out_sent = 0;
        self.out.clear();
        if self.client.is_none() && self.out.capacity() > KEPT_BYTES {
            self.out = Vec::new();
        }
    }

    /// The server's side: the payload goes from where it lies, behind its head.
    fn poll_write_bare(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.frame_left == 0 {
            self.put_pong()?;
            put_head(&mut self.out, Opcode::Binary, bytes.len() as u64, None); // [MQTT-6.0.0-1]
            self.frame_left = bytes.len();
        }
        let part = bytes.get(..self.frame_left).unwrap_or(bytes);
        loop {
            let head = self.out.get(self.out_sent..).unwrap_or_default();
            let slices = [IoSlice::new(head), IoSlice::new(part)];
            let sent = match head.is_empty() {
                true => ready!(Pin::new(&mut self.inner).poll_write(context, part))?,
                false => ready!(Pin::new(&mut self.inner).poll_write_vectored(context, &slices))?,
            };
            let of_head = sent.min(head.len());
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out_sent += of_head;
            if self.out_sent == self.out.len() {
                self.forget_out();
            }
            if sent > of_head {
                self.frame_left -= sent - of_head;
                return Poll::Ready(Ok(sent - of_head));
            }
        }
    }

    /// The client's side: the payload is copied, since it is masked.
    fn poll_write_masked(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_out(context))?;
        self.put_pong()?;
        let part = bytes.get(..MASKED_BYTES_MAX).unwrap_or(bytes);
        self.put_frame(Opcode::Binary, part)?; // [MQTT-6.0.0-1]
        let _ = self.poll_out(context)?; // What does not leave now does so at the next flush.
        Poll::Ready(Ok(part.len()))
    }

    /// Takes in what was read.
    fn take(&mut self, decoded: &mut Decoded) {
        self.end = self.end.or(decoded.end);
        if let Some(ping) = decoded.ping.take() {
            self.ping = Some(ping);
        }
    }

    /// What has come without data counts for nobody who limits reads by their data: whoever floods us with it gives way
    /// here.
    fn gives_way(&mut self, context: &mut Context<'_>) -> bool {
        let must = self.idle_bytes >= IDLE_BYTES_MAX;
        if must {
            self.idle_bytes = 0;
            // The runtime looks at the sockets before it comes back; who only woke itself would be first again.
            let _ = pin!(tokio::task::yield_now()).poll(context);
        }
        must
    }

    /// Reads from the stream below.
    fn poll_below(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if read.is_pending() {
            self.idle_bytes = 0; // Others have their turn now.
        }
        read
    }

    /// After a fault and our Close: what still comes is thrown away, so that the Close reaches the peer.
    fn poll_discard(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            if self.gives_way(context) {
                return Poll::Pending;
            }
            ready!(self.poll_below(context, buffer))?;
            let count = buffer.filled().len() - before;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            buffer.set_filled(before);
            self.idle_bytes += count.max(IDLE_READ_BYTES);
        }
    }

    fn poll_early(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let Some(client) = self.client.as_mut().filter(|client| !client.early.is_empty()) else {
            return false;
        };
        let count = client.early.len().min(buffer.remaining());
        buffer.put_slice(client.early.get(..count).unwrap_or_default());
        client.early.drain(..count);
        true
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match this.end {
                Some(End::Fault(_)) if this.is_closed => return this.poll_discard(context, buffer),
                Some(_) => return Poll::Ready(Ok(())),
                None => {}
            }
            if this.gives_way(context) {
                return Poll::Pending;
            }
            let before = buffer.filled().len();
            if !this.poll_early(buffer) {
                ready!(this.poll_below(context, buffer))?;
            }
            let Some(fresh) = buffer.filled_mut().get_mut(before..).filter(|fresh| !fresh.is_empty()) else {
                return Poll::Ready(Ok(())); // The stream below has ended, with Close or without.
            };
            let mut decoded = this.decoder.decode(fresh);
            let idle = fresh.len() - decoded.data;
            this.idle_bytes += if decoded.data == 0 { idle.max(IDLE_READ_BYTES) } else { idle };
            buffer.set_filled(before + decoded.data);
            this.take(&mut decoded);
            if this.ping.is_some() {
                // Who only reads answers all the same.
                this.put_pong()?;
                if this.frame_left == 0 {
                    let _ = this.poll_out(context)?;
                    let _ = Pin::new(&mut this.inner).poll_flush(context)?;
                }
            }
            if decoded.data > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for WebSocket {
    /// What has been taken in part has to be followed by its rest: the frame that it is in says how long it is.
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match this.client {
            None => this.poll_write_bare(context, bytes),
            Some(_) => this.poll_write_masked(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.frame_left == 0 {
            ready!(this.poll_out(context))?;
            this.put_pong()?;
            ready!(this.poll_out(context))?;
        }
        Pin::new(&mut this.inner).poll_flush(context)
    }

    /// Says Close, with the reason or as the answer to the peer's, and closes this half of the stream below.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_closed {
            // Within a frame there is no place for another: the peer sees that the frame is cut off.
            if this.frame_left == 0 {
                let code = match this.end {
                    None => Some(this.code),
                    Some(End::Closed(code)) => code,
                    Some(End::Fault(code)) => Some(code),
                };
                let code = code.map(|CloseCode(code)| code.to_be_bytes());
                this.put_frame(Opcode::Close, code.as_ref().map_or(&[], |code| code.as_slice()))?;
            }
            this.is_closed = true;
        }
        if this.frame_left == 0 {
            ready!(this.poll_out(context))?;
        }
        Pin::new(&mut this.inner).poll_shutdown(context)
    }
}
