//! The control door as a local socket: one line of JSON in for each request, lines of JSON out. Not the door itself.
//!
//! Whoever is at the other end must be the account that the broker runs as, or root: the system tells. The socket has
//! mode 0600 besides. What others could make it hold is bounded by the constants here; reaching a bound is answered with
//! a [`Refusal`].

mod place;
mod visit;

use std::{
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, oneshot},
};

use super::{Answer, Control, Refusal};
use crate::config;

use place::Place;
pub use place::{PATH_BYTES_MAX, PlaceError, folders, is_ours, sockets_in};

/// Visitors at once; one more is told to try again.
pub const CONNECTIONS_MAX: usize = 16;
/// The longest request in bytes, its line feed included: the longest client identifier in any spelling of JSON.
pub const REQUEST_BYTES_MAX: usize = 512 << 10;
/// How long a request may take to come, from the answer to the one before on.
pub const REQUEST_SECS_MAX: u64 = 10;
/// How long a visitor may take nothing of an answer.
pub const ANSWER_STALL_SECS_MAX: u64 = 60;

/// How long no visitor is let in when the system has no file descriptor left.
const REST: Duration = Duration::from_millis(100);

/// A socket at which nobody is served yet: whoever connects waits. It goes when this is dropped.
#[derive(Debug)]
pub struct Reserved {
    place: Place,
    listener: std::os::unix::net::UnixListener,
}

impl Reserved {
    /// Opens the socket, unless the configuration wants none. At its default path it does without one where it cannot be
    /// made, and the log says why.
    ///
    /// # Errors
    /// The path of the configuration cannot be used.
    pub fn open(config: &config::Control) -> Result<Option<Reserved>, PlaceError> {
        if !config.enabled {
            return Ok(None);
        }
        match (&config.socket, Place::open(config.socket.as_deref())) {
            (_, Ok((place, listener))) => Ok(Some(Reserved { place, listener })),
            (Some(_), Err(error)) => Err(error),
            (None, Err(error)) => {
                tracing::warn!("no control socket, so `whimbrel ctl` cannot reach this broker: {error}");
                Ok(None)
            }
        }
    }

    /// Serves it on a thread of its own.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn serve(self, control: &Control) -> Result<Socket, PlaceError> {
        let Self { place, listener } = self;
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| PlaceError::System { what: "a runtime", source })?;
        let control = control.clone();
        let thread = thread::Builder::new().name("control".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = receive(listener, control) => {}
                    _ = ended => {} // Either way: the broker ends.
                }
            });
            runtime.shutdown_background();
        });
        let thread = Some(thread.map_err(|source| PlaceError::System { what: "a thread", source })?);
        tracing::info!("control socket: {}", place.path().display());
        Ok(Socket { place, end: Some(end), thread })
    }
}

/// The socket, and the thread that serves it. It goes when this is dropped.
#[derive(Debug)]
pub struct Socket {
    place: Place,
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Socket {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // A panic there was reported where it happened.
        }
    }
}

/// Lets visitors in until it is cancelled.
async fn receive(listener: std::os::unix::net::UnixListener, control: Control) {
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the control socket cannot be served");
            return;
        }
    };
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(stream) = admitted(stream) else { continue };
                match seats.clone().try_acquire_owned() {
                    Ok(seat) => {
                        let control = control.clone();
                        tokio::spawn(async move {
                            visit::serve(stream, &control).await;
                            drop(seat);
                        });
                    }
                    Err(_) => turn_away(stream, Refusal::Busy { connections_max: CONNECTIONS_MAX }),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "nobody can be let in at the control socket now; trying again");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Sends away whoever is neither the broker's account nor root.
fn admitted(stream: UnixStream) -> Option<UnixStream> {
    match stream.peer_cred() {
        Ok(peer) if is_ours(peer.uid()) => Some(stream),
        Ok(peer) => {
            let uid = peer.uid();
            tracing::warn!(uid, "control: an account that may not control this broker was sent away");
            turn_away(stream, Refusal::NotAllowed { uid });
            None
        }
        Err(error) => {
            tracing::warn!(%error, "control: a visitor was sent away, as the system does not say who it is");
            None
        }
    }
}

/// What fits into the socket at once is said; nobody waits for more.
fn turn_away(stream: UnixStream, refusal: Refusal) {
    // The runtime does not know yet whether it can be written to; the system does.
    if let (Ok(mut stream), Ok(line)) = (stream.into_std(), line(&refusal.into())) {
        let _ = stream.write(&line); // Who does not listen misses the reason only.
    }
}

/// An answer as a line.
fn line(answer: &Answer) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    Ok(line)
}
