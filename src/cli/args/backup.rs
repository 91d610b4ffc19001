//! `zoogate backup`, `restore` and `inspect`: copies of a tree, and what is on a disk.

use super::{AdminArgs, values};
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `zoogate backup`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate backup /var/backups/zoogate-$(date +%F).snap
  zoogate backup --admin 10.0.0.5:9180 --token-file /etc/zoogate/admin.token tree.snap
  zoogate backup --admin zk1.example:9180 --ca /etc/zoogate/tls/ca.pem tree.snap
  zoogate backup - | zstd > tree.snap.zst

A consistent copy of the whole tree at one zxid, taken while the node works; any node will do, a follower \
or an observer too. It is checked while it arrives, written to FILE.tmp, made durable and only then called \
FILE. It holds everything, ACLs and passwords of sessions included: only its owner can read it.

It holds the sessions there are and their ephemeral znodes, too; `zoogate restore` leaves these out.

Exit codes: 0 done, 1 failed or damaged, 4 FILE exists, 5 no answer or busy with another backup, \
6 not permitted, 7 too slow.")]
pub(in crate::cli) struct BackupArgs {
    /// The node's admin address
    #[arg(long, value_name = "HOST:PORT", env = "ZOOGATE_ADMIN", default_value = "127.0.0.1:9180", value_parser = values::host_port)]
    pub(in crate::cli) admin: String,
    #[command(flatten)]
    pub(in crate::cli) access: AdminArgs,
    /// Replace FILE if it exists
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// Where to write it; `-` writes to stdout
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
}

/// `zoogate restore`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  an ensemble of one:
    zoogate restore tree.snap --data-dir /var/lib/zoogate --name a
  three members, each from the same file, with the token that the first one prints:
    zoogate restore tree.snap --data-dir /var/lib/zoogate --name a --members a=10.0.0.1:2888,b=10.0.0.2:2888,c=10.0.0.3:2888
    zoogate restore tree.snap --data-dir /var/lib/zoogate --name b --members .. --token 5f1d..
    zoogate restore tree.snap --data-dir /var/lib/zoogate --name c --members .. --token 5f1d..

Makes the data directory of a member of a NEW ensemble, offline. Restore every voter from the same file \
with the same --members, --bump and --token before any of them is started: then each majority has the tree. \
A voter that was started with an empty directory, or restored otherwise, is of another ensemble and refused; \
do not start a majority of such, or they found an empty ensemble of their own. Restoring one member as an \
ensemble of one and adding others to it afterwards is as safe. Members of the old ensemble are refused always.

Kept exactly: data, ACLs, quotas, containers, times to live, and every stat. Not kept: sessions and their \
ephemeral znodes, which cannot live on; the znodes above them count the deletions.

--bump: clients that live on refuse servers whose zxid is behind what they have seen, and some have seen \
what came after the backup. The new ensemble continues that many zxids later. If more than that was written \
since the backup was taken, give more.

Exit codes: 0 done, 1 failed or damaged (nothing was written), 2 bad usage, 4 the directory is not empty.")]
pub(in crate::cli) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// The new member's `[node] data_dir`; must be empty or not exist
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) data_dir: PathBuf,
    /// The new member's `[node] name`
    #[arg(long, value_name = "NAME", value_parser = values::segment)]
    pub(in crate::cli) name: String,
    /// The new ensemble's voters as in `[ensemble] members`, this one included [default: this one alone]
    #[arg(long, value_name = "NAME=HOST:PORT,..", value_delimiter = ',', value_parser = values::member)]
    pub(in crate::cli) members: Vec<(String, String)>,
    /// What makes the ensemble a new one, the same for all its members; the first run prints it [default: random]
    #[arg(long, value_name = "HEX", value_parser = values::token)]
    pub(in crate::cli) token: Option<u64>,
    /// How many zxids behind the backup's last one the new ensemble continues
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..1 << 54))]
    pub(in crate::cli) bump: u64,
}

/// `zoogate inspect`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate inspect --verify /var/lib/zoogate           is anything damaged?
  zoogate inspect --from 4711 --to 4720 /var/lib/zoogate
  zoogate inspect --znodes tree.snap | grep /services
  zoogate inspect --json /var/lib/zoogate | jq 'select(.what == \"entry\")'

One line per thing found. Reads only, takes no lock, and works while the node runs; then the end of the log \
may be in motion, and a last record may be missing. Data and passwords are not shown.

Exit codes: 0 all whole, 1 damaged (file and offset are named), 2 bad usage, 3 no such file.")]
pub(in crate::cli) struct InspectArgs {
    /// A data directory, a segment of its log, a snapshot or a backup
    #[arg(value_name = "DIR|FILE")]
    pub(in crate::cli) path: PathBuf,
    /// List every znode of every snapshot with its stat
    #[arg(long)]
    pub(in crate::cli) znodes: bool,
    /// First log index to show; other records are shown only without --from and --to
    #[arg(long, value_name = "INDEX")]
    pub(in crate::cli) from: Option<u64>,
    /// Last log index to show
    #[arg(long, value_name = "INDEX")]
    pub(in crate::cli) to: Option<u64>,
    /// Print JSON objects, one per line
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Check everything, print damage and a summary only
    #[arg(long, conflicts_with_all = ["znodes", "from", "to"])]
    pub(in crate::cli) verify: bool,
}
