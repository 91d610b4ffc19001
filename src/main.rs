//! Arguments to command to exit code; everything else is in the library.

use clap::Parser;
use std::process::ExitCode;
use zoogate::cli::{self, Args};

fn main() -> ExitCode {
    match Args::try_parse() {
        Ok(args) => cli::run(args),
        Err(error) => cli::refuse(&error),
    }
}
