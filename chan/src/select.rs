//! One of many operations: whichever comes first.
//!
//! A selection first looks at its cases without locks and takes one that is
//! ready. If none is, it stands in all queues, one after the other, and
//! parks; who settles its wait has chosen the case. While it stands in some
//! queues it can be chosen there; so before it takes a case that has become
//! ready meanwhile it settles its own wait. It cannot be that two selections
//! choose one another at two channels: whoever chooses can no longer be
//! chosen. In the worst case both have settled themselves for the other in
//! vain, and both begin again: after some rounds with all locks held at once,
//! taken in the order of their addresses, which cannot fail so.

use crate::channel::Side;
use crate::lock::Key;
use crate::part::{Enlisted, Goal, NEVER, Part};
use crate::shim::{Reason, WOKEN, Wait, checkpoint, clock, random};
use crate::waiter::{Deal, Node, Room, Wakes};
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;

/// One operation of a selection.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    part: Option<&'a dyn Part>,
    side: Side,
}

impl<'a> Case<'a> {
    /// One that never comes true.
    #[must_use]
    pub const fn disabled() -> Self {
        Self {
            part: None,
            side: Side::Recv,
        }
    }

    #[inline]
    pub(crate) fn new(part: &'a dyn Part, side: Side) -> Self {
        Self {
            part: Some(part),
            side,
        }
    }
}

/// How long a selection waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Now,
    Ever,
    /// Nanoseconds of `clock::now`.
    Then(u64),
}

/// Room for a node that may never be needed, and for the message it may get.
pub(crate) struct NodeSlot(UnsafeCell<MaybeUninit<Node>>, UnsafeCell<Room>);

impl NodeSlot {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self(
            UnsafeCell::new(MaybeUninit::uninit()),
            UnsafeCell::new(Room::new()),
        )
    }
}

/// A case that was won.
#[derive(Clone, Copy)]
pub(crate) struct Won<'a> {
    pub(crate) index: usize,
    pub(crate) case: Case<'a>,
    pub(crate) deal: Deal,
    /// Holds the message of `Deal::Message`.
    pub(crate) room: Room,
}

/// What a selection is at.
pub(crate) enum Progress<'a> {
    Won(Won<'a>),
    /// It stands in all queues, or has been chosen: park, then `resume`.
    Parks,
    /// No case until the time was up.
    Late,
}

/// So often a selection looks without locks before it takes them all.
const TRIES: u32 = 4;

/// Invariants
/// 1. The first `enlisted` slots hold nodes that stand in the queues of their
///    cases, or stood there until a partner took them out. None of them moves,
///    and all are withdrawn before the selection goes, however it ends.
/// 2. `wait` is written before the first node that names it.
pub(crate) struct Selection<'s, 'a> {
    cases: &'s [Case<'a>],
    nodes: &'s [NodeSlot],
    is_biased: bool,
    goal: Goal,
    until: Until,
    wait: UnsafeCell<MaybeUninit<Wait>>,
    enlisted: Cell<usize>,
    /// How often it began in vain.
    rounds: Cell<u32>,
    /// The park ends in time by a case's own time, not by the deadline.
    waits_for_case: Cell<bool>,
}

impl<'s, 'a> Selection<'s, 'a> {
    #[inline(always)]
    pub(crate) fn new(
        cases: &'s [Case<'a>],
        nodes: &'s [NodeSlot],
        is_biased: bool,
        goal: Goal,
        until: Until,
    ) -> Self {
        Self {
            cases,
            nodes,
            is_biased,
            goal,
            until,
            wait: UnsafeCell::new(MaybeUninit::uninit()),
            enlisted: Cell::new(0),
            rounds: Cell::new(0),
            waits_for_case: Cell::new(false),
        }
    }

    #[inline]
    fn won(&self, index: usize, deal: Deal, room: Room) -> Won<'a> {
        Won {
            index,
            case: self.cases[index],
            deal,
            room,
        }
    }

    /// Takes a case that is ready. Nobody is asked to wait for it: while this
    /// looks, the selection stands in no queue.
    ///
    /// None means: at one moment in this call no case was ready. Two looks at
    /// all of them that saw the same stamps prove it.
    #[inline]
    pub(crate) fn try_now(&self) -> Option<Won<'a>> {
        for _ in 0..TRIES {
            match self.try_ready() {
                Tried::Won(won) => return Some(won),
                Tried::None(stamps) => {
                    if self.cases.len() < 2 || self.stamps() == Some(stamps) {
                        return None;
                    }
                }
                Tried::Unsteady => {}
            }
        }
        self.with_all_locked(|_| {}).ok()
    }

    /// Looks at each case once, and tries those that look ready in random
    /// order, or from the first.
    #[inline]
    fn try_ready(&self) -> Tried<'a> {
        let count = self.cases.len();
        if count > 64 {
            return self.try_ready_of_many();
        }
        let mut ready = 0_u64;
        let mut stamps = Some(0_u128);
        for (index, case) in self.cases.iter().enumerate() {
            if let Some(part) = case.part {
                let seen = part.seen(case.side);
                ready |= u64::from(seen.may_be_ready) << index;
                stamps = sum(stamps, seen.stamp);
            }
        }
        if ready == 0 {
            return stamps.map_or(Tried::Unsteady, Tried::None);
        }
        while ready != 0 {
            let index = if self.is_biased || ready.is_power_of_two() {
                ready.trailing_zeros()
            } else {
                nth_set(ready, random(ready.count_ones() as usize))
            };
            ready &= !(1 << index);
            let index = index as usize;
            let case = self.cases[index];
            let mut room = Room::new();
            if let Some(part) = case.part
                && let Some(deal) = part.start(case.side, self.goal, &mut room)
            {
                return Tried::Won(self.won(index, deal, room));
            }
        }
        Tried::Unsteady
    }

    #[cold]
    fn try_ready_of_many(&self) -> Tried<'a> {
        let mut stamps = Some(0_u128);
        for index in self.order() {
            let case = self.cases[index];
            let Some(part) = case.part else { continue };
            let seen = part.seen(case.side);
            stamps = sum(stamps, seen.stamp);
            if seen.may_be_ready {
                let mut room = Room::new();
                if let Some(deal) = part.start(case.side, self.goal, &mut room) {
                    return Tried::Won(self.won(index, deal, room));
                }
                stamps = None;
            }
        }
        stamps.map_or(Tried::Unsteady, Tried::None)
    }

    /// In what order to try the cases: as they come, or shuffled.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.cases.len()).collect();
        if !self.is_biased {
            for last in (1..order.len()).rev() {
                order.swap(last, random(last + 1));
            }
        }
        order
    }

    /// The sum of all stamps, if no case may be ready.
    fn stamps(&self) -> Option<u128> {
        let mut stamps = Some(0_u128);
        for case in self.cases {
            if let Some(part) = case.part {
                let seen = part.seen(case.side);
                if seen.may_be_ready {
                    return None;
                }
                stamps = sum(stamps, seen.stamp);
            }
        }
        stamps
    }

    /// With all locks at once: takes a case that is ready, or runs `none`
    /// (told whom it will have to unpark) under them and gives that back.
    #[cold]
    #[inline(never)]
    fn with_all_locked<R>(&self, none: impl FnOnce(&mut Wakes) -> R) -> Result<Won<'a>, R> {
        let mut wakes = Wakes::none();
        let order = self.order();
        let locks = Locks::of(self.cases);
        let mut found = None;
        for index in order {
            let case = self.cases[index];
            let Some(part) = case.part else { continue };
            let mut room = Room::new();
            // SAFETY: 1. all locks are held.
            let deal = unsafe { part.start_held(case.side, self.goal, &mut room, &mut wakes) };
            if let Some(deal) = deal {
                found = Some(self.won(index, deal, room));
                break;
            }
        }
        let result = found.ok_or_else(|| none(&mut wakes));
        drop(locks);
        wakes.wake();
        result
    }

    /// Takes a case that is ready, or stands in all queues when this returns.
    ///
    /// Not inlined, as `resume`: so the code around the park is short where
    /// it is inlined.
    #[inline(never)]
    pub(crate) fn begin(&self) -> Progress<'a> {
        if self.until == Until::Now {
            // It does not wait, so its caller may hold a lock.
            return self.late();
        }
        checkpoint();
        loop {
            if let Tried::Won(won) = self.try_ready() {
                return Progress::Won(won);
            }
            if let Until::Then(deadline) = self.until
                && deadline <= clock::now()
            {
                return self.late();
            }
            if let Some(progress) = self.enlist() {
                return progress;
            }
        }
    }

    fn wait(&self) -> &Wait {
        // SAFETY: invariant 2.
        unsafe { &*self.wait.get().cast::<Wait>() }
    }

    fn node(&self, index: usize) -> &Node {
        // SAFETY: invariant 1: it is, or was until just now, enlisted.
        unsafe { &*self.nodes[index].0.get().cast::<Node>() }
    }

    /// A node for case `index`, not in any queue yet.
    fn prepare(&self, index: usize) -> &Node {
        let node = self.nodes[index].0.get().cast::<Node>();
        // SAFETY: not in use: it is not counted as enlisted.
        unsafe { node.write(Node::new()) };
        // SAFETY: written just now.
        let node = unsafe { &*node };
        let takes = self.goal == Goal::Take && self.cases[index].side == Side::Recv;
        node.prepare_case(
            self.wait.get().cast(),
            u32::try_from(index).unwrap_or(0),
            takes.then_some(self.nodes[index].1.get()),
        );
        node
    }

    /// Which of the cases that are the same as the chosen one it is to be:
    /// partners take the first of a selection's nodes in a queue, and by this
    /// all have the same chance. With bias it stays the first.
    fn one_of_the_same(&self, chosen: usize) -> usize {
        let Some(part) = self.cases[chosen].part else {
            return chosen;
        };
        let (mut one, mut count) = (chosen, 1);
        if self.is_biased {
            return one;
        }
        for (index, case) in self.cases.iter().enumerate() {
            let is_same = index != chosen
                && case.side == self.cases[chosen].side
                && case.part.is_some_and(|it| std::ptr::addr_eq(it, part));
            if is_same {
                count += 1;
                if random(count) == 0 {
                    one = index;
                }
            }
        }
        one
    }

    /// What lies in the room of case `index`, which was chosen.
    fn room(&self, index: usize) -> Room {
        // SAFETY: read by the owner, after the wait.
        unsafe { *self.nodes[index].1.get() }
    }

    /// Stands in all queues, unless a case comes true meanwhile. None: begin
    /// again.
    fn enlist(&self) -> Option<Progress<'a>> {
        // SAFETY: not in use: no node is enlisted.
        unsafe { self.wait.get().cast::<Wait>().write(Wait::new()) };
        if self.rounds.get() >= TRIES {
            return Some(self.enlist_all_locked());
        }
        for (index, case) in self.cases.iter().enumerate() {
            let node = self.prepare(index);
            let Some(part) = case.part else {
                self.enlisted.set(index + 1);
                continue;
            };
            if self.wait().is_settled() {
                break;
            }
            let mut room = Room::new();
            // SAFETY: 1. counted as enlisted, it is withdrawn.
            match unsafe { part.enlist(case.side, self.goal, node, self.wait(), &mut room) } {
                Enlisted::In => self.enlisted.set(index + 1),
                Enlisted::Lost => break,
                Enlisted::Won(deal) => {
                    self.withdraw(usize::MAX);
                    let index = self.one_of_the_same(index);
                    return Some(Progress::Won(self.won(index, deal, room)));
                }
                Enlisted::Again => {
                    self.withdraw(usize::MAX);
                    self.rounds.set(self.rounds.get() + 1);
                    return None;
                }
            }
        }
        Some(Progress::Parks)
    }

    fn enlist_all_locked(&self) -> Progress<'a> {
        let result = self.with_all_locked(|wakes| {
            for (index, case) in self.cases.iter().enumerate() {
                let node = self.prepare(index);
                if let Some(part) = case.part {
                    // SAFETY: 1. all locks are held. 2. it is withdrawn.
                    unsafe { part.enlist_held(case.side, self.goal, node, wakes) };
                }
                self.enlisted.set(index + 1);
            }
        });
        result.map_or(Progress::Parks, Progress::Won)
    }

    /// Out of all queues but that of the case `chosen`, which a partner has
    /// seen to.
    fn withdraw(&self, chosen: usize) {
        for index in 0..self.enlisted.replace(0) {
            let case = self.cases[index];
            if index != chosen
                && let Some(part) = case.part
            {
                part.withdraw(case.side, self.goal, self.node(index));
            }
        }
    }

    /// Parks; `resume` with what it returns.
    #[inline(always)]
    pub(crate) fn park(&self) -> u32 {
        if self.until == Until::Ever && !self.has_due() {
            // SAFETY: 1. it lies on the stack of who made it in `enlist`, and
            // is not shared.
            unsafe { self.wait().park_own(Reason::Select) }
        } else {
            self.park_in_time()
        }
    }

    fn has_due(&self) -> bool {
        self.due() != NEVER
    }

    /// When the first case comes true by itself.
    fn due(&self) -> u64 {
        let parts = self.cases.iter().filter_map(|case| case.part);
        parts.map(Part::due).min().unwrap_or(NEVER)
    }

    fn park_in_time(&self) -> u32 {
        let due = self.due();
        let deadline = match self.until {
            Until::Then(deadline) => deadline.min(due),
            _ => due,
        };
        self.waits_for_case.set(deadline == due);
        self.wait().park(Reason::Select, Some(deadline))
    }

    /// After the park.
    #[inline(never)]
    pub(crate) fn resume(&self, outcome: u32) -> Progress<'a> {
        let index = outcome.wrapping_sub(WOKEN) as usize;
        if outcome >= WOKEN && index < self.cases.len() {
            let (deal, room) = (self.node(index).deal.get(), self.room(index));
            self.withdraw(index);
            if deal == Deal::Retry {
                // A dial was set: to what, `begin` looks at.
                return self.begin();
            }
            return Progress::Won(self.won(self.one_of_the_same(index), deal, room));
        }
        self.withdraw(usize::MAX);
        if self.waits_for_case.get() {
            self.begin()
        } else {
            self.late()
        }
    }

    /// The time is up: exact, as a try.
    fn late(&self) -> Progress<'a> {
        self.try_now().map_or(Progress::Late, Progress::Won)
    }

    /// All of it, inlined where it parks: `docs/decisions/returns.md`.
    #[inline(always)]
    pub(crate) fn run(&self) -> Option<Won<'a>> {
        let mut progress = self.begin();
        loop {
            match progress {
                Progress::Won(won) => return Some(won),
                Progress::Late => return None,
                Progress::Parks => progress = self.resume(self.park()),
            }
        }
    }
}

impl Drop for Selection<'_, '_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.enlisted.get() > 0 {
            self.withdraw(usize::MAX);
        }
    }
}

enum Tried<'a> {
    Won(Won<'a>),
    /// None looked ready; the sum of their stamps.
    None(u128),
    /// Something changed, or looked ready in vain.
    Unsteady,
}

/// Stamps grow, so their sums are equal only if all are.
fn sum(stamps: Option<u128>, stamp: Option<u64>) -> Option<u128> {
    Some(stamps? + u128::from(stamp?))
}

/// The place of the `n`-th bit that is set.
fn nth_set(mut bits: u64, n: usize) -> u32 {
    for _ in 0..n {
        bits &= bits - 1;
    }
    bits.trailing_zeros()
}

/// The locks of all cases, each once, taken in order of their addresses.
struct Locks<'a>(Vec<(&'a dyn Part, Option<Key>)>);

impl<'a> Locks<'a> {
    fn of(cases: &[Case<'a>]) -> Self {
        let address =
            |part: &&'a dyn Part| part.word().map(|word| std::ptr::from_ref(word) as usize);
        let mut parts: Vec<&'a dyn Part> = cases.iter().filter_map(|case| case.part).collect();
        parts.retain(|part| part.word().is_some());
        parts.sort_by_key(address);
        parts.dedup_by_key(|part| address(part));
        let lock = |part: &'a dyn Part| (part, part.word().map(crate::lock::Word::lock));
        Self(parts.into_iter().map(lock).collect())
    }
}

impl Drop for Locks<'_> {
    fn drop(&mut self) {
        for (part, key) in &mut self.0 {
            if let Some(key) = key.take() {
                // SAFETY: 1. locked by `of`.
                unsafe { part.unlock(key) };
            }
        }
    }
}

impl<'a> Won<'a> {
    /// Whether it was won at this part, on this side.
    pub(crate) fn is_at(&self, part: &dyn Part, side: Side) -> bool {
        self.case.side == side
            && self
                .case
                .part
                .is_some_and(|mine| std::ptr::addr_eq(mine, part))
    }

    pub(crate) fn give_back(&self) {
        if let Some(part) = self.case.part {
            part.give_back(self.case.side, self.deal, self.room);
        }
    }
}
