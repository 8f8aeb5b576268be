//! The order in which handshakes advance: one step of one of them between two looks at the sockets, so that a crowd at
//! the door does not keep the connections of those who are inside waiting. Not the handshake.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// Lets one step through at a time. Who comes first goes first; who waits for the network holds nobody up.
pub(super) struct Turnstile(Semaphore);

impl Default for Turnstile {
    fn default() -> Self {
        Turnstile(Semaphore::new(1))
    }
}

impl Turnstile {
    /// Runs a future whose every step may be long, a step at a time.
    pub(super) async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        loop {
            let permit = self.0.acquire().await;
            let step = poll_fn(|context| {
                calls.register(context);
                Poll::Ready(future.as_mut().poll(&mut Context::from_waker(&waker)))
            });
            if let Poll::Ready(output) = step.await {
                return output;
            }
            // The permit goes on only after the others that are ready have run.
            tokio::task::yield_now().await;
            drop(permit);
            poll_fn(|context| calls.poll(context)).await;
        }
    }
}

/// Tells a call for the next step from other reasons for which the task is polled.
#[derive(Default)]
struct Calls {
    task: Mutex<Option<Waker>>,
    called: AtomicBool,
}

impl Calls {
    fn register(&self, context: &Context<'_>) {
        *self.task.lock() = Some(context.waker().clone());
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        self.register(context);
        if self.called.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.called.store(true, Ordering::Release);
        if let Some(task) = self.task.lock().take() {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use tokio::{sync::Notify, task::LocalSet};

    use super::*;

    /// A future of three steps that says when each was made.
    async fn steps(name: char, made: Rc<RefCell<String>>) {
        for _ in 0..3 {
            made.borrow_mut().push(name);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_step_of_one_handshake_then_the_others_inside() {
        let (gate, made) = (Rc::new(Turnstile::default()), Rc::new(RefCell::new(String::new())));
        let local = LocalSet::new();
        for name in ['a', 'b'] {
            let (gate, made) = (gate.clone(), made.clone());
            local.spawn_local(async move { gate.run(steps(name, made)).await });
        }
        local.await;
        assert_eq!(made.borrow().as_str(), "ababab");
    }

    #[tokio::test]
    async fn who_waits_for_the_network_holds_nobody_up() {
        let (gate, never) = (Turnstile::default(), Notify::new());
        let silent = gate.run(never.notified());
        tokio::select! {
            biased;
            () = silent => panic!("nobody has spoken"),
            () = async {
                tokio::task::yield_now().await;
                gate.run(steps('x', Rc::default())).await;
            } => {}
        }
    }
}
