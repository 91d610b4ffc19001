//! A file that gets its name when it is complete.

use super::BackupError;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file under way to `target`; removed when dropped, unless it was published.
#[derive(Debug)]
pub(super) struct Draft {
    file: File,
    path: PathBuf,
    target: PathBuf,
    may_replace: bool,
    is_published: bool,
}

impl Draft {
    /// Begins `target` with `.tmp` behind its name, readable by its owner only. A draft that was left behind is
    /// replaced, one that another process works on is not.
    pub(super) fn begin(target: &Path, may_replace: bool) -> Result<Draft, BackupError> {
        if !may_replace && target.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(target.to_owned()));
        }
        let mut path = OsString::from(target);
        path.push(".tmp");
        let path = PathBuf::from(path);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(at("create", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::InUse(path)),
            Err(TryLockError::Error(error)) => return Err(at("lock", &path)(error)),
        }
        let draft = Draft {
            file,
            path,
            target: target.to_owned(),
            may_replace,
            is_published: false,
        };
        draft.file.set_len(0).map_err(at("empty", &draft.path))?;
        Ok(draft)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.file.write_all(bytes).map_err(at("write", &self.path))
    }

    /// Makes it durable, then visible, then that durable.
    pub(super) fn publish(mut self) -> Result<(), BackupError> {
        self.file.sync_all().map_err(at("sync", &self.path))?;
        match self.may_replace {
            true => fs::rename(&self.path, &self.target).map_err(at("rename", &self.path))?,
            false => self.link()?,
        }
        self.is_published = true;
        let dir = self.target.parent().filter(|dir| *dir != Path::new(""));
        let dir = dir.unwrap_or(Path::new("."));
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(at("sync", dir))
    }

    /// As renaming, but never over another file, whenever that came.
    fn link(&self) -> Result<(), BackupError> {
        match fs::hard_link(&self.path, &self.target) {
            Ok(()) => fs::remove_file(&self.path).map_err(at("remove", &self.path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(BackupError::Exists(self.target.clone()))
            }
            // Some file systems have no links. Nobody but another backup comes in between.
            Err(_) => fs::rename(&self.path, &self.target).map_err(at("rename", &self.path)),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_published {
            // What stays is called a draft, and the next backup replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_appears_complete_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("b");
        let mut draft = Draft::begin(&target, false).unwrap();
        draft.write(b"half").unwrap();
        assert!(matches!(
            Draft::begin(&target, false),
            Err(BackupError::InUse(_))
        ));
        drop(draft);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

        let mut draft = Draft::begin(&target, false).unwrap();
        draft.write(b"whole").unwrap();
        assert!(!target.exists());
        draft.publish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        assert_eq!(
            fs::metadata(&target).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_replaced_only_when_that_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("b");
        let late = Draft::begin(&target, false).unwrap();
        fs::write(&target, "old").unwrap();
        assert!(matches!(late.publish(), Err(BackupError::Exists(_))));
        assert!(matches!(
            Draft::begin(&target, false),
            Err(BackupError::Exists(_))
        ));
        assert_eq!(fs::read(&target).unwrap(), b"old");
        let mut draft = Draft::begin(&target, true).unwrap();
        draft.write(b"new").unwrap();
        draft.publish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }
}
