//! What is done to files by their paths.

use super::{Metadata, Permissions};
use crate::blocking;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix;
use std::path::{Path, PathBuf};

macro_rules! of_a_path {
    ($($(#[$doc:meta])+ fn $name:ident() -> $result:ty, $go:literal;)*) => {$(
        $(#[$doc])+
        ///
        /// # Blocking
        /// As [`blocking`]: the goroutine alone.
        ///
        /// # Errors
        /// Those of std's function of that name.
        ///
        /// # Go
        #[doc = $go]
        pub fn $name<P: AsRef<Path>>(path: P) -> io::Result<$result> {
            let path = path.as_ref();
            blocking(|| fs::$name(path))
        }
    )*};
}

of_a_path! {
    /// The path without links, `.` and `..`.
    fn canonicalize() -> PathBuf, "`filepath.EvalSymlinks`, of an absolute path.";
    /// Makes a directory.
    fn create_dir() -> (), "`os.Mkdir`.";
    /// Makes a directory and those it lies in.
    fn create_dir_all() -> (), "`os.MkdirAll`.";
    /// Whether there is something.
    fn exists() -> bool, "None: `os.Stat`, and a look at its error.";
    /// What the system knows of it; of a link, where it leads.
    fn metadata() -> Metadata, "`os.Stat`.";
    /// All that is in a file.
    fn read() -> Vec<u8>, "`os.ReadFile`.";
    /// Where a link leads.
    fn read_link() -> PathBuf, "`os.Readlink`.";
    /// All that is in a file, which is text.
    fn read_to_string() -> String, "`os.ReadFile`, and a conversion.";
    /// Removes an empty directory.
    fn remove_dir() -> (), "`os.Remove`.";
    /// Removes a directory and what is in it.
    fn remove_dir_all() -> (), "`os.RemoveAll`.";
    /// Removes a file.
    fn remove_file() -> (), "`os.Remove`.";
    /// What the system knows of it; of a link, the link itself.
    fn symlink_metadata() -> Metadata, "`os.Lstat`.";
}

macro_rules! of_two_paths {
    ($($(#[$doc:meta])+ fn $($std:ident)::+ = $name:ident($from:ident, $to:ident) -> $result:ty, $go:literal;)*) => {$(
        $(#[$doc])+
        ///
        /// # Blocking
        /// As [`blocking`]: the goroutine alone.
        ///
        /// # Errors
        /// Those of std's function of that name.
        ///
        /// # Go
        #[doc = $go]
        pub fn $name<P: AsRef<Path>, Q: AsRef<Path>>($from: P, $to: Q) -> io::Result<$result> {
            let ($from, $to) = ($from.as_ref(), $to.as_ref());
            blocking(|| $($std)::+($from, $to))
        }
    )*};
}

of_two_paths! {
    /// Copies a file and its permissions; how many bytes.
    fn fs::copy = copy(from, to) -> u64, "None: `io.Copy` from one file to the other.";
    /// One more name for a file.
    fn fs::hard_link = hard_link(original, link) -> (), "`os.Link`.";
    /// Another name for it, in place of what had that name.
    fn fs::rename = rename(from, to) -> (), "`os.Rename`.";
    /// A name that leads to another, whether there is something or not:
    /// std's function of `std::os::unix::fs`.
    fn unix::fs::symlink = symlink(original, link) -> (), "`os.Symlink`.";
}

macro_rules! owners {
    ($($(#[$doc:meta])+ fn $name:ident, $go:literal;)*) => {$(
        $(#[$doc])+
        /// What is `None` stays. std's function of `std::os::unix::fs`.
        ///
        /// # Blocking
        /// As [`blocking`]: the goroutine alone.
        ///
        /// # Errors
        /// Those of std's function of that name.
        ///
        /// # Go
        #[doc = $go]
        pub fn $name<P: AsRef<Path>>(
            path: P,
            uid: Option<u32>,
            gid: Option<u32>,
        ) -> io::Result<()> {
            let path = path.as_ref();
            blocking(|| unix::fs::$name(path, uid, gid))
        }
    )*};
}

owners! {
    /// Changes whose it is; of a link, where it leads.
    fn chown, "`os.Chown`.";
    /// Changes whose it is; of a link, the link itself.
    fn lchown, "`os.Lchown`.";
}

/// Changes whose an open file is. What is `None` stays. std's function of
/// `std::os::unix::fs`.
///
/// # Blocking
/// As [`blocking`]: the goroutine alone.
///
/// # Errors
/// Those of std's function of that name.
///
/// # Go
/// `(*os.File).Chown`.
pub fn fchown<F: AsFd>(fd: F, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let fd = fd.as_fd();
    blocking(|| unix::fs::fchown(fd, uid, gid))
}

/// Changes what may be done with it.
///
/// # Blocking
/// As [`blocking`]: the goroutine alone.
///
/// # Errors
/// Those of std's function of that name.
///
/// # Go
/// `os.Chmod`.
pub fn set_permissions<P: AsRef<Path>>(path: P, perm: Permissions) -> io::Result<()> {
    let path = path.as_ref();
    blocking(|| fs::set_permissions(path, perm))
}

/// Makes a file of `contents`, in place of one that is there.
///
/// # Blocking
/// As [`blocking`]: the goroutine alone.
///
/// # Errors
/// Those of std's function of that name.
///
/// # Go
/// `os.WriteFile`.
pub fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    let (path, contents) = (path.as_ref(), contents.as_ref());
    blocking(|| fs::write(path, contents))
}
