//! `zoogate inspect`: what is on a disk, line by line, and whether it is whole.
//!
//! ```text
//! DIR  --> segments in order: checkpoint, entries, votes, ..; then each snapshot, oldest first
//! FILE --> one segment, or one snapshot or backup
//! ```
mod line;
mod log;

use super::args::InspectArgs;
use super::{CliError, Exit};
use crate::ensemble::log::DiskError;
use crate::ensemble::offline::{self, CheckError, Checked, Kind};
use crate::tree::{Lifetime, Surveyed};
use line::{Line, Printer};
use std::io;
use std::path::Path;

/// Prints everything and says whether it is whole.
///
/// # Errors
/// [`CliError`]; damage is [`Exit::Failed`], after everything was printed.
pub(super) fn run(args: &InspectArgs) -> Result<Exit, CliError> {
    let mut printer = Printer::new(io::stdout().lock(), args);
    let done = inspect(args, &mut printer).and_then(|damages| {
        printer.flush().map_err(CliError::Stdout)?;
        Ok(damages)
    });
    match done? {
        0 => Ok(Exit::Ok),
        1 => Err(CliError::failed(Exit::Failed, "1 damage was found")),
        n => Err(CliError::failed(
            Exit::Failed,
            format!("{n} damages were found"),
        )),
    }
}

fn inspect<W: io::Write>(args: &InspectArgs, printer: &mut Printer<W>) -> Result<u64, CliError> {
    let path = &args.path;
    match offline::kind_of(path).map_err(disk)? {
        Kind::Snapshot => snapshot(path, args.znodes, printer),
        Kind::Segment => {
            let dir = path.parent().unwrap_or(Path::new("."));
            log::inspect(dir, Some(path), printer)
        }
        Kind::Directory => {
            let mut damages = log::inspect(path, None, printer)?;
            for file in offline::snapshots_in(path).map_err(disk)? {
                damages += snapshot(&file, args.znodes, printer)?;
            }
            let damaged = Line::new("directory")
                .with("path", path.display().to_string())
                .with("damages", damages);
            printer.always(&damaged).map_err(CliError::Stdout)?;
            Ok(damages)
        }
    }
}

fn disk(error: DiskError) -> CliError {
    let exit = match error.source.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::Failed,
    };
    CliError::failed(exit, error)
}

/// Prints a snapshot: its znodes if they are wanted, then what it is, or its damage.
fn snapshot<W: io::Write>(
    path: &Path,
    wants_znodes: bool,
    printer: &mut Printer<W>,
) -> Result<u64, CliError> {
    let checked = offline::check_file(path, wants_znodes, &mut |item| match item {
        Surveyed::Znode {
            path,
            stat,
            lifetime,
            acl,
        } if wants_znodes => {
            let acl = acl
                .iter()
                .map(|entry| format!("{}:{}:{:x}", entry.scheme, entry.id, entry.perms));
            let line = Line::new("znode")
                .with("path", path)
                .with("kind", kind(lifetime))
                .with("czxid", stat.czxid.0)
                .with("mzxid", stat.mzxid.0)
                .with("pzxid", stat.pzxid.0)
                .with("ctime", stat.ctime)
                .with("mtime", stat.mtime)
                .with("version", stat.version)
                .with("cversion", stat.cversion)
                .with("aversion", stat.aversion)
                .with("owner", stat.ephemeral_owner.to_string())
                .with("bytes", stat.data_length)
                .with("children", stat.num_children)
                .with("acl", acl.collect::<Vec<String>>());
            printer.line(&line)
        }
        _ => Ok(()),
    });
    match checked {
        Ok(checked) => {
            let line = snapshot_line(path, &checked);
            printer.always(&line).map_err(CliError::Stdout)?;
            Ok(0)
        }
        Err(CheckError::Output(error)) => Err(CliError::Stdout(error)),
        Err(CheckError::Disk(error)) if error.source.kind() == io::ErrorKind::NotFound => {
            // A newer one has replaced it.
            Ok(0)
        }
        Err(CheckError::Disk(error)) => Err(disk(error)),
        Err(error @ (CheckError::Damaged { .. } | CheckError::Contents { .. })) => {
            let offset = match &error {
                CheckError::Damaged { offset, .. } | CheckError::Contents { offset, .. } => *offset,
                _ => 0,
            };
            let line = Line::damage(path, offset, &super::output::chain(&error));
            printer.always(&line).map_err(CliError::Stdout)?;
            Ok(1)
        }
    }
}

fn snapshot_line(path: &Path, checked: &Checked) -> Line {
    let contents = &checked.contents;
    let (index, term) = checked.last.unwrap_or_default();
    let members = checked.members.iter().map(|(id, name, address, votes)| {
        let role = if *votes { "voter" } else { "observer" };
        format!("{id}={name}@{address}:{role}")
    });
    Line::new("snapshot")
        .with("path", path.display().to_string())
        .with("index", index)
        .with("term", term)
        .with("zxid", contents.zxid.0)
        .with("time", time(contents.time_ms))
        .with("digest", format!("{:016x}", contents.digest))
        .with("znodes", contents.znodes)
        .with("ephemerals", contents.ephemerals)
        .with("containers", contents.containers)
        .with("ttls", contents.ttls)
        .with("sessions", contents.sessions)
        .with("data_bytes", contents.data_bytes)
        .with("blocks", checked.blocks)
        .with("bytes", checked.bytes)
        .with("members", members.collect::<Vec<String>>())
}

fn kind(lifetime: Lifetime) -> String {
    match lifetime {
        Lifetime::Persistent => "persistent".into(),
        Lifetime::Ephemeral => "ephemeral".into(),
        Lifetime::Container => "container".into(),
        Lifetime::Ttl(ms) => format!("ttl:{ms}ms"),
    }
}

/// Milliseconds since the Unix epoch, as people read them.
fn time(ms: i64) -> String {
    let since = std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since).to_string()
}
