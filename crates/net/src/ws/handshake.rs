//! How a connection becomes a WebSocket, on both sides: the head of the request and its answer over the stream.

use std::{error::Error, future::poll_fn, io, net::IpAddr, pin::Pin, task::Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::{
    WebSocket,
    ask::{Ask, NoAnswer},
    head::{self, NoHead},
    rules::{Granted, Refused, UpgradeRules},
};
use crate::Stream;

/// Bytes that are read at once.
const READ_BYTES: usize = 1_024;

/// Bytes of the head of a server's answer, at most.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 10;

/// Bytes that are still taken from who was refused, so that the answer reaches it.
const DISCARD_BYTES_MAX: usize = 64 << 10;

/// A connection that has become a WebSocket.
#[derive(Debug)]
pub struct Accepted {
    /// The WebSocket.
    pub stream: Stream,
    /// The client, where the peer is a proxy that is believed and has named it.
    pub client: Option<IpAddr>,
}

/// Has whoever has connected from `peer` ask to become a WebSocket, and answers. It has no time limit of its own; it is
/// given up when the future is dropped.
///
/// # Errors
/// The request breaks a rule, and the peer was told so; or the connection broke.
pub async fn accept(mut stream: Stream, rules: &UpgradeRules, peer: Option<IpAddr>) -> io::Result<Accepted> {
    let judged = match read_head(&mut stream, rules.head_bytes_max).await? {
        // Who does not wait for the answer does not know whether frames are read here at all, or another request is.
        Arrived::Head { behind, .. } if !behind.is_empty() || has_more(&mut stream).await => {
            Err(Refused::malformed("something follows the request before it was answered"))
        }
        Arrived::Head { head, .. } => rules.judge(&head, peer),
        Arrived::HalfLineEnd => Err(Refused::malformed(NoHead::Line.in_words())),
        Arrived::TooMuch => Err(Refused::too_large(rules.head_bytes_max)),
    };
    match judged {
        Ok(Granted { response, client }) => {
            stream.write_all(&response).await?;
            stream.flush().await?;
            Ok(Accepted { stream: Stream::WebSocket(Box::new(WebSocket::of_server(stream))), client })
        }
        Err(refused) => {
            stream.write_all(&refused.response()).await?;
            stream.shutdown().await?;
            discard(&mut stream).await;
            Err(io::Error::new(io::ErrorKind::InvalidData, refused.why))
        }
    }
}

/// Asks a server for a WebSocket at this path. `host` is what was dialled, as it stands in a URL.
///
/// # Errors
/// The server does not want it, or the connection broke.
pub(crate) async fn connect(mut stream: Stream, host: &str, path: &str) -> io::Result<Stream> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let ask = Ask::new(host, path, key);
    stream.write_all(ask.request.as_bytes()).await?;
    stream.flush().await?;
    let wrong = |error: Box<dyn Error + Send + Sync>| io::Error::new(io::ErrorKind::InvalidData, error);
    let (head, mut behind) = match read_head(&mut stream, ANSWER_BYTES_MAX).await? {
        Arrived::Head { head, behind } => (head, behind),
        Arrived::HalfLineEnd => return Err(wrong(NoAnswer::Malformed.into())),
        Arrived::TooMuch => return Err(wrong("the head of the server's answer is too long".into())),
    };
    let mut judged = ask.judge(&head, &behind);
    if judged.is_err() && behind.is_empty() {
        // The reason of a refusal may come on its own.
        behind.resize(READ_BYTES, 0);
        let count = stream.read(&mut behind).await?;
        behind.truncate(count);
        judged = ask.judge(&head, &behind);
    }
    judged.map_err(|error| wrong(error.into()))?;
    Ok(Stream::WebSocket(Box::new(WebSocket::of_client(stream, behind))))
}

enum Arrived {
    /// A head, and what came behind it.
    Head { head: Vec<u8>, behind: Vec<u8> },
    /// A line that ends with half of the two characters: the end of the head may never come.
    HalfLineEnd,
    /// More than the limit, and no end of the head.
    TooMuch,
}

/// Reads up to the end of a head.
async fn read_head(stream: &mut Stream, bytes_max: usize) -> io::Result<Arrived> {
    let mut bytes = Vec::new();
    loop {
        let seen = bytes.len();
        bytes.reserve_exact(READ_BYTES);
        bytes.resize(seen + READ_BYTES, 0);
        let count = stream.read(bytes.get_mut(seen..).unwrap_or_default()).await?;
        bytes.truncate(seen + count);
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the head was whole"));
        }
        // The end may have begun in what was there before.
        let from = seen.saturating_sub(head::END.len() - 1);
        if let Some(end) = bytes.get(from..).and_then(head::length) {
            if from + end > bytes_max {
                return Ok(Arrived::TooMuch);
            }
            let behind = bytes.split_off(from + end);
            return Ok(Arrived::Head { head: bytes, behind });
        }
        if bytes.get(from..).is_some_and(head::has_half_line_end) {
            return Ok(Arrived::HalfLineEnd);
        }
        if bytes.len() >= bytes_max {
            return Ok(Arrived::TooMuch);
        }
    }
}

/// Whether there is more already, for which nobody waits: a head may end just where a read does.
async fn has_more(stream: &mut Stream) -> bool {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    poll_fn(|context| {
        // What is wrong with the stream shows again at the next read.
        let _ = Pin::new(&mut *stream).poll_read(context, &mut buffer);
        Poll::Ready(!buffer.filled().is_empty())
    })
    .await
}

/// Takes what still comes: closing a socket with unread bytes would take the answer back.
async fn discard(stream: &mut Stream) {
    let mut scratch = [0; READ_BYTES];
    let mut left = DISCARD_BYTES_MAX;
    while left > 0 {
        match stream.read(&mut scratch).await {
            Ok(count) if count > 0 => left = left.saturating_sub(count),
            _ => return,
        }
    }
}
