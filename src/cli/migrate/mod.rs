//! `zoogate migrate`: from any ZooKeeper ensemble into another one.
//!
//! ```text
//! source --data, ACL, children--> rules: path, kind --create--> destination
//!    many znodes under way at a time                 `--exists--> equal | overwritten | conflict
//! follow: source --events--> those znodes again, until a signal; then a last pass, and compare
//! ```
//! Everything may be done twice: to be interrupted and run again, or to lose a connection, costs time only.
mod compare;
mod copy;
mod follow;
mod progress;
mod rules;
mod side;

use super::args::{AclMode, MigrateArgs};
use super::output::Output;
use super::signals::Signals;
use super::{CliError, Exit};
use crate::client::{Client, Events, Hosts, Login};
use follow::Follower;
use progress::Progress;
use rules::{Rules, is_own};
use side::Side;
use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

/// Why a tree was not copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    #[error("{0} does not exist at the source")]
    NoRoot(String),
    #[error("{0} is different at the destination")]
    Conflict(String),
    #[error("{0} was deleted at the destination while it was copied there; run again")]
    Gone(String),
    #[error(
        "{0}: the source hides digests in its ACL; --from-auth of somebody who may change it shows them"
    )]
    HiddenAcl(String),
    #[error("--follow needs a source with persistent watches: ZooKeeper 3.6 or later, or Zoogate")]
    NoRecursiveWatch,
    #[error("the trees differ in {0} places")]
    Differs(u64),
    #[error("{0} conflicts, listed; the destination was left as it is there")]
    Conflicts(u64),
}

impl From<MigrateError> for CliError {
    fn from(error: MigrateError) -> CliError {
        let exit = match &error {
            MigrateError::NoRoot(_) => Exit::NotFound,
            MigrateError::Conflict(_) | MigrateError::Conflicts(_) => Exit::Conflict,
            MigrateError::HiddenAcl(_) => Exit::NotPermitted,
            MigrateError::Gone(_) | MigrateError::NoRecursiveWatch | MigrateError::Differs(_) => {
                Exit::Failed
            }
        };
        CliError::failed(exit, error)
    }
}

/// A migration and everything it needs.
struct Migration {
    from: Side,
    to: Side,
    rules: Rules,
    root: String,
    at_once: usize,
    is_dry: bool,
    is_verbose: bool,
    progress: Progress,
    output: Output,
    /// Paths that are at the destination as copies, if somebody wants to know.
    copied: RefCell<HashSet<String>>,
    notes_copied: bool,
}

/// Longest wait for the sessions to close when all is done.
const CLOSING: Duration = Duration::from_secs(2);

/// Copies, follows or compares.
///
/// # Errors
/// [`CliError`].
pub(super) async fn run(args: MigrateArgs, output: Output) -> Result<Exit, CliError> {
    if is_own(&args.path) {
        let why = "/zookeeper belongs to the server and is not copied";
        return Err(CliError::Usage(why.into()));
    }
    let timeout = args.session_timeout;
    let keeps_acls = args.acl == AclMode::Keep;
    let (from, events) = open(&args.from, timeout, args.from_auth.as_ref()).await?;
    let (to, _) = open(&args.to, timeout, args.to_auth.as_ref()).await?;
    let migration = Migration {
        from: Side {
            client: from,
            reads_acls: keeps_acls,
        },
        to: Side {
            client: to,
            reads_acls: true,
        },
        rules: Rules::new(&args),
        root: args.path.clone(),
        at_once: usize::from(args.at_once),
        is_dry: args.dry_run,
        is_verbose: args.verbose,
        progress: Progress::new(),
        output,
        copied: RefCell::default(),
        notes_copied: args.follow,
    };
    let done = tokio::select! {
        done = migration.run(&args, events) => done,
        () = migration.progress.report(output) => Ok(Exit::Ok),
    };
    migration.progress.rest();
    output.lines(migration.progress.summary(args.dry_run))?;
    let Migration { from, to, .. } = migration;
    // A session that is not closed expires by itself.
    let closing = async { tokio::join!(from.client.close(), to.client.close()) };
    let _ = tokio::time::timeout(CLOSING, closing).await;
    done
}

async fn open(
    hosts: &Hosts,
    timeout: Duration,
    login: Option<&Login>,
) -> Result<(Client, Events), CliError> {
    Ok(Client::connect_as(hosts, timeout, login).await?)
}

impl Migration {
    async fn run(&self, args: &MigrateArgs, events: Events) -> Result<Exit, CliError> {
        tokio::try_join!(self.from.sync(), self.to.sync())?;
        // Only for the time that is left; old servers do not count.
        let expected = self.from.client.count_below(&self.root).await.ok();
        self.progress.expected.set(expected);
        if args.verify {
            return self.verdict().await;
        }
        // Before the first look, so that no change falls between.
        let follower = match args.follow {
            true => {
                let signals = Signals::new()?;
                let follower = Follower::new(events);
                self.watch().await?;
                Some((follower, signals))
            }
            false => None,
        };
        if !self.is_dry {
            self.to.make_room(&self.rules, &self.root).await?;
        }
        self.copy_all(args.on_conflict).await?;
        if let Some((follower, mut signals)) = follower {
            self.progress.expected.set(None);
            self.output.message("copied; following until INT or TERM");
            self.follow(&follower, &mut signals).await?;
            return self.verdict().await;
        }
        match self.progress.conflicts.get() {
            0 => Ok(Exit::Ok),
            n => Err(MigrateError::Conflicts(n).into()),
        }
    }

    /// Whether both trees are equal now.
    async fn verdict(&self) -> Result<Exit, CliError> {
        match self.compare().await? {
            0 => {
                self.output.message("the trees are equal");
                Ok(Exit::Ok)
            }
            n => Err(MigrateError::Differs(n).into()),
        }
    }

    /// Notes that a path is at the destination as a copy.
    fn note_copied(&self, path: &str) {
        if self.notes_copied {
            self.copied.borrow_mut().insert(path.to_owned());
        }
    }
}
