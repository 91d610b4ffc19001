//! A control connection that is dialled when needed and dropped when it fails.

use super::frame::Framed;
use super::hello::{Me, Purpose, Refusal, dial};
use super::message::{Answer, Ask};
use crate::ensemble::census::Census;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Requests to one member, one at a time.
pub(in crate::ensemble) struct Link {
    me: Me,
    to: Option<u64>,
    address: String,
    purpose: Purpose,
    /// Judges who answers.
    census: Option<Arc<Census>>,
    connection: Option<Framed>,
}

/// Why a member could not be asked.
#[derive(Debug, thiserror::Error)]
pub(in crate::ensemble) enum LinkError {
    /// The connection failed.
    #[error("member at {address} cannot be reached")]
    Io {
        /// Where it should be.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It does not want to talk to us.
    #[error("member at {address} refused the connection, or was refused")]
    Refused {
        /// Where it is.
        address: String,
        /// Why.
        #[source]
        refusal: Refusal,
    },
}

impl Link {
    /// A link to member `to` (whoever answers, when `None`) at `address`; connects on first use.
    pub(in crate::ensemble) fn new(me: &Me, to: Option<u64>, address: &str) -> Link {
        Link {
            me: me.clone(),
            to,
            address: address.into(),
            purpose: Purpose::Control,
            census: None,
            connection: None,
        }
    }

    /// This link, but not to a member that `census` objects to.
    pub(super) fn judged(self, census: Arc<Census>) -> Link {
        let census = Some(census);
        Link { census, ..self }
    }

    /// A link for a node that is no member, to whoever answers at `address`.
    pub(in crate::ensemble) fn inquiry(me: &Me, address: &str) -> Link {
        Link {
            purpose: Purpose::Inquiry,
            ..Link::new(me, None, address)
        }
    }

    /// Asks, and waits at most `deadline` for the answer.
    ///
    /// # Errors
    /// [`LinkError`]; the next call dials anew.
    ///
    /// # Cancel safety
    /// A cancelled call drops the connection, so a late answer is never taken for another request's.
    pub(in crate::ensemble) async fn ask(
        &mut self,
        ask: &Ask,
        deadline: Duration,
    ) -> Result<Answer, LinkError> {
        let attempt = async {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.dial().await?,
            };
            let answer = exchange(&mut connection, ask)
                .await
                .map_err(|e| io_error(&self.address, e))?;
            self.connection = Some(connection);
            Ok(answer)
        };
        timeout(deadline, attempt)
            .await
            .unwrap_or_else(|_| Err(io_error(&self.address, io::ErrorKind::TimedOut.into())))
    }
}

impl Link {
    async fn dial(&self) -> Result<Framed, LinkError> {
        let (framed, welcome) = dial(&self.address, &self.me, self.to, self.purpose).await?;
        let judge = |census: &Arc<Census>| census.judge(&welcome.host());
        let judged = self.census.as_ref().map_or(Ok(()), judge);
        judged.map_err(|refusal| LinkError::Refused {
            address: self.address.clone(),
            refusal,
        })?;
        Ok(framed)
    }
}

async fn exchange(connection: &mut Framed, ask: &Ask) -> io::Result<Answer> {
    connection.writer.send(ask).await?;
    connection.reader.message().await
}

fn io_error(address: &str, source: io::Error) -> LinkError {
    LinkError::Io {
        address: address.into(),
        source,
    }
}
