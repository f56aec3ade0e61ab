//! The decisions of `lifeboat-plan`, asked from outside: one binary, a module for each of them.

mod retention;

mod histories;
mod laws;

mod dice;
mod shelf;
