//! A machine's timers: what is to happen when.
//!
//! Its owner adds them; whoever no longer waits takes its own out again, from
//! any thread; whoever comes by in time runs what is due. Most timers are
//! taken out early, so taking out is what costs least.
//!
//! A four-way heap holds a deadline and a slot each; the slot holds the
//! target. Taking a timer out empties its slot and leaves the entry in the
//! heap, *stale*, until it comes to the top or more entries are stale than
//! not. Timers that are known to end with others share an entry
//! (`moments.rs`).

mod moments;

use crate::shim::{AtomicU64, Mutex, Relaxed};
use moments::Moments;

/// Deadlines, each with a target that is handed back when it is due.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    /// The deadline at the top of the heap; written under the lock.
    earliest: AtomicU64,
    inner: Mutex<Inner<T>>,
}

/// Which timer; recognised as gone once it has been taken or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Or its moment, marked so.
    slot: u32,
    /// The how-manieth timer it is: none other ever has this number.
    number: u64,
}

/// What a timer hands back.
pub(crate) trait Target: Copy {
    /// It will be settled in a moment: what that needs may be asked for.
    fn foresee(self) {}
}

impl<T: Target> Timers<T> {
    pub(crate) fn new() -> Self {
        Self {
            earliest: AtomicU64::new(u64::MAX),
            inner: Mutex::new(Inner::new()),
        }
    }

    /// Adds a timer. `true`: it is the earliest now, so a machine that
    /// sleeps for these timers sleeps too long.
    pub(crate) fn add(&self, deadline: u64, target: T) -> (Key, bool) {
        self.add_by(deadline, target, Inner::add)
    }

    /// As `add`, for a deadline that others have too.
    pub(crate) fn add_together(&self, deadline: u64, target: T) -> (Key, bool) {
        self.add_by(deadline, target, Inner::add_together)
    }

    #[inline]
    fn add_by(
        &self,
        deadline: u64,
        target: T,
        add: impl FnOnce(&mut Inner<T>, u64, T) -> Key,
    ) -> (Key, bool) {
        let mut inner = self.inner.lock();
        let before = inner.top();
        let key = add(&mut inner, deadline, target);
        if deadline < before {
            self.publish(&inner);
        }
        (key, deadline < before)
    }

    /// Takes a timer out. `false`: it was taken as due, or removed before.
    /// When this returns, no `settle` is running with its target.
    pub(crate) fn remove(&self, key: Key) -> bool {
        let mut inner = self.inner.lock();
        let before = inner.top();
        let was_there = inner.remove(key);
        if inner.top() != before {
            self.publish(&inner);
        }
        was_there
    }

    /// Takes a timer out and adds it anew, with what it owns; as `remove`, then
    /// `add`. None: it was taken as due, or removed before.
    pub(crate) fn set_anew(&self, key: Key, deadline: u64) -> Option<(Key, bool)> {
        let mut inner = self.inner.lock();
        let target = inner.target_in(key)?;
        let first = inner.top();
        inner.remove(key);
        let before = inner.top();
        let key = inner.add(deadline, target);
        if inner.top() != first {
            self.publish(&inner);
        }
        Some((key, deadline < before))
    }

    /// No timer is due before this; `u64::MAX` when there is none. It may be
    /// the deadline of one removed since, and only that: see `settled_earliest`.
    #[inline]
    pub(crate) fn earliest(&self) -> u64 {
        // ORDER: Relaxed with `publish`: a number to compare; what it stands
        // for is read under the lock.
        self.earliest.load(Relaxed)
    }

    /// The deadline of the earliest timer that is still there. For a machine
    /// about to sleep, which a removed one must not wake.
    pub(crate) fn settled_earliest(&self) -> u64 {
        if self.earliest() == u64::MAX {
            return u64::MAX;
        }
        let mut inner = self.inner.lock();
        inner.drop_stale_top();
        self.publish(&inner);
        inner.top()
    }

    /// Takes up to `most` timers due at `now`, earliest first, in the order
    /// of their adding where deadlines are equal and both or neither were
    /// added by `add_together`, and returns how many.
    /// `settle` gets each target under the lock: it must not block, panic, or
    /// come back here.
    pub(crate) fn take_due(&self, now: u64, most: usize, mut settle: impl FnMut(T)) -> usize {
        let mut inner = self.inner.lock();
        let mut taken = 0;
        loop {
            let mut together = [None; TOGETHER];
            let wanted = TOGETHER.min(most - taken);
            let mut came = 0;
            while came < wanted
                && let Some(target) = inner.take_due(now)
            {
                together[came] = Some(target);
                came += 1;
            }
            let targets = together[..came].iter().copied().flatten();
            targets.clone().for_each(T::foresee);
            targets.for_each(&mut settle);
            taken += came;
            if came < TOGETHER {
                break;
            }
        }
        inner.drop_stale_top();
        self.publish(&inner);
        taken
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().live
    }

    fn publish(&self, inner: &Inner<T>) {
        // ORDER: Relaxed with `earliest`; the lock orders the writers.
        self.earliest.store(inner.top(), Relaxed);
    }
}

/// So many are taken before the first of them is settled: enough for what
/// that needs to come side by side.
const TOGETHER: usize = 32;
/// Entries whose memory is kept when there are fewer: 128 KiB.
const KEPT: usize = 8 * 1024;
/// So many stale entries are not worth a sweep.
const FEW_STALE: usize = 64;
/// Numbers an entry tells apart.
const NUMBERS: u64 = 1 << 32;

/// Invariants
/// 1. `heap` is a heap by `Entry`'s order.
/// 2. A live timer has one slot and one entry that names it, or is one of a
///    moment that has one entry, with the number of the moment's first;
///    `live` counts timers. All other entries are stale: their slot is free,
///    or bears another number.
/// 3. No entry is `NUMBERS` adds old without having been live all along.
#[derive(Debug)]
struct Inner<T> {
    heap: Vec<Entry>,
    slots: Slots<T>,
    moments: Moments<T>,
    live: usize,
    /// Timers added so far.
    added: u64,
}

/// Deadline, number, slot, from the top bit down: one comparison orders by
/// deadline, and by age where deadlines are equal (but for the one moment in
/// four billion timers when the number begins again).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry(u128);

impl Entry {
    fn new(deadline: u64, key: Key) -> Self {
        let number = key.number % NUMBERS;
        Self(u128::from(deadline) << 64 | u128::from(number) << 32 | u128::from(key.slot))
    }

    fn deadline(self) -> u64 {
        (self.0 >> 64) as u64
    }

    fn is_for(self, key: Key) -> bool {
        let low = u128::from(key.number % NUMBERS) << 32 | u128::from(key.slot);
        self.0 as u64 == low as u64
    }

    fn slot(self) -> u32 {
        self.0 as u32
    }
}

impl<T: Copy> Inner<T> {
    fn new() -> Self {
        Self {
            heap: Vec::new(),
            slots: Slots::new(),
            moments: Moments::new(),
            live: 0,
            added: 0,
        }
    }

    fn top(&self) -> u64 {
        self.heap.first().map_or(u64::MAX, |entry| entry.deadline())
    }

    fn next_number(&mut self) -> u64 {
        self.added += 1;
        if self.added.is_multiple_of(NUMBERS / 2) {
            // Invariant 3.
            self.sweep();
        }
        self.added
    }

    fn add(&mut self, deadline: u64, target: T) -> Key {
        let number = self.next_number();
        let key = self.slots.fill(number, target);
        self.live += 1;
        self.enter(Entry::new(deadline, key));
        key
    }

    fn add_together(&mut self, deadline: u64, target: T) -> Key {
        let number = self.next_number();
        let (at, is_new) = self.moments.add(deadline, number, target);
        let slot = at | MOMENT;
        let key = Key { slot, number };
        self.live += 1;
        if is_new {
            self.enter(Entry::new(deadline, key));
        }
        key
    }

    fn enter(&mut self, entry: Entry) {
        self.heap.push(entry);
        heap::rise(&mut self.heap, entry);
    }

    /// The target of a live timer.
    fn target_in(&self, key: Key) -> Option<T> {
        match moment_of(key.slot) {
            Some(at) => self.moments.target(at, key.number),
            None => self.slots.target_in(key),
        }
    }

    fn is_stale(&self, entry: Entry) -> bool {
        is_stale(entry, &self.slots, &self.moments)
    }

    fn remove(&mut self, key: Key) -> bool {
        if let Some(at) = moment_of(key.slot) {
            if !self.moments.remove(at, key.number) {
                return false;
            }
        } else if self.slots.is_in(key) {
            // A wait that ends soon finds its entry where it put it.
            if self.heap.last().is_some_and(|last| last.is_for(key)) {
                self.heap.pop();
            }
            self.slots.empty(key.slot);
        } else {
            return false;
        }
        self.live -= 1;
        if self.heap.len() > 2 * self.live + FEW_STALE {
            self.sweep();
        }
        self.shrink();
        true
    }

    fn take_due(&mut self, now: u64) -> Option<T> {
        loop {
            let top = *self.heap.first()?;
            if top.deadline() > now {
                return None;
            }
            if let Some(at) = moment_of(top.slot())
                && !self.is_stale(top)
                && let Some((target, was_last)) = self.moments.take_next(at)
            {
                if was_last {
                    heap::pop(&mut self.heap);
                }
                self.live -= 1;
                self.shrink();
                return Some(target);
            }
            heap::pop(&mut self.heap);
            if let Some(target) = self.slots.target_of(top) {
                self.slots.empty(top.slot());
                self.live -= 1;
                self.shrink();
                return Some(target);
            }
        }
    }

    fn drop_stale_top(&mut self) {
        while let Some(top) = self.heap.first()
            && self.is_stale(*top)
        {
            heap::pop(&mut self.heap);
        }
    }

    /// Gives memory back after a timer went. What is kept is twice what is
    /// needed, so many more must come or go before the next time.
    fn shrink(&mut self) {
        if self.live == 0 {
            self.heap.clear();
            self.slots.clear();
            self.moments.clear();
        }
        if self.heap.capacity() > KEPT.max(4 * self.heap.len()) {
            self.heap.shrink_to(KEPT.max(2 * self.heap.len()));
        }
    }

    /// Drops stale entries.
    fn sweep(&mut self) {
        let Self {
            heap,
            slots,
            moments,
            ..
        } = self;
        heap.retain(|entry| !is_stale(*entry, slots, moments));
        heap::build(heap);
    }
}

/// Marks a moment's number where else a slot's stands.
const MOMENT: u32 = 1 << 31;

fn moment_of(slot: u32) -> Option<u32> {
    (slot & MOMENT != 0).then_some(slot & !MOMENT)
}

fn is_stale<T: Copy>(entry: Entry, slots: &Slots<T>, moments: &Moments<T>) -> bool {
    match moment_of(entry.slot()) {
        Some(at) => {
            let first = moments.first_number(at);
            first.is_none_or(|number| !entry.is_for(Key { slot: entry.slot(), number }))
        }
        None => slots.target_of(entry).is_none(),
    }
}

/// Where targets are: slots in pages, so that the memory of an empty page
/// can go back while timers of other pages stay.
#[derive(Debug)]
struct Slots<T> {
    pages: Vec<Page<T>>,
    /// The first of the pages with room, which form a list.
    room: Option<u32>,
    /// Empty pages that still have their memory.
    spare: usize,
}

#[derive(Debug)]
struct Page<T> {
    /// Full pages have all of theirs, in an allocation made once.
    slots: Vec<Slot<T>>,
    free: Option<u32>,
    used: usize,
    next_with_room: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Slot<T> {
    holds: Holds,
    /// Means nothing in a free slot.
    target: T,
}

/// A timer's number, or which slot of the page is the next free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holds(u64);

impl Holds {
    const FREE: u64 = 1 << 63;
    const LAST: u64 = Self::FREE | u32::MAX as u64;

    fn free(next: Option<u32>) -> Self {
        Self(next.map_or(Self::LAST, |next| Self::FREE | u64::from(next)))
    }

    fn is_free(self) -> bool {
        self.0 & Self::FREE != 0
    }

    fn next(self) -> Option<u32> {
        (self.0 != Self::LAST).then_some(self.0 as u32)
    }
}

/// Slots of a page.
const PAGE: usize = 256;
/// So many empty pages keep their memory: 64 KiB.
const SPARE: usize = 16;

impl<T: Copy> Slots<T> {
    const fn new() -> Self {
        Self {
            pages: Vec::new(),
            room: None,
            spare: 0,
        }
    }

    fn fill(&mut self, number: u64, target: T) -> Key {
        let at = self.room.unwrap_or_else(|| self.add_page());
        let page = &mut self.pages[at as usize];
        if page.slots.capacity() == 0 {
            page.slots.reserve_exact(PAGE);
        } else if page.used == 0 {
            self.spare -= 1;
        }
        let filled = Slot {
            holds: Holds(number),
            target,
        };
        let slot = match page.free {
            Some(slot) => {
                let free = &mut page.slots[slot as usize];
                page.free = free.holds.next();
                *free = filled;
                slot
            }
            None => {
                page.slots.push(filled);
                page.slots.len() as u32 - 1
            }
        };
        page.used += 1;
        if page.used == PAGE {
            self.room = page.next_with_room;
        }
        Key {
            slot: at * PAGE as u32 + slot,
            number,
        }
    }

    #[cold]
    fn add_page(&mut self) -> u32 {
        let at = self.pages.len();
        if at == MOMENT as usize / PAGE {
            crate::fatal::fatal!("two billion timers on one machine");
        }
        self.pages.push(Page {
            slots: Vec::new(),
            free: None,
            used: 0,
            next_with_room: None,
        });
        self.room = Some(at as u32);
        at as u32
    }

    fn empty(&mut self, slot: u32) {
        let (at, slot) = (slot / PAGE as u32, slot % PAGE as u32);
        let page = &mut self.pages[at as usize];
        if page.used == PAGE {
            page.next_with_room = self.room;
            self.room = Some(at);
        }
        page.used -= 1;
        page.slots[slot as usize].holds = Holds::free(page.free);
        page.free = Some(slot);
        if page.used == 0 {
            // A key's number is enough to know that it is gone; slots filled
            // from here on lie in order again.
            page.slots.clear();
            page.free = None;
            if self.spare == SPARE {
                page.slots = Vec::new();
            } else {
                self.spare += 1;
            }
        }
    }

    /// All are empty: forgets most pages.
    fn clear(&mut self) {
        if self.pages.len() <= SPARE {
            return;
        }
        self.pages.truncate(SPARE);
        self.pages.shrink_to(SPARE);
        self.room = None;
        self.spare = 0;
        for (at, page) in self.pages.iter_mut().enumerate().rev() {
            page.next_with_room = self.room;
            self.room = Some(at as u32);
            self.spare += usize::from(page.slots.capacity() > 0);
        }
    }

    fn get(&self, slot: u32) -> Option<&Slot<T>> {
        let page = self.pages.get(slot as usize / PAGE)?;
        page.slots.get(slot as usize % PAGE)
    }

    fn is_in(&self, key: Key) -> bool {
        self.get(key.slot)
            .is_some_and(|slot| slot.holds == Holds(key.number))
    }

    /// The target of a live timer.
    fn target_in(&self, key: Key) -> Option<T> {
        self.is_in(key)
            .then(|| self.get(key.slot).map(|slot| slot.target))?
    }

    /// The target of a live timer's entry.
    fn target_of(&self, entry: Entry) -> Option<T> {
        let slot = self.get(entry.slot())?;
        let key = Key {
            slot: entry.slot(),
            number: slot.holds.0,
        };
        (!slot.holds.is_free() && entry.is_for(key)).then_some(slot.target)
    }
}

/// A heap in which each entry has up to four below it: half as deep as with
/// two, and the four lie side by side.
mod heap {
    use super::Entry;

    const WAYS: usize = 4;

    /// Puts `entry`, which stands last, where it belongs.
    pub(super) fn rise(heap: &mut [Entry], entry: Entry) {
        let mut at = heap.len() - 1;
        while at > 0 {
            let above = (at - 1) / WAYS;
            if heap[above] <= entry {
                break;
            }
            heap[at] = heap[above];
            at = above;
        }
        heap[at] = entry;
    }

    /// Removes the first.
    pub(super) fn pop(heap: &mut Vec<Entry>) {
        if let Some(last) = heap.pop()
            && !heap.is_empty()
        {
            sink(heap, 0, last);
        }
    }

    /// Makes a heap of entries in any order.
    pub(super) fn build(heap: &mut [Entry]) {
        for at in (0..heap.len().div_ceil(WAYS)).rev() {
            sink(heap, at, heap[at]);
        }
    }

    /// Puts `entry` at `at` or, if it is too late for there, further down.
    fn sink(heap: &mut [Entry], mut at: usize, entry: Entry) {
        loop {
            let first = at * WAYS + 1;
            let which = match heap.get(first..).and_then(|rest| rest.first_chunk()) {
                Some(four) => first_of_four(four),
                None => match heap.get(first..).and_then(first_of_few) {
                    Some(which) => which,
                    None => break,
                },
            };
            let below = heap[first + which];
            if entry <= below {
                break;
            }
            heap[at] = below;
            at = first + which;
        }
        heap[at] = entry;
    }

    /// Without a branch that depends on the deadlines: they are as good as
    /// random, and half of such branches would be guessed wrong.
    fn first_of_four(four: &[Entry; WAYS]) -> usize {
        let left = usize::from(four[1] < four[0]);
        let right = 2 + usize::from(four[3] < four[2]);
        let is_right = four[right] < four[left];
        std::hint::select_unpredictable(is_right, right, left)
    }

    fn first_of_few(few: &[Entry]) -> Option<usize> {
        (0..few.len()).min_by_key(|which| few[*which])
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, FEW_STALE, Inner, KEPT, Key, NUMBERS, PAGE, SPARE, Target, Timers, moment_of};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::thread;

    impl Target for () {}
    impl Target for char {}
    impl Target for u64 {}
    impl Target for usize {}

    #[derive(Clone, Debug)]
    enum Step {
        Add(u64),
        AddTogether(u64),
        /// One of the keys there ever were.
        Remove(prop::sample::Index),
        /// As above.
        SetAnew(prop::sample::Index, u64),
        Take(u64, usize),
        SettledEarliest,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            // Few deadlines, so that many are equal; odd ones, for their order
            // beside those of moments is not said.
            4 => prop_oneof![0..20_u64, 0..1000_u64].prop_map(|n| Step::Add(2 * n + 1)),
            1 => Just(Step::Add(u64::MAX)),
            6 => prop_oneof![0..20_u64, 0..1000_u64].prop_map(|n| Step::AddTogether(2 * n)),
            5 => any::<prop::sample::Index>().prop_map(Step::Remove),
            2 => (any::<prop::sample::Index>(), 0..1000_u64)
                .prop_map(|(which, n)| Step::SetAnew(which, 2 * n + 1)),
            2 => (0..2000_u64, prop_oneof![0..4_usize, Just(usize::MAX)])
                .prop_map(|(now, most)| Step::Take(now, most)),
            1 => Just(Step::SettledEarliest),
        ];
        prop::collection::vec(step, 0..300)
    }

    /// Every live timer has its entry, and entries stand as a heap does.
    fn check<T: Copy>(inner: &Inner<T>) {
        for at in 1..inner.heap.len() {
            assert!(inner.heap[(at - 1) / 4] <= inner.heap[at]);
        }
        let live = inner.heap.iter().filter(|entry| !inner.is_stale(**entry));
        let (moments, singles): (Vec<_>, Vec<_>) =
            live.copied().partition(|entry: &Entry| moment_of(entry.slot()).is_some());
        assert_eq!(singles.len() + inner.moments.live(), inner.live);
        assert_eq!(moments.len(), inner.moments.in_use());
        let pages = &inner.slots.pages;
        for page in pages {
            let used = page.slots.iter().filter(|slot| !slot.holds.is_free());
            assert_eq!(used.count(), page.used);
        }
        let used: usize = pages.iter().map(|page| page.used).sum();
        assert_eq!(used, singles.len());
        assert!(inner.heap.len() <= 2 * inner.live + FEW_STALE + 1);
    }

    proptest! {
        #[test]
        fn does_what_a_sorted_map_does(steps in steps()) {
            let timers = Timers::new();
            let mut model = BTreeMap::new();
            let mut keys: Vec<(Key, (u64, usize))> = Vec::new();
            for step in steps {
                match step {
                    Step::Add(deadline) | Step::AddTogether(deadline) => {
                        let target = keys.len();
                        let (key, is_earliest) = match step {
                            Step::Add(_) => timers.add(deadline, target),
                            _ => timers.add_together(deadline, target),
                        };
                        let first = model.first_key_value().map_or(u64::MAX, |(&(d, _), _)| d);
                        // A removed one may still count as the earliest.
                        prop_assert!(!is_earliest || deadline < first);
                        prop_assert!(timers.earliest() <= deadline);
                        model.insert((deadline, target), target);
                        keys.push((key, (deadline, target)));
                    }
                    Step::Remove(which) if !keys.is_empty() => {
                        let (key, in_model) = keys[which.index(keys.len())];
                        prop_assert_eq!(timers.remove(key), model.remove(&in_model).is_some());
                    }
                    Step::SetAnew(which, deadline) if !keys.is_empty() => {
                        let at = which.index(keys.len());
                        let (key, in_model) = keys[at];
                        let set = timers.set_anew(key, deadline);
                        let was = model.remove(&in_model);
                        prop_assert_eq!(set.is_some(), was.is_some());
                        if let (Some((key, is_earliest)), Some(target)) = (set, was) {
                            let first = model.first_key_value().map_or(u64::MAX, |(&(d, _), _)| d);
                            prop_assert!(!is_earliest || deadline < first);
                            // By its new age where deadlines are equal.
                            let age = keys.len();
                            model.insert((deadline, age), target);
                            keys.push((key, (deadline, age)));
                        }
                    }
                    Step::Remove(_) | Step::SetAnew(..) => {}
                    Step::Take(now, most) => {
                        let mut taken = Vec::new();
                        let n = timers.take_due(now, most, |target| taken.push(target));
                        let due = model.range(..=(now, usize::MAX)).take(most);
                        let due: Vec<_> = due.map(|(&key, &target)| (key, target)).collect();
                        for (key, _) in &due {
                            model.remove(key);
                        }
                        prop_assert_eq!(n, taken.len());
                        prop_assert_eq!(taken, due.into_iter().map(|(_, t)| t).collect::<Vec<_>>());
                    }
                    Step::SettledEarliest => {
                        let first = model.first_key_value().map_or(u64::MAX, |(&(d, _), _)| d);
                        prop_assert_eq!(timers.settled_earliest(), first);
                        prop_assert_eq!(timers.earliest(), first);
                    }
                }
                let first = model.first_key_value().map_or(u64::MAX, |(&(d, _), _)| d);
                prop_assert!(timers.earliest() <= first);
                prop_assert_eq!(timers.len(), model.len());
                if model.is_empty() {
                    prop_assert_eq!(timers.earliest(), u64::MAX);
                }
                check(&timers.inner.lock());
            }
        }
    }

    #[test]
    fn says_when_a_timer_is_the_earliest() {
        let timers = Timers::new();
        assert_eq!(timers.earliest(), u64::MAX);
        let (first, is_earliest) = timers.add(20, ());
        assert!(is_earliest);
        assert!(!timers.add(20, ()).1, "equal is not earlier");
        assert!(!timers.add(30, ()).1);
        assert!(timers.add(10, ()).1);
        assert_eq!(timers.earliest(), 10);
        assert_eq!(timers.take_due(10, 9, |()| {}), 1);
        assert_eq!(timers.earliest(), 20);
        assert!(timers.remove(first));
        assert!(!timers.remove(first));
        assert_eq!(timers.take_due(u64::MAX, 9, |()| {}), 2);
        assert_eq!(timers.earliest(), u64::MAX);
    }

    #[test]
    fn a_key_of_the_past_removes_nothing() {
        let timers = Timers::new();
        let (old, _) = timers.add(1, 'a');
        assert!(timers.remove(old));
        let (new, _) = timers.add(1, 'b');
        assert_eq!(old.slot, new.slot);
        assert!(!timers.remove(old));
        assert_eq!(timers.len(), 1);
    }

    /// Entries tell numbers apart by their lower half only.
    #[test]
    fn numbers_may_begin_again() {
        let timers = Timers::new();
        timers.inner.lock().added = NUMBERS - 3;
        let keys: Vec<Key> = (0..8_u64).map(|n| timers.add(50 - n, n).0).collect();
        assert!(timers.remove(keys[1]));
        assert!(timers.remove(keys[6]));
        check(&timers.inner.lock());
        let mut taken = Vec::new();
        timers.take_due(100, usize::MAX, |n| taken.push(n));
        assert_eq!(taken, [7, 5, 4, 3, 2, 0]);
    }

    /// A burst leaves little memory behind, though some of it stays longer.
    #[test]
    fn memory_comes_back_after_a_burst() {
        const BURST: usize = 200_000;
        const LONGER: usize = 1000;
        let held = |timers: &Timers<usize>| {
            let inner = timers.inner.lock();
            let pages = inner.slots.pages.iter();
            let slots: usize = pages.map(|page| page.slots.capacity()).sum();
            (inner.heap.capacity(), slots)
        };
        let most = (KEPT, LONGER.next_multiple_of(PAGE) + SPARE * PAGE);
        // In order, backwards, and as good as at random.
        for stride in [1, BURST - 1, 77_777] {
            let timers = Timers::new();
            let keys: Vec<Key> = (0..BURST).map(|n| timers.add(n as u64, n).0).collect();
            assert!(held(&timers) >= (BURST, BURST));
            for n in (1..=BURST).map(|n| n * stride % BURST) {
                if n >= LONGER {
                    assert!(timers.remove(keys[n]));
                }
            }
            let now = held(&timers);
            assert!(now.0 <= most.0 && now.1 <= most.1, "{now:?}");
            check(&timers.inner.lock());
            assert_eq!(timers.take_due(u64::MAX, usize::MAX, |_| {}), LONGER);

            for n in 0..BURST {
                timers.add((n * stride % BURST) as u64, n);
            }
            assert_eq!(timers.take_due(u64::MAX, usize::MAX, |_| {}), BURST);
            let now = held(&timers);
            assert!(now.0 <= most.0 && now.1 <= SPARE * PAGE, "{now:?}");
            check(&timers.inner.lock());
        }
    }

    /// More deadlines than are looked for at a time, again and again.
    #[test]
    fn moments_come_and_go() {
        let timers = Timers::new();
        let keys: Vec<Key> = (0..100_000_usize)
            .map(|n| timers.add_together((n * 7 % 1000) as u64, n).0)
            .collect();
        check(&timers.inner.lock());
        for key in keys.iter().step_by(3) {
            assert!(timers.remove(*key));
            assert!(!timers.remove(*key));
        }
        check(&timers.inner.lock());
        let mut taken = Vec::new();
        while timers.take_due(u64::MAX, 100, |n| taken.push(n)) > 0 {}
        let mut expected: Vec<usize> = (0..100_000).filter(|n| n % 3 != 0).collect();
        expected.sort_by_key(|n| (n * 7 % 1000, *n));
        assert_eq!(taken, expected);
        assert!(keys.iter().all(|key| !timers.remove(*key)));
        let inner = timers.inner.lock();
        check(&inner);
        assert!(inner.moments.capacity() <= 64 * 64);
    }

    /// Of removing and taking one wins, whoever does it.
    #[test]
    fn each_timer_ends_once() {
        const EACH: usize = 20_000;
        let timers = Timers::new();
        let ended: Vec<AtomicUsize> = (0..2 * EACH).map(|_| AtomicUsize::new(0)).collect();
        let end = |n: usize| ended[n].fetch_add(1, Relaxed);
        thread::scope(|scope| {
            for base in [0, EACH] {
                let (timers, end) = (&timers, &end);
                scope.spawn(move || {
                    let mut waiting = Vec::new();
                    for n in base..base + EACH {
                        let deadline = (n * 7 % 1000) as u64;
                        let (key, _) = match n % 2 {
                            0 => timers.add(deadline, n),
                            _ => timers.add_together(deadline, n),
                        };
                        waiting.push((key, n));
                        if n % 3 == 0 {
                            timers.take_due((n % 1000) as u64, 5, |n| {
                                end(n);
                            });
                        }
                        if n % 5 == 0 {
                            for (key, n) in waiting.drain(..) {
                                if timers.remove(key) {
                                    end(n);
                                }
                            }
                        }
                    }
                });
            }
        });
        timers.take_due(u64::MAX, usize::MAX, |n| {
            end(n);
        });
        assert_eq!(timers.len(), 0);
        assert!(ended.iter().all(|count| count.load(Relaxed) == 1));
    }
}
