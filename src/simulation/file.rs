//! Open files, as a process holds them; their names and methods are those of `std::fs`.

use super::disk::{Change, Disk, Inode};
use super::world;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// An open file or directory.
#[derive(Debug)]
pub struct File {
    host: usize,
    /// `None` for a directory.
    file: Option<u64>,
    path: PathBuf,
    is_locked: AtomicBool,
}

impl Drop for File {
    fn drop(&mut self) {
        if self.is_locked.load(Ordering::Relaxed) {
            world::with_if_there(|world| {
                if let Some(file) = self.file {
                    world.hosts[self.host].disk.locked.remove(&file);
                }
            });
        }
    }
}

/// What is known of a file without reading it.
#[derive(Debug)]
pub struct Metadata {
    bytes: u64,
    is_dir: bool,
}

/// What is known of a file or directory. A directory is there as long as something is in it.
///
/// # Errors
/// `NotFound`.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    world::with(|world| {
        let disk = world.disk()?;
        let there = disk.names.get(path).copied();
        let is_dir = there.is_none() && disk.names.keys().any(|name| name.starts_with(path));
        let bytes = match there {
            Some(file) => disk.inode(file)?.written.len() as u64,
            None if is_dir => 0,
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Metadata { bytes, is_dir })
    })
}

impl Metadata {
    /// Its length.
    #[expect(clippy::len_without_is_empty, reason = "as in std")]
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.is_dir
    }
}

/// Why a lock was not taken.
#[derive(Debug)]
pub enum TryLockError {
    /// Never.
    Error(io::Error),
    /// Somebody has it.
    WouldBlock,
}

/// How to open a file.
#[derive(Debug, Default)]
pub struct OpenOptions {
    create: bool,
    create_new: bool,
}

impl OpenOptions {
    /// For an existing file.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Always.
    pub fn read(&mut self, _: bool) -> &mut OpenOptions {
        self
    }

    /// Always.
    pub fn write(&mut self, _: bool) -> &mut OpenOptions {
        self
    }

    /// Never.
    pub fn truncate(&mut self, _: bool) -> &mut OpenOptions {
        self
    }

    /// Makes the file if it is not there.
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.create = create;
        self
    }

    /// Makes the file, which must not be there.
    pub fn create_new(&mut self, create: bool) -> &mut OpenOptions {
        self.create_new = create;
        self
    }

    /// Opens it.
    ///
    /// # Errors
    /// As in std.
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        world::with(|world| {
            let host = world.current;
            let disk = world.disk()?;
            let there = disk.names.get(path).copied();
            let file = match there {
                Some(_) if self.create_new => return Err(io::ErrorKind::AlreadyExists.into()),
                Some(file) => file,
                None if !self.create && !self.create_new => {
                    return Err(io::ErrorKind::NotFound.into());
                }
                None if disk.fault.is_full => return Err(io::ErrorKind::StorageFull.into()),
                None => {
                    disk.next += 1;
                    let file = disk.next;
                    disk.files.insert(file, Inode::default());
                    disk.change(Change::Set(path.to_owned(), file));
                    file
                }
            };
            world.trace(3, path.as_os_str().as_encoded_bytes());
            Ok(File {
                host,
                file: Some(file),
                path: path.to_owned(),
                is_locked: AtomicBool::new(false),
            })
        })
    }
}

impl File {
    /// Opens a directory, to sync it.
    ///
    /// # Errors
    /// None.
    pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
        let host = world::with(|world| world.current);
        let path = path.as_ref().to_owned();
        let file =
            world::with(|world| Ok::<_, io::Error>(world.disk()?.names.get(&path).copied()))?;
        let is_locked = AtomicBool::new(false);
        Ok(File {
            host,
            file,
            path,
            is_locked,
        })
    }

    fn on<R>(&self, work: impl FnOnce(&mut Disk, u64) -> io::Result<R>) -> io::Result<R> {
        world::with(|world| {
            let file = self.file.ok_or(io::ErrorKind::IsADirectory)?;
            work(world.disk_of(self.host)?, file)
        })
    }

    /// Takes an exclusive lock.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`].
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        let taken = self.on(|disk, file| Ok(disk.locked.insert(file)));
        match taken {
            Ok(true) => {
                self.is_locked.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(false) => Err(TryLockError::WouldBlock),
            Err(error) => Err(TryLockError::Error(error)),
        }
    }

    /// What is known of it.
    ///
    /// # Errors
    /// When the machine was switched off meanwhile.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.on(|disk, file| {
            let bytes = disk.inode(file)?.written.len() as u64;
            let is_dir = false;
            Ok(Metadata { bytes, is_dir })
        })
    }

    /// Fills a buffer.
    ///
    /// # Errors
    /// `UnexpectedEof`.
    pub fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.on(|disk, file| {
            let at = at as usize;
            let data = disk.inode(file)?.written.get(at..at + buffer.len());
            buffer.copy_from_slice(data.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    /// Writes a buffer.
    ///
    /// # Errors
    /// `StorageFull`.
    pub fn write_all_at(&self, buffer: &[u8], at: u64) -> io::Result<()> {
        self.on(|disk, file| {
            let is_full = disk.fault.is_full;
            let inode = disk.inode(file)?;
            if is_full && at as usize + buffer.len() > inode.written.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            inode.write(buffer, at as usize);
            Ok(())
        })
    }

    /// Changes its length.
    ///
    /// # Errors
    /// `StorageFull`.
    pub fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.on(|disk, file| {
            let is_full = disk.fault.is_full;
            let inode = disk.inode(file)?;
            if is_full && bytes as usize > inode.written.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            inode.written.resize(bytes as usize, 0);
            Ok(())
        })
    }

    /// Makes its contents durable; for a directory, its names.
    ///
    /// # Errors
    /// When the disk is to fail.
    pub fn sync_all(&self) -> io::Result<()> {
        world::with(|world| {
            let disk = world.disk_of(self.host)?;
            if std::mem::take(&mut disk.fault.sync_fails) {
                world.count("failed syncs");
                return Err(io::Error::other("the disk does not answer"));
            }
            match self.file {
                Some(file) => disk.inode(file)?.sync(),
                None => disk.sync_dir(&self.path),
            }
            world.trace(4, self.path.as_os_str().as_encoded_bytes());
            Ok(())
        })
    }

    /// As [`File::sync_all`].
    ///
    /// # Errors
    /// When the disk is to fail.
    pub fn sync_data(&self) -> io::Result<()> {
        self.sync_all()
    }
}
