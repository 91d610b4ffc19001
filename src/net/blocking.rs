//! Work that blocks, off the runtime's threads.

/// Does blocking work on a thread of its own; gives the panic back if it panicked.
///
/// # Errors
/// [`tokio::task::JoinError`] when the work panicked or the runtime ended.
pub async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    #[cfg(not(feature = "simulation"))]
    return tokio::task::spawn_blocking(work).await;
    // Virtual time does not wait for threads.
    #[cfg(feature = "simulation")]
    {
        tokio::time::sleep(crate::simulation::sync_delay()).await;
        Ok(work())
    }
}
