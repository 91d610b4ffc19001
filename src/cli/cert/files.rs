//! Where a certificate and its key are written: each appears whole, and nothing is overwritten by accident.

use super::CertError;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// For its owner alone.
const KEY_MODE: u32 = 0o600;
/// For everybody: there is nothing secret in a certificate.
const CERTIFICATE_MODE: u32 = 0o644;

/// A certificate and its key, in PEM.
pub(super) struct Made {
    /// The certificate.
    pub(super) certificate: String,
    /// The key.
    pub(super) key: String,
}

/// Where both go.
pub(super) struct Place {
    dir: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    overwrites: bool,
}

impl Place {
    /// `NAME.pem` and `NAME.key` in `dir`, which is made if missing.
    ///
    /// # Errors
    /// [`CertError::Exists`], or that the directory cannot be made.
    pub(super) fn new(dir: &Path, name: &str, overwrites: bool) -> Result<Place, CertError> {
        let place = Place {
            dir: dir.into(),
            certificate: dir.join(format!("{name}.pem")),
            key: dir.join(format!("{name}.key")),
            overwrites,
        };
        for file in [&place.certificate, &place.key] {
            if !overwrites && file.symlink_metadata().is_ok() {
                return Err(CertError::Exists(file.clone()));
            }
        }
        fs::create_dir_all(dir).map_err(|source| CertError::Io {
            action: "make the directory",
            path: dir.into(),
            source,
        })?;
        Ok(place)
    }

    /// Writes both.
    ///
    /// # Errors
    /// [`CertError`]; what was there before is untouched or whole.
    pub(super) fn write(&self, made: &Made) -> Result<(), CertError> {
        self.put(&self.key, &made.key, KEY_MODE)?;
        self.put(&self.certificate, &made.certificate, CERTIFICATE_MODE)
    }

    fn put(&self, path: &Path, text: &str, mode: u32) -> Result<(), CertError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => CertError::Exists(path.into()),
            _ => CertError::Io {
                action: "write",
                path: path.into(),
                source,
            },
        };
        // Made for nobody else to read, and only then filled.
        let mut file = NamedTempFile::new_in(&self.dir).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        let opened = file.as_file();
        opened
            .set_permissions(Permissions::from_mode(mode))
            .map_err(failed)?;
        opened.sync_all().map_err(failed)?;
        let persisted = match self.overwrites {
            true => file.persist(path),
            false => file.persist_noclobber(path),
        };
        persisted.map(|_| ()).map_err(|error| failed(error.error))
    }

    /// What was written, line by line.
    pub(super) fn written(&self) -> [String; 2] {
        [&self.certificate, &self.key].map(|path| path.display().to_string())
    }
}
