//! Runs in which few clients meet on one topic, all at once and without faults: what goes wrong when two do something at
//! the same time goes wrong here.

use crate::{
    dice::Dice,
    plan::{Plan, percents},
    player::{Habits, Weights},
};

impl Plan {
    /// Makes a duel of a run.
    pub(crate) fn become_duel(&mut self, dice: &mut Dice) {
        let habits = Habits {
            topics: vec!["a/b".into()],
            filters: filters(dice),
            retain_percent: *dice.pick(&[0, 50, 100]).unwrap_or(&50),
            clear_percent: *dice.pick(&[0, 30]).unwrap_or(&0),
            expiry_percent: 0,
            large_percent: 0,
            burst_max: 4,
            clean_start_percent: 0,
            rest_millis_max: *dice.pick(&[5, 50]).unwrap_or(&50),
            ..Habits::clone(&self.habits)
        };
        self.habits = habits.into();
        let weights = Weights {
            publish: percents(dice, 5, 60),
            burst: percents(dice, 0, 10),
            subscribe: percents(dice, 5, 60),
            unsubscribe: percents(dice, 0, 60),
            ..Weights::default()
        };
        self.personas.truncate(2 + dice.below(4));
        // Either nothing waits for anybody, or everybody has room for one alone.
        let is_swift = dice.percent(60);
        for persona in &mut self.personas {
            persona.weights = weights;
            persona.will = None;
            persona.receive_maximum = (!is_swift).then_some(1);
            persona.lazy_percent = 0;
        }
        self.limits.connection.inflight_max = 1_000;
        self.limits.connection.receive_maximum = 1_000;
        self.limits.match_cache_topics_max = 16_384;
        self.weather.cut_per_mille = 0;
        self.weather.verdict_percent = 0;
        self.weather.window_bytes = 1 << 20;
        self.weather.interleave_per_mille = percents(dice, 50, 500);
        self.weather.beat_millis = *dice.pick(&[1, 10, 40]).unwrap_or(&1);
        self.weather.delay_millis_max = self.weather.delay_millis_max.min(5);
        self.faults_millis = 2_000;
        self.crowd = 0;
    }
}

fn filters(dice: &mut Dice) -> Vec<Box<str>> {
    let kinds: [&[&str]; 4] = [&["a/b"], &["a/b", "a/+"], &["$share/g/a/b"], &["a/b", "$share/g/a/b"]];
    dice.pick(&kinds).into_iter().flat_map(|filters| *filters).map(|filter| Box::from(*filter)).collect()
}
