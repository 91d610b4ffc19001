//! All tests that look at the crate from outside, as one binary: linking once is faster than once per file.
//!
//! Each kind of test is a folder: `tidy` reads the sources; `scenarios` replays transcripts; `integration`
//! runs real sockets and disks; `support` is what they share.

mod integration;
mod scenarios;
mod support;
mod tidy;
