//! Operations that copying a tree needs: what a znode is besides its data, and hearing of everything below one.

use super::handle::Client;
use super::session::Encoded;
use super::{ClientError, Refusal};
use crate::tree::{Acl, CreateMode, Lifetime, Stat};
use crate::zk::wire::{
    AclResponse, AddWatchMode, AddWatchRequest, Create2Response, CreateRequest, CreateTtlRequest,
    DataResponse, ErrorResponse, OpCode, PathRequest, ReadRequest, SetAclRequest, SetDataRequest,
    Wire,
};
use bytes::Bytes;

/// The flags of a container, and of a znode with a time to live.
const CONTAINER: i32 = 4;
const TTL: i32 = 5;

impl Client {
    /// A znode's data, which may be null, and stat.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn read(&self, path: &str) -> Result<(Option<Bytes>, Stat), ClientError> {
        let request = ReadRequest {
            path: path.into(),
            watch: false,
        };
        let response: DataResponse = self.call(OpCode::GetData, path, &request).await?;
        Ok((response.data, response.stat))
    }

    /// Replaces a znode's data, which may become null, whatever its version is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn write(&self, path: &str, data: Option<Bytes>) -> Result<Stat, ClientError> {
        let request = SetDataRequest {
            path: path.into(),
            data,
            version: -1,
        };
        self.call(OpCode::SetData, path, &request).await
    }

    /// A znode's ACL. Servers hide the hashes of passwords in it from clients that may not change it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn acl(&self, path: &str) -> Result<Vec<Acl>, ClientError> {
        let request = PathRequest { path: path.into() };
        let response: AclResponse = self.call(OpCode::GetAcl, path, &request).await?;
        Ok(response.acl)
    }

    /// Replaces a znode's ACL, whatever its version is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_acl(&self, path: &str, acl: Vec<Acl>) -> Result<Stat, ClientError> {
        let request = SetAclRequest {
            path: path.into(),
            acl,
            version: -1,
        };
        self.call(OpCode::SetAcl, path, &request).await
    }

    /// Creates a znode of any kind, and returns its path.
    ///
    /// # Errors
    /// [`ClientError`]; `Unimplemented` from servers that know no containers, or no times to live.
    pub async fn create_as(
        &self,
        path: &str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        mode: CreateMode,
    ) -> Result<String, ClientError> {
        let sequential = i32::from(mode.sequential);
        let mut create = CreateRequest {
            path: path.into(),
            data,
            acl,
            flags: 0,
        };
        let created: Create2Response = match mode.lifetime {
            Lifetime::Persistent | Lifetime::Ephemeral => {
                create.flags = i32::from(mode.is_ephemeral()) | sequential << 1;
                return self.call(OpCode::Create, path, &create).await;
            }
            Lifetime::Container => {
                create.flags = CONTAINER;
                self.call(OpCode::CreateContainer, path, &create).await?
            }
            Lifetime::Ttl(ms) => {
                create.flags = TTL + sequential;
                let ttl_ms = i64::try_from(ms).unwrap_or(i64::MAX);
                let request = CreateTtlRequest { create, ttl_ms };
                self.call(OpCode::CreateTtl, path, &request).await?
            }
        };
        Ok(created.path.to_string())
    }

    /// Has every change of a znode and of everything below it told, until the connection is lost.
    ///
    /// # Errors
    /// [`ClientError`]; `Unimplemented` from servers older than 3.6.
    pub async fn watch_below(&self, path: &str) -> Result<(), ClientError> {
        let request = AddWatchRequest {
            path: path.into(),
            mode: AddWatchMode::Recursive,
        };
        let mut answer: Encoded = self.call(OpCode::AddWatch, path, &request).await?;
        let refused = ErrorResponse::decode(&mut answer.0).map_or(0, |answer| answer.error);
        match refused {
            0 => Ok(()),
            code => Err(ClientError::Refused {
                path: path.into(),
                refusal: Refusal(code),
            }),
        }
    }

    /// How many znodes are below one, as far as the server counts them.
    ///
    /// # Errors
    /// [`ClientError`]; `Unimplemented` from old servers.
    pub async fn count_below(&self, path: &str) -> Result<u64, ClientError> {
        let request = PathRequest { path: path.into() };
        let count: i32 = self
            .call(OpCode::GetAllChildrenNumber, path, &request)
            .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
