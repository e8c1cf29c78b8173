//! Child processes whose ends, inputs and outputs park the goroutine and
//! nothing else: the twins of `std::process`, item by item.
//!
//! ```
//! use raddle::process::Command;
//!
//! let output = Command::new("echo").arg("hello").output()?;
//! assert_eq!(output.stdout, b"hello\n");
//! # Ok::<(), std::io::Error>(())
//! ```

mod child;
mod command;

pub use child::{Child, ChildStderr, ChildStdin, ChildStdout};
pub use command::Command;
pub use std::process::{
    CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, Termination, abort, exit, id,
};
