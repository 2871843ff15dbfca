//! Runs one target under libFuzzer. `FUZZ_TARGET` names it. Without it, the program prints the names of all targets.
//! `cargo xtask fuzz` starts this program.
#![no_main]

use std::{env, process, sync::OnceLock};

use fuzz::{Target, targets};

static TARGET: OnceLock<&Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(init: choose(), |data: &[u8]| {
    if let Some(target) = TARGET.get()
        && let Err(broken) = (target.run)(data)
    {
        report(target.name, &broken);
    }
});

fn choose() {
    let names = || targets::ALL.iter().map(|target| target.name).collect::<Vec<_>>();
    let Ok(name) = env::var("FUZZ_TARGET") else {
        print(&names().join("\n"));
        process::exit(0);
    };
    match targets::ALL.iter().find(|target| target.name == name) {
        Some(target) => _ = TARGET.set(target),
        None => {
            print(&format!("FUZZ_TARGET is {name:?}, but must be one of {}", names().join(", ")));
            process::exit(2);
        }
    }
}

#[allow(clippy::panic, reason = "libFuzzer takes a panic for a finding and keeps its input")]
fn report(name: &str, broken: &fuzz::Broken) {
    panic!("target {name}: {broken}");
}

#[allow(clippy::print_stdout, reason = "the output of this program is a list of names")]
fn print(text: &str) {
    println!("{text}");
}
