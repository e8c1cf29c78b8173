//! A lock for many readers or one writer, as one word over a mutex.
//!
//! ```text
//!          read                      write: the mutex, then
//!   0 ───────────▶ n readers ───────────────────▶ WRITER, n readers
//!                                                   │ the last one leaves
//!   0, or those who waited ◀──── unlock ──── WRITER ◀
//! ```
//!
//! Writers settle among themselves who is next, by a [`RawMutex`]. Its holder
//! sets `WRITER`, which keeps new readers out, and waits at the gate for
//! those who are in. When it leaves, all readers who waited go in before it
//! gives up the mutex: so neither side starves. An upgradable reader is who
//! holds the mutex and does not set `WRITER`.

use super::coming::{Coming, Luck, let_them_run, others};
use super::held::{self, Ask, Kind, Site, Tag, Want};
use super::raw_mutex::RawMutex;
use super::runs;
use super::spin::{Spin, WAITING};
use super::wait_queue::{Entry, Until, WaitQueue, Woken, wait};
#[cfg(not(raddle_model))]
use super::{held::Mode, notes::Noted};
use crate::shim::{Acquire, AtomicU32, Mutex, Reason, Relaxed, Release, WOKEN, checkpoint};
use std::fmt;
use std::panic::Location;

/// A writer is in, or waits at the gate for readers to leave.
const WRITER: u32 = 1;
/// The queue of readers is not empty.
const QUEUED: u32 = 2;
/// So often a reader lets others run who have yet to. Once is not enough where
/// readers form two lines: while some yield the writer comes, lets the others
/// in, and waits for them.
const YIELDS: u32 = if cfg!(raddle_model) { 1 } else { 4 };
/// One reader; above it they are counted.
const READER: u32 = 4;

// Invariants
// 1. `WRITER` is set and cleared by the holder of `writers`. It is in from
//    the moment when no reader is left.
// 2. Under `WRITER` without readers nobody adds one; so no reader comes back.
// 3. A reader lines up under the lock of its queue, where it finds `WRITER`
//    and sets `QUEUED`. Who clears `WRITER` while `QUEUED` is set takes all
//    out under that lock, and counts them in by the same write.
// 4. The writer lines up under the lock of the gate, where it finds readers.
//    Who leaves last under `WRITER` comes to the gate after that, and finds
//    it there, or it finds no readers. A wake may be for a writer before; so
//    it looks again.
// 5. Who is counted in by 3 or called by 4 is added to `coming` before its
//    wake, and takes itself off when it runs. This decides about a yield and
//    nothing else, by a reader that is not in, nor in line.

/// The lock beneath [`RwLock`](super::RwLock), without a value: for types of
/// `lock_api`.
///
/// # Blocking
/// As [`RwLock`](super::RwLock).
///
/// # Go
/// `sync.RWMutex`, which has no value either.
pub struct RawRwLock {
    state: AtomicU32,
    /// Readers who have been counted in and the writer who has been called,
    /// until they run. In a gap of the layout.
    coming: Coming,
    /// Of readers who let others run, not knowing whether it helps.
    luck: Luck,
    writers: RawMutex,
    readers: Mutex<WaitQueue>,
    gate: Mutex<WaitQueue>,
}

/// What a reader minds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Minds {
    /// Writers that wait.
    Waiting,
    /// Only one that is in: it may be reading already.
    Writing,
}

impl Minds {
    #[inline]
    fn lets_in(self, state: u32) -> bool {
        state & WRITER == 0 || (self == Minds::Writing && state >= READER)
    }
}

impl RawRwLock {
    #[cfg(not(raddle_model))]
    pub(crate) const fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            coming: Coming::new(),
            luck: Luck::new(),
            writers: RawMutex::new(),
            readers: Mutex::new(WaitQueue::new()),
            gate: Mutex::new(WaitQueue::new()),
        }
    }

    #[cfg(raddle_model)]
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            coming: Coming::new(),
            luck: Luck::new(),
            writers: RawMutex::new(),
            readers: Mutex::new(WaitQueue::new()),
            gate: Mutex::new(WaitQueue::new()),
        }
    }

    /// That of the mutex, which has no need of it.
    #[inline]
    fn tag(&self) -> &Tag {
        self.writers.tag()
    }

    #[cfg(not(raddle_model))]
    #[inline]
    pub(crate) fn noted(&self, mode: Mode) -> Noted<'_> {
        Noted::new(self, self.tag(), mode)
    }

    #[inline]
    fn ask(&self, want: Want, site: Site) -> Ask<'_> {
        Ask {
            tag: self.tag(),
            kind: Kind::RwLock,
            want,
            site,
        }
    }

    #[inline]
    pub(crate) fn try_read(&self, minds: Minds) -> bool {
        // ORDER: Relaxed: the exchange decides.
        let mut state = self.state.load(Relaxed);
        while minds.lets_in(state) {
            let next = one_more(state);
            // ORDER: Acquire pairs with `open`: what the writers before wrote.
            match self.state.compare_exchange(state, next, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(other) if !minds.lets_in(other) => return false,
                Err(_) => runs::leave_alone(),
            }
            // ORDER: as above.
            state = self.state.load(Relaxed);
        }
        false
    }

    /// As `try_read`, but that another's exchange at the same moment is a
    /// failure too: no loop, and nothing to save around its rare ways.
    #[inline]
    fn try_read_once(&self, minds: Minds) -> bool {
        // ORDER: as `try_read`, both.
        let state = self.state.load(Relaxed);
        minds.lets_in(state)
            && self
                .state
                .compare_exchange(state, one_more(state), Acquire, Relaxed)
                .is_ok()
    }

    /// Reads, unless `until` comes first.
    #[inline]
    #[track_caller]
    pub(crate) fn read(&self, minds: Minds, until: Until) -> bool {
        self.read_at(minds, until, Location::caller())
    }

    #[inline]
    pub(crate) fn read_at(&self, minds: Minds, until: Until, site: Site) -> bool {
        if until != Until::Firmly {
            checkpoint();
        }
        self.try_read_once(minds) || self.read_slowly(minds, until, site)
    }

    #[cold]
    #[inline(never)]
    fn read_slowly(&self, minds: Minds, until: Until, site: Site) -> bool {
        // Only another's exchange may have been in the way.
        if self.try_read(minds) {
            return true;
        }
        if self.may_run_elsewhere() && runs::was_met_again() && self.try_read(minds) {
            return true;
        }
        // Firm waits do not unwind.
        if until != Until::Firmly && self.let_pass(minds, until) {
            return true;
        }
        let mut spin = Spin::new();
        while spin.once_for(|| self.holders_for_readers()) {
            if self.try_read(minds) {
                runs::got_in();
                return true;
            }
        }
        let readers = self.readers.lock();
        // ORDER: Relaxed: the exchange decides.
        let mut state = self.state.load(Relaxed);
        loop {
            let is_in = minds.lets_in(state);
            let next = if is_in {
                one_more(state)
            } else {
                state | QUEUED
            };
            // ORDER: Acquire: as in `try_read`.
            match self.state.compare_exchange(state, next, Acquire, Relaxed) {
                Ok(_) if is_in => return true,
                Ok(_) => break,
                Err(other) => state = other,
            }
        }
        let want = match minds {
            Minds::Waiting => Want::Read,
            Minds::Writing => Want::ReadBeside,
        };
        // Under the lock of the queue, which the writer that keeps us out
        // needs before it lets us in: so it is this writer for whom we wait.
        let _standing = held::wait_for(self.ask(want, site), Reason::RwLockRead, until);
        let entry = Entry::last(Reason::RwLockRead, until);
        // Who wakes counts it in.
        let is_in = wait(&self.readers, readers, entry).is_some();
        if is_in {
            self.coming.has_come();
        }
        is_in
    }

    #[inline]
    pub(crate) fn end_read(&self) {
        // ORDER: Release pairs with `enter`: the writer comes after all that
        // readers did.
        let was = self.state.fetch_sub(READER, Release);
        if was & WRITER != 0 && was < 2 * READER {
            self.call_writer();
        }
    }

    /// The last reader has left, and a writer waits for that.
    #[cold]
    #[inline(never)]
    fn call_writer(&self) {
        let woken = self.gate.lock().take_first(WOKEN);
        self.coming.let_in(woken.count());
        woken.wake();
    }

    /// Writes at once, or not at all.
    #[inline]
    pub(crate) fn try_write(&self) -> bool {
        // ORDER: Relaxed: a hint.
        let is_read = self.state.load(Relaxed) >= READER;
        if is_read || !self.writers.try_acquire() {
            return false;
        }
        if self.try_enter() {
            return true;
        }
        self.writers.release();
        false
    }

    /// With the mutex held: writes at once, or not at all.
    #[inline]
    pub(crate) fn try_enter(&self) -> bool {
        // ORDER: Acquire pairs with `end_read`; the mutex with writers.
        self.state
            .compare_exchange(0, WRITER, Acquire, Relaxed)
            .is_ok()
    }

    /// Writes, unless `until` comes first.
    #[inline]
    #[track_caller]
    pub(crate) fn write(&self, until: Until) -> bool {
        self.write_at(until, Location::caller())
    }

    #[inline]
    pub(crate) fn write_at(&self, until: Until, site: Site) -> bool {
        /// Not in after all: another writer may be next.
        struct Resign<'a>(&'a RawMutex);

        impl Drop for Resign<'_> {
            fn drop(&mut self) {
                self.0.release();
            }
        }

        if until != Until::Firmly {
            checkpoint();
        }
        let ask = || self.ask(Want::Alone, site);
        if !self.writers.acquire_as(Reason::RwLockWrite, until, ask) {
            return false;
        }
        let resign = Resign(&self.writers);
        let is_in = self.enter_at(until, site);
        if is_in {
            std::mem::forget(resign);
        }
        is_in
    }

    /// With the mutex held: writes, unless `until` comes first. If it does,
    /// or shutdown does, only the mutex is held, as before.
    #[inline]
    #[track_caller]
    pub(crate) fn enter(&self, until: Until) -> bool {
        self.enter_at(until, Location::caller())
    }

    #[inline]
    fn enter_at(&self, until: Until, site: Site) -> bool {
        self.try_enter() || self.enter_slowly(until, site)
    }

    #[cold]
    #[inline(never)]
    fn enter_slowly(&self, until: Until, site: Site) -> bool {
        /// Not in after all: readers need wait no longer.
        struct Retract<'a>(&'a RawRwLock);

        impl Drop for Retract<'_> {
            fn drop(&mut self) {
                self.0.open(0);
            }
        }

        if self.may_run_elsewhere() && runs::was_met_again() && self.try_enter() {
            return true;
        }
        // Before it keeps readers out: see `read_slowly`.
        let _standing = held::wait_for(self.ask(Want::Gate, site), Reason::RwLockWrite, until);
        // ORDER: Acquire pairs with `end_read`.
        if self.state.fetch_or(WRITER, Acquire) < READER {
            runs::got_in();
            return true;
        }
        let retract = Retract(self);
        let mut spin = Spin::new();
        while spin.once_for(|| self.count_readers()) {
            if self.has_no_readers() {
                runs::got_in();
                std::mem::forget(retract);
                return true;
            }
        }
        loop {
            let gate = self.gate.lock();
            if self.has_no_readers() {
                break;
            }
            let entry = Entry::last(Reason::RwLockWrite, until);
            if wait(&self.gate, gate, entry).is_none() {
                return false;
            }
            self.coming.has_come();
        }
        std::mem::forget(retract);
        true
    }

    /// Whom a reader waits for that may leave in a moment: the writer that is
    /// in. Where it waits for readers itself, or others have lined up, they
    /// take turns, and each look delays the one it is for.
    fn holders_for_readers(&self) -> u32 {
        // ORDER: Relaxed: a hint.
        if self.state.load(Relaxed) <= WRITER {
            1
        } else {
            WAITING
        }
    }

    /// Whether those who are in, or keep others out, may be running now: they
    /// are not just those who have been let in and have yet to.
    fn may_run_elsewhere(&self) -> bool {
        !self.coming.are_all_of(self.count_readers().max(1), 0)
    }

    /// Lets those run who have been let in and have yet to, if that may help;
    /// once if there is a deadline, for no timer is set yet. Whether the
    /// caller is in then.
    fn let_pass(&self, minds: Minds, until: Until) -> bool {
        let most = match until {
            Until::Deadline(_) => 1,
            _ => YIELDS,
        };
        let mut yields = 0;
        while yields < most && !self.may_run_elsewhere() {
            let_them_run();
            if self.try_read(minds) {
                return true;
            }
            yields += 1;
        }
        // Others who are in may be running, and leave, or be in for long.
        let holders = self.count_readers().max(1);
        yields == 0 && self.coming.are_all_of(holders, others()) && self.luck.is_with_us() && {
            let_them_run();
            self.luck.was(self.try_read(minds))
        }
    }

    fn count_readers(&self) -> u32 {
        // ORDER: Relaxed: a hint.
        self.state.load(Relaxed) / READER
    }

    fn has_no_readers(&self) -> bool {
        // ORDER: Acquire pairs with `end_read`, of each reader: they and all
        // since changed the word by read-modify-writes.
        self.state.load(Acquire) < READER
    }

    /// Clears `WRITER` and lets in the readers who wait, beside `mine` more.
    #[inline]
    fn open(&self, mine: u32) {
        // ORDER: Release pairs with `try_read`.
        if self
            .state
            .compare_exchange(WRITER, mine, Release, Relaxed)
            .is_err()
        {
            self.open_slowly(mine).wake();
        }
    }

    #[cold]
    #[inline(never)]
    fn open_slowly(&self, mine: u32) -> Woken {
        let mut readers = self.readers.lock();
        let woken = readers.take_all();
        self.coming.let_in(woken.count());
        let more = woken.count() * READER + mine;
        // ORDER: Relaxed: the exchange decides.
        let mut state = self.state.load(Relaxed);
        loop {
            // Readers are in only if the writer is not; then they may leave,
            // and others may read beside them who mind only the writing.
            let next = (state & !(WRITER | QUEUED)) + more;
            // ORDER: Release pairs with `try_read`; those who waited see it
            // by their wake.
            match self.state.compare_exchange(state, next, Release, Relaxed) {
                Ok(_) => return woken,
                Err(other) => state = other,
            }
        }
    }

    #[inline]
    pub(crate) fn end_write(&self) {
        self.open(0);
        self.writers.release();
    }

    pub(crate) fn end_write_fairly(&self) {
        self.open(0);
        self.writers.release_fairly();
    }

    /// From writing to reading.
    pub(crate) fn downgrade(&self) {
        self.open(READER);
        self.writers.release();
    }

    /// From writing to reading upgradably.
    pub(crate) fn downgrade_to_upgradable(&self) {
        self.open(0);
    }

    /// Reads upgradably: keeps writers out, not readers.
    #[track_caller]
    pub(crate) fn upgradable(&self, until: Until) -> bool {
        self.upgradable_at(until, Location::caller())
    }

    pub(crate) fn upgradable_at(&self, until: Until, site: Site) -> bool {
        if until != Until::Firmly {
            checkpoint();
        }
        let ask = || self.ask(Want::Upgradable, site);
        self.writers.acquire_as(Reason::RwLockWrite, until, ask)
    }

    pub(crate) fn try_upgradable(&self) -> bool {
        self.writers.try_acquire()
    }

    pub(crate) fn end_upgradable(&self) {
        self.writers.release();
    }

    pub(crate) fn end_upgradable_fairly(&self) {
        self.writers.release_fairly();
    }

    /// From reading upgradably to reading.
    pub(crate) fn downgrade_upgradable(&self) {
        // ORDER: Relaxed: the mutex, still held, ordered it after writers.
        let was = self.state.fetch_add(READER, Relaxed);
        debug_assert_eq!(was & WRITER, 0, "a writer beside an upgradable reader");
        self.writers.release();
    }

    /// Whether somebody reads or writes; may be stale when read.
    pub(crate) fn is_held(&self) -> bool {
        // ORDER: Relaxed: shown, not acted on.
        self.state.load(Relaxed) != 0 || self.writers.is_held()
    }

    /// Whether somebody writes; may be stale when read.
    pub(crate) fn is_written(&self) -> bool {
        // ORDER: Relaxed: shown, not acted on.
        let state = self.state.load(Relaxed);
        state & WRITER != 0 && state < READER
    }
}

#[inline]
fn one_more(state: u32) -> u32 {
    match state.checked_add(READER) {
        Some(next) => next,
        None => too_many(),
    }
}

#[cold]
#[inline(never)]
fn too_many() -> ! {
    panic!("a billion readers of one RwLock: have their guards been forgotten?")
}

impl fmt::Debug for RawRwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRwLock")
            .field("is_held", &self.is_held())
            .field("is_written", &self.is_written())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, raddle_model))]
#[allow(unsafe_code, reason = "what the lock guards")]
mod models {
    use super::{Minds, RawRwLock};
    use crate::shim::{Relaxed, clock, model};
    use crate::sync::wait_queue::Until;
    use raddle_scheduler::model::loom::cell::UnsafeCell;
    use raddle_scheduler::model::{Arc, spawn};

    struct Guarded {
        lock: RawRwLock,
        value: UnsafeCell<u32>,
    }

    impl Guarded {
        fn look(&self) -> u32 {
            self.value.with(|value| {
                // SAFETY: the checker is what proves it.
                unsafe { *value }
            })
        }

        fn add(&self) {
            self.value.with_mut(|value| {
                // SAFETY: the checker is what proves it.
                unsafe { *value += 1 }
            });
        }

        fn read_until(&self, minds: Minds, until: Until) -> u32 {
            if self.lock.read(minds, until) {
                self.look();
                self.lock.end_read();
            }
            0
        }

        fn write_until(&self, until: Until) -> u32 {
            let in_time = self.lock.write(until);
            if in_time {
                self.add();
                self.lock.end_write();
            }
            u32::from(in_time)
        }
    }

    fn soon() -> Until {
        Until::Deadline(clock::now() + 1)
    }

    type Turn = fn(&Guarded) -> u32;

    fn read(it: &Guarded) -> u32 {
        it.read_until(Minds::Waiting, Until::Woken)
    }

    fn read_in_time(it: &Guarded) -> u32 {
        it.read_until(Minds::Waiting, soon())
    }

    fn read_twice(it: &Guarded) -> u32 {
        assert!(it.lock.read(Minds::Waiting, Until::Woken));
        let sum = it.look();
        assert!(it.lock.read(Minds::Writing, Until::Woken));
        assert_eq!(it.look(), sum);
        it.lock.end_read();
        it.lock.end_read();
        0
    }

    fn write(it: &Guarded) -> u32 {
        it.write_until(Until::Woken)
    }

    fn write_in_time(it: &Guarded) -> u32 {
        it.write_until(soon())
    }

    fn write_firmly(it: &Guarded) -> u32 {
        it.write_until(Until::Firmly)
    }

    fn try_to_write(it: &Guarded) -> u32 {
        let is_in = it.lock.try_write();
        if is_in {
            it.add();
            it.lock.end_write_fairly();
        }
        u32::from(is_in)
    }

    fn write_then_read(it: &Guarded) -> u32 {
        assert!(it.lock.write(Until::Woken));
        it.add();
        let sum = it.look();
        it.lock.downgrade();
        assert_eq!(it.look(), sum);
        it.lock.end_read();
        1
    }

    fn upgrade(it: &Guarded) -> u32 {
        assert!(it.lock.upgradable(Until::Woken));
        let sum = it.look();
        assert!(it.lock.enter(Until::Woken));
        assert_eq!(it.look(), sum);
        it.add();
        it.lock.end_write();
        1
    }

    fn upgrade_in_time(it: &Guarded) -> u32 {
        assert!(it.lock.upgradable(Until::Woken));
        let is_in = it.lock.enter(soon());
        if is_in {
            it.add();
            it.lock.downgrade_to_upgradable();
        }
        it.look();
        it.lock.downgrade_upgradable();
        it.look();
        it.lock.end_read();
        u32::from(is_in)
    }

    /// All at once; afterwards the lock is as new.
    fn at_once(others: &[Turn], mine: Turn) {
        let guarded = Arc::new(Guarded {
            lock: RawRwLock::new(),
            value: UnsafeCell::new(0),
        });
        let others: Vec<_> = others
            .iter()
            .map(|&other| {
                let guarded = guarded.clone();
                spawn(move || other(&guarded))
            })
            .collect();
        let mut writes = mine(&guarded);
        for other in others {
            writes += other.join().unwrap();
        }
        assert_eq!(guarded.look(), writes);
        let lock = &guarded.lock;
        // ORDER: Relaxed: all others have been joined.
        let state = lock.state.load(Relaxed);
        assert_eq!(state, 0);
        assert!(!lock.is_held());
        assert!(lock.readers.lock().is_empty());
        assert!(lock.gate.lock().is_empty());
    }

    #[test]
    fn a_reader_meets_two_writes() {
        model(|| {
            at_once(&[read], |it| write(it) + write(it));
        });
    }

    #[test]
    fn two_readers_meet_a_writer() {
        model(|| at_once(&[read, read], write));
    }

    #[test]
    fn two_writers_meet_a_reader() {
        model(|| at_once(&[write, write], read));
    }

    /// The writer's deadline meets the last reader, and another reader waits
    /// behind the writer.
    #[test]
    fn a_writer_that_gives_up_lets_readers_in() {
        model(|| at_once(&[read, write_in_time], read));
    }

    /// A wake that was meant for a writer who has given up.
    #[test]
    fn a_late_call_finds_another_writer() {
        model(|| at_once(&[write_in_time, write_firmly], read));
    }

    #[test]
    fn a_reader_that_gives_up_is_not_counted() {
        model(|| at_once(&[read_in_time, read_in_time], write));
    }

    #[test]
    fn who_reads_may_read_again_beside_a_writer() {
        model(|| at_once(&[write, read], read_twice));
    }

    #[test]
    fn a_try_disturbs_nobody() {
        model(|| at_once(&[try_to_write, read], write));
    }

    #[test]
    fn a_writer_goes_on_as_a_reader() {
        model(|| at_once(&[write, read], write_then_read));
    }

    #[test]
    fn an_upgrade_meets_readers_and_a_writer() {
        model(|| at_once(&[read, write], upgrade));
    }

    #[test]
    fn an_upgrade_gives_up() {
        model(|| at_once(&[read, write], upgrade_in_time));
    }
}
