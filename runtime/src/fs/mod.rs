//! Files and directories for goroutines: the twins of `std::fs`, item by
//! item, without holding up other goroutines.
//!
//! Files are always ready, says the system, and then block: so every call
//! goes through [`blocking`](crate::blocking). What lies in the system's
//! memory is read on the spot.
//!
//! ```
//! use raddle::fs;
//!
//! raddle::run(|| {
//!     let path = std::env::temp_dir().join(format!("raddle-fs-{}", std::process::id()));
//!     fs::write(&path, "remember")?;
//!     assert_eq!(fs::read_to_string(&path)?, "remember");
//!     fs::remove_file(&path)
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod directory;
mod file;
mod functions;

pub use directory::{DirBuilder, DirEntry, ReadDir, read_dir};
pub use file::{File, OpenOptions};
pub use functions::{
    canonicalize, chown, copy, create_dir, create_dir_all, exists, fchown, hard_link, lchown,
    metadata, read, read_link, read_to_string, remove_dir, remove_dir_all, remove_file, rename,
    set_permissions, symlink, symlink_metadata, write,
};
pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};
