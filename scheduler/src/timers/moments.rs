//! Timers that end together: one entry in the heap for all of a moment.
//!
//! Sleeps end at common moments (`clock::rounded_up`), so a hundred thousand
//! of them have a few hundred deadlines. A heap of those stays in the nearest
//! cache, and a moment's targets lie in a row.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// All timers that end together.
///
/// Invariants
/// 1. `members` stand in the order of their numbers; those before `next` are
///    taken.
/// 2. `live` counts the others that are not removed. With none the moment is
///    free, and has no members.
#[derive(Debug)]
struct Moment<T> {
    deadline: u64,
    members: Vec<Member<T>>,
    next: usize,
    live: usize,
}

impl<T> Moment<T> {
    fn free() -> Self {
        Self {
            deadline: 0,
            members: Vec::new(),
            next: 0,
            live: 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Member<T> {
    /// Its timer's, and `GONE`.
    number: u64,
    target: T,
}

/// Taken, or removed.
const GONE: u64 = 1 << 63;

impl<T> Member<T> {
    fn number(&self) -> u64 {
        self.number & !GONE
    }

    fn is_there(&self) -> bool {
        self.number & GONE == 0
    }
}

/// The moments of one heap.
///
/// Invariants
/// 1. `by_deadline` has those that are not free, each once.
#[derive(Debug)]
pub(super) struct Moments<T> {
    all: Vec<Moment<T>>,
    free: Vec<u32>,
    by_deadline: HashMap<u64, u32, BuildHasherDefault<Mix>>,
}

/// Deadlines of moments end in zeroes; nobody chooses them to do harm.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0 ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ mixed >> 32;
    }
}

/// Members that a free moment keeps the memory of.
const KEPT: usize = 64;
/// Free moments that are kept when there are no others.
const SPARE: usize = 64;

impl<T: Copy> Moments<T> {
    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            free: Vec::new(),
            by_deadline: HashMap::default(),
        }
    }

    /// Adds a timer. Which moment it belongs to, and whether that is new.
    pub(super) fn add(&mut self, deadline: u64, number: u64, target: T) -> (u32, bool) {
        let (at, is_new) = match self.by_deadline.entry(deadline) {
            Entry::Occupied(known) => (*known.get(), false),
            Entry::Vacant(place) => {
                let at = self.free.pop().unwrap_or_else(|| {
                    self.all.push(Moment::free());
                    self.all.len() as u32 - 1
                });
                (*place.insert(at), true)
            }
        };
        let moment = &mut self.all[at as usize];
        moment.deadline = deadline;
        moment.live += 1;
        moment.members.push(Member { number, target });
        (at, is_new)
    }

    /// The number of the first timer it had; none if it is free.
    pub(super) fn first_number(&self, at: u32) -> Option<u64> {
        let moment = self.all.get(at as usize)?;
        moment.members.first().map(Member::number)
    }

    fn position(&self, at: u32, number: u64) -> Option<usize> {
        let moment = self.all.get(at as usize)?;
        let found = moment.members.binary_search_by_key(&number, Member::number);
        found.ok().filter(|&which| moment.members[which].is_there())
    }

    /// The target of a live timer.
    pub(super) fn target(&self, at: u32, number: u64) -> Option<T> {
        let which = self.position(at, number)?;
        Some(self.all[at as usize].members[which].target)
    }

    /// Takes a timer out. `false`: it was not there any more.
    pub(super) fn remove(&mut self, at: u32, number: u64) -> bool {
        let Some(which) = self.position(at, number) else {
            return false;
        };
        let moment = &mut self.all[at as usize];
        moment.members[which].number |= GONE;
        moment.live -= 1;
        if moment.live == 0 {
            self.release(at);
        }
        true
    }

    /// The next timer of a moment that is not free, and whether it was the
    /// last: then the moment is free.
    pub(super) fn take_next(&mut self, at: u32) -> Option<(T, bool)> {
        let moment = &mut self.all[at as usize];
        loop {
            let member = moment.members.get_mut(moment.next)?;
            moment.next += 1;
            if member.is_there() {
                member.number |= GONE;
                let target = member.target;
                moment.live -= 1;
                let was_last = moment.live == 0;
                if was_last {
                    self.release(at);
                }
                return Some((target, was_last));
            }
        }
    }

    fn release(&mut self, at: u32) {
        let moment = &mut self.all[at as usize];
        moment.members.clear();
        moment.members.shrink_to(KEPT);
        moment.next = 0;
        self.by_deadline.remove(&moment.deadline);
        self.free.push(at);
    }

    /// All are free: forgets most of them.
    pub(super) fn clear(&mut self) {
        if self.all.len() > SPARE {
            self.all.truncate(SPARE);
            self.all.shrink_to(SPARE);
            self.free = (0..SPARE as u32).rev().collect();
            self.by_deadline.shrink_to(SPARE);
        }
    }

    /// How many timers there are.
    #[cfg(test)]
    pub(super) fn live(&self) -> usize {
        self.all.iter().map(|moment| moment.live).sum()
    }

    /// How many moments have timers.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.all.iter().filter(|moment| moment.live > 0).count()
    }

    /// How many the memory is for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.all.iter().map(|moment| moment.members.capacity()).sum()
    }
}
