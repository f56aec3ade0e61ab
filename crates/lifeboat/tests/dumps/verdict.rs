//! What an engine says of a program right after the end of its output.

use crate::kit;
use lifeboat::docker::{Command, Verdict};
use lifeboat_run::Cancel;
use std::{collections::BTreeMap, thread, time::Duration};

#[test]
fn programs_that_end_well_are_done_when_their_output_ends() {
    let Some(engine) = kit::engine(&["busybox:1"]) else {
        return;
    };
    let held = kit::Held::idle(&engine, "busybox:1");
    let rounds: usize = 25;
    let threads = 4;
    let verdicts = thread::scope(|scope| {
        let works: Vec<_> = (0..threads)
            .map(|_| {
                let (held, rounds) = (&held, rounds);
                scope.spawn(move || {
                    let mut seen = BTreeMap::<String, u32>::new();
                    for _ in 0..rounds {
                        let command = Command::shell("echo one; echo two >&2");
                        let seconds = Duration::from_secs(60);
                        let run = held
                            .engine
                            .run(&held.id, &command, seconds, &Cancel::default());
                        let verdict = run.unwrap().verdict;
                        *seen.entry(format!("{verdict:?}")).or_default() += 1;
                    }
                    seen
                })
            })
            .collect();
        let mut all = BTreeMap::<String, u32>::new();
        for work in works {
            for (verdict, times) in work.join().unwrap() {
                *all.entry(verdict).or_default() += times;
            }
        }
        all
    });
    println!("{verdicts:?}");
    let done = BTreeMap::from([(format!("{:?}", Verdict::Done), (rounds * threads) as u32)]);
    assert_eq!(verdicts, done);
}
