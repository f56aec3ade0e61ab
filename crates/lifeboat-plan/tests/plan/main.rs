//! The decisions of `lifeboat-plan`, asked from outside: one binary, a module for each of them.

mod clock_changes;
mod due;
mod slots;

mod refusals;
mod retention;
mod ten_years;
mod timelines;

mod manifests;

mod histories;
mod laws;
mod tally;

mod dice;
mod shelf;
