//! Configuration that argues back.
//!
//! The border is crossed once, here: names and strings go in, domain types come out, and every
//! mistake is reported together with the others. Nothing else in the program reads the environment.
