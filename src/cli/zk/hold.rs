//! Waiting with an ephemeral znode in hand.

use crate::cli::CliError;
use crate::cli::output::Output;
use crate::cli::signals::Signals;
use crate::client::{Client, ClientError, SessionState};

/// Keeps the session until a signal asks to stop.
///
/// # Errors
/// [`ClientError::Expired`] when the session ends first, and the znode with it.
pub(super) async fn until_interrupted(
    client: &Client,
    path: &str,
    output: Output,
) -> Result<(), CliError> {
    let mut signals = Signals::new()?;
    let mut state = client.state();
    output.message(format_args!("holding {path} until interrupted"));
    tokio::select! {
        _ = signals.stop() => Ok(()),
        // The session's task tells its end before it goes: an error here is the same news.
        _ = state.wait_for(|state| *state == SessionState::Expired) => {
            Err(ClientError::Expired.into())
        }
    }
}
