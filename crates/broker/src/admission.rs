//! How many newcomers may be under way at once: through their handshakes, up to the answer to CONNECT. Pure: the time and what was
//! measured are passed in. Not the waiting.
//!
//! ```text
//!                 the standing lag of an interval is
//!            above the target: × 0.7        below, and the window was full: + 4
//!   window ◀──────────────────────── ● ────────────────────────────────────────▶ window
//! ```
//!
//! What is followed is time, not a rate that somebody has set: how late the worker's loop is, and how long commits of the
//! journal have been under way. Of an interval the least counts: one that was short says that nothing stands in line for good
//! (as in CoDel), and a single long step says nothing.
//!
//! Who finds the window full waits in line. The line is as long as what can be served within [`WAIT_MAX`], by how long those
//! before took: whoever comes beyond is refused at once, which is the newest. To refuse the oldest instead would make each
//! wait for nothing; whoever has waited longest is nearest to being served. Since the line is shorter than the patience of
//! clients, whoever is served has seldom given up; whoever has is passed over by whoever moves the line.

use std::collections::VecDeque;

/// Microseconds since some moment.
pub(crate) type Micros = u64;

const MILLI: Micros = 1_000;
const SECOND: Micros = 1_000_000;

/// The longest that somebody may wait in line. Clients give up after five seconds at the earliest, as a rule.
pub(crate) const WAIT_MAX: Micros = 2 * SECOND;

/// How late the loop may be for good.
const LOOP_TARGET: Micros = 10 * MILLI;
/// How long a commit may be under way for good: disks take their time without being overrun.
const COMMIT_TARGET: Micros = 250 * MILLI;

/// Over which time the least lag is looked for.
const INTERVAL: Micros = 100 * MILLI;

/// Never fewer: where the machine is late because of others, fewer would help nobody, as one step of one handshake at a time is made
/// between two looks at the sockets anyhow.
const WINDOW_MIN: f64 = 8.0;
const WINDOW_START: f64 = 16.0;
const WINDOW_MAX: f64 = 256.0;
const DECREASE: f64 = 0.7;
const INCREASE: f64 = 4.0;

/// How long one takes, in microseconds, until that has been measured.
const EACH_START: f64 = 2_000.0;

/// Whoever takes longer than this waits for the network, or says nothing on purpose, and costs nobody anything: it is not
/// counted any more, or a few hundred who begin and say nothing more would keep everybody out.
const COUNTED: Micros = 100 * MILLI;

/// Those in line whatever the time they would take, and at most.
const LINE_MIN: usize = 16;
const LINE_MAX: usize = 4_096;

/// How many times the target the lag is for so many intervals where those whom nobody knows are turned away at CONNECT.
const BUSY: f64 = 8.0;
const BUSY_INTERVALS: u32 = 3;

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lag {
    /// How late the loop was, in microseconds.
    pub(crate) of_loop: Micros,
    /// For how long the oldest commit has been under way.
    pub(crate) of_commits: Micros,
}

impl Lag {
    /// As a multiple of what it may be.
    fn severity(self) -> f64 {
        let of_loop = self.of_loop as f64 / LOOP_TARGET as f64;
        of_loop.max(self.of_commits as f64 / COMMIT_TARGET as f64)
    }
}

/// What becomes of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It may begin.
    Begin,
    /// It waits in line.
    Wait,
    /// It is refused now.
    Refuse,
}

/// The window of one worker.
#[derive(Debug)]
pub(crate) struct Admission {
    window: f64,
    /// Who has begun and has not ended, by number and when it began, the oldest first.
    under_way: VecDeque<(u64, Micros)>,
    next: u64,
    /// How long one takes while others wait: from one end to the next.
    each: f64,
    ended_at: Option<Micros>,
    interval_began: Micros,
    /// The least severity of the interval so far.
    least: Option<f64>,
    was_full: bool,
    severe: u32,
}

impl Default for Admission {
    fn default() -> Admission {
        Admission {
            window: WINDOW_START,
            under_way: VecDeque::new(),
            next: 0,
            each: EACH_START,
            ended_at: None,
            interval_began: 0,
            least: None,
            was_full: false,
            severe: 0,
        }
    }
}

impl Admission {
    /// Somebody has come while so many wait.
    pub(crate) fn ask(&mut self, now: Micros, waiting: usize) -> Answer {
        if waiting == 0 && self.has_room(now) {
            return Answer::Begin;
        }
        let in_time = (WAIT_MAX as f64 / self.each) as usize;
        if waiting < in_time.clamp(LINE_MIN, LINE_MAX) { Answer::Wait } else { Answer::Refuse }
    }

    /// Whether somebody may begin.
    pub(crate) fn has_room(&mut self, now: Micros) -> bool {
        while self.under_way.front().is_some_and(|(_, began)| began + COUNTED <= now) {
            self.under_way.pop_front();
        }
        let has_room = (self.under_way.len() as f64) < self.window;
        self.was_full |= !has_room;
        has_room
    }

    /// Somebody begins; its number.
    pub(crate) fn begin(&mut self, now: Micros) -> u64 {
        self.next += 1;
        self.under_way.push_back((self.next, now));
        self.next
    }

    /// It has ended, well or not, while so many wait.
    pub(crate) fn end(&mut self, number: u64, now: Micros, waiting: usize) {
        if let Ok(at) = self.under_way.binary_search_by_key(&number, |(number, _)| *number) {
            self.under_way.remove(at);
        }
        // Only where others wait all the time does the time between two ends say how long one takes.
        if let Some(before) = self.ended_at.filter(|_| waiting > 0) {
            self.each += (now.saturating_sub(before) as f64 - self.each) / 16.0;
        }
        self.ended_at = (waiting > 0).then_some(now);
    }

    /// What was measured now.
    pub(crate) fn observe(&mut self, now: Micros, lag: Lag) {
        let severity = lag.severity();
        self.least = Some(self.least.map_or(severity, |least| least.min(severity)));
        if now < self.interval_began + INTERVAL {
            return;
        }
        let standing = self.least.take().unwrap_or(0.0);
        let was_full = std::mem::take(&mut self.was_full);
        self.interval_began = now;
        if standing > 1.0 {
            self.window = (self.window * DECREASE).max(WINDOW_MIN);
        } else if was_full {
            self.window = (self.window + INCREASE).min(WINDOW_MAX);
        }
        self.severe = if standing >= BUSY { self.severe + 1 } else { 0 };
    }

    /// Nobody has come for a while: what was measured then says nothing about whoever comes next.
    pub(crate) fn rest(&mut self) {
        (self.severe, self.least, self.was_full, self.ended_at) = (0, None, false, None);
    }

    /// Whether those whom nobody knows are turned away.
    pub(crate) fn is_busy(&self) -> bool {
        self.severe >= BUSY_INTERVALS
    }

    /// So many may be under way.
    pub(crate) fn window(&self) -> usize {
        self.window as usize
    }

    /// So many are.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker on virtual time. Each newcomer takes `each` of it; whatever else it does takes the share `others` of
    /// the time, and its loop is late by what is under way.
    struct Worker {
        admission: Admission,
        now: Micros,
        each: Micros,
        others: f64,
        /// When those in line came, and when those under way began.
        line: VecDeque<Micros>,
        inside: VecDeque<(u64, Micros)>,
        done: u64,
        refused: u64,
        late: u64,
        /// The longest from coming to the end, and the most that were there at once.
        longest: Micros,
        most: usize,
    }

    impl Worker {
        fn new(each: Micros, others: f64) -> Worker {
            Worker {
                admission: Admission::default(),
                now: 0,
                each,
                others,
                line: VecDeque::new(),
                inside: VecDeque::new(),
                done: 0,
                refused: 0,
                late: 0,
                longest: 0,
                most: 0,
            }
        }

        fn come(&mut self) -> bool {
            match self.admission.ask(self.now, self.line.len()) {
                Answer::Refuse => {
                    self.refused += 1;
                    return false;
                }
                Answer::Begin | Answer::Wait => self.line.push_back(self.now),
            }
            self.let_in();
            self.most = self.most.max(self.line.len() + self.inside.len());
            true
        }

        fn let_in(&mut self) {
            while !self.line.is_empty() && self.admission.has_room(self.now) {
                let came = self.line.pop_front().unwrap_or_default();
                self.inside.push_back((self.admission.begin(self.now), came));
            }
        }

        /// Works for ten milliseconds and looks how late it is: each of those under way holds it up.
        fn turn(&mut self) {
            self.now += 10 * MILLI;
            // Nobody waits longer than that.
            while self.line.front().is_some_and(|came| came + WAIT_MAX <= self.now) {
                self.line.pop_front();
                self.late += 1;
            }
            let mut left = (10.0 * MILLI as f64 * (1.0 - self.others)) as Micros + self.now % 2;
            while left >= self.each
                && let Some((number, came)) = self.inside.pop_front()
            {
                left -= self.each;
                self.done += 1;
                self.longest = self.longest.max(self.now - came);
                self.admission.end(number, self.now, self.line.len());
                self.let_in();
            }
            let of_loop = (self.inside.len() as f64 * self.each as f64 / 8.0 / (1.0 - self.others)) as Micros;
            self.admission.observe(self.now, Lag { of_loop, of_commits: 0 });
            self.let_in();
        }
    }

    #[test]
    fn a_crowd_is_served_in_a_bounded_time_and_whoever_comes_beyond_is_refused_at_once() {
        for (each, others) in [(300, 0.0), (300, 0.5), (2_000, 0.0), (2_000, 0.5), (5_000, 0.4)] {
            let mut worker = Worker::new(each, others);
            // Ten thousand, of whom each that is refused comes again after a second.
            let mut outside: VecDeque<Micros> = (0..10_000).map(|at| at / 10 * MILLI).collect();
            while worker.done < 10_000 {
                for _ in 0..outside.len() {
                    let Some(at) = outside.pop_front() else { break };
                    if at > worker.now || !worker.come() {
                        outside.push_back(at.max(worker.now + if at > worker.now { 0 } else { SECOND }));
                    }
                }
                let late = worker.late;
                worker.turn();
                outside.extend((late..worker.late).map(|_| worker.now + SECOND));
                assert!(worker.now < 600 * SECOND, "it does not end: {each} {others}");
            }
            let ideal = (10_000.0 * each as f64 / (1.0 - others)) as Micros;
            assert!(worker.now < ideal * 2 + 3 * SECOND, "{each} {others}: {} of {ideal}", worker.now);
            assert!(worker.longest < 2 * WAIT_MAX, "{each} {others}: {}", worker.longest);
            assert!(worker.most <= LINE_MAX + WINDOW_MAX as usize);
        }
    }

    #[test]
    fn where_the_machine_becomes_half_as_fast_the_window_follows() {
        let mut worker = Worker::new(400, 0.0);
        let mut windows = Vec::new();
        for others in [0.0, 0.75, 0.0] {
            worker.others = others;
            for _ in 0..2_000 {
                while worker.line.len() < 20 && worker.come() {}
                worker.turn();
            }
            windows.push(worker.admission.window());
        }
        assert!(windows[1] * 2 < windows[0] && windows[2] > windows[1] * 2, "{windows:?}");
    }

    #[test]
    fn a_single_long_step_changes_nothing_and_lag_that_stays_does() {
        let mut admission = Admission::default();
        for at in 1..100 {
            let of_loop = if at % 5 == 0 { 80 * MILLI } else { MILLI };
            admission.observe(at * 10 * MILLI, Lag { of_loop, of_commits: 0 });
        }
        assert_eq!(admission.window(), WINDOW_START as usize);
        for lag in [Lag { of_loop: 11 * MILLI, of_commits: 0 }, Lag { of_loop: 0, of_commits: 251 * MILLI }] {
            let mut admission = Admission::default();
            (1..1_000).for_each(|at| admission.observe(at * 10 * MILLI, lag));
            assert_eq!((admission.window() as f64, admission.is_busy()), (WINDOW_MIN, false), "{lag:?}");
        }
    }

    #[test]
    fn who_waits_for_the_network_holds_nobody_up_for_long() {
        let mut admission = Admission::default();
        for _ in 0..WINDOW_START as usize {
            assert_eq!(admission.ask(0, 0), Answer::Begin);
            admission.begin(0);
        }
        assert_eq!(admission.ask(COUNTED - 1, 0), Answer::Wait);
        assert_eq!(admission.ask(COUNTED, 0), Answer::Begin);
        assert_eq!(admission.under_way(), 0);
        admission.end(3, COUNTED, 0); // It ends all the same, and later.
    }

    #[test]
    fn whom_nobody_knows_is_turned_away_while_the_lag_is_severe_and_no_longer() {
        let mut admission = Admission::default();
        let mut seen = Vec::new();
        for at in 1..100 {
            let of_loop = if at < 60 { 100 * MILLI } else { 70 * MILLI };
            admission.observe(at * 10 * MILLI, Lag { of_loop, of_commits: 0 });
            if seen.last().is_none_or(|(_, busy)| *busy != admission.is_busy()) {
                seen.push((at, admission.is_busy()));
            }
        }
        assert_eq!(seen, [(1, false), (30, true), (60, false)]);
        (1..100).for_each(|at| admission.observe(at * SECOND, Lag { of_loop: SECOND, of_commits: 0 }));
        assert!(admission.is_busy());
        admission.rest();
        assert!(!admission.is_busy());
    }
}
