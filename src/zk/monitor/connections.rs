//! Connections by ZooKeeper's names.

use crate::zk::tally::{ConnectionTold, LastTold};
use crate::zk::wire::OpCode;
use serde::Serialize;

/// `SelectionKey.OP_READ`: the server waits for what the client sends.
const READING: u32 = 1;

/// What is told of a request of which none was answered.
const NO_OPERATION: &str = "NA";

/// A connection as the `connections` command has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ConnectionPage {
    remote_socket_address: String,
    interest_ops: u32,
    outstanding_requests: u64,
    packets_received: u64,
    packets_sent: u64,
    /// Absent in the brief form, and before the handshake is done.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    session: Option<SessionPage>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct SessionPage {
    session_id: i64,
    last_operation: &'static str,
    established: i64,
    session_timeout: u32,
    last_cxid: i64,
    last_zxid: i64,
    last_response_time: u64,
    last_latency: u64,
    min_latency: u64,
    avg_latency: u64,
    max_latency: u64,
}

impl ConnectionTold {
    /// What the server waits for on it: something to read, once it has a session.
    pub(in crate::zk) fn interest_ops(&self) -> u32 {
        self.session.map_or(0, |_| READING)
    }

    /// The client's address, an IPv4 one as such whatever socket it came to.
    pub(in crate::zk) fn address(&self) -> String {
        let ip = self.peer.ip().to_canonical();
        std::net::SocketAddr::new(ip, self.peer.port()).to_string()
    }

    /// As the `connections` command has it, or, brief, the `stats` command.
    pub(super) fn page(&self, is_brief: bool) -> ConnectionPage {
        ConnectionPage {
            remote_socket_address: self.address(),
            interest_ops: self.interest_ops(),
            outstanding_requests: self.outstanding,
            packets_received: self.received,
            packets_sent: self.sent,
            session: self.session_page().filter(|_| !is_brief),
        }
    }

    fn session_page(&self) -> Option<SessionPage> {
        let (session, timeout_ms) = self.session?;
        let last = self.last();
        Some(SessionPage {
            session_id: session.0,
            last_operation: last.operation(),
            established: self.established_ms,
            session_timeout: timeout_ms,
            last_cxid: last.xid.into(),
            last_zxid: last.zxid,
            last_response_time: last.at_ms,
            last_latency: last.latency_ms,
            min_latency: last.latency_min_ms,
            avg_latency: last.latency_avg_ms,
            max_latency: last.latency_max_ms,
        })
    }

    /// The last reply, or what ZooKeeper says while there is none.
    pub(in crate::zk) fn last(&self) -> LastTold {
        self.last.unwrap_or(LastTold {
            op: 0,
            xid: -1,
            zxid: -1,
            at_ms: 0,
            latency_ms: 0,
            latency_min_ms: 0,
            latency_avg_ms: 0,
            latency_max_ms: 0,
        })
    }
}

impl LastTold {
    /// ZooKeeper's abbreviation of the operation.
    pub(in crate::zk) fn operation(&self) -> &'static str {
        let Some(op) = OpCode::from_wire(self.op) else {
            return NO_OPERATION;
        };
        match op {
            OpCode::CreateSession => "SESS",
            OpCode::CloseSession => "CLOS",
            OpCode::Ping => "PING",
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                "CREA"
            }
            OpCode::Delete | OpCode::DeleteContainer => "DELE",
            OpCode::Exists => "EXIS",
            OpCode::GetData => "GETD",
            OpCode::SetData => "SETD",
            OpCode::GetAcl => "GETA",
            OpCode::SetAcl => "SETA",
            OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
            OpCode::GetAllChildrenNumber => "GETACN",
            OpCode::GetEphemerals => "GETE",
            OpCode::Sync => "SYNC",
            OpCode::Check => "CHEC",
            OpCode::Multi => "MULT",
            OpCode::MultiRead => "MLTR",
            OpCode::Reconfig => "RECO",
            OpCode::SetWatches => "SETW",
            OpCode::SetWatches2 => "STW2",
            OpCode::AddWatch => "ADDW",
            OpCode::CheckWatches => "CHKW",
            OpCode::RemoveWatches => "REMW",
            OpCode::WhoAmI => "HOMI",
            OpCode::Auth => "AUTH",
            OpCode::Sasl => "SASL",
            OpCode::Notification | OpCode::Error => NO_OPERATION,
        }
    }
}
