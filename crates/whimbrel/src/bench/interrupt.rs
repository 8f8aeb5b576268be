//! Ctrl-C and SIGTERM: the first asks a run to end early and to tell what it has found, the second ends the program. Not
//! the ending.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal as Deed, kill_process_group};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::display::ERASE;

/// The exit code of what was ended early: that of a program that SIGINT has killed.
pub(super) const INTERRUPTED: u8 = 130;

/// Whether the user wants an end. Copies tell the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupt {
    came: Arc<AtomicBool>,
    /// What this program has started, and does not leave behind.
    started: Arc<Mutex<Option<Pid>>>,
}

impl Interrupt {
    /// Listens from now on.
    pub(super) fn watch() -> io::Result<Interrupt> {
        let interrupt = Interrupt::default();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (terminate, ctrl_c) = {
            let _entered = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let first = interrupt.clone().heed(terminate);
        let second = interrupt.clone().heed(ctrl_c);
        thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
            runtime.spawn(first);
            runtime.block_on(second);
        })?;
        Ok(interrupt)
    }

    async fn heed(self, mut signal: Signal) {
        while signal.recv().await.is_some() {
            if self.came.swap(true, Ordering::SeqCst) {
                self.end();
            }
        }
    }

    fn end(&self) {
        if let Some(group) = self.started.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It may have ended by itself.
            let _ = kill_process_group(group, Deed::KILL);
        }
        let mut err = io::stderr();
        if err.is_terminal() {
            // The line that shows progress is erased; nobody watches if this fails.
            let _ = err.write_all(ERASE.as_bytes());
        }
        std::process::exit(i32::from(INTERRUPTED));
    }

    pub(super) fn has_come(&self) -> bool {
        self.came.load(Ordering::SeqCst)
    }

    /// This group of processes is killed if the program has to end at once.
    pub(super) fn end_with_us(&self, group: Option<Pid>) {
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = group;
    }
}
