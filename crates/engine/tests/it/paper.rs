//! A journal in memory, for tests: what is written and what is synced is said by the test, and a crash loses the rest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use whimbrel_engine::{
    Engine, Journal, Level, Limits, Now,
    store::{Figures, Fold, ReadFailed, Record, Restored, StageRefused, Staged, Trouble},
};

/// What stands before each record, like on a disk.
const HEADER: u64 = 8;

#[derive(Default)]
struct State {
    records: Vec<(u64, Vec<u8>)>,
    end: u64,
    written: u64,
    synced: u64,
    /// Up to where somebody has asked for a sync.
    asked: u64,
    live: BTreeMap<u64, i64>,
    trouble: Option<Trouble>,
    /// Records that are taken before all others are refused.
    takes: Option<usize>,
    is_over_budget: bool,
    budget: Option<u64>,
    nudges: usize,
    reads: usize,
    is_unreadable: bool,
}

/// The journal; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Paper(Arc<Mutex<State>>);

impl Paper {
    /// Everything that is staged is on the disk now.
    pub(super) fn commit(&self) {
        let mut state = self.0.lock().unwrap();
        (state.written, state.synced) = (state.end, state.end);
    }

    /// Everything that is staged survives the end of the process, but not a loss of power.
    pub(super) fn write(&self) {
        let mut state = self.0.lock().unwrap();
        state.written = state.end;
    }

    /// Everything that somebody has asked to be synced is on the disk now, and no more.
    pub(super) fn serve(&self) {
        let mut state = self.0.lock().unwrap();
        state.synced = state.synced.max(state.asked);
        state.written = state.written.max(state.synced);
    }

    /// The disk takes nothing, or takes again.
    pub(super) fn set_trouble(&self, trouble: Option<Trouble>) {
        self.0.lock().unwrap().trouble = trouble;
    }

    /// So many records more are taken, then every one is refused; `None`: none is.
    pub(super) fn set_takes(&self, takes: Option<usize>) {
        self.0.lock().unwrap().takes = takes;
    }

    pub(super) fn set_over_budget(&self, is_over: bool) {
        self.0.lock().unwrap().is_over_budget = is_over;
    }

    /// Nothing can be read back, or everything again.
    pub(super) fn set_unreadable(&self, is_unreadable: bool) {
        self.0.lock().unwrap().is_unreadable = is_unreadable;
    }

    /// How often a record was read back.
    pub(super) fn reads(&self) -> usize {
        self.0.lock().unwrap().reads
    }

    /// It is over budget when more bytes wait than these.
    pub(super) fn set_budget(&self, budget: Option<u64>) {
        self.0.lock().unwrap().budget = budget;
    }

    /// Messages that are owed and that no record has.
    pub(super) fn missing(&self) -> usize {
        self.fold(0).summary().missing
    }

    /// How often somebody wanted records written that nobody waits for.
    pub(super) fn nudges(&self) -> usize {
        self.0.lock().unwrap().nudges
    }

    /// The records so far.
    pub(super) fn records(&self) -> usize {
        self.0.lock().unwrap().records.len()
    }

    /// The kinds of the records from number `from` on, as a person reads them.
    pub(super) fn told(&self, from: usize) -> Vec<String> {
        let state = self.0.lock().unwrap();
        let told = state
            .records
            .iter()
            .skip(from)
            .map(|(_, bytes)| format!("{:?}", Record::decode(bytes).expect("a record that can be read")));
        told.collect()
    }

    /// Bytes that are needed still, by the engine's count.
    pub(super) fn live(&self) -> i64 {
        self.0.lock().unwrap().live.values().sum()
    }

    /// Where the last record ends.
    pub(super) fn end(&self) -> u64 {
        self.0.lock().unwrap().end
    }

    /// Bytes before this position that are needed still.
    pub(super) fn live_before(&self, below: u64) -> i64 {
        self.0.lock().unwrap().live.range(..below).map(|(_, bytes)| bytes).sum()
    }

    /// The records before this position that are needed still.
    pub(super) fn needed_before(&self, below: u64) -> Vec<String> {
        let state = self.0.lock().unwrap();
        let needed = state.live.range(..below).filter(|(_, bytes)| **bytes != 0);
        needed
            .map(|(at, bytes)| {
                let record = state.records.iter().find(|(position, _)| position == at);
                format!("{bytes} of {:?}", record.and_then(|(_, record)| Record::decode(record)))
            })
            .collect()
    }

    /// What is left on the disk when everything before this position is given back.
    pub(super) fn without_before(&self, below: u64) -> Paper {
        let state = self.0.lock().unwrap();
        let records = state.records.iter().filter(|(at, _)| *at >= below).cloned().collect();
        let (end, written, synced) = (state.end, state.end, state.end);
        Paper(Arc::new(Mutex::new(State { records, end, written, synced, ..State::default() })))
    }

    /// The power fails: only the first `keep` records are left, and at least what was synced.
    pub(super) fn crash(&self, keep: usize) -> Paper {
        let state = self.0.lock().unwrap();
        let synced =
            state.records.iter().filter(|(at, bytes)| at + HEADER + bytes.len() as u64 <= state.synced);
        let keep = keep.max(synced.count()).min(state.records.len());
        let records = state.records[..keep].to_vec();
        let end = records.last().map_or(0, |(at, bytes)| at + HEADER + bytes.len() as u64);
        let (written, synced) = (end, end);
        Paper(Arc::new(Mutex::new(State { records, end, written, synced, ..State::default() })))
    }

    fn fold(&self, room: usize) -> Fold {
        let mut fold = Fold::with_room(room);
        for (at, bytes) in &self.0.lock().unwrap().records {
            fold.take(*at, at + HEADER + bytes.len() as u64, bytes).expect("records that can be read");
        }
        fold
    }

    /// An engine with what the records say.
    pub(super) fn start(&self, limits: Limits, now: Now) -> (Arc<Engine>, Restored) {
        self.start_as(limits, now, |engine| engine)
    }

    /// The same, of an engine that is made what it shall be before.
    pub(super) fn start_as(
        &self,
        limits: Limits,
        now: Now,
        make: impl FnOnce(Engine) -> Engine,
    ) -> (Arc<Engine>, Restored) {
        let fold = self.fold(limits.queues_spill_bytes);
        let engine = make(Engine::new(limits, 11).with_journal(Arc::new(self.clone())));
        let restored = fold.restore(&engine, now);
        assert_eq!(restored.missing, 0, "messages that are owed and not there");
        (Arc::new(engine), restored)
    }
}

impl Journal for Paper {
    fn stage(&self, record: &[u8]) -> Result<Staged, StageRefused> {
        let mut state = self.0.lock().unwrap();
        match &mut state.takes {
            Some(0) => return Err(StageRefused),
            Some(more) => *more -= 1,
            None => {}
        }
        let position = state.end;
        state.records.push((position, record.to_vec()));
        state.end += HEADER + record.len() as u64;
        Ok(Staged { position, end: state.end })
    }

    fn ask(&self, position: u64, level: Level) -> bool {
        if level == Level::Power {
            let mut state = self.0.lock().unwrap();
            state.asked = state.asked.max(position.min(state.end));
        }
        self.reached(level) >= position
    }

    fn nudge(&self) {
        self.0.lock().unwrap().nudges += 1;
    }

    fn reached(&self, level: Level) -> u64 {
        let state = self.0.lock().unwrap();
        match level {
            Level::Memory => u64::MAX,
            Level::Process => state.written,
            Level::Power => state.synced,
        }
    }

    fn staged(&self) -> u64 {
        self.0.lock().unwrap().end
    }

    fn is_over_budget(&self) -> bool {
        let state = self.0.lock().unwrap();
        state.is_over_budget || state.budget.is_some_and(|budget| state.end - state.synced > budget)
    }

    fn trouble(&self) -> Option<Trouble> {
        self.0.lock().unwrap().trouble
    }

    fn figures(&self) -> Figures {
        let state = self.0.lock().unwrap();
        Figures { staged_bytes: state.end, bytes: state.end, ..Figures::default() }
    }

    fn read(&self, position: u64) -> Result<Vec<u8>, ReadFailed> {
        let mut state = self.0.lock().unwrap();
        state.reads += 1;
        if state.is_unreadable {
            return Err(ReadFailed::Broken(format!("nothing at {position}")));
        }
        let found = state.records.binary_search_by_key(&position, |(at, _)| *at);
        let record = found.map(|at| state.records[at].1.clone());
        if position >= state.written { Err(ReadFailed::NotYet) } else { record.map_err(|_| ReadFailed::Gone) }
    }

    fn call_reader(&self) {
        // The worker looks by itself.
    }

    fn count_live(&self, position: u64, bytes: i64) {
        *self.0.lock().unwrap().live.entry(position).or_default() += bytes;
    }
}
