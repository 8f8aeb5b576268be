//! Every target survives its corpus and a bounded number of generated inputs. The tests come from the table of targets,
//! so the harness is not the usual one. The seed is fixed: what fails today fails tomorrow.

use std::panic::catch_unwind;

use libtest_mimic::{Arguments, Failed, Trial};
use whimbrel_fuzz::{Feed, TARGETS, Target, corpus};

/// Bytes of all corpora together at most, so that a clone stays small.
const CORPUS_BYTES_MAX: usize = 2 << 20;

fn main() -> std::process::ExitCode {
    let replayed = TARGETS
        .iter()
        .map(|target| Trial::test(format!("{}_survives_its_corpus", target.name), || replay(target)));
    let generated = TARGETS
        .iter()
        .map(|target| Trial::test(format!("{}_survives_generated_inputs", target.name), || generate(target)));
    let own = [
        Trial::test("the_corpus_is_small_and_of_targets", small),
        Trial::test("every_target_has_a_wrapper_for_libfuzzer", wrapped),
    ];
    let trials = replayed.chain(generated).chain(own).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn replay(target: &Target) -> Result<(), Failed> {
    let corpus = corpus(target.name);
    if corpus.is_empty() {
        return Err("the corpus is empty".into());
    }
    for (path, input) in corpus {
        survives(target, &input, &path.display().to_string())?;
    }
    Ok(())
}

fn generate(target: &Target) -> Result<(), Failed> {
    let inputs = Feed::new(target, 1).take(target.test_count as usize);
    inputs.enumerate().try_for_each(|(number, input)| survives(target, &input, &format!("input {number}")))
}

fn survives(target: &Target, input: &[u8], name: &str) -> Result<(), Failed> {
    catch_unwind(|| (target.run)(input)).map_err(|_| {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} does not survive {name}: {hex}", target.name).into()
    })
}

fn small() -> Result<(), Failed> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if TARGETS.iter().all(|target| target.name != name) {
            return Err(format!("corpus/{name} is of no target").into());
        }
    }
    let inputs = TARGETS.iter().flat_map(|target| corpus(target.name));
    let bytes: usize = inputs.map(|(_, input)| input.len()).sum();
    if bytes > CORPUS_BYTES_MAX { Err(format!("{bytes} bytes of corpus").into()) } else { Ok(()) }
}

/// The wrappers are built by nightly alone, so a name that is missing there would go unnoticed.
fn wrapped() -> Result<(), Failed> {
    let fuzz = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz");
    let manifest = std::fs::read_to_string(format!("{fuzz}/Cargo.toml"))?;
    for Target { name, .. } in TARGETS {
        let wrapper = std::fs::read_to_string(format!("{fuzz}/fuzz_targets/{name}.rs"))?;
        if !wrapper.contains(&format!("whimbrel_fuzz::run(\"{name}\", "))
            || !manifest.contains(&format!("\"{name}\""))
        {
            return Err(format!("fuzz/ does not wrap {name}").into());
        }
    }
    Ok(())
}
