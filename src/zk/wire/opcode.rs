//! The operations a client can ask for, by number.

/// Every opcode of ZooKeeper 3.9, served or not. Source: `org.apache.zookeeper.ZooDefs.OpCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum OpCode {
    /// Between servers only.
    Notification = 0,
    /// Creates a znode; answers its path.
    Create = 1,
    /// Deletes a znode.
    Delete = 2,
    /// A znode's stat, if it exists.
    Exists = 3,
    /// A znode's data and stat.
    GetData = 4,
    /// Replaces a znode's data.
    SetData = 5,
    /// A znode's ACL and stat.
    GetAcl = 6,
    /// Replaces a znode's ACL.
    SetAcl = 7,
    /// The names of a znode's children.
    GetChildren = 8,
    /// Catches up with the leader.
    Sync = 9,
    /// A sign of life.
    Ping = 11,
    /// The names of a znode's children, and its stat.
    GetChildren2 = 12,
    /// Compares a version; only inside a multi.
    Check = 13,
    /// Several writes, all or nothing.
    Multi = 14,
    /// Creates a znode; answers its path and stat.
    Create2 = 15,
    /// Changes the ensemble.
    Reconfig = 16,
    /// Whether watches are set.
    CheckWatches = 17,
    /// Removes watches.
    RemoveWatches = 18,
    /// Creates a container.
    CreateContainer = 19,
    /// Between servers only.
    DeleteContainer = 20,
    /// Creates a znode that dies when left alone.
    CreateTtl = 21,
    /// Several reads.
    MultiRead = 22,
    /// Proves an identity.
    Auth = 100,
    /// Sets watches again after a reconnect.
    SetWatches = 101,
    /// One step of a SASL exchange.
    Sasl = 102,
    /// The ephemerals of the caller.
    GetEphemerals = 103,
    /// How many descendants a znode has.
    GetAllChildrenNumber = 104,
    /// As `SetWatches`, persistent ones too.
    SetWatches2 = 105,
    /// Sets a persistent watch.
    AddWatch = 106,
    /// The identities the connection has proved.
    WhoAmI = 107,
    /// Between servers only.
    CreateSession = -10,
    /// Ends the session.
    CloseSession = -11,
    /// Between servers only; inside a multi's reply, a failed operation.
    Error = -1,
}

impl OpCode {
    /// All of them.
    pub const ALL: [OpCode; 33] = {
        use OpCode::*;
        [
            Notification,
            Create,
            Delete,
            Exists,
            GetData,
            SetData,
            GetAcl,
            SetAcl,
            GetChildren,
            Sync,
            Ping,
            GetChildren2,
            Check,
            Multi,
            Create2,
            Reconfig,
            CheckWatches,
            RemoveWatches,
            CreateContainer,
            DeleteContainer,
            CreateTtl,
            MultiRead,
            Auth,
            SetWatches,
            Sasl,
            GetEphemerals,
            GetAllChildrenNumber,
            SetWatches2,
            AddWatch,
            WhoAmI,
            CreateSession,
            CloseSession,
            Error,
        ]
    };

    /// The operation with this number.
    pub fn from_wire(number: i32) -> Option<OpCode> {
        OpCode::ALL.into_iter().find(|op| *op as i32 == number)
    }

    /// As request headers carry it.
    pub fn to_wire(self) -> i32 {
        self as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_leads_back_to_its_operation() {
        for op in OpCode::ALL {
            assert_eq!(OpCode::from_wire(op.to_wire()), Some(op));
        }
        for unknown in [10, 23, 99, 108, 999, -2, i32::MIN] {
            assert_eq!(OpCode::from_wire(unknown), None);
        }
    }
}
