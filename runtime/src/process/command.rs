//! A process about to be started.

use super::child::Child;
use crate::blocking;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

/// A process about to be started: `std::process::Command`, whose calls park.
///
/// # Blocking
/// `spawn`, `status` and `output` park the goroutine; on a plain OS thread
/// they block the thread. The rest never does.
///
/// # Errors
/// As std's.
///
/// # Examples
/// ```
/// use raddle::process::Command;
///
/// let status = Command::new("sh").args(["-c", "exit 3"]).status()?;
/// assert_eq!(status.code(), Some(3));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `exec.Cmd`.
pub struct Command {
    inner: process::Command,
    /// What the program has set: `output` may set the others.
    sets_stdin: bool,
    sets_stdout: bool,
    sets_stderr: bool,
}

impl Command {
    /// A process that runs `program`, with what this one has: arguments none,
    /// environment, directory and streams the same.
    ///
    /// # Blocking
    /// Never.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Self {
        process::Command::new(program).into()
    }

    /// One more argument.
    ///
    /// # Blocking
    /// Never.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Self {
        self.inner.arg(arg);
        self
    }

    /// More arguments.
    ///
    /// # Blocking
    /// Never.
    pub fn args<I, S>(&mut self, args: I) -> &mut Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.inner.args(args);
        self
    }

    /// Sets a variable of its environment.
    ///
    /// # Blocking
    /// Never.
    pub fn env<K, V>(&mut self, key: K, val: V) -> &mut Self
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.env(key, val);
        self
    }

    /// Sets variables of its environment.
    ///
    /// # Blocking
    /// Never.
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.envs(vars);
        self
    }

    /// Leaves a variable out of its environment.
    ///
    /// # Blocking
    /// Never.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Self {
        self.inner.env_remove(key);
        self
    }

    /// Leaves all variables out of its environment.
    ///
    /// # Blocking
    /// Never.
    pub fn env_clear(&mut self) -> &mut Self {
        self.inner.env_clear();
        self
    }

    /// The directory it begins in.
    ///
    /// # Blocking
    /// Never.
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Self {
        self.inner.current_dir(dir);
        self
    }

    /// The user it runs as.
    ///
    /// # Blocking
    /// Never.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.inner.uid(id);
        self
    }

    /// The group it runs as.
    ///
    /// # Blocking
    /// Never.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.inner.gid(id);
        self
    }

    /// What it is told its own name is.
    ///
    /// # Blocking
    /// Never.
    pub fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Self {
        self.inner.arg0(arg);
        self
    }

    /// The group of processes it joins; 0 is one of its own.
    ///
    /// # Blocking
    /// Never.
    pub fn process_group(&mut self, pgroup: i32) -> &mut Self {
        self.inner.process_group(pgroup);
        self
    }

    /// What it reads.
    ///
    /// # Blocking
    /// Never.
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Self {
        self.inner.stdin(cfg);
        self.sets_stdin = true;
        self
    }

    /// Where it writes.
    ///
    /// # Blocking
    /// Never.
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Self {
        self.inner.stdout(cfg);
        self.sets_stdout = true;
        self
    }

    /// Where it writes its errors.
    ///
    /// # Blocking
    /// Never.
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Self {
        self.inner.stderr(cfg);
        self.sets_stderr = true;
        self
    }

    /// Starts it.
    ///
    /// # Blocking
    /// Parks until the process runs its program.
    ///
    /// # Errors
    /// There is no such program; the system refuses.
    pub fn spawn(&mut self) -> io::Result<Child> {
        let inner = &mut self.inner;
        blocking(|| inner.spawn()).and_then(Child::of_std)
    }

    /// Starts it and waits for its end.
    ///
    /// # Blocking
    /// Parks until it ends.
    ///
    /// # Errors
    /// As `spawn`.
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Starts it, reads what it writes and waits for its end. It has nothing
    /// to read, unless `stdin` was set.
    ///
    /// # Blocking
    /// Parks until it ends and nobody else writes there.
    ///
    /// # Errors
    /// As `spawn`; those of reading.
    pub fn output(&mut self) -> io::Result<Output> {
        if !self.sets_stdin {
            self.inner.stdin(Stdio::null());
        }
        if !self.sets_stdout {
            self.inner.stdout(Stdio::piped());
        }
        if !self.sets_stderr {
            self.inner.stderr(Stdio::piped());
        }
        let child = self.spawn();
        // As before, for a `spawn` that may follow.
        if !self.sets_stdin {
            self.inner.stdin(Stdio::inherit());
        }
        if !self.sets_stdout {
            self.inner.stdout(Stdio::inherit());
        }
        if !self.sets_stderr {
            self.inner.stderr(Stdio::inherit());
        }
        child?.wait_with_output()
    }

    /// The program.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    /// The arguments.
    ///
    /// # Blocking
    /// Never.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    /// The variables that are set or left out.
    ///
    /// # Blocking
    /// Never.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.inner.get_envs()
    }

    /// The directory, if it was set.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.inner.get_current_dir()
    }

    /// std's, for what only some systems have: `pre_exec` and `exec` of
    /// `std::os::unix::process::CommandExt`. Streams that are set here are
    /// set again by `output`. What `pre_exec` ties to the calling thread, as
    /// `PR_SET_PDEATHSIG` does, it ties to one of raddle's, which ends when it
    /// has been idle for ten seconds.
    ///
    /// # Blocking
    /// Never.
    pub fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.inner
    }
}

impl From<process::Command> for Command {
    fn from(inner: process::Command) -> Self {
        Self {
            inner,
            sets_stdin: false,
            sets_stdout: false,
            sets_stderr: false,
        }
    }
}

/// As std's.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
