//! What is in a directory.

use super::{FileType, Metadata};
use crate::blocking;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, DirEntryExt};
use std::path::{Path, PathBuf};

/// What is in a directory, in no order.
///
/// # Blocking
/// As [`blocking`]: the goroutine alone.
///
/// # Errors
/// Those of std's function of that name.
///
/// # Examples
/// ```
/// let mut names = Vec::new();
/// for entry in raddle::fs::read_dir("/")? {
///     names.push(entry?.file_name());
/// }
/// assert!(names.iter().any(|name| name == "proc"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `os.ReadDir`, which sorts.
pub fn read_dir<P: AsRef<Path>>(path: P) -> io::Result<ReadDir> {
    let path = path.as_ref();
    Ok(ReadDir {
        inner: blocking(|| fs::read_dir(path))?,
        ready: VecDeque::new(),
    })
}

/// The entries of a directory: `std::fs::ReadDir`.
///
/// # Blocking
/// `next` waits as [`blocking`] does, now and then.
///
/// # Go
/// `os.ReadDir`, which gives all at once.
pub struct ReadDir {
    inner: fs::ReadDir,
    ready: VecDeque<io::Result<DirEntry>>,
}

/// So many are fetched at once.
const BATCH: usize = 128;

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            let inner = &mut self.inner;
            self.ready = blocking(|| inner.by_ref().take(BATCH).map(with_kind).collect());
        }
        self.ready.pop_front()
    }
}

/// The system has told the kind with the name, as a rule.
fn with_kind(entry: io::Result<fs::DirEntry>) -> io::Result<DirEntry> {
    let inner = entry?;
    let kind = inner.file_type().ok();
    Ok(DirEntry { inner, kind })
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// An entry of a directory: `std::fs::DirEntry`.
///
/// # Blocking
/// `metadata` waits as [`blocking`] does, and `file_type` where the system
/// did not tell at once. The rest never waits.
///
/// # Go
/// `os.DirEntry`.
pub struct DirEntry {
    inner: fs::DirEntry,
    kind: Option<FileType>,
}

impl DirEntry {
    /// Its path, within that of the directory.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.inner.path()
    }

    /// Its name.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn file_name(&self) -> OsString {
        self.inner.file_name()
    }

    /// Its number in the file system.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn ino(&self) -> u64 {
        self.inner.ino()
    }

    /// What the system knows of it; of a link, the link itself.
    ///
    /// # Blocking
    /// As [`blocking`]: the goroutine alone.
    ///
    /// # Errors
    /// Those of the system.
    pub fn metadata(&self) -> io::Result<Metadata> {
        blocking(|| self.inner.metadata())
    }

    /// Whether it is a file, a directory or a link.
    ///
    /// # Blocking
    /// Never, as a rule.
    ///
    /// # Errors
    /// Those of the system.
    pub fn file_type(&self) -> io::Result<FileType> {
        match self.kind {
            Some(kind) => Ok(kind),
            None => blocking(|| self.inner.file_type()),
        }
    }
}

/// How to make directories: `std::fs::DirBuilder`.
///
/// # Blocking
/// `create` waits as [`blocking`] does; the rest never waits.
///
/// # Examples
/// ```
/// use raddle::fs::{self, DirBuilder};
///
/// let top = std::env::temp_dir().join(format!("raddle-dirs-{}", std::process::id()));
/// DirBuilder::new().recursive(true).mode(0o700).create(top.join("a/b"))?;
/// assert!(fs::metadata(top.join("a/b"))?.is_dir());
/// fs::remove_dir_all(top)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `os.Mkdir`, `os.MkdirAll` with their permissions.
#[derive(Debug)]
pub struct DirBuilder(fs::DirBuilder);

impl Default for DirBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl DirBuilder {
    /// One directory, within one that is there.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn new() -> Self {
        Self(fs::DirBuilder::new())
    }

    /// Those it lies in are made as well, and it may be there already.
    ///
    /// # Blocking
    /// Never.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.0.recursive(recursive);
        self
    }

    /// What may be done with it; of this the process's mask is taken off.
    ///
    /// # Blocking
    /// Never.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.0.mode(mode);
        self
    }

    /// Makes it.
    ///
    /// # Blocking
    /// As [`blocking`]: the goroutine alone.
    ///
    /// # Errors
    /// Those of the system.
    pub fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let path = path.as_ref();
        blocking(|| self.0.create(path))
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
