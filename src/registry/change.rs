//! What a new table changes, for the log.

use crate::config::ServiceName;
use crate::tree::Zxid;
use std::sync::Arc;
use tracing::{info, warn};

/// Something that is different in the new table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The service.
    pub service: ServiceName,
    /// The instance.
    pub instance: Arc<str>,
    /// What happened to it.
    pub what: What,
}

/// What happened to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It gets traffic at this address, or would if it were not draining.
    Joined(Arc<str>),
    /// It is gone from this address.
    Left(Arc<str>),
    /// It gets no new traffic.
    Draining(Arc<str>),
    /// It gets traffic again.
    Restored(Arc<str>),
    /// It cannot be read, for this reason.
    Unparsed(String),
    /// What an operator wants of it cannot be read, for this reason.
    Misread(String),
}

impl Change {
    /// Logs it, with the transaction that the table reflects.
    pub fn log(&self, zxid: Zxid) {
        let (service, instance) = (self.service.as_str(), &*self.instance);
        match &self.what {
            What::Joined(address) => {
                info!(service, instance, %address, %zxid, "endpoint joined");
            }
            What::Left(address) => {
                info!(service, instance, %address, %zxid, "endpoint left");
            }
            What::Draining(address) => {
                info!(service, instance, %address, %zxid, "endpoint drains");
            }
            What::Restored(address) => {
                info!(service, instance, %address, %zxid, "endpoint gets traffic again");
            }
            What::Misread(reason) => {
                warn!(
                    service,
                    instance, reason, %zxid, "what an operator wants cannot be read; what was wanted before holds"
                );
            }
            What::Unparsed(reason) => {
                warn!(
                    service,
                    instance, reason, %zxid, "registration cannot be read"
                );
            }
        }
    }
}
