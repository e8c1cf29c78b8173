//! What a list of goroutines shows, as plain values and as text.

use crate::goroutine::GoroutineId;
use crate::locks::LockCycle;
use crate::reason::Reason;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// Every live goroutine of the process: its name, what it is at, where it was
/// spawned, and its stack if it is parked. `Display` is the text.
///
/// # Blocking
/// Never: what was to be found out has been.
///
/// # Go
/// What `runtime.Stack` writes, of all goroutines.
#[derive(Clone, Debug, Default)]
pub struct Dump {
    /// In the order of their numbers.
    pub(crate) goroutines: Vec<GoroutineDump>,
    /// How many wait for their first run: they have no stack yet.
    pub(crate) unstarted: usize,
}

/// One goroutine of a [`Dump`].
#[derive(Clone, Debug)]
pub(crate) struct GoroutineDump {
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    pub(crate) state: Doing,
    pub(crate) site: &'static Location<'static>,
    /// Innermost first; empty unless it is parked.
    pub(crate) stack: Vec<Arc<Frame>>,
}

/// What a goroutine is at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing {
    Runs,
    WaitsForItsTurn,
    Parked { reason: Reason, seconds: u64 },
}

/// One call on a stack.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) function: String,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
}

/// A thread that is no goroutine and waits in raddle.
#[derive(Clone, Debug)]
pub(crate) struct ThreadDump {
    pub(crate) name: Option<String>,
    pub(crate) reason: Reason,
}

/// Goroutines that nothing can wake: all of the process, or some that wait
/// for each other's locks. Who they are and what each waits for. `Display` is
/// the text that ends a program of Go's.
///
/// # Blocking
/// Never.
///
/// # Go
/// The text behind `fatal error: all goroutines are asleep - deadlock!`.
#[derive(Clone, Debug)]
pub struct Report {
    /// Else those of a lock cycle are.
    pub(crate) all_are_asleep: bool,
    pub(crate) main_called_goexit: bool,
    /// Who waits for whom, where locks tell.
    pub(crate) cycles: Vec<LockCycle>,
    pub(crate) threads: Vec<ThreadDump>,
    pub(crate) dump: Dump,
}

impl Dump {
    /// How many goroutines it lists, those that have not begun included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.goroutines.len() + self.unstarted
    }

    /// Whether nobody is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All but this one.
    #[must_use]
    pub fn without(mut self, id: GoroutineId) -> Self {
        self.goroutines.retain(|one| one.id != id.get());
        self
    }
}

impl Report {
    /// Whether all goroutines of the process are asleep. If not, those in the
    /// report wait for each other's locks, and others go on.
    #[must_use]
    pub fn all_are_asleep(&self) -> bool {
        self.all_are_asleep
    }

    /// The goroutines alone.
    #[must_use]
    pub fn dump(&self) -> &Dump {
        &self.dump
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all_are_asleep {
            writeln!(f, "fatal error: all goroutines are asleep - deadlock!")?;
        } else {
            writeln!(f, "fatal error: goroutines wait for each other - deadlock!")?;
        }
        if self.main_called_goexit {
            writeln!(f, "main called goexit")?;
        }
        for cycle in &self.cycles {
            write!(f, "\n{cycle}")?;
        }
        for thread in &self.threads {
            write!(f, "\nthread ")?;
            if let Some(name) = &thread.name {
                write!(f, "{name:?} ")?;
            }
            writeln!(f, "[{}]", thread.reason)?;
        }
        if self.all_are_asleep || !self.dump.is_empty() {
            write!(f, "\n{}", self.dump)?;
        }
        Ok(())
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_first = true;
        for goroutine in &self.goroutines {
            if !is_first {
                writeln!(f)?;
            }
            is_first = false;
            goroutine.fmt(f)?;
        }
        match self.unstarted {
            0 if is_first => writeln!(f, "no goroutine is alive"),
            0 => Ok(()),
            1 => writeln!(f, "\n1 goroutine more has not begun"),
            n => writeln!(f, "\n{n} goroutines more have not begun"),
        }
    }
}

impl fmt::Display for GoroutineDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "goroutine {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        writeln!(f, " [{}]", self.state)?;
        writeln!(f, "    spawned at {}", self.site)?;
        for frame in &self.stack {
            frame.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs => f.write_str("running"),
            Self::WaitsForItsTurn => f.write_str("runnable"),
            Self::Parked { reason, seconds: 0 } => write!(f, "{reason}"),
            Self::Parked { reason, seconds } => write!(f, "{reason}, {seconds} s"),
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    {}", self.function)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => writeln!(f, "        at {file}:{line}"),
            (Some(file), None) => writeln!(f, "        at {file}"),
            (None, _) => Ok(()),
        }
    }
}
