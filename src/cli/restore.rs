//! `zoogate restore`: a backup becomes a member of a new ensemble.

use super::args::RestoreArgs;
use super::output::Output;
use super::{CliError, Exit};
use crate::ensemble::offline::{Plan, RestoreError, restore};
use std::collections::BTreeMap;

impl From<RestoreError> for CliError {
    fn from(error: RestoreError) -> CliError {
        let exit = match &error {
            RestoreError::NotEmpty(_) => Exit::Conflict,
            RestoreError::NotListed(_) | RestoreError::TooFar(..) => Exit::Usage,
            _ => Exit::Failed,
        };
        CliError::failed(exit, error)
    }
}

/// Makes the data directory, and says what it holds and what to do next.
///
/// # Errors
/// [`CliError`].
pub(super) async fn run(args: RestoreArgs, output: Output) -> Result<Exit, CliError> {
    let members: BTreeMap<String, String> = args.members.iter().cloned().collect();
    if members.len() != args.members.len() {
        return Err(CliError::Usage("--members names a member twice".into()));
    }
    let addresses: std::collections::BTreeSet<&String> = members.values().collect();
    if addresses.len() != members.len() {
        let why = "--members gives two members the same address";
        return Err(CliError::Usage(why.into()));
    }
    let is_first = args.token.is_none();
    let plan = Plan {
        file: args.file,
        data_dir: args.data_dir,
        name: args.name,
        members,
        token: args.token.unwrap_or_else(rand::random),
        bump: args.bump,
    };
    let restored = restore(&plan).await?;
    let contents = &restored.backup.contents;
    output.lines([
        format!("ensemble   {:016x}, a new one", restored.ensemble),
        format!("member     {} ({})", restored.member, plan.name),
        format!(
            "zxid       {} ({}); the backup had {}",
            restored.zxid, restored.zxid.0, contents.zxid
        ),
        format!(
            "znodes     {}",
            contents.znodes - restored.left.ephemerals as u64
        ),
        format!(
            "left out   {} sessions, {} ephemerals",
            restored.left.sessions, restored.left.ephemerals
        ),
        format!("digest     {:016x}", restored.digest),
        format!("token      {:x}", plan.token),
    ])?;
    if is_first && plan.members.len() > 1 {
        output.message(format_args!(
            "restore the other {} members from the same file with --token {:x} before you start any",
            plan.members.len() - 1,
            plan.token
        ));
    }
    Ok(Exit::Ok)
}
