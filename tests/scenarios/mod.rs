//! Transcripts: commands and what they gave, written so that a reviewer reads behaviour.
//!
//! A line that is not indented is a command; the indented lines below it are its reply; `#` begins a
//! comment. `UPDATE=1 cargo test --test suite scenarios` writes the replies as they are now: look at the
//! diff before believing it.
mod transcript;
mod tree;
mod words;
