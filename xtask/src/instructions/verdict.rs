//! The arithmetic of the instruction counts: from Valgrind's totals to a cost, and from two costs to a verdict.

use super::{Cost, Entry, Ratchet};

/// An operation may cost so much more than the ratchet says, in hundredths.
const GROWTH_MAX: f64 = 2.0;
/// Allocations are whole numbers or come once in many operations; this is below both and above their rounding.
const ALLOCATIONS_MORE_MAX: f64 = 0.02;

/// What a measurement says against the ratchet.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    Known {
        now: Cost,
        before: Cost,
    },
    /// The ratchet does not have it.
    New(Cost),
    /// Only the ratchet has it.
    Gone,
}

impl Verdict {
    pub(super) fn is_failure(&self) -> bool {
        match self {
            Verdict::Known { now, before } => {
                growth(before.instructions, now.instructions) > GROWTH_MAX
                    || now.allocations > before.allocations + ALLOCATIONS_MORE_MAX
            }
            Verdict::New(_) | Verdict::Gone => true,
        }
    }
}

/// What one of `iterations` operations costs, from the totals of a run with so many and one with twice as many.
pub(super) fn per_operation(once: u64, twice: u64, iterations: u64) -> Option<f64> {
    let difference = twice.checked_sub(once)?;
    (iterations > 0).then(|| difference as f64 / iterations as f64)
}

/// The instructions that a file of Callgrind's sums up to.
pub(super) fn instructions(file: &str) -> Option<u64> {
    file.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

/// The allocations that DHAT reports: `==1== Total:     711,941 bytes in 12,364 blocks`.
pub(super) fn blocks(said: &str) -> Option<u64> {
    let total = said.lines().find(|line| line.contains("Total:"))?;
    let blocks = total.strip_suffix(" blocks")?.rsplit(' ').next()?;
    blocks.replace(',', "").parse().ok()
}

/// Every operation that is measured, then those that are not any more.
pub(super) fn compare(ratchet: &Ratchet, measured: &[(String, Cost)]) -> Vec<(String, Verdict)> {
    let mut verdicts: Vec<_> = measured
        .iter()
        .map(|(name, now)| {
            let verdict = match ratchet.operations.get(name) {
                Some(Entry { cost, .. }) => Verdict::Known { now: *now, before: *cost },
                None => Verdict::New(*now),
            };
            (name.clone(), verdict)
        })
        .collect();
    let is_gone = |name: &&String| !measured.iter().any(|(measured, _)| measured == *name);
    verdicts.extend(ratchet.operations.keys().filter(is_gone).map(|name| (name.clone(), Verdict::Gone)));
    verdicts
}

pub(super) fn line(name: &str, verdict: &Verdict) -> String {
    let columns = |cost: &Cost, change: &str| {
        format!("{name:<40} {:>14.1} {change:>9} {:>11.2}", cost.instructions, cost.allocations)
    };
    match verdict {
        Verdict::Known { now, before } => {
            let growth = growth(before.instructions, now.instructions);
            let line = columns(now, &format!("{growth:+.2} %"));
            if now.allocations > before.allocations + ALLOCATIONS_MORE_MAX {
                format!("{line}  FAILED: {:.2} allocations before", before.allocations)
            } else if verdict.is_failure() {
                format!("{line}  FAILED: {:.1} instructions before", before.instructions)
            } else if growth < -GROWTH_MAX {
                format!("{line}  better: bless it, so that it stays")
            } else {
                line
            }
        }
        Verdict::New(now) => format!("{}  FAILED: not in the ratchet", columns(now, "new")),
        Verdict::Gone => {
            format!("{name:<40} {:>14} {:>9} {:>11}  FAILED: only in the ratchet", "-", "gone", "-")
        }
    }
}

/// In hundredths of what it was.
fn growth(before: f64, now: f64) -> f64 {
    if before > 0.0 {
        (now / before - 1.0) * 100.0
    } else if now > 0.0 {
        f64::INFINITY
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(instructions: f64, allocations: f64) -> Cost {
        Cost { instructions, allocations }
    }

    #[test]
    fn the_start_of_the_program_falls_out() {
        let check = |start: u64, each: u64, iterations: u64| {
            let total = |times: u64| start + each * times;
            let found = per_operation(total(iterations), total(2 * iterations), iterations);
            assert_eq!(found, Some(each as f64));
        };
        check(1_000_000, 334, 10_000);
        check(0, 1, 1);
        check(77, 0, 5);
        assert_eq!(per_operation(10, 9, 5), None);
        assert_eq!(per_operation(10, 10, 0), None);
    }

    #[test]
    fn two_in_a_hundred_is_the_limit() {
        let check = |before: Cost, now: Cost, fails: bool| {
            assert_eq!(Verdict::Known { now, before }.is_failure(), fails, "{before:?} {now:?}");
        };
        check(cost(1_000.0, 0.0), cost(1_000.0, 0.0), false);
        check(cost(1_000.0, 0.0), cost(1_019.9, 0.0), false);
        check(cost(1_000.0, 0.0), cost(1_020.1, 0.0), true);
        check(cost(1_000.0, 0.0), cost(500.0, 0.0), false);
        check(cost(0.0, 0.0), cost(1.0, 0.0), true);
        check(cost(1_000.0, 1.0), cost(1_000.0, 1.01), false);
        check(cost(1_000.0, 0.0), cost(900.0, 1.0), true);
    }

    #[test]
    fn what_only_one_side_knows_is_found() {
        let entry = Entry { cost: cost(5.0, 0.0), reason: "r".to_owned() };
        let operations = ["a", "b"].map(|name| (name.to_owned(), entry.clone()));
        let ratchet = Ratchet { compiler: "c".to_owned(), operations: operations.into_iter().collect() };
        let measured = [("b".to_owned(), cost(5.0, 0.0)), ("c".to_owned(), cost(6.0, 0.0))];
        let verdicts = compare(&ratchet, &measured);
        let known = Verdict::Known { now: cost(5.0, 0.0), before: cost(5.0, 0.0) };
        let expect = [("b", known), ("c", Verdict::New(cost(6.0, 0.0))), ("a", Verdict::Gone)];
        assert_eq!(verdicts, expect.map(|(name, verdict)| (name.to_owned(), verdict)));
        let failures: Vec<_> = verdicts.iter().map(|(_, verdict)| verdict.is_failure()).collect();
        assert_eq!(failures, [false, true, true]);
        assert!(
            verdicts
                .iter()
                .all(|(name, verdict)| line(name, verdict).contains("FAILED") == verdict.is_failure())
        );
    }

    #[test]
    fn totals_are_read_from_what_valgrind_prints() {
        assert_eq!(instructions("version: 1\nsummary: 12\n0 6\n\ntotals: 87986053"), Some(87_986_053));
        assert_eq!(instructions("version: 1\n"), None);
        assert_eq!(
            blocks("==1== \n==1== Total:     711,941 bytes in 12,364 blocks\n==1== At t-end"),
            Some(12_364)
        );
        assert_eq!(blocks("==1== Total: 0 bytes in 0 blocks"), Some(0));
        assert_eq!(blocks("==1== nothing"), None);
    }
}
