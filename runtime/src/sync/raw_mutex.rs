//! A lock as one word, with a queue of those who wait for it.
//!
//! ```text
//!                 lock                    unlock
//!   0 ───────────────────▶ LOCKED ──────────────────▶ 0
//!
//!   LOCKED|QUEUED ─ unlock ▶ QUEUED|WOKEN ─ lock, by whoever comes first
//!   LOCKED|QUEUED|HANDOVER ─ unlock ▶ LOCKED|..: the first in line has it
//! ```
//!
//! As a rule the lock is anybody's: who runs takes it again and again, and
//! who was woken for it tries its luck. That is fast, since the holder needs
//! no switch, but a waiter may lose every time. So one that has lost after
//! [`PATIENCE_NS`] turns hand-over on: now nobody takes the lock past the
//! queue, until one gets it who has waited less, or nobody is left.

use super::held::{self, Ask, Kind, Site, Tag, Want};
use super::spin::Spin;
use super::wait_queue::{Entry, Place, Until, WaitQueue, take_again, wait};
#[cfg(not(raddle_model))]
use super::{held::Mode, notes::Noted};
use crate::shim::{Acquire, AtomicU32, Mutex, Reason, Relaxed, Release, WOKEN, checkpoint, clock};
use std::fmt;
use std::panic::Location;

const LOCKED: u32 = 1;
/// A waiter has been woken and will try: nobody else need be.
const AWAKE: u32 = 2;
/// The queue is not empty.
const QUEUED: u32 = 4;
/// The lock goes from hand to hand.
const HANDOVER: u32 = 8;

/// The outcome of a wait whose waiter has the lock now.
const HANDED: u32 = WOKEN + 1;

/// How long a waiter lets others pass.
const PATIENCE_NS: u64 = 1_000_000;

// Invariants
// 1. `LOCKED` is set by who takes the lock, or under the queue's lock by who
//    hands it over, for the receiver. Under `HANDOVER` only the latter.
// 2. Outside the queue's lock, `QUEUED` is set if the queue has somebody. Who
//    gives up leaves it set, and the next unlock finds nobody.
// 3. `AWAKE` has one owner: the unlock that set it, until it has settled a
//    waiter; then that waiter, until it takes the lock, or stands in line
//    again while another holds it. Nobody leaves while owning it.
// 4. `HANDOVER` and `AWAKE` are not set together: the owner of `AWAKE` turns
//    the one into the other.
// 5. Somebody waits: then the lock is held, or `AWAKE` has an owner, or an
//    unlock is on its way that will find out. So no waiter is forgotten:
//    the holder's unlock sees `QUEUED`, and the owner of `AWAKE` tries.
// 6. `HANDOVER` without `LOCKED`: one unlock is handing over. Until it has,
//    nobody changes the word: `QUEUED` is set with `HANDOVER`, so who lines
//    up writes what is there.

/// The lock beneath [`Mutex`](super::Mutex), without a value: for types of
/// `lock_api`.
///
/// # Blocking
/// As [`Mutex`](super::Mutex).
///
/// # Go
/// `sync.Mutex`, which has no value either.
pub struct RawMutex {
    state: AtomicU32,
    /// In a gap of the layout.
    tag: Tag,
    waiters: Mutex<WaitQueue>,
}

impl RawMutex {
    #[cfg(not(raddle_model))]
    pub(crate) const fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            tag: Tag::new(),
            waiters: Mutex::new(WaitQueue::new()),
        }
    }

    #[cfg(raddle_model)]
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            tag: Tag::new(),
            waiters: Mutex::new(WaitQueue::new()),
        }
    }

    /// Takes the lock if it is free, past all who wait.
    #[inline]
    pub(crate) fn try_acquire(&self) -> bool {
        // ORDER: Relaxed: the exchange decides.
        let mut state = self.state.load(Relaxed);
        while is_free(state) {
            // ORDER: Acquire pairs with `release` of the holder before.
            match self
                .state
                .compare_exchange(state, state | LOCKED, Acquire, Relaxed)
            {
                Ok(_) => return true,
                Err(other) => state = other,
            }
        }
        false
    }

    #[cfg(not(raddle_model))]
    #[inline]
    pub(crate) fn noted(&self) -> Noted<'_> {
        Noted::new(self, &self.tag, Mode::Alone)
    }

    pub(crate) fn tag(&self) -> &Tag {
        &self.tag
    }

    #[inline]
    fn ask(&self, kind: Kind, site: Site) -> Ask<'_> {
        Ask {
            tag: &self.tag,
            kind,
            want: Want::Alone,
            site,
        }
    }

    #[inline]
    #[track_caller]
    pub(crate) fn acquire(&self) {
        checkpoint();
        if !self.try_acquire() {
            let ask = self.ask(Kind::Mutex, Location::caller());
            let _in_time = self.acquire_slowly(Reason::MutexLock, Until::Woken, ask);
        }
    }

    /// As `acquire`, by who is to have it again whatever shutdown says.
    pub(crate) fn acquire_firmly(&self, kind: Kind, site: Site) {
        let ask = || self.ask(kind, site);
        let _in_time = self.acquire_as(Reason::MutexLock, Until::Firmly, ask);
    }

    /// For a lock of another kind, which has had its checkpoint. What `ask`
    /// gives is made when it is needed: it would lie in memory.
    #[inline]
    pub(crate) fn acquire_as<'a>(
        &self,
        reason: Reason,
        until: Until,
        ask: impl FnOnce() -> Ask<'a>,
    ) -> bool {
        self.try_acquire() || self.acquire_slowly(reason, until, ask())
    }

    /// As `acquire`, until `deadline` at the latest. Whether it has it.
    #[inline]
    #[track_caller]
    pub(crate) fn acquire_until(&self, deadline: impl FnOnce() -> u64) -> bool {
        let site = Location::caller();
        checkpoint();
        let ask = || self.ask(Kind::Mutex, site);
        self.try_acquire()
            || self.acquire_slowly(Reason::MutexLock, Until::Deadline(deadline()), ask())
    }

    /// The lock is held: watches it a moment, then waits in line.
    #[cold]
    #[inline(never)]
    fn acquire_slowly(&self, reason: Reason, until: Until, ask: Ask<'_>) -> bool {
        let mut standing = None;
        let mut spin = Spin::new();
        // Whether `AWAKE` is ours.
        let mut is_awake = false;
        let mut is_impatient = false;
        let mut since = None;
        loop {
            // ORDER: Relaxed: the exchange decides.
            let state = self.state.load(Relaxed);
            if is_free(state) {
                let mine = if is_awake { AWAKE } else { 0 };
                // ORDER: Acquire pairs with `release`.
                if self
                    .state
                    .compare_exchange(state, (state | LOCKED) & !mine, Acquire, Relaxed)
                    .is_ok()
                {
                    return true;
                }
                continue;
            }
            if state & HANDOVER == 0 && spin.once() {
                continue;
            }
            standing = standing.or_else(|| held::wait_for(ask, reason, until));
            let queue = self.waiters.lock();
            if !self.stand_in_line(is_awake, is_impatient) {
                continue;
            }
            let place = match since {
                None => Place::Last,
                Some(_) => Place::First,
            };
            let began = *since.get_or_insert_with(clock::now);
            let entry = Entry {
                place,
                ..Entry::last(reason, until)
            };
            match wait(&self.waiters, queue, entry) {
                None => return false,
                Some(WOKEN) => {
                    is_awake = true;
                    is_impatient = is_impatient || has_waited(began);
                    spin = Spin::new();
                }
                Some(_handed) => {
                    self.receive(began);
                    return true;
                }
            }
        }
    }

    /// Under the queue's lock: the word now says that the caller is in the
    /// queue. `false`: the lock came free.
    fn stand_in_line(&self, is_awake: bool, is_impatient: bool) -> bool {
        // ORDER: Relaxed: the exchange decides.
        let mut state = self.state.load(Relaxed);
        while !is_free(state) {
            let mut next = state | QUEUED;
            if is_awake {
                // By invariant 4 no hand-over is on, so somebody holds it.
                next &= !AWAKE;
                if is_impatient {
                    next |= HANDOVER;
                }
            }
            // ORDER: Relaxed: the queue's lock orders what is in the queue;
            // the word itself is read and written in one order.
            match self.state.compare_exchange(state, next, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(other) => state = other,
            }
        }
        false
    }

    /// The lock was handed to the caller, who began to wait at `began`.
    fn receive(&self, began: u64) {
        // ORDER: Relaxed: who handed it over settled the wait.
        let is_on = self.state.load(Relaxed) & HANDOVER != 0;
        if is_on && !has_waited(began) {
            // ORDER: Relaxed: `release` of the caller will publish it.
            self.state.fetch_and(!HANDOVER, Relaxed);
        }
    }

    /// Gives the lock up.
    #[inline]
    pub(crate) fn release(&self) {
        // ORDER: Release pairs with whoever takes the lock.
        let was = self.state.fetch_sub(LOCKED, Release);
        if was != LOCKED {
            self.release_slowly(was - LOCKED);
        }
    }

    /// The lock has been given up; somebody waits.
    #[cold]
    #[inline(never)]
    fn release_slowly(&self, mut state: u32) {
        if state & HANDOVER != 0 {
            return self.hand_over(state);
        }
        // Else nobody waits, or by invariant 5 another sees to them.
        while state & QUEUED != 0 && state & (LOCKED | AWAKE | HANDOVER) == 0 {
            // ORDER: Relaxed: as in `stand_in_line`.
            match self
                .state
                .compare_exchange(state, state | AWAKE, Relaxed, Relaxed)
            {
                Ok(_) => return self.wake_one(),
                Err(other) => state = other,
            }
        }
    }

    /// Wakes the first in line, as the owner of `AWAKE`.
    fn wake_one(&self) {
        let mut queue = self.waiters.lock();
        let woken = queue.take_first(WOKEN);
        let mut over = 0;
        if queue.is_empty() {
            over |= QUEUED;
        }
        if woken.is_nobody() {
            over |= AWAKE;
        }
        if over != 0 {
            // ORDER: Relaxed: as in `stand_in_line`.
            self.state.fetch_and(!over, Relaxed);
        }
        drop(queue);
        woken.wake();
    }

    /// Hands the lock, just given up under `HANDOVER`, to the first in line.
    fn hand_over(&self, state: u32) {
        let mut queue = self.waiters.lock();
        let woken = queue.take_first(HANDED);
        let mut next = state;
        if !woken.is_nobody() {
            next |= LOCKED;
        }
        if queue.is_empty() {
            next &= !(QUEUED | HANDOVER);
        }
        // ORDER: Release, for who takes the lock when nobody was left. A
        // store: nobody else has written since, by invariant 6.
        self.state.store(next, Release);
        drop(queue);
        woken.wake();
    }

    /// Gives the lock to the first in line, if anybody waits.
    pub(crate) fn release_fairly(&self) {
        // ORDER: Release pairs with whoever takes the lock.
        if self
            .state
            .compare_exchange(LOCKED, 0, Release, Relaxed)
            .is_err()
        {
            self.release_to_first();
        }
    }

    /// Lets the first in line have it once, if anybody waits. The caller holds
    /// it afterwards, as before, also if it unwinds.
    #[track_caller]
    pub(crate) fn bump(&self) {
        let ask = self.ask(Kind::Mutex, Location::caller());
        checkpoint();
        // ORDER: Relaxed: a hint.
        if self.state.load(Relaxed) != LOCKED {
            self.release_fairly();
            take_again(|until| {
                self.acquire_as(Reason::MutexLock, until, || ask);
            });
        }
    }

    /// As `bump`, for who cannot be unwound with the lock.
    pub(crate) fn bump_firmly(&self, kind: Kind, site: Site) {
        self.release_fairly();
        self.acquire_firmly(kind, site);
    }

    #[cold]
    #[inline(never)]
    fn release_to_first(&self) {
        let mut queue = self.waiters.lock();
        let woken = queue.take_first(HANDED);
        drop(queue);
        if woken.is_nobody() {
            self.release();
        } else {
            woken.wake();
        }
    }

    /// Whether somebody has it; may be stale when read.
    pub(crate) fn is_held(&self) -> bool {
        // ORDER: Relaxed: shown, not acted on.
        !is_free(self.state.load(Relaxed))
    }
}

#[inline]
fn is_free(state: u32) -> bool {
    state & (LOCKED | HANDOVER) == 0
}

fn has_waited(began: u64) -> bool {
    clock::now() >= began.saturating_add(PATIENCE_NS)
}

impl fmt::Debug for RawMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawMutex")
            .field("is_held", &self.is_held())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, raddle_model))]
#[allow(unsafe_code, reason = "what the lock guards")]
mod models {
    use super::{HANDOVER, PATIENCE_NS, RawMutex};
    use crate::shim::{AtomicU32, Relaxed, clock, model};
    use raddle_scheduler::model::loom::cell::UnsafeCell;
    use raddle_scheduler::model::{Arc, spawn};

    /// A lock, what it guards, and how often somebody had it.
    struct Guarded {
        mutex: RawMutex,
        value: UnsafeCell<u32>,
        turns: AtomicU32,
    }

    impl Guarded {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                mutex: RawMutex::new(),
                value: UnsafeCell::new(0),
                turns: AtomicU32::new(0),
            })
        }

        /// What a holder does: nobody else may be at it, and what all before
        /// it did is seen.
        fn work(&self) {
            let value = self.value.with_mut(|value| {
                // SAFETY: the checker is what proves it.
                unsafe {
                    *value += 1;
                    *value
                }
            });
            // ORDER: Relaxed: the lock orders them.
            assert_eq!(self.turns.fetch_add(1, Relaxed) + 1, value);
        }

        fn turn(&self) {
            self.mutex.acquire();
            self.work();
            self.mutex.release();
        }

        /// A turn that takes as long as others have patience.
        fn long_turn(&self) {
            self.mutex.acquire();
            self.work();
            clock::set(clock::now() + PATIENCE_NS);
            self.mutex.release();
        }

        fn fair_turn(&self) {
            self.mutex.acquire();
            self.work();
            self.mutex.release_fairly();
        }

        fn turn_in_time(&self) -> bool {
            let in_time = self.mutex.acquire_until(|| clock::now() + 1);
            if in_time {
                self.work();
                self.mutex.release();
            }
            in_time
        }

        /// In the end the word is as it was, and the queue.
        fn is_as_new(&self, turns: u32) {
            // ORDER: Relaxed, both: all others have been joined.
            assert_eq!(self.mutex.state.load(Relaxed), 0);
            assert_eq!(self.turns.load(Relaxed), turns);
            assert!(self.mutex.waiters.lock().is_empty());
        }
    }

    /// Runs both beside `f`, and gives how many turns they had.
    fn beside(
        guarded: &Arc<Guarded>,
        others: [fn(&Guarded) -> u32; 2],
        f: impl FnOnce(&Guarded) -> u32,
    ) {
        let others = others.map(|other| {
            let guarded = guarded.clone();
            spawn(move || other(&guarded))
        });
        let mine = f(guarded);
        let turns = others.into_iter().map(|other| other.join().unwrap());
        guarded.is_as_new(mine + turns.sum::<u32>());
    }

    fn once(guarded: &Guarded) -> u32 {
        guarded.turn();
        1
    }

    fn long(guarded: &Guarded) -> u32 {
        guarded.long_turn();
        1
    }

    fn fair(guarded: &Guarded) -> u32 {
        guarded.fair_turn();
        1
    }

    fn bumped(guarded: &Guarded) -> u32 {
        guarded.mutex.acquire();
        guarded.work();
        guarded.mutex.bump();
        guarded.work();
        guarded.mutex.release();
        2
    }

    fn in_time(guarded: &Guarded) -> u32 {
        u32::from(guarded.turn_in_time())
    }

    /// One has it at a time, and a lock and an unlock that meet leave nobody
    /// waiting.
    #[test]
    fn an_unlock_is_not_missed() {
        model(|| {
            let guarded = Guarded::new();
            let other = spawn({
                let guarded = guarded.clone();
                move || {
                    guarded.turn();
                    guarded.turn();
                }
            });
            guarded.turn();
            guarded.turn();
            other.join().unwrap();
            guarded.is_as_new(4);
        });
    }

    #[test]
    fn three_take_turns() {
        model(|| {
            let guarded = Guarded::new();
            beside(&guarded, [once, once], once);
        });
    }

    /// Waiters lose their patience at once, so that the lock goes from hand
    /// to hand; newcomers keep off, and it ends when nobody is left.
    #[test]
    fn hand_over_begins_and_ends() {
        model(|| {
            let guarded = Guarded::new();
            beside(&guarded, [once, long], once);
        });
    }

    /// Two turns beside a holder who turns hand-over on for whoever waits.
    fn beside_hand_over(others: [fn(&Guarded) -> u32; 2]) {
        let guarded = Guarded::new();
        guarded.mutex.acquire();
        let others = others.map(|other| {
            let guarded = guarded.clone();
            spawn(move || other(&guarded))
        });
        let queue = guarded.mutex.waiters.lock();
        if !queue.is_empty() {
            // ORDER: Relaxed: under the queue's lock.
            guarded.mutex.state.fetch_or(HANDOVER, Relaxed);
        }
        drop(queue);
        guarded.work();
        guarded.mutex.release();
        let turns = others.into_iter().map(|other| other.join().unwrap());
        guarded.is_as_new(1 + turns.sum::<u32>());
    }

    /// The first in line gives up while the lock is handed over to it.
    #[test]
    fn a_deadline_meets_a_hand_over() {
        model(|| beside_hand_over([in_time, once]));
    }

    #[test]
    fn all_give_up_while_the_lock_is_handed_over() {
        model(|| beside_hand_over([in_time, in_time]));
    }

    /// One who gives up takes nobody's wake along.
    #[test]
    fn a_deadline_loses_no_wake() {
        model(|| {
            let guarded = Guarded::new();
            beside(&guarded, [in_time, once], once);
        });
    }

    #[test]
    fn two_deadlines_leave_nothing_behind() {
        model(|| {
            let guarded = Guarded::new();
            beside(&guarded, [in_time, in_time], once);
        });
    }

    #[test]
    fn a_fair_unlock_hands_over_once() {
        model(|| {
            let guarded = Guarded::new();
            beside(&guarded, [once, in_time], fair);
        });
    }

    #[test]
    fn a_bump_lets_others_have_it_and_has_it_again() {
        model(|| {
            let guarded = Guarded::new();
            beside(&guarded, [once, in_time], bumped);
        });
    }
}
