//! Several workers of one engine on threads of their own, doing seeded things. What each does is the same in every
//! run, how they interleave is not.

use std::sync::Barrier;

use super::{
    dice::Dice,
    worker::{ROUNDS_MAX, Worker},
};

/// Lets every worker do `act` so often on a thread of its own, then everybody come to rest on this one. Whoever waits to
/// be woken and is not, waits for ever.
pub(super) fn run<S: Send>(
    mut crews: Vec<(Worker, S)>,
    seed: u64,
    times: usize,
    act: impl Fn(&mut Worker, &mut S, &mut Dice) + Sync,
) -> Vec<(Worker, S)> {
    let (barrier, act) = (Barrier::new(crews.len()), &act);
    let start = &barrier;
    std::thread::scope(|scope| {
        for (number, (worker, state)) in crews.iter_mut().enumerate() {
            scope.spawn(move || {
                let mut dice = Dice::new(seed ^ (number as u64) << 32);
                start.wait();
                for _ in 0..times {
                    act(worker, state, &mut dice);
                    if dice.one_in(8) {
                        std::thread::yield_now();
                    }
                }
                worker.round(); // Its last turn ends with a flush like every other.
            });
        }
    });
    crews
}

/// Lets the workers of all crews go on until nobody has anything to do.
pub(super) fn settle<S>(crews: Vec<(Worker, S)>) -> Vec<(Worker, S)> {
    let (mut workers, states): (Vec<Worker>, Vec<S>) = crews.into_iter().unzip();
    settle_all(&mut workers);
    workers.into_iter().zip(states).collect()
}

/// Lets several workers of one engine go on, in turns, until nobody has anything to do.
pub(super) fn settle_all(workers: &mut [Worker]) {
    for _ in 0..ROUNDS_MAX {
        let mut busy = false;
        for worker in workers.iter_mut() {
            busy |= worker.round();
        }
        if !busy {
            return;
        }
    }
    panic!("the workers never come to rest");
}
