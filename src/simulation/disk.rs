//! One disk per host: what was written, and what of it is durable.
//!
//! ```text
//! write --> sectors in the cache --sync--> durable         create, rename, remove --> journal --sync of the directory--> durable
//! kill: nothing is lost        power cut: each unsynced sector by chance, a prefix of each directory's journal
//! ```
//! The functions and types have the names and shapes of `std::fs`, so that one `use` line exchanges the two.

use super::world::{self, World};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFault {
    /// The next sync fails, and what was to be synced may be lost.
    pub sync_fails: bool,
    /// Nothing that makes a file longer succeeds.
    pub is_full: bool,
    /// How long a sync takes at most.
    pub slow: Duration,
}

/// The disk of one host.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) files: BTreeMap<u64, Inode>,
    pub(super) names: BTreeMap<PathBuf, u64>,
    /// What a power cut leaves of `names`.
    durable: BTreeMap<PathBuf, u64>,
    /// What was done to names since their directory was synced, in order.
    journal: Vec<Change>,
    pub(super) locked: BTreeSet<u64>,
    pub(super) next: u64,
    pub(super) fault: DiskFault,
}

#[derive(Default)]
pub(super) struct Inode {
    pub(super) written: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors in which the two may differ.
    dirty: BTreeSet<usize>,
}

/// Something done to a name, and in which directory.
#[derive(Clone)]
pub(super) enum Change {
    Set(PathBuf, u64),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl Change {
    fn path(&self) -> &Path {
        match self {
            Change::Set(path, _) | Change::Remove(path) | Change::Rename(path, _) => path,
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Change::Set(path, file) => {
                names.insert(path.clone(), *file);
            }
            Change::Remove(path) => {
                names.remove(path);
            }
            Change::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }
}

impl Inode {
    pub(super) fn write(&mut self, data: &[u8], at: usize) {
        let end = at + data.len();
        if self.written.len() < end {
            self.written.resize(end, 0);
        }
        self.written[at..end].copy_from_slice(data);
        if !data.is_empty() {
            self.dirty.extend(at / SECTOR..=(end - 1) / SECTOR);
        }
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.written.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.settle(sector);
        }
    }

    /// Makes one sector durable.
    fn settle(&mut self, sector: usize) {
        let from = sector * SECTOR;
        let to = (from + SECTOR)
            .min(self.written.len())
            .min(self.durable.len());
        if from < to {
            self.durable[from..to].copy_from_slice(&self.written[from..to]);
        }
    }

    /// What a power cut leaves.
    fn lose_power(&mut self, world: &mut World) {
        let dirty = std::mem::take(&mut self.dirty);
        if self.written.len() != self.durable.len() && world.chance(0.5) {
            self.durable.resize(self.written.len(), 0);
        }
        // Nothing, everything, or some of it, in no order.
        let survives = [0.0, 0.5, 1.0][(world.random() % 3) as usize];
        let kept: Vec<usize> = dirty
            .iter()
            .copied()
            .filter(|_| world.chance(survives))
            .collect();
        if !dirty.is_empty() {
            world.count("unsynced writes at a power cut");
        }
        if !kept.is_empty() && kept.len() < dirty.len() {
            world.count("torn writes");
        }
        for sector in kept {
            self.settle(sector);
        }
        self.written = self.durable.clone();
    }
}

impl Disk {
    pub(super) fn lose_power(&mut self, world: &mut World) {
        self.unlock();
        let journal = std::mem::take(&mut self.journal);
        let kept = (world.random() % (journal.len() as u64 + 1)) as usize;
        if kept < journal.len() {
            world.count("directory changes lost at a power cut");
        }
        for change in &journal[..kept] {
            change.apply(&mut self.durable);
        }
        self.names = self.durable.clone();
        let linked: BTreeSet<u64> = self.names.values().copied().collect();
        self.files.retain(|file, _| linked.contains(file));
        for inode in self.files.values_mut() {
            inode.lose_power(world);
        }
        self.fault = DiskFault::default();
    }

    /// The locks of a process end with it.
    pub(super) fn unlock(&mut self) {
        self.locked.clear();
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.journal.push(change);
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        let changes = std::mem::take(&mut self.journal);
        for change in changes {
            match change.path().parent() == Some(dir) {
                true => change.apply(&mut self.durable),
                false => self.journal.push(change),
            }
        }
    }

    pub(super) fn inode(&mut self, file: u64) -> io::Result<&mut Inode> {
        self.files.get_mut(&file).ok_or_else(gone)
    }
}

fn gone() -> io::Error {
    io::Error::other("the machine has lost its power meanwhile")
}

/// Gives a host's disk a fault, or takes it away.
pub fn set_disk_fault(host: world::HostId, fault: DiskFault) {
    world::with(|world| world.hosts[host.0].disk.fault = fault);
}

/// What is wrong with a host's disk.
pub fn disk_fault(host: world::HostId) -> DiskFault {
    world::with(|world| world.hosts[host.0].disk.fault)
}

/// How long the next sync of the host whose code runs takes, and so how late its answers are.
pub fn sync_delay() -> Duration {
    world::with(|world| {
        let slow = world.disk().map_or(Duration::ZERO, |disk| disk.fault.slow);
        if !slow.is_zero() {
            world.count("slow syncs");
        }
        world.up_to(slow.max(Duration::from_millis(2)))
    })
}

/// The names in a directory.
pub type ReadDir = std::vec::IntoIter<io::Result<DirEntry>>;

/// A name in a directory.
#[derive(Debug)]
pub struct DirEntry {
    name: std::ffi::OsString,
}

impl DirEntry {
    /// The name.
    pub fn file_name(&self) -> std::ffi::OsString {
        self.name.clone()
    }
}

/// The names in a directory.
///
/// # Errors
/// None.
pub fn read_dir(dir: &Path) -> io::Result<ReadDir> {
    let names = world::with(|world| {
        let names = world.disk()?.names.keys();
        let inside = names.filter(|path| path.parent() == Some(dir));
        let name = |path: &PathBuf| path.file_name().map(ToOwned::to_owned);
        Ok::<_, io::Error>(inside.filter_map(name).collect::<Vec<_>>())
    })?;
    let entries = names.into_iter().map(|name| Ok(DirEntry { name }));
    Ok(entries.collect::<Vec<_>>().into_iter())
}

/// Directories are always there.
///
/// # Errors
/// None.
pub fn create_dir_all(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether there is a file.
///
/// # Errors
/// None.
pub fn exists(path: &Path) -> io::Result<bool> {
    world::with(|world| Ok(world.disk()?.names.contains_key(path)))
}

/// Bytes of every disk, as far as anybody asks; nothing fills one but [`DiskFault::is_full`].
const SIZE: u64 = 1 << 40;

/// Bytes that are free on the disk of the host whose code runs, and all there are.
///
/// # Errors
/// When its process is being taken away.
pub fn space() -> io::Result<(u64, u64)> {
    world::with(|world| match world.disk()?.fault.is_full {
        true => Ok((0, SIZE)),
        false => Ok((SIZE, SIZE)),
    })
}

/// Removes a name. Open files stay.
///
/// # Errors
/// `NotFound`.
pub fn remove_file(path: &Path) -> io::Result<()> {
    let change = Change::Remove(path.to_owned());
    rename_or_remove(path, change)
}

/// Renames a file over what is there.
///
/// # Errors
/// `NotFound`.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let change = Change::Rename(from.to_owned(), to.to_owned());
    rename_or_remove(from, change)
}

fn rename_or_remove(path: &Path, change: Change) -> io::Result<()> {
    world::with(|world| {
        if !world.disk()?.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.trace(5, path.as_os_str().as_encoded_bytes());
        world.disk()?.change(change);
        Ok(())
    })
}
