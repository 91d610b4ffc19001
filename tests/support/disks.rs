//! The disks of members that are stopped, and what lies on them.

use super::ensemble::Members;
use std::path::Path;
use tempfile::TempDir;

impl Members {
    /// Empties the disk of a stopped member.
    pub fn wipe(&self, name: &str) {
        std::fs::remove_dir_all(self.data_dir(name)).expect("removed");
    }

    /// A copy of the disk of a stopped member.
    pub fn copy_of(&self, name: &str) -> TempDir {
        let copy = TempDir::new().expect("a temporary directory");
        copy_files(&self.data_dir(name), copy.path());
        copy
    }

    /// Makes the disk of a stopped member what it was.
    pub fn put_back(&self, name: &str, copy: &Path) {
        self.wipe(name);
        let dir = self.data_dir(name);
        std::fs::create_dir(&dir).expect("created");
        copy_files(copy, &dir);
    }

    /// How many snapshots a member keeps.
    pub fn snapshot_files(&self, name: &str) -> usize {
        let files = std::fs::read_dir(self.data_dir(name)).expect("its directory");
        let names = files.map(|file| file.expect("readable").file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("snap-"))
            .count()
    }

    /// Names of a member's files that begin with `prefix`.
    pub fn files(&self, name: &str, prefix: &str) -> Vec<String> {
        let files = std::fs::read_dir(self.data_dir(name)).expect("its directory");
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        names.filter(|name| name.starts_with(prefix)).collect()
    }
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).expect("readable") {
        let file = file.expect("readable");
        // Directories hold what was set aside.
        if file.path().is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
        }
    }
}
