//! Files that are read again when they change, while connections go on.
//!
//! ```text
//! files --load--> what is in use --ArcSwap--> each new handshake
//!   ^                   ^
//!   '- follow: changed? '        a file that is broken changes nothing and is told about
//! ```

use super::error::TlsError;
use super::files::Stamp;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// How often the files are looked at. A look costs a system call per file; a change is in use after two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Files that mean something together.
pub trait Files: Send + Sync + 'static {
    /// What they mean.
    type Loaded: Send + Sync;

    /// All of them.
    fn paths(&self) -> Vec<&PathBuf>;

    /// Reads and checks them.
    ///
    /// # Errors
    /// [`TlsError`], for the first that is wrong.
    fn load(&self) -> Result<Self::Loaded, TlsError>;

    /// When the certificate in `loaded` expires, seconds since the Unix epoch.
    fn expires_at(loaded: &Self::Loaded) -> i64;
}

/// Files, and what is in use of them.
pub struct Live<F: Files> {
    files: F,
    loaded: ArcSwap<F::Loaded>,
    /// The files as they were when they were last read, well or in vain.
    tried: Mutex<Stamp>,
}

impl<F: Files> Live<F> {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn load(files: F) -> Result<Live<F>, TlsError> {
        let tried = Stamp::of(files.paths());
        let loaded = files.load()?;
        Ok(Live {
            tried: Mutex::new(tried),
            ..Live::with(files, loaded)
        })
    }

    /// What was loaded already.
    pub(super) fn with(files: F, loaded: F::Loaded) -> Live<F> {
        Live {
            tried: Mutex::new(Stamp::of(files.paths())),
            loaded: ArcSwap::from_pointee(loaded),
            files,
        }
    }

    /// Reads the files again; handshakes that begin from now on use what is in them.
    ///
    /// # Errors
    /// [`TlsError`]; what was loaded before stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        // Before reading, so that what changes meanwhile is seen as a change later.
        *self.tried.lock() = Stamp::of(self.files.paths());
        self.loaded.store(Arc::new(self.files.load()?));
        Ok(())
    }

    /// Reads the files whenever they have changed and have been left alone since the look before, for ever;
    /// `told` hears how it went. Certificate and key are rarely replaced at the same instant.
    pub async fn follow(self: Arc<Self>, told: impl FnMut(Result<(), TlsError>)) {
        self.follow_every(LOOK_INTERVAL, told).await;
    }

    pub(super) async fn follow_every(
        self: Arc<Self>,
        interval: Duration,
        mut told: impl FnMut(Result<(), TlsError>),
    ) {
        let mut changed = None;
        loop {
            tokio::time::sleep(interval).await;
            let looking = self.clone();
            // A task that panicked or was stopped has seen nothing; the next look does.
            let Ok((stamp, tried)) = spawn_blocking(move || looking.look()).await else {
                continue;
            };
            if stamp == tried {
                changed = None;
            } else if changed.replace(stamp.clone()) == Some(stamp) {
                changed = None;
                let reading = self.clone();
                if let Ok(reloaded) = spawn_blocking(move || reading.reload()).await {
                    told(reloaded);
                }
            }
        }
    }

    /// The files as they are, and as they were when they were last read.
    fn look(&self) -> (Stamp, Stamp) {
        (Stamp::of(self.files.paths()), self.tried.lock().clone())
    }

    /// When the certificate in use expires, seconds since the Unix epoch.
    pub fn expires_at(&self) -> i64 {
        F::expires_at(&self.loaded.load())
    }

    /// What is in use.
    pub(super) fn in_use(&self) -> arc_swap::Guard<Arc<F::Loaded>> {
        self.loaded.load()
    }
}
