//! Certificates, keys, CAs and revocation lists that change while the broker runs: read again at a reload, and when
//! somebody has changed the files. Not their use.
//!
//! The files are looked at twice a second instead of being watched: that works on every file system, and where a whole
//! folder is swapped by one link.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use whimbrel_net::tls::{Reloaded, TlsFault};

use crate::{
    listeners::Listeners,
    worker::{Door, Shared},
};

/// How often the files are looked at. A change counts after the second look that finds it: whoever writes several
/// files has so long for it.
const LOOK: Duration = Duration::from_millis(500);

/// Reads a listener's files again. Whether something else is in force now.
pub(crate) fn reload(door: &Door, shared: &Shared) -> Result<bool, TlsFault> {
    let Some(tls) = &door.tls else { return Ok(false) };
    let trusted = tls.acceptor.trust_changes();
    let Reloaded::Changed(warnings) = tls.acceptor.reload()? else { return Ok(false) };
    for warning in warnings {
        tracing::warn!(listener = %door.name, "{warning}");
    }
    if tls.acceptor.trust_changes() != trusted {
        shared.trust_changes.fetch_add(1, Relaxed);
    }
    Ok(true)
}

/// Looks after the files; ends when it is dropped.
pub(crate) struct Watch {
    stop: Option<SyncSender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    /// Begins.
    pub(crate) fn start(listeners: Weak<Listeners>, shared: &Arc<Shared>) -> io::Result<Watch> {
        let mut watched = Vec::new();
        follow(&mut watched, &listeners);
        let (stop, stopped) = sync_channel(0);
        let shared = shared.clone();
        let watch = move || watch(&mut watched, &listeners, &shared, &stopped);
        let thread = thread::Builder::new().name("certificates".into()).spawn(watch)?;
        Ok(Watch { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take_if(|watch| watch.thread().id() != thread::current().id()) {
            let _ = thread.join(); // A panic there was reported where it happened.
        }
    }
}

/// Watches the doors that there are now, and no others.
fn follow(watched: &mut Vec<Watched>, listeners: &Weak<Listeners>) {
    let doors = listeners.upgrade().map(|listeners| listeners.doors()).unwrap_or_default();
    watched.retain(|known| doors.iter().any(|door| Arc::ptr_eq(&known.door, door)));
    for door in doors.into_iter().filter(|door| door.tls.is_some()) {
        if !watched.iter().any(|known| Arc::ptr_eq(&known.door, &door)) {
            watched.push(Watched::new(door));
        }
    }
}

fn watch(watched: &mut Vec<Watched>, listeners: &Weak<Listeners>, shared: &Shared, stopped: &Receiver<()>) {
    while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        follow(watched, listeners);
        for each in watched.iter_mut().filter_map(Watched::settled) {
            let name = &each.name;
            match reload(each, shared) {
                Ok(true) => tracing::info!("listener {name} has other certificates now"),
                Ok(false) => {}
                Err(fault) => tracing::error!("listener {name}: {fault}; what was in force stays so"),
            }
        }
    }
}

/// A listener and the state of its files.
struct Watched {
    door: Arc<Door>,
    /// At the last look, and when they were read.
    last: Vec<Stamp>,
    read: Vec<Stamp>,
}

/// What tells a file from what it was: absent, or another, or written to.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

impl Watched {
    fn new(door: Arc<Door>) -> Watched {
        let stamps = stamps(&door);
        Watched { door, last: stamps.clone(), read: stamps }
    }

    /// The listener, if its files have changed and rest.
    fn settled(&mut self) -> Option<&Door> {
        let now = stamps(&self.door);
        if now == self.read || now != self.last {
            self.last = now;
            return None;
        }
        self.read = now;
        Some(&self.door)
    }
}

fn stamps(door: &Door) -> Vec<Stamp> {
    let files = door.tls.as_ref().map(|tls| tls.acceptor.files()).unwrap_or_default();
    files.iter().map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Stamp {
    let found = fs::metadata(file).ok()?;
    Some((found.dev(), found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}
