//! `zoogate backup`: a copy of the tree from a running node.
//!
//! ```text
//! node --GET /v1/snapshot--> checked --> FILE.tmp --sync, rename, sync directory--> FILE
//! ```
//! Each part is checked before it is written, and the digest of the tree at the end, so that a file without `.tmp`
//! is a whole backup.
mod draft;
mod request;

use super::admin::Access;
use super::args::BackupArgs;
use super::output::Output;
use super::{CliError, Exit};
use crate::ensemble::offline::{Check, CheckError, Checked};
use draft::Draft;
use request::{Download, RequestError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub(super) enum BackupError {
    /// The file is there.
    #[error("{} exists; --force replaces it", .0.display())]
    Exists(PathBuf),
    /// Somebody else writes to it.
    #[error("{} is being written by another process", .0.display())]
    InUse(PathBuf),
    /// It could not be written.
    #[error("cannot {action} {}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// What came is no whole backup.
    #[error("what the node sent is not a whole backup")]
    Damaged(#[source] CheckError),
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> CliError {
        let exit = match &error {
            BackupError::Exists(_) => Exit::Conflict,
            BackupError::Request(error) => error.exit(),
            BackupError::InUse(_) | BackupError::File { .. } | BackupError::Damaged(_) => {
                Exit::Failed
            }
        };
        CliError::failed(exit, error)
    }
}

/// Takes a backup.
///
/// # Errors
/// [`CliError`]; then FILE is as it was.
pub(super) async fn run(args: BackupArgs, output: Output) -> Result<Exit, CliError> {
    let access = Access::of(&args.access)?;
    #[expect(clippy::disallowed_methods, reason = "for show")]
    let begun = Instant::now();
    if args.file == Path::new("-") {
        let download = Download::begin(&args.admin, &access).await;
        let mut download = download.map_err(BackupError::from)?;
        let mut stdout = io::stdout().lock();
        let checked = receive(&mut download, |part| {
            stdout.write_all(part).map_err(CliError::Stdout)
        });
        let checked = checked.await?;
        stdout.flush().map_err(CliError::Stdout)?;
        output.aside(summary(&checked, &download, begun));
        return Ok(Exit::Ok);
    }
    let mut draft = Draft::begin(&args.file, args.force)?;
    let download = Download::begin(&args.admin, &access).await;
    let mut download = download.map_err(BackupError::from)?;
    let checked = receive(&mut download, |part| Ok(draft.write(part)?)).await?;
    draft.publish()?;
    if !download.is_current {
        output.message(
            "this node could not ask a leader: the backup may lack what others have committed",
        );
    }
    output.lines(summary(&checked, &download, begun))?;
    Ok(Exit::Ok)
}

/// Checks each part, and hands it on if it is right.
async fn receive(
    download: &mut Download,
    mut write: impl FnMut(&[u8]) -> Result<(), CliError>,
) -> Result<Checked, CliError> {
    let mut check = Check::new(false);
    while let Some(part) = download.part().await.map_err(BackupError::from)? {
        check.push(&part).map_err(BackupError::Damaged)?;
        write(&part)?;
    }
    Ok(check.finish().map_err(BackupError::Damaged)?)
}

fn summary(checked: &Checked, download: &Download, begun: Instant) -> Vec<String> {
    let contents = &checked.contents;
    vec![
        format!("zxid      {} ({})", contents.zxid, contents.zxid.0),
        format!("index     {}", download.index),
        format!("znodes    {}", contents.znodes),
        format!(
            "sessions  {}, with {} ephemerals",
            contents.sessions, contents.ephemerals
        ),
        format!("bytes     {}", checked.bytes),
        format!("digest    {:016x}", contents.digest),
        format!("duration  {:.3} s", begun.elapsed().as_secs_f64()),
    ]
}
