//! What a run's machine does to its server, drawn by the seed: few faults of all, and those thoroughly.

use whimbrel_engine::{DiskFull, Level};
use whimbrel_journal::Options;

use crate::{dice::Dice, log::Tally, plan::Plan};

/// Seconds in a day: who lives so long survives every jump of the clock.
const DAY_SECS: u32 = 86_400;

/// The faults of a machine.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Deaths of the server at most.
    pub crashes_max: u32,
    /// How often it dies, in ten thousand turns of workers and committer.
    pub crash_per_myriad: u32,
    /// How many deaths, in a hundred, are losses of power.
    pub power_percent: u32,
    /// How often the server dies while it opens its store, in a hundred.
    pub opening_percent: u32,
    /// How often it dies in the middle of a commit, in a thousand.
    pub torn_per_mille: u32,
    /// How often the disk begins to be full, in a thousand commits, and for how many milliseconds.
    pub full_per_mille: u32,
    /// Milliseconds for which it is full at most.
    pub full_millis_max: u64,
    /// How often a write or a sync fails, in a thousand commits.
    pub fail_per_mille: u32,
    /// Milliseconds that a commit takes at most.
    pub commit_millis_max: u64,
    /// How often the committer goes on beside a record, in a thousand.
    pub beside_per_mille: u32,
    /// How often workers go on while the disk works, in a thousand operations.
    pub meanwhile_per_mille: u32,
    /// How often a sync takes so long that workers hear what was written before, in a thousand.
    pub linger_per_mille: u32,
    /// How often the power goes at the end of such a sync, in a hundred.
    pub linger_cut_percent: u32,
    /// Space is given back.
    pub cleans: bool,
    /// How often the disk begins to lie, in a thousand commits, and for how many milliseconds at most.
    pub lie_per_mille: u32,
    /// Milliseconds for which it lies at most.
    pub lie_millis_max: u64,
    /// Seconds by which the wall clock jumps at a start at most, in either direction.
    pub jump_secs_max: u64,
    /// Milliseconds between a death and the next start at most.
    pub down_millis_max: u64,
    /// The levels of the listeners.
    pub levels: Vec<Level>,
    /// Of the journal.
    pub options: Options,
}

impl Faults {
    /// Draws them, and makes the plan one that a machine can follow.
    #[must_use]
    pub fn draw(dice: &mut Dice, plan: &mut Plan, tally: &mut Tally) -> Faults {
        let mut on = |dice: &mut Dice, name: &'static str, percent: u32| {
            let drawn = dice.percent(percent);
            tally.add(name, u64::from(drawn));
            drawn
        };
        let crashes_max = if on(dice, "runs with crashes", 90) { dice.within(1, 5) } else { 0 };
        let power_percent = *dice.pick(&[0, 40, 100]).unwrap_or(&40);
        let is_mixed = on(dice, "runs with several levels", 35);
        let jumps = on(dice, "runs with a clock that jumps", 30);
        let levels = match (is_mixed, power_percent) {
            (true, _) if dice.percent(40) => vec![Level::Memory, Level::Process, Level::Power],
            (true, _) if dice.percent(40) => vec![Level::Memory, Level::Power],
            (true, _) => vec![Level::Process, Level::Power],
            (false, 0) => vec![Level::Process],
            (false, _) => vec![Level::Power],
        };
        let commit_millis_max = *dice.pick(&[0, 0, 3, 50, 600]).unwrap_or(&0);
        let faults = Faults {
            crashes_max: u32::try_from(crashes_max).unwrap_or(0),
            crash_per_myriad: *dice.pick(&[3, 10, 40, 150]).unwrap_or(&10),
            power_percent,
            opening_percent: if on(dice, "runs with crashes while opening", 30) { 50 } else { 0 },
            torn_per_mille: if on(dice, "runs with crashes in a commit", 50) { 30 } else { 0 },
            full_per_mille: if on(dice, "runs with a full disk", 20) { 20 } else { 0 },
            full_millis_max: *dice.pick(&[100, 3_000]).unwrap_or(&100),
            fail_per_mille: if on(dice, "runs with a failing disk", 20) { 20 } else { 0 },
            commit_millis_max,
            beside_per_mille: *dice.pick(&[0, 20, 200]).unwrap_or(&0),
            meanwhile_per_mille: *dice.pick(&[0, 50, 300]).unwrap_or(&0),
            linger_per_mille: *dice.pick(&[0, 0, 50, 400]).unwrap_or(&0),
            linger_cut_percent: *dice.pick(&[0, 5, 30]).unwrap_or(&0),
            cleans: on(dice, "runs with cleaning", 60),
            lie_per_mille: if on(dice, "runs with a lying disk", 8) { 50 } else { 0 },
            lie_millis_max: *dice.pick(&[10, 1_000, 60_000]).unwrap_or(&1_000),
            jump_secs_max: if jumps { 3_600 } else { 0 },
            down_millis_max: *dice.pick(&[0, 500, 4_000]).unwrap_or(&0),
            levels,
            options: options(dice, commit_millis_max),
        };
        faults.fit(dice, plan);
        faults
    }

    /// The same machine, to which nothing is done.
    #[must_use]
    pub fn none(self) -> Faults {
        Faults {
            crashes_max: 0,
            opening_percent: 0,
            torn_per_mille: 0,
            full_per_mille: 0,
            fail_per_mille: 0,
            lie_per_mille: 0,
            linger_cut_percent: 0,
            jump_secs_max: 0,
            ..self
        }
    }

    fn fit(&self, dice: &mut Dice, plan: &mut Plan) {
        if dice.percent(50) {
            plan.limits.disk_full = DiskFull::Refuse;
        }
        plan.limits.will_grace_millis = *dice.pick(&[500, 3_000, 20_000]).unwrap_or(&3_000);
        for persona in &mut plan.personas {
            persona.reuses_ids = dice.percent(50);
        }
        if self.jump_secs_max > 0 {
            for persona in plan.personas.iter_mut().filter(|persona| persona.expiry_secs > 0) {
                persona.expiry_secs = persona.expiry_secs.max(DAY_SECS);
            }
            let mut habits = crate::player::Habits::clone(&plan.habits);
            habits.expiry_percent = 0;
            plan.habits = habits.into();
        }
    }
}

fn options(dice: &mut Dice, commit_millis_max: u64) -> Options {
    // So small that publishers wait, not so small that a slow disk outlasts their patience.
    let staged_bytes = if commit_millis_max > 3 { [256 << 10, 64 << 20] } else { [32 << 10, 64 << 20] };
    Options {
        segment_bytes: *dice.pick(&[1 << 10, 4 << 10, 32 << 10, 1 << 20]).unwrap_or(&(1 << 20)),
        frame_bytes_max: *dice.pick(&[300, 4 << 10, 256 << 10]).unwrap_or(&4096),
        fill_bytes: *dice.pick(&[512, 8 << 10]).unwrap_or(&512),
        staged_bytes_max: *dice.pick(&staged_bytes).unwrap_or(&(64 << 20)),
        unsynced_bytes_max: *dice.pick(&[1 << 10, 8 << 20]).unwrap_or(&(8 << 20)),
        spares_max: dice.below(3),
        store_id: [7; 16],
        salvage: false,
    }
}
