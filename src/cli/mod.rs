//! The command line: what the user typed, done, and an exit code that scripts can rely on.
//!
//! ```text
//! zoogate dev | serve            -> node            runs a node (or a whole ensemble) in this process
//! zoogate zk ls|get|set|..       -> client          one session, one verb, data on stdout
//! zoogate register SERVICE ..    -> client          one session kept for as long as the process lives
//! zoogate services, explain WEB  -> admin address   what a node knows of them, and why
//! zoogate drain|undrain WEB/A    -> admin address   orders about endpoints
//! zoogate cert ca|node|..        -> net             makes certificates and keys, as files
//! zoogate cluster members|add|.. -> admin address   the members, and changing them
//! zoogate backup FILE            -> admin address   a copy of the tree, from a running node
//! zoogate restore, inspect       -> ensemble        files and data directories, without a node
//! zoogate migrate                -> client, twice   from one ensemble to another
//! zoogate config check FILE      -> config          reads a file, changes nothing
//! ```
//!
//! Conventions, the same for every verb:
//! * data goes to stdout, messages go to stderr; nothing ever prompts;
//! * a reader that closes the pipe early (`| head`) is no error;
//! * the exit code says what kind of failure it was: see [`Exit`]. Usage errors end with 2, as shells,
//!   clap and most tools do, rather than with `sysexits.h`'s 64.
mod admin;
mod args;
mod ask;
mod backup;
mod cert;
mod cluster;
mod config_check;
mod drain;
mod error;
mod exit;
mod explain;
mod inspect;
mod migrate;
mod output;
mod register;
mod restore;
mod signals;
mod table;
mod zk;

pub use args::Args;
pub use error::CliError;
pub use exit::Exit;

use crate::node;
use args::{ConfigVerb, DevArgs, Verb};
use output::Output;
use std::future::Future;
use std::io;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// Does what the arguments say, prints the error if it failed, and returns the exit code.
pub fn run(args: Args) -> ExitCode {
    let output = Output::new();
    let exit: Exit = match dispatch(args.verb, output) {
        Ok(code) => return code,
        Err(error) if error.is_closed_pipe() => Exit::Ok,
        Err(error) => {
            output.error(&error);
            error.exit()
        }
    };
    exit.into()
}

/// Prints what clap has to say about arguments it did not accept: help and version on stdout with exit
/// code 0, errors on stderr with 2.
pub fn refuse(error: &clap::Error) -> ExitCode {
    // A closed stdout or stderr leaves nobody to tell, and the exit code still does.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage.into()
    } else {
        Exit::Ok.into()
    }
}

fn dispatch(verb: Verb, output: Output) -> Result<ExitCode, CliError> {
    let exit = match verb {
        Verb::Dev(dev) => {
            threads()?.block_on(node::dev(dev_options(dev)))?;
            Exit::Ok
        }
        Verb::Serve(serve) => {
            one_thread()?.block_on(node::serve(&serve.config))?;
            Exit::Ok
        }
        Verb::Register(register) => on_one_thread(register::run(register, output))?,
        Verb::Services(args) => on_one_thread(explain::services(args, output))?,
        Verb::Explain(args) => on_one_thread(explain::run(args, output))?,
        Verb::Drain(args) => on_one_thread(drain::run(args, output))?,
        Verb::Undrain(args) => on_one_thread(drain::undo(args, output))?,
        Verb::Cluster(cluster) => on_one_thread(cluster::run(cluster, output))?,
        Verb::Zk(zk) => on_one_thread(zk::run(zk, output))?,
        Verb::Cert(cert) => cert::run(cert.verb, output)?,
        Verb::Backup(args) => on_one_thread(backup::run(args, output))?,
        Verb::Restore(args) => on_one_thread(restore::run(args, output))?,
        Verb::Inspect(args) => inspect::run(&args)?,
        Verb::Migrate(args) => on_one_thread(migrate::run(*args, output))?,
        Verb::Config(config) => match config.verb {
            ConfigVerb::Check { file } => {
                let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
                return Ok(config_check::run(&file, &mut out, &mut err));
            }
        },
    };
    Ok(exit.into())
}

fn dev_options(dev: DevArgs) -> node::DevOptions {
    node::DevOptions {
        nodes: dev.nodes,
        backends: dev.backends,
        data_dir: dev.data_dir,
        free_ports: dev.free_ports,
    }
}

fn threads() -> Result<Runtime, CliError> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)
}

/// For a client, which has one connection: one thread serves it, and starts faster than a pool. And for a node's
/// control plane: a transaction passes through a dozen tasks here, and on a pool each step may wake another
/// thread, which costs more than the step. Traffic, the disk and long computations have threads of their own.
fn one_thread() -> Result<Runtime, CliError> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)
}

fn on_one_thread<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    one_thread()?.block_on(work)
}
