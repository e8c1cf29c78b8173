//! A ring of waits for locks, as plain values and as text.

use super::{Asked, Held, Kind, Mode, Want};
use crate::reason::Reason;
use std::fmt;

/// Goroutines, or threads, each of which holds a lock that the one before it
/// waits for, and the first one that of the last.
#[derive(Clone, Debug)]
pub(crate) struct LockCycle {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) id: u64,
    pub(super) name: Option<String>,
    pub(super) is_thread: bool,
    /// None: it is the writer that keeps readers out, and waits itself.
    pub(super) holds: Option<Held>,
    pub(super) asked: Asked,
}

impl LockCycle {
    /// What a thread of the program's in it is called and waits for.
    pub(crate) fn threads(&self) -> impl Iterator<Item = (Option<String>, Reason)> + '_ {
        let threads = self.steps.iter().filter(|step| step.is_thread);
        threads.map(|step| (step.name.clone(), step.asked.reason))
    }
}

impl fmt::Display for LockCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = &self.steps;
        if steps.len() == 1 {
            writeln!(f, "lock cycle of one, who waits for itself:")?;
        } else {
            writeln!(f, "lock cycle of {}:", steps.len())?;
        }
        for (at, step) in steps.iter().enumerate() {
            let behind = &steps[(at + steps.len() - 1) % steps.len()];
            step.fmt(f, &behind.asked)?;
        }
        Ok(())
    }
}

impl Step {
    /// `held` is what the one behind waits for, and this one has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>, held: &Asked) -> fmt::Result {
        let what = if self.is_thread { "thread" } else { "goroutine" };
        write!(f, "    {what} {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        writeln!(f)?;
        if let Some(Held { mode, site, .. }) = self.holds {
            let verb = match (held.kind, mode) {
                (_, Mode::Read) => "reads",
                (_, Mode::Upgradable) => "reads upgradably",
                (Kind::RwLock, Mode::Alone) => "writes",
                (_, Mode::Alone) => "holds",
            };
            writeln!(f, "        {verb} {} since {site}", Named(held))?;
        } else {
            let lock = Named(held);
            writeln!(f, "        is the next to write {lock}, so nobody passes")?;
        }
        let asked = &self.asked;
        let verb = match (asked.kind, asked.want) {
            (Kind::RwLock, Want::Alone | Want::Gate) => "write",
            (_, Want::Upgradable) => "read upgradably",
            (_, Want::Read | Want::ReadBeside) => "read",
            (_, Want::Alone | Want::Gate) => "lock",
        };
        let (lock, site) = (Named(asked), asked.site);
        writeln!(f, "        waits to {verb} {lock} at {site}")
    }
}

/// `Mutex 3`
struct Named<'a>(&'a Asked);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.kind {
            Kind::Mutex => "Mutex",
            Kind::RwLock => "RwLock",
            Kind::ReentrantMutex => "ReentrantMutex",
        };
        write!(f, "{kind} {}", self.0.lock)
    }
}
