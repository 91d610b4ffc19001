//! How a node's admin address is spoken to: the same for every verb that does.

use super::values;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// Which nodes are asked, and how.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct NodeArgs {
    /// Admin addresses of nodes, tried in turn
    #[arg(long, value_name = "HOST:PORT", global = true, env = "ZOOGATE_ADMIN", value_delimiter = ',',
        default_value = "127.0.0.1:9180", value_parser = values::host_port)]
    pub(in crate::cli) admin: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) access: AdminArgs,
}

/// Who to trust there, and who to be.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct AdminArgs {
    /// File with the admin token; on the node's own machine none is needed unless one is configured
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = "ZOOGATE_ADMIN_TOKEN_FILE"
    )]
    pub(in crate::cli) token_file: Option<PathBuf>,
    /// Speak TLS, as to a node with [admin.tls]: the authorities of its certificate, in PEM
    #[arg(long, value_name = "FILE", global = true, env = "ZOOGATE_ADMIN_CA")]
    pub(in crate::cli) ca: Option<PathBuf>,
    /// A certificate to show to a node that wants one, in PEM; needs --ca and --key
    #[arg(long, value_name = "FILE", global = true, env = "ZOOGATE_ADMIN_CERT")]
    pub(in crate::cli) cert: Option<PathBuf>,
    /// Its private key, readable by its owner only
    #[arg(long, value_name = "FILE", global = true, env = "ZOOGATE_ADMIN_KEY")]
    pub(in crate::cli) key: Option<PathBuf>,
}
