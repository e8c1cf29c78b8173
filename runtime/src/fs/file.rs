//! Open files.

use super::{FileTimes, Metadata, Permissions, TryLockError};
use crate::blocking;
use rustix::io::{ReadWriteFlags, preadv2};
use std::fmt;
use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

/// An open file: `std::fs::File`, whose calls hold up nobody else.
///
/// # Blocking
/// Calls wait as [`blocking`] does: the goroutine alone. Reads of what lies
/// in the system's memory are made on the spot.
///
/// # Errors
/// As std's.
///
/// # Examples
/// ```
/// use raddle::fs::File;
/// use std::io::{Read, Seek, Write};
///
/// let path = std::env::temp_dir().join(format!("raddle-file-{}", std::process::id()));
/// let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
/// file.write_all(b"0123456789")?;
/// file.seek(std::io::SeekFrom::Start(4))?;
/// let mut text = String::new();
/// file.read_to_string(&mut text)?;
/// assert_eq!(text, "456789");
/// raddle::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `os.File`.
pub struct File {
    pub(crate) source: Held,
}

/// std's file, as others have their `Source`.
pub(crate) struct Held(fs::File);

impl Held {
    pub(crate) fn inner(&self) -> &fs::File {
        &self.0
    }

    pub(crate) fn into_inner(self) -> fs::File {
        self.0
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place where the file is read and written next.
const HERE: u64 = u64::MAX;

macro_rules! of_a_file {
    ($($(#[$doc:meta])+ fn $name:ident(&self $(, $argument:ident: $of:ty)*) -> $result:ty;)*) => {$(
        $(#[$doc])+
        ///
        /// # Blocking
        /// As [`blocking`]: the goroutine alone.
        ///
        /// # Errors
        /// Those of std's method of that name.
        pub fn $name(&self $(, $argument: $of)*) -> $result {
            blocking(|| self.source.0.$name($($argument),*))
        }
    )*};
}

impl File {
    #[expect(clippy::unnecessary_wraps, reason = "the form of the others")]
    pub(crate) fn of_std(file: fs::File) -> io::Result<Self> {
        Ok(Self::held(file))
    }

    fn held(file: fs::File) -> Self {
        Self { source: Held(file) }
    }

    /// Opens a file to read it.
    ///
    /// # Blocking
    /// As [`blocking`]: the goroutine alone.
    ///
    /// # Errors
    /// There is none; it may not be read.
    ///
    /// # Go
    /// `os.Open`.
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let path = path.as_ref();
        blocking(|| fs::File::open(path)).map(Self::held)
    }

    /// Makes a file to write it, or empties the one that is there.
    ///
    /// # Blocking
    /// As [`blocking`]: the goroutine alone.
    ///
    /// # Errors
    /// It may not be made.
    ///
    /// # Go
    /// `os.Create`.
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let path = path.as_ref();
        blocking(|| fs::File::create(path)).map(Self::held)
    }

    /// Makes a file to read and write it, if there is none.
    ///
    /// # Blocking
    /// As [`blocking`]: the goroutine alone.
    ///
    /// # Errors
    /// There is one; it may not be made.
    pub fn create_new<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let path = path.as_ref();
        blocking(|| fs::File::create_new(path)).map(Self::held)
    }

    /// How to open a file.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    of_a_file! {
        /// Waits until all that was written is on the disk.
        fn sync_all(&self) -> io::Result<()>;
        /// As `sync_all`, for what was written and not what is known of it.
        fn sync_data(&self) -> io::Result<()>;
        /// Cuts the file off, or fills it up with zeros.
        fn set_len(&self, size: u64) -> io::Result<()>;
        /// What the system knows of it.
        fn metadata(&self) -> io::Result<Metadata>;
        /// Changes what may be done with it.
        fn set_permissions(&self, perm: Permissions) -> io::Result<()>;
        /// Changes when it was used.
        fn set_times(&self, times: FileTimes) -> io::Result<()>;
        /// Changes when it was written.
        fn set_modified(&self, time: SystemTime) -> io::Result<()>;
        /// Waits until nobody else has it locked, and locks it.
        fn lock(&self) -> io::Result<()>;
        /// As `lock`, together with others who share it.
        fn lock_shared(&self) -> io::Result<()>;
        /// Locks it, unless somebody has.
        fn try_lock(&self) -> Result<(), TryLockError>;
        /// As `try_lock`, together with others who share it.
        fn try_lock_shared(&self) -> Result<(), TryLockError>;
        /// Unlocks it.
        fn unlock(&self) -> io::Result<()>;
        /// Writes at `offset`.
        fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;
        /// Writes all of it at `offset`.
        fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    }

    /// Reads at `offset`.
    ///
    /// # Blocking
    /// As a read.
    ///
    /// # Errors
    /// Those of the system.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.read_now(&mut [IoSliceMut::new(buf)], offset) {
            Some(read) => Ok(read),
            None => blocking(|| self.source.0.read_at(buf, offset)),
        }
    }

    /// Fills all of `buf` from `offset` on.
    ///
    /// # Blocking
    /// As a read.
    ///
    /// # Errors
    /// Those of the system; `UnexpectedEof`.
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        match self.read_now(&mut [IoSliceMut::new(buf)], offset) {
            Some(read) if read == buf.len() => Ok(()),
            _ => blocking(|| self.source.0.read_exact_at(buf, offset)),
        }
    }

    /// Another handle to the same open file.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.source.0.try_clone().map(Self::held)
    }

    /// What is there without waiting for the disk. `None`: nothing, or the
    /// system cannot say, or it fails: the call that may wait will tell.
    fn read_now(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Option<usize> {
        preadv2(&self.source.0, buffers, offset, ReadWriteFlags::NOWAIT).ok()
    }
}

impl Read for &File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.read_now(&mut [IoSliceMut::new(buffer)], HERE) {
            Some(read) => Ok(read),
            None => blocking(|| (&self.source.0).read(buffer)),
        }
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self.read_now(buffers, HERE) {
            Some(read) => Ok(read),
            None => blocking(|| (&self.source.0).read_vectored(buffers)),
        }
    }

    fn read_to_end(&mut self, all: &mut Vec<u8>) -> io::Result<usize> {
        blocking(|| (&self.source.0).read_to_end(all))
    }

    fn read_to_string(&mut self, all: &mut String) -> io::Result<usize> {
        blocking(|| (&self.source.0).read_to_string(all))
    }
}

impl Write for &File {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        blocking(|| (&self.source.0).write(buffer))
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        blocking(|| (&self.source.0).write_vectored(buffers))
    }

    fn write_all(&mut self, buffer: &[u8]) -> io::Result<()> {
        blocking(|| (&self.source.0).write_all(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where the next read or write is, which the disk does not care for.
impl Seek for &File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        (&self.source.0).seek(to)
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }

    fn read_to_end(&mut self, all: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(all)
    }

    fn read_to_string(&mut self, all: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(all)
    }
}

impl Write for File {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&*self).write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    fn write_all(&mut self, buffer: &[u8]) -> io::Result<()> {
        (&*self).write_all(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        (&*self).seek(to)
    }
}

/// For a child process.
impl From<File> for Stdio {
    fn from(file: File) -> Self {
        fs::File::from(file).into()
    }
}

/// How to open a file: `std::fs::OpenOptions`. One that is made of std's has
/// what only some systems have.
///
/// # Blocking
/// `open` waits as [`blocking`] does; the rest never waits.
///
/// # Go
/// The flags of `os.OpenFile`.
#[derive(Clone, Debug)]
pub struct OpenOptions(fs::OpenOptions);

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl From<fs::OpenOptions> for OpenOptions {
    fn from(options: fs::OpenOptions) -> Self {
        Self(options)
    }
}

macro_rules! options {
    ($($(#[$doc:meta])+ $name:ident;)*) => {$(
        $(#[$doc])+
        ///
        /// # Blocking
        /// Never.
        pub fn $name(&mut self, $name: bool) -> &mut Self {
            self.0.$name($name);
            self
        }
    )*};
}

impl OpenOptions {
    /// Nothing set.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn new() -> Self {
        Self(fs::OpenOptions::new())
    }

    options! {
        /// It is to be read.
        read;
        /// It is to be written.
        write;
        /// All is written at its end.
        append;
        /// What is in it goes.
        truncate;
        /// It is made if there is none.
        create;
        /// It is made, and there must be none.
        create_new;
    }

    /// What may be done with a file that is made; of this the process's mask
    /// is taken off.
    ///
    /// # Blocking
    /// Never.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.0.mode(mode);
        self
    }

    /// Further flags of the system's.
    ///
    /// # Blocking
    /// Never.
    pub fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.0.custom_flags(flags);
        self
    }

    /// Opens the file.
    ///
    /// # Blocking
    /// As [`blocking`]: the goroutine alone.
    ///
    /// # Errors
    /// Those of the system; `InvalidInput` for options that exclude each
    /// other.
    pub fn open<P: AsRef<Path>>(&self, path: P) -> io::Result<File> {
        let path = path.as_ref();
        blocking(|| self.0.open(path)).map(File::held)
    }
}
