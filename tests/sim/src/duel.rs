//! Runs in which few clients meet on one topic, all at once and without faults: what goes wrong when two do something at
//! the same time goes wrong here.

use crate::{
    dice::Dice,
    plan::{Listener, Plan},
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
            rest_millis_max: *dice.pick(&[5, 20, 100]).unwrap_or(&20),
            ..Habits::clone(&self.habits)
        };
        self.habits = habits.into();
        let weights = Weights {
            publish: 40,
            burst: *dice.pick(&[0, 5]).unwrap_or(&0),
            subscribe: *dice.pick(&[3, 10, 40]).unwrap_or(&10),
            unsubscribe: *dice.pick(&[0, 10, 40]).unwrap_or(&10),
            ..Weights::default()
        };
        self.personas.truncate(2 + dice.below(4));
        // Either nothing waits for anybody, or everybody has room for one alone.
        let is_swift = dice.percent(50);
        for persona in &mut self.personas {
            persona.weights = weights;
            persona.will = None;
            persona.receive_maximum = (!is_swift).then_some(1);
            persona.lazy_percent = 0;
            // What only the next PINGREQ would set going is stuck.
            persona.keep_alive_secs = 0;
        }
        self.limits.connection.inflight_max = 1_000;
        self.limits.connection.receive_maximum = 1_000;
        self.limits.connection.keep_alive_secs_max = 1_200;
        self.limits.match_cache_topics_max = 16_384;
        self.weather.cut_per_mille = 0;
        self.weather.verdict_percent = 0;
        self.weather.window_bytes = 1 << 20;
        self.weather.interleave_per_mille = *dice.pick(&[20, 50, 150, 400]).unwrap_or(&50);
        self.weather.beat_millis = *dice.pick(&[1, 20, 60]).unwrap_or(&1);
        self.weather.delay_millis_max = self.weather.delay_millis_max.min(5);
        self.faults_millis = 2_000;
        self.events_max = *dice.pick(&[60, 200, 1_000]).unwrap_or(&200);
        self.workers = 4;
        self.has_witness = true;
        // Who does nothing but listen is not set going by anything else either.
        self.crowd = Vec::new();
        if dice.percent(40) {
            let listener = Listener { filter: "$share/g/a/b", qos: 1, receive_maximum: Some(1) };
            self.crowd = vec![listener; 1 + dice.below(3)];
        }
    }
}

fn filters(dice: &mut Dice) -> Vec<Box<str>> {
    let kinds: [&[&str]; 4] = [&["a/b"], &["a/b", "a/+"], &["$share/g/a/b"], &["a/b", "$share/g/a/b"]];
    dice.pick(&kinds).into_iter().flat_map(|filters| *filters).map(|filter| Box::from(*filter)).collect()
}
