//! `zoogate zk`: one session, one verb.
mod hold;
mod show;
#[cfg(test)]
mod tests;
mod walk;
mod watch;

use super::args::{CreateArgs, GetArgs, ListArgs, RemoveArgs, SetArgs, ZkArgs, ZkVerb};
use super::output::Output;
use super::{CliError, Exit};
use crate::client::{Client, Watch};
use crate::tree::{CreateMode, ErrorCode, Lifetime};
use bytes::Bytes;
use std::ffi::OsStr;
use std::future::Future;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;
use tokio::time::Instant;

/// Opens a session, does one verb, closes the session.
///
/// # Errors
/// [`CliError`].
pub(super) async fn run(args: ZkArgs, output: Output) -> Result<Exit, CliError> {
    let verb = prepare(args.verb)?;
    let deadline = Deadline::new(args.timeout);
    let login = args.auth.as_ref();
    let connecting = Client::connect_as(&args.server, args.session_timeout, login);
    let (client, mut events) = deadline.bound("connecting", connecting).await?;
    let done = match verb {
        Prepared::List(args) => {
            deadline
                .bound("listing", list(&client, &args, output))
                .await
        }
        Prepared::Get(args) => deadline.bound("reading", get(&client, &args, output)).await,
        Prepared::Set(args, data) => {
            deadline
                .bound("writing", set(&client, &args, data, output))
                .await
        }
        Prepared::Create(args, data) => create(&client, &args, data, deadline, output).await,
        Prepared::Remove(args) => {
            deadline
                .bound("deleting", remove(&client, &args, output))
                .await
        }
        Prepared::Stat(path) => {
            deadline
                .bound("reading", stat(&client, &path, output))
                .await
        }
        Prepared::Watch(args) => watch::run(&client, &mut events, &args, deadline, output).await,
    };
    // A session that is not closed expires by itself: nothing to report, but a server to relieve.
    let _ = tokio::time::timeout(CLOSING, client.close()).await;
    done.map(|()| Exit::Ok)
}

/// A verb with everything it needs from this side.
enum Prepared {
    List(ListArgs),
    Get(GetArgs),
    Set(SetArgs, Bytes),
    Create(CreateArgs, Bytes),
    Remove(RemoveArgs),
    Stat(String),
    Watch(super::args::WatchArgs),
}

/// Checks what clap cannot, and reads stdin: before there is a session that would have to be kept alive.
fn prepare(verb: ZkVerb) -> Result<Prepared, CliError> {
    Ok(match verb {
        ZkVerb::Ls(args) => Prepared::List(args),
        ZkVerb::Get(args) => Prepared::Get(args),
        ZkVerb::Set(args) => {
            let data = data(&args.data)?;
            Prepared::Set(args, data)
        }
        ZkVerb::Create(args) => {
            if args.path.ends_with('/') && !args.sequential {
                let reason = "a path ends with '/' only where --sequential completes it";
                return Err(CliError::Usage(reason.into()));
            }
            let data = args.data.as_deref().map_or(Ok(Bytes::new()), data)?;
            Prepared::Create(args, data)
        }
        ZkVerb::Rm(args) => {
            if args.path == "/" {
                return Err(CliError::Usage("the root cannot be deleted".into()));
            }
            Prepared::Remove(args)
        }
        ZkVerb::Stat(args) => Prepared::Stat(args.path),
        ZkVerb::Watch(args) => Prepared::Watch(args),
    })
}

/// An argument's bytes, or stdin's for `-`.
fn data(argument: &OsStr) -> Result<Bytes, CliError> {
    if argument != "-" {
        return Ok(Bytes::copy_from_slice(argument.as_bytes()));
    }
    let mut data = Vec::new();
    io::stdin()
        .lock()
        .take(STDIN)
        .read_to_end(&mut data)
        .map_err(CliError::Stdin)?;
    Ok(data.into())
}

/// Brings the server up to date, so that what another command wrote a moment ago, perhaps through another
/// server, is seen. Without a leader there is nothing to catch up with: then what the server has must do.
async fn catch_up(client: &Client, path: &str, output: Output) {
    let caught_up = tokio::time::timeout(CATCHING_UP, client.sync(path)).await;
    if !matches!(caught_up, Ok(Ok(()))) {
        output.message("no answer from a leader, what this server knows may be old");
    }
}

async fn list(client: &Client, args: &ListArgs, output: Output) -> Result<(), CliError> {
    catch_up(client, &args.path, output).await;
    if args.recursive {
        let paths = walk::below(client, &args.path).await?;
        return output.lines(paths);
    }
    let (mut names, _) = client.children(&args.path, Watch::No).await?;
    names.sort_unstable();
    output.lines(names)
}

async fn get(client: &Client, args: &GetArgs, output: Output) -> Result<(), CliError> {
    catch_up(client, &args.path, output).await;
    let (data, stat) = client.data(&args.path, Watch::No).await?;
    output.raw(&data)?;
    if args.stat {
        output.aside(show::stat(&stat));
    }
    Ok(())
}

async fn set(client: &Client, args: &SetArgs, data: Bytes, output: Output) -> Result<(), CliError> {
    let stat = client.set_data(&args.path, data, args.version).await?;
    output.lines([stat.version])
}

async fn create(
    client: &Client,
    args: &CreateArgs,
    data: Bytes,
    deadline: Deadline,
    output: Output,
) -> Result<(), CliError> {
    let mode = CreateMode {
        lifetime: match args.ephemeral {
            true => Lifetime::Ephemeral,
            false => Lifetime::Persistent,
        },
        sequential: args.sequential,
    };
    let creating = async {
        if args.parents
            && let Some((parent, _)) = args.path.rsplit_once('/')
        {
            client.create_all(parent).await?;
        }
        client.create(&args.path, data, mode).await
    };
    let path = deadline.bound("creating", creating).await?;
    output.lines([&path])?;
    if args.ephemeral {
        hold::until_interrupted(client, &path, output).await?;
    }
    Ok(())
}

async fn remove(client: &Client, args: &RemoveArgs, output: Output) -> Result<(), CliError> {
    if args.recursive {
        catch_up(client, &args.path, output).await;
        walk::remove_below(client, &args.path).await?;
    }
    client.delete(&args.path, args.version).await?;
    Ok(())
}

async fn stat(client: &Client, path: &str, output: Output) -> Result<(), CliError> {
    catch_up(client, path, output).await;
    match client.exists(path, Watch::No).await? {
        Some(stat) => output.lines(show::stat(&stat)),
        None => Err(CliError::Client(crate::client::ClientError::Refused {
            path: path.into(),
            refusal: crate::client::Refusal(ErrorCode::NoNode.to_wire()),
        })),
    }
}

/// When the verb has to be done.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    fn new(limit: Duration) -> Deadline {
        Deadline {
            at: Instant::now() + limit,
            limit,
        }
    }

    /// Waits for `work` until the deadline.
    async fn bound<T, E: Into<CliError>>(
        self,
        what: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CliError> {
        match tokio::time::timeout_at(self.at, work).await {
            Ok(result) => result.map_err(Into::into),
            Err(_) => Err(CliError::TimedOut {
                what: what.into(),
                limit: self.limit,
            }),
        }
    }
}

/// How long to wait for the leader before reading without it: an election takes less, usually.
const CATCHING_UP: Duration = Duration::from_secs(3);

/// How long to wait for the session to close when all is done.
const CLOSING: Duration = Duration::from_secs(2);

/// Bytes read from stdin: a little more than any server accepts, so that too much is seen to be too much.
const STDIN: u64 = 1 << 20;
