//! Inputs for where nothing measures coverage: valid ones of a target's shape, mutated, from a seed; and the corpus that
//! measured runs have left. Deterministic: the same seed gives the same inputs.

mod dice;
mod mutate;
mod packets;
mod records;
mod rules;
mod texts;
mod transport;

use std::path::{Path, PathBuf};

use dice::Dice;

use crate::target::{Shape, Target};

/// Bytes for a target.
pub type Input = Vec<u8>;

/// Bytes of an input of operations at most.
const OPERATIONS_BYTES_MAX: usize = 500;

/// An endless supply of inputs for one target.
pub struct Feed {
    shape: Shape,
    dice: Dice,
    corpus: Vec<Input>,
}

impl Feed {
    /// The inputs of this seed. Some are made of what is in the corpus.
    #[must_use]
    pub fn new(target: &Target, seed: u64) -> Self {
        let name = target.name.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let corpus = corpus(target.name).into_iter().map(|(_, input)| input).collect();
        Self { shape: target.shape, dice: Dice::new(name), corpus }
    }

    fn valid(&mut self) -> Input {
        let dice = &mut self.dice;
        match self.shape {
            Shape::Packets => packets::of_both(dice),
            Shape::ClientPackets => packets::scripted(dice, whimbrel_testkit::Sender::Client),
            Shape::ServerPackets => packets::scripted(dice, whimbrel_testkit::Sender::Server),
            Shape::Operations => operations(dice),
            Shape::Conversations => packets::conversations(dice),
            Shape::Configuration => texts::configuration(dice),
            Shape::PasswordFile => texts::password_file(dice),
            Shape::Scram => texts::scram(dice),
            Shape::ProxyHeader => transport::proxy_header(dice),
            Shape::Upgrade => transport::request(dice),
            Shape::Frames => transport::frames(dice),
            Shape::RuleFile => rules::rule_file(dice),
            Shape::AclFile => rules::acl_file(dice),
            Shape::DynamicSecurity => rules::dynamic_security(dice),
            Shape::Records => records::records(dice),
            Shape::Addresses => texts::addresses(dice),
            Shape::Requests => texts::requests(dice),
        }
    }
}

impl Iterator for Feed {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        let mut input = self.valid();
        if !self.corpus.is_empty() && self.dice.one_in(3) {
            let other = self.corpus[self.dice.below(self.corpus.len())].clone();
            input = if self.dice.one_in(2) { mutate::spliced(&input, &other, &mut self.dice) } else { other };
        }
        for _ in 0..self.dice.pick(&[0, 1, 1, 2, 4, 8]) {
            mutate::mutate(&mut input, &mut self.dice);
        }
        Some(input)
    }
}

/// Operations that repeat: a run of the same bytes gets further than as many different ones.
fn operations(dice: &mut Dice) -> Input {
    let len = 1 + dice.below(OPERATIONS_BYTES_MAX);
    let mut input: Input = Vec::new();
    while input.len() < len {
        if !input.is_empty() && dice.one_in(8) {
            let from = dice.below(input.len());
            let to = (from + 1 + dice.below(24)).min(input.len());
            input.extend_from_within(from..to);
        } else {
            input.push(dice.byte());
        }
    }
    input
}

/// The inputs that are kept for a target, with the names of their files, in the order of the names.
#[must_use]
pub fn corpus(target: &str) -> Vec<(PathBuf, Input)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let read = |path: PathBuf| std::fs::read(&path).ok().map(|input| (path, input));
    paths.into_iter().filter_map(read).collect()
}
