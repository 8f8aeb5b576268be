//! What a ratio of two brokers is worth: its middle, its spread over the rounds, and whether the spread carries a
//! difference. Not where the figures come from.

/// Student's t for 95 % on both sides, by degrees of freedom from 1 on. Beyond the last it hardly shrinks.
const T_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// A ratio over several rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    /// The geometric mean.
    pub(crate) middle: f64,
    /// The interval in which the true ratio lies with 95 % confidence, as far as the rounds tell.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Ratio {
    /// From the figures of each round: the other's and ours, taken one after the other, so that what changes slowly
    /// cancels. `None` for fewer than two rounds, which have no spread.
    pub(crate) fn of(rounds: &[(f64, f64)]) -> Option<Ratio> {
        let logs: Vec<f64> = rounds.iter().map(|(theirs, ours)| (theirs / ours).ln()).collect();
        if logs.len() < 2 || !logs.iter().all(|log| log.is_finite()) {
            return None;
        }
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let t = T_95.get(logs.len() - 2).or(T_95.last())?;
        let half = t * (variance / count).sqrt();
        Some(Ratio { middle: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
    }

    /// Whether the spread carries a difference: equality lies outside it.
    pub(crate) fn is_difference(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }
}

/// The middle of the figures in their order; `None` where there is none.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    sorted.get(sorted.len() / 2 - 1).map(|lower| f64::midpoint(*lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rounds: &[(f64, f64)], middle: f64, is_difference: bool) {
        let ratio = Ratio::of(rounds).unwrap();
        assert!((ratio.middle / middle - 1.0).abs() < 1e-9, "{ratio:?}");
        assert!(ratio.low <= ratio.middle && ratio.middle <= ratio.high, "{ratio:?}");
        assert_eq!(ratio.is_difference(), is_difference, "{ratio:?}");
    }

    #[test]
    fn a_difference_is_called_where_the_spread_carries_it() {
        // Twice as much each time, however the machine drifts.
        check(&[(2.0, 1.0), (4.0, 2.0), (3.0, 1.5)], 2.0, true);
        check(&[(1.0, 2.0), (2.0, 4.0)], 0.5, true);
        // Once a little more, once a little less.
        check(&[(1.1, 1.0), (1.0, 1.1)], 1.0, false);
        // A middle of 1.05 with a spread of ten hundredths is none, with one of a hundredth it is.
        check(&[(1.05 * 1.1, 1.0), (1.05 / 1.1, 1.0), (1.05, 1.0)], 1.05, false);
        check(&[(1.05 * 1.005, 1.0), (1.05 / 1.005, 1.0), (1.05, 1.0)], 1.05, true);
        // Two rounds must agree far better than three.
        check(&[(1.3, 1.0), (1.2, 1.0)], (1.3_f64 * 1.2).sqrt(), false);
    }

    #[test]
    fn one_outlier_among_five_refuses_the_call() {
        check(
            &[(1.1, 1.0), (1.1, 1.0), (1.1, 1.0), (1.1, 1.0), (0.7, 1.0)],
            (1.1_f64.powi(4) * 0.7).powf(0.2),
            false,
        );
    }

    #[test]
    fn the_interval_is_students() {
        // Logarithms 0, 0.1, 0.2: mean 0.1, standard deviation 0.1, t 4.303.
        let rounds = [0.0_f64, 0.1, 0.2].map(|log| (log.exp(), 1.0));
        let ratio = Ratio::of(&rounds).unwrap();
        let half = 4.303 * 0.1 / 3.0_f64.sqrt();
        assert!((ratio.high.ln() - (0.1 + half)).abs() < 1e-12, "{ratio:?}");
        assert!((ratio.low.ln() - (0.1 - half)).abs() < 1e-12, "{ratio:?}");
    }

    #[test]
    fn there_is_no_ratio_without_a_spread() {
        assert_eq!(Ratio::of(&[]), None);
        assert_eq!(Ratio::of(&[(2.0, 1.0)]), None);
        assert_eq!(Ratio::of(&[(2.0, 0.0), (2.0, 1.0)]), None);
        assert_eq!(Ratio::of(&[(0.0, 1.0), (2.0, 1.0)]), None);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }
}
