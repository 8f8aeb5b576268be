//! Any bytes as a store: an answer, never a panic, and never a record that nobody wrote.

use proptest::prelude::*;
use whimbrel_journal::{Options, sim::SimDisk};

use super::rig::{Rig, small, some};

fn filled() -> SimDisk {
    let disk = SimDisk::new();
    let mut rig = Rig::open(&disk);
    rig.fill(some(0..45));
    let oldest = rig.log.oldest().unwrap();
    rig.log.drop_segment(oldest.number, rig.log.staged()).unwrap();
    rig.fill(some(45..80));
    drop(rig);
    disk
}

fn open_both_ways(disk: &SimDisk) {
    let all: Vec<_> = some(0..80).collect();
    for salvage in [false, true] {
        if let Ok(mut rig) = Rig::try_open(disk, Options { salvage, ..small() }) {
            assert!(rig.found.iter().all(|(_, record)| all.contains(record)), "a record was invented");
            rig.fill(some(0..3));
        }
        disk.kill();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_have_an_answer(number in 1_u64..5, bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let disk = filled();
        disk.put(&format!("{number:016x}.log"), bytes.clone());
        open_both_ways(&disk);
        let alone = SimDisk::new();
        alone.put("0000000000000001.log", bytes);
        open_both_ways(&alone);
    }

    #[test]
    fn a_store_with_any_hole_has_an_answer(
        number in 2_u64..6,
        at in 0_usize..4_200,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        cut in prop::option::of(0_usize..4_200),
    ) {
        let disk = filled();
        let name = format!("{number:016x}.log");
        if let Some(mut contents) = disk.contents(&name) {
            for (into, byte) in contents.iter_mut().skip(at).zip(bytes) {
                *into = byte;
            }
            if let Some(cut) = cut {
                contents.truncate(cut);
            }
            disk.put(&name, contents);
        }
        open_both_ways(&disk);
    }
}
