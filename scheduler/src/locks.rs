//! The program's locks, as those see them who wait for one: who holds what,
//! and whether they wait for each other in a ring.
//!
//! Everybody keeps a list of the locks they hold, for themselves. Who has to
//! wait for one, without a deadline, *stands here* meanwhile: with what it
//! waits for and a copy of its list. A ring has nobody in it who does not
//! stand here, and whoever comes last closes it: so each comer looks for a
//! ring through itself, and that is all. Nothing is done here for a lock that
//! is free.
//!
//! `docs/lock-cycles.md` has the proof that a ring is a deadlock, and says of
//! which locks nothing is known.

mod cycle;

use crate::clock;
use crate::goroutine::Goroutine;
use crate::park;
use crate::reason::Reason;
use crate::shim::fixed::{AtomicU32, AtomicU64};
use crate::shim::{Mutex, Relaxed};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;

pub(crate) use cycle::LockCycle;
use cycle::Step;

type Site = &'static Location<'static>;

/// A lock's number, as long as nobody gives back what another took of it.
pub type LockId = u32;

/// A number for a lock that has none; never 0.
pub fn next_id() -> LockId {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    loop {
        // ORDER: Relaxed: a number that nobody else gets.
        let id = NEXT.fetch_add(1, Relaxed);
        if id != 0 {
            return id;
        }
    }
}

/// What kind of lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `sync::Mutex`.
    Mutex,
    /// `sync::RwLock`.
    RwLock,
    /// `sync::ReentrantMutex`.
    ReentrantMutex,
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By one, beside nobody.
    Alone,
    /// Beside other readers.
    Read,
    /// Beside readers, and nobody else who may write.
    Upgradable,
}

/// What one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// To have it alone; of an `RwLock`: to be the writer that is next.
    Alone,
    /// To be the reader that may write.
    Upgradable,
    /// That all readers leave: the caller is the writer that is next. Made
    /// before it keeps new readers out.
    Gate,
    /// To read. Made while it stands in the readers' queue, and nobody can
    /// be let in: a writer keeps it out.
    Read,
    /// To read, though a writer waits: the one that is in keeps it out.
    ReadBeside,
}

/// A lock that is held.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Which.
    pub lock: LockId,
    /// How.
    pub mode: Mode,
    /// Where it was taken.
    pub site: Site,
}

/// A lock that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Which.
    pub lock: LockId,
    /// What it is.
    pub kind: Kind,
    /// For what.
    pub want: Want,
    /// Where.
    pub site: Site,
    /// What the wait is called.
    pub reason: Reason,
}

/// The caller stands here while this lives.
#[derive(Debug)]
#[must_use = "it leaves with the guard"]
pub struct Standing(u64);

impl Standing {
    /// The caller is about to wait for `asked`, for as long as it takes, and
    /// holds `held`.
    pub fn begin(asked: Asked, held: &[Held]) -> Self {
        let who = park::current();
        let mut graph = GRAPH.lock();
        let number = graph.add(who, asked, held);
        let closes = graph.look_for_ring(number);
        drop(graph);
        if closes {
            crate::deadlock::call_a_monitor();
        }
        Self(number)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let gone = GRAPH.lock().remove(self.0);
        // Its count of a goroutine, after the lock.
        drop(gone);
    }
}

/// A goroutine that what is not `Send` may be moved to, guards among it: from
/// its spawn to its end.
#[derive(Debug)]
pub(crate) struct Local(Option<u64>);

impl Local {
    /// It is being spawned.
    pub(crate) fn begin() -> Self {
        GRAPH.lock().locals += 1;
        Self(None)
    }

    /// It has begun, and is the caller.
    pub(crate) fn has_begun(&mut self) {
        let id = park::current().id().get();
        GRAPH.lock().known_locals.insert(id);
        self.0 = Some(id);
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let mut graph = GRAPH.lock();
        graph.locals -= 1;
        if let Some(id) = self.0 {
            graph.known_locals.remove(&id);
        }
    }
}

/// Somebody gave back what another had taken: of this number nothing is held
/// any more.
pub fn disown(lock: LockId) {
    GRAPH.lock().disown(lock);
}

static GRAPH: Mutex<Graph> = Mutex::new(Graph::new());
/// When the first of the rings found is to be looked at again.
static DUE_AT: AtomicU64 = AtomicU64::new(u64::MAX);

/// How many rings have been found, whatever became of them.
static FOUND: AtomicU64 = AtomicU64::new(0);

/// How often somebody closed a ring; for tests.
pub fn rings_found() -> u64 {
    // ORDER: Relaxed: a lone count.
    FOUND.load(Relaxed)
}

/// A ring that stands so long is reported. Until then somebody else may
/// unlock one of its locks, by `force_unlock`.
const GRACE: u64 = 500_000_000;

/// Who stands here, by a number for each wait.
///
/// Invariants
/// 1. Who stands here waits without a deadline, or is about to, or has just
///    stopped: it gives back nothing of what it holds meanwhile.
/// 2. What `held` says is held, but for locks that were given back by force:
///    whoever gives back notes it before.
/// 3. `holders` and `gates` say what `standing` does, by lock.
/// 4. No ring is through those who stand, but for those in `rings`.
struct Graph {
    standing: BTreeMap<u64, One>,
    holders: BTreeMap<LockId, BTreeSet<u64>>,
    gates: BTreeMap<LockId, u64>,
    last: u64,
    rings: Vec<Ring>,
    /// How many local goroutines there are, and those of them that have begun.
    locals: usize,
    known_locals: BTreeSet<u64>,
}

struct One {
    who: Goroutine,
    asked: Asked,
    held: Vec<Held>,
}

/// Each waits for the next, and the last for the first.
struct Ring {
    members: Vec<u64>,
    due_at: u64,
}

impl Graph {
    const fn new() -> Self {
        Self {
            standing: BTreeMap::new(),
            holders: BTreeMap::new(),
            gates: BTreeMap::new(),
            last: 0,
            rings: Vec::new(),
            locals: 0,
            known_locals: BTreeSet::new(),
        }
    }

    fn add(&mut self, who: Goroutine, asked: Asked, held: &[Held]) -> u64 {
        self.last += 1;
        let number = self.last;
        for held in held {
            self.holders.entry(held.lock).or_default().insert(number);
        }
        if asked.want == Want::Gate {
            self.gates.insert(asked.lock, number);
        }
        let one = One {
            who,
            asked,
            held: held.to_vec(),
        };
        self.standing.insert(number, one);
        number
    }

    fn remove(&mut self, number: u64) -> Option<One> {
        let one = self.standing.remove(&number)?;
        for held in &one.held {
            if let Some(all) = self.holders.get_mut(&held.lock) {
                all.remove(&number);
                if all.is_empty() {
                    self.holders.remove(&held.lock);
                }
            }
        }
        if self.gates.get(&one.asked.lock) == Some(&number) {
            self.gates.remove(&one.asked.lock);
        }
        self.rings.retain(|ring| !ring.members.contains(&number));
        Some(one)
    }

    fn disown(&mut self, lock: LockId) {
        for number in self.holders.remove(&lock).unwrap_or_default() {
            if let Some(one) = self.standing.get_mut(&number) {
                one.held.retain(|held| held.lock != lock);
            }
        }
    }

    /// Those for whom this one waits.
    fn before(&self, number: u64) -> Vec<u64> {
        let mut before = Vec::new();
        let Some(one) = self.standing.get(&number) else {
            return before;
        };
        let Asked { lock, want, .. } = one.asked;
        for &other in self.holders.get(&lock).into_iter().flatten() {
            if self.held_against(other, lock, want).is_some() {
                before.push(other);
            }
        }
        if let Some(&writer) = self.gates.get(&lock) {
            let is_behind = match want {
                Want::Alone | Want::Upgradable => true,
                // That came when the readers' queue was closed by this
                // writer, and not by one before it.
                Want::Read => writer < number,
                Want::Gate | Want::ReadBeside => false,
            };
            if is_behind {
                before.push(writer);
            }
        }
        before
    }

    /// What `other` holds of the lock that keeps one out who wants it.
    fn held_against(&self, other: u64, lock: LockId, want: Want) -> Option<&Held> {
        let keeps_out = |mode| match want {
            Want::Alone => true,
            Want::Upgradable => mode != Mode::Read,
            Want::Gate => mode == Mode::Read,
            Want::Read | Want::ReadBeside => mode == Mode::Alone,
        };
        let mut held = self.standing.get(&other)?.held.iter();
        held.find(|held| held.lock == lock && keeps_out(held.mode))
    }

    /// Whether this one, who came last, closes a ring; it is noted.
    fn look_for_ring(&mut self, number: u64) -> bool {
        let mut came_from: BTreeMap<u64, u64> = BTreeMap::new();
        let mut to_see = vec![number];
        while let Some(at) = to_see.pop() {
            for next in self.before(at) {
                if next == number {
                    self.note_ring(number, at, &came_from);
                    return true;
                }
                came_from.entry(next).or_insert_with(|| {
                    to_see.push(next);
                    at
                });
            }
        }
        false
    }

    fn note_ring(&mut self, first: u64, last: u64, came_from: &BTreeMap<u64, u64>) {
        let mut members = vec![last];
        while let Some(&number) = members.last()
            && number != first
        {
            members.push(came_from[&number]);
        }
        members.reverse();
        // ORDER: Relaxed: a lone count.
        FOUND.fetch_add(1, Relaxed);
        let due_at = clock::now().saturating_add(GRACE);
        self.rings.push(Ring { members, due_at });
        self.set_due();
    }

    fn set_due(&self) {
        let first = self.rings.iter().map(|ring| ring.due_at).min();
        // ORDER: Relaxed: looked at again under the lock.
        DUE_AT.store(first.unwrap_or(u64::MAX), Relaxed);
    }

    /// Takes out the rings that are due at `now`: those that stand. One that
    /// is in doubt is due again later.
    fn take_due(&mut self, now: u64) -> Vec<Found> {
        let mut all = Vec::new();
        for mut ring in std::mem::take(&mut self.rings) {
            if ring.due_at > now {
                self.rings.push(ring);
            } else if self.guards_may_be_elsewhere(&ring) {
                ring.due_at = clock::now().saturating_add(GRACE);
                self.rings.push(ring);
            } else {
                all.extend(self.found(&ring));
            }
        }
        self.set_due();
        all
    }

    /// Whether a guard may have been moved to a goroutine of the same thread
    /// that is not in the ring.
    fn guards_may_be_elsewhere(&self, ring: &Ring) -> bool {
        let ones = ring.members.iter().filter_map(|one| self.standing.get(one));
        let inside = ones.filter(|one| self.known_locals.contains(&one.who.id().get()));
        self.locals > inside.count()
    }

    /// As values; none if it stands no more, or shutdown will end it.
    fn found(&self, ring: &Ring) -> Option<Found> {
        let members = &ring.members;
        let mut steps = Vec::with_capacity(members.len());
        let mut goroutines = Vec::with_capacity(members.len());
        for (at, &number) in members.iter().enumerate() {
            let behind = members[(at + members.len() - 1) % members.len()];
            if !self.before(behind).contains(&number) {
                return None;
            }
            let one = self.standing.get(&number)?;
            let header = one.who.header();
            if header.is_some_and(|header| header.scheduler().is_doomed()) {
                return None;
            }
            let Asked { lock, want, .. } = self.standing.get(&behind)?.asked;
            steps.push(Step {
                id: one.who.id().get(),
                name: one.who.name().map(str::to_owned),
                is_thread: header.is_none(),
                holds: self.held_against(number, lock, want).copied(),
                asked: one.asked,
            });
            goroutines.push(one.who.clone());
        }
        Some(Found {
            cycle: LockCycle { steps },
            goroutines,
        })
    }
}

/// A ring that stands.
pub(crate) struct Found {
    pub(crate) cycle: LockCycle,
    /// Its members, in order.
    pub(crate) goroutines: Vec<Goroutine>,
}

/// When a ring is to be reported; `u64::MAX`: none is known.
pub(crate) fn due_at() -> u64 {
    // ORDER: Relaxed: looked at again under the lock.
    DUE_AT.load(Relaxed)
}

/// Those that are due and stand; each is given once.
pub(crate) fn take_due() -> Vec<Found> {
    let now = clock::now();
    GRAPH.lock().take_due(now)
}

/// All that stand, by who knows that nobody is awake to unlock.
pub(crate) fn take_all() -> Vec<LockCycle> {
    let all = GRAPH.lock().take_due(u64::MAX);
    all.into_iter().map(|found| found.cycle).collect()
}

#[cfg(test)]
mod tests;
