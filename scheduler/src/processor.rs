//! Processors: permits to run goroutines, and who holds, awaits or lost one.
//!
//! A permit bounds how many machines run goroutines at once; it guards no
//! memory. A machine whose permit was taken while it was stuck may run on
//! until its next park, yield or slice end: then more machines than permits
//! are on the CPU for a while, and nothing worse.

use crate::idle::Census;
use crate::shim::{AcqRel, Acquire, AtomicU8, AtomicUsize, Mutex, Relaxed, Release};
use std::collections::VecDeque;

const NONE: u8 = 0;
const HELD: u8 = 1;

const AWAKE: u8 = 0;
const IDLE: u8 = 1;
const IN_LINE: u8 = 2;

/// What a machine was called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Summons {
    /// Work that has been pushed just now; who pushed it may want it near.
    New = 1,
    /// Work that has waited.
    Waiting,
}

/// What the book knows of one machine.
#[derive(Debug)]
pub(crate) struct Seat {
    /// Written under the lock of the book; read by its machine at any time.
    permit: AtomicU8,
    /// Under the lock of the book only.
    place: AtomicU8,
    /// Who called the machine counted it as searching: written under the
    /// lock before it can leave its place, read by it once it is up.
    summoned: AtomicU8,
    /// The machine runs one goroutine and those at home with it, nothing
    /// else. Written under the lock, or by the machine itself.
    own: AtomicU8,
}

impl Seat {
    pub(crate) fn new() -> Self {
        Self {
            permit: AtomicU8::new(NONE),
            place: AtomicU8::new(AWAKE),
            summoned: AtomicU8::new(0),
            own: AtomicU8::new(0),
        }
    }

    /// Whether the machine is one goroutine's own.
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        // ORDER: Relaxed: set before the goroutine comes, cleared by the
        // machine.
        self.own.load(Relaxed) != 0
    }

    /// From here on it is, or is not.
    pub(crate) fn set_own(&self, own: bool) {
        // ORDER: as above.
        self.own.store(u8::from(own), Relaxed);
    }

    /// Whether the machine holds a permit: one load, for its every turn.
    #[inline]
    pub(crate) fn has_permit(&self) -> bool {
        // ORDER: Acquire pairs with `grant`.
        self.permit.load(Acquire) == HELD
    }

    /// The machine, up again, asks whether it counts as searching. Once a
    /// call.
    pub(crate) fn take_summons(&self) -> Option<Summons> {
        // ORDER: Relaxed, both: written under the lock of the book, which the
        // machine has had since (`leave_idle`), or before its thread began.
        if self.summoned.load(Relaxed) == 0 {
            return None;
        }
        // ORDER: as above.
        match self.summoned.swap(0, Relaxed) {
            0 => None,
            new if new == Summons::New as u8 => Some(Summons::New),
            _ => Some(Summons::Waiting),
        }
    }

    fn summon(&self, summons: Summons) {
        // ORDER: Relaxed: under the lock.
        self.summoned.store(summons as u8, Relaxed);
    }

    fn grant(&self) {
        // ORDER: Release: what the last holder's machine published under the
        // lock is seen by the new one.
        self.permit.store(HELD, Release);
    }

    fn take(&self) -> bool {
        // ORDER: AcqRel: under the lock; pairs with `has_permit`.
        self.permit.swap(NONE, AcqRel) == HELD
    }

    fn place(&self) -> u8 {
        // ORDER: Relaxed: under the lock.
        self.place.load(Relaxed)
    }

    fn set_place(&self, place: u8) {
        // ORDER: Relaxed: under the lock.
        self.place.store(place, Relaxed);
    }
}

/// A machine as the book sees it.
pub(crate) trait Member: Clone + PartialEq {
    fn seat(&self) -> &Seat;
}

/// Whom to call for work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call<M> {
    /// No processor is free: whoever holds one will come to it.
    Nobody,
    /// This machine holds a permit now and must be woken. If it was idle it
    /// counts as searching.
    Wake(M),
    /// No machine is idle: the caller starts one (`seat_started`), for which
    /// a permit and a search are counted already.
    Start(Summons),
}

/// What a machine does that gave way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GiveWay<M> {
    /// Nobody wants its permit any more.
    Keep,
    /// It is in line, and sleeps until `has_permit`; who got its permit, if
    /// anybody, must be woken.
    Sleep(Option<M>),
}

/// The processors of one runtime.
///
/// Invariants
/// 1. `free + held + in hand = total + owed`: every permit is free, held by
///    one seat, or in the hand of a retaker or a starter. It moves under the
///    lock only.
/// 2. While somebody is in line, no permit is free.
/// 3. A machine is in at most one of the two lists, and `place` says which.
/// 4. The line is FIFO: a granted permit goes to who has waited longest.
/// 5. The census shows `free` as it is when the lock is released.
#[derive(Debug)]
pub(crate) struct Processors<M> {
    pub(crate) census: Census,
    /// Machines in line plus permits owed: holders give up at their slice
    /// end while this is not zero.
    wanted: AtomicUsize,
    /// `book.total`, for limits.
    total: AtomicUsize,
    book: Mutex<Book<M>>,
}

#[derive(Debug)]
struct Book<M> {
    total: usize,
    free: usize,
    /// Permits to be withdrawn as their holders come by.
    owed: usize,
    line: VecDeque<M>,
    idle: Vec<M>,
    /// How often a machine left the idle list, and not for good.
    roused: u64,
}

impl<M: Member> Processors<M> {
    pub(crate) fn new(total: usize) -> Self {
        let census = Census::new();
        census.set_free(0, total);
        Self {
            census,
            wanted: AtomicUsize::new(0),
            total: AtomicUsize::new(total),
            book: Mutex::new(Book {
                total,
                free: total,
                owed: 0,
                line: VecDeque::new(),
                idle: Vec::new(),
                roused: 0,
            }),
        }
    }

    /// How many there are.
    pub(crate) fn total(&self) -> usize {
        // ORDER: Relaxed: a number to show and to limit by.
        self.total.load(Relaxed)
    }

    /// Whether a holder should give up its permit at its slice end.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        // ORDER: Relaxed: looked at again and again.
        self.wanted.load(Relaxed) != 0
    }

    /// Takes a permit for `machine` if one is free.
    #[must_use]
    pub(crate) fn try_acquire(&self, machine: &M) -> bool {
        self.with(|book| book.take_free(machine))
    }

    /// Takes a permit for `machine`, or puts it in line. On `false` it must
    /// sleep until `has_permit`.
    #[must_use]
    pub(crate) fn acquire_or_line_up(&self, machine: &M) -> bool {
        self.with(|book| {
            debug_assert!(machine.seat().place() != IDLE, "idle machines are called");
            machine.seat().has_permit() || book.take_free(machine) || {
                if machine.seat().place() == AWAKE {
                    book.line_up(machine);
                }
                false
            }
        })
    }

    /// `machine` gives its permit up, if it still has it. Who gets it must
    /// be woken.
    #[must_use]
    pub(crate) fn release(&self, machine: &M) -> Option<M> {
        self.with(|book| {
            if machine.seat().take() {
                book.pass_on()
            } else {
                None
            }
        })
    }

    /// At the slice end, while permits are wanted: `machine` gives its own up
    /// and lines up behind those who wait.
    pub(crate) fn give_way(&self, machine: &M) -> GiveWay<M> {
        self.with(|book| {
            if book.line.is_empty() && book.owed == 0 || !machine.seat().take() {
                return GiveWay::Keep;
            }
            let next = book.pass_on();
            if book.take_free(machine) {
                return GiveWay::Keep;
            }
            book.line_up(machine);
            GiveWay::Sleep(next)
        })
    }

    /// `machine` found no work: its permit is given up, it can be called.
    /// Who gets the permit must be woken. The second look follows.
    #[must_use]
    pub(crate) fn go_idle(&self, machine: &M) -> Option<M> {
        self.with(|book| {
            let next = if machine.seat().take() {
                book.pass_on()
            } else {
                None
            };
            if machine.seat().place() == IN_LINE {
                // A letter it has answered since put it there.
                book.line.retain(|other| other != machine);
            }
            machine.seat().set_place(IDLE);
            book.idle.push(machine.clone());
            next
        })
    }

    /// `machine` woke or looked again by itself: it leaves the idle list and
    /// takes a permit if one is free. Whether it has one now, by this or
    /// because it was called meanwhile.
    #[must_use]
    pub(crate) fn leave_idle(&self, machine: &M) -> bool {
        self.with(|book| {
            if machine.seat().place() == IDLE {
                book.remove_idle(machine);
                return book.take_free(machine);
            }
            machine.seat().has_permit()
        })
    }

    /// One machine for work: the one that went idle last, with a permit.
    /// The caller has claimed the call (`Census::claim_call`).
    pub(crate) fn call_for_work(&self, summons: Summons) -> Call<M> {
        self.with(|book| {
            if book.free == 0 {
                self.census.stop_searching();
                return Call::Nobody;
            }
            book.free -= 1;
            book.call_with_hand(summons)
        })
    }

    /// A started machine sits down with the permit in the caller's hand, and
    /// counts as searching as the caller's call said.
    pub(crate) fn seat_started(&self, machine: &M, summons: Summons) {
        self.with(|_| {
            machine.seat().summon(summons);
            machine.seat().grant();
        });
    }

    /// The machine to be seated did not start: its permit goes to who waits
    /// longest, or is free. Who gets it must be woken.
    #[must_use]
    pub(crate) fn unseat_started(&self, machine: &M) -> Option<M> {
        self.with(|book| {
            if machine.seat().take_summons().is_some() {
                self.census.stop_searching();
            }
            if machine.seat().take() {
                book.pass_on()
            } else {
                None
            }
        })
    }

    /// The caller could not start a machine for the permit in its hand: that
    /// goes to who waits longest, or is free. Who gets it must be woken.
    #[must_use]
    pub(crate) fn hand_back(&self) -> Option<M> {
        self.census.stop_searching();
        self.with(Book::pass_on)
    }

    /// `machine` has work that it alone may run. On `true` it was asleep and
    /// has a permit now: it must be woken. Else it is awake, or in line.
    #[must_use]
    pub(crate) fn call_home(&self, machine: &M) -> bool {
        self.with(|book| {
            if machine.seat().place() != IDLE {
                return false;
            }
            book.remove_idle(machine);
            if book.take_free(machine) {
                return true;
            }
            book.line_up(machine);
            false
        })
    }

    /// Takes the permit of a machine, if it is stuck `still`: it is in the
    /// caller's hand now.
    #[must_use]
    pub(crate) fn retake(&self, machine: &M, still: impl FnOnce() -> bool) -> bool {
        self.with(|_| still() && machine.seat().take())
    }

    /// Gives the permit in the caller's hand to a machine that can use it:
    /// who waits in line, else (if there is work to take) an idle one, else
    /// the caller starts one.
    pub(crate) fn place_retaken(&self, work: bool) -> Call<M> {
        self.with(|book| {
            if !book.line.is_empty() || !work || book.owed > 0 {
                return book.pass_on().map_or(Call::Nobody, Call::Wake);
            }
            self.census.count_searching();
            book.call_with_hand(Summons::Waiting)
        })
    }

    /// A free permit, or one beyond the total, to be withdrawn from whoever
    /// comes by: for machines that will block at once.
    pub(crate) fn lend(&self) -> Call<M> {
        self.with(|book| {
            if book.free > 0 {
                book.free -= 1;
            } else {
                book.owed += 1;
            }
            self.census.count_searching();
            book.call_with_hand(Summons::Waiting)
        })
    }

    /// As `lend`, while fewer than `most` are lent already.
    pub(crate) fn lend_up_to(&self, most: usize) -> Call<M> {
        self.with(|book| {
            if book.free > 0 || book.owed >= most {
                return Call::Nobody;
            }
            book.owed += 1;
            self.census.count_searching();
            book.call_with_hand(Summons::Waiting)
        })
    }

    /// Whether no permit is in use.
    pub(crate) fn are_all_free(&self) -> bool {
        self.with(|book| book.free == book.total && book.owed == 0)
    }

    /// How many machines are idle, for lists.
    pub(crate) fn idle_now(&self) -> usize {
        self.book.lock().idle.len()
    }

    /// If all of so many `machines` are idle, and no permit is held, in hand
    /// or owed: a number that changes when one of them leaves the idle list,
    /// which it does before anything else, unless it leaves to end.
    pub(crate) fn all_idle(&self, machines: usize) -> Option<u64> {
        self.with(|book| {
            let is_free = book.free == book.total && book.owed == 0 && book.line.is_empty();
            (is_free && book.idle.len() == machines).then_some(book.roused)
        })
    }

    /// `machine`, idle for long and nobody's home, leaves the idle list for
    /// good, unless it is needed: as many stay as there are processors; or
    /// `give_up`, asked last, says no. On `true` nobody calls it any more.
    ///
    /// It is not roused by that: it wakes nobody, and all who sleep sleep on.
    #[must_use]
    pub(crate) fn retire(&self, machine: &M, give_up: impl FnOnce() -> bool) -> bool {
        self.with(|book| {
            if machine.seat().place() != IDLE || machine.seat().is_own() {
                return false;
            }
            let others = book.idle.iter().filter(|other| !other.seat().is_own());
            if others.take(book.total + 1).count() <= book.total || !give_up() {
                return false;
            }
            book.idle.retain(|other| other != machine);
            machine.seat().set_place(AWAKE);
            true
        })
    }

    /// Makes an idle machine that `suits` one goroutine's own; it stays idle
    /// until that comes.
    pub(crate) fn claim_own(&self, suits: impl Fn(&M) -> bool) -> Option<M> {
        self.with(|book| {
            let found = book
                .idle
                .iter()
                .find(|machine| !machine.seat().is_own() && suits(machine))?;
            found.seat().set_own(true);
            Some(found.clone())
        })
    }

    /// Changes how many there are; returns how many there were, and who
    /// must be woken.
    #[must_use]
    pub(crate) fn set_total(&self, total: usize) -> (usize, Vec<M>) {
        self.with(|book| {
            let was = book.total;
            book.total = total;
            // ORDER: Relaxed: a number to show and to limit by.
            self.total.store(total, Relaxed);
            let mut wake = Vec::new();
            for _ in was..total {
                wake.extend(book.pass_on());
            }
            for _ in total..was {
                if book.free > 0 {
                    book.free -= 1;
                } else {
                    book.owed += 1;
                }
            }
            (was, wake)
        })
    }

    fn with<R>(&self, f: impl FnOnce(&mut Book<M>) -> R) -> R {
        let mut book = self.book.lock();
        let free = book.free;
        let result = f(&mut book);
        self.census.set_free(free, book.free);
        // ORDER: Relaxed: looked at again and again.
        self.wanted.store(book.line.len() + book.owed, Relaxed);
        result
    }
}

impl<M: Member> Book<M> {
    fn take_free(&mut self, machine: &M) -> bool {
        if self.free == 0 {
            return false;
        }
        self.free -= 1;
        machine.seat().grant();
        true
    }

    fn line_up(&mut self, machine: &M) {
        debug_assert_eq!(self.free, 0, "lined up beside a free permit");
        machine.seat().set_place(IN_LINE);
        self.line.push_back(machine.clone());
    }

    fn pass_on(&mut self) -> Option<M> {
        if self.owed > 0 {
            self.owed -= 1;
            return None;
        }
        let Some(next) = self.line.pop_front() else {
            self.free += 1;
            return None;
        };
        next.seat().set_place(AWAKE);
        next.seat().grant();
        Some(next)
    }

    /// The machine that went idle last, unless it is somebody's own.
    fn pop_idle(&mut self) -> Option<M> {
        let at = self.idle.iter().rposition(|m| !m.seat().is_own())?;
        let machine = self.idle.remove(at);
        self.roused += 1;
        machine.seat().set_place(AWAKE);
        Some(machine)
    }

    /// With a permit in hand and a search counted.
    fn call_with_hand(&mut self, summons: Summons) -> Call<M> {
        match self.pop_idle() {
            Some(machine) => {
                machine.seat().summon(summons);
                machine.seat().grant();
                Call::Wake(machine)
            }
            None => Call::Start(summons),
        }
    }

    fn remove_idle(&mut self, machine: &M) {
        if let Some(at) = self.idle.iter().rposition(|other| other == machine) {
            self.idle.remove(at);
            self.roused += 1;
        }
        machine.seat().set_place(AWAKE);
    }
}

/// A machine of the tests: a seat with a name.
#[cfg(test)]
mod seats {
    use super::{Member, Processors, Seat};

    #[cfg(raddle_model)]
    use loom::sync::Arc;
    #[cfg(not(raddle_model))]
    use std::sync::Arc;

    #[derive(Clone, Debug)]
    pub(super) struct M(pub(super) Arc<(char, Seat)>);

    impl M {
        pub(super) fn new(name: char) -> Self {
            Self(Arc::new((name, Seat::new())))
        }

        pub(super) fn has(&self) -> bool {
            self.seat().has_permit()
        }
    }

    impl PartialEq for M {
        fn eq(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.0, &other.0)
        }
    }

    impl Member for M {
        fn seat(&self) -> &Seat {
            &self.0.1
        }
    }

    /// Invariants 1, 2 and 5, with nothing in anybody's hand.
    pub(super) fn check(processors: &Processors<M>, members: &[&M]) {
        let book = processors.book.lock();
        let held = members.iter().filter(|m| m.has()).count();
        assert_eq!(book.free + held, book.total + book.owed, "permits");
        assert!(
            book.line.is_empty() || book.free == 0,
            "in line beside a free permit"
        );
        assert!(
            book.owed == 0 || book.free == 0,
            "a free permit is still owed"
        );
        assert_eq!(processors.census.free_now(), book.free);
        assert_eq!(processors.is_wanted(), book.line.len() + book.owed > 0);
    }
}

#[cfg(all(test, not(raddle_model)))]
mod tests {
    use super::seats::{M, check};
    use super::{Call, GiveWay, Member, Processors, Summons};

    #[test]
    fn a_permit_goes_to_who_has_waited_longest() {
        let processors = Processors::new(1);
        let [a, b, c] = ['a', 'b', 'c'].map(M::new);
        assert!(processors.try_acquire(&a));
        assert!(!processors.acquire_or_line_up(&b));
        assert!(!processors.acquire_or_line_up(&c));
        assert_eq!(processors.give_way(&a), GiveWay::Sleep(Some(b.clone())));
        assert_eq!(processors.give_way(&b), GiveWay::Sleep(Some(c.clone())));
        assert_eq!(processors.release(&c), Some(a.clone()));
        check(&processors, &[&a, &b, &c]);
    }

    #[test]
    fn a_lent_permit_is_withdrawn_from_whoever_comes_by() {
        let processors = Processors::new(1);
        let [a, b] = ['a', 'b'].map(M::new);
        assert!(processors.try_acquire(&a));
        assert_eq!(processors.lend(), Call::Start(Summons::Waiting));
        processors.seat_started(&b, Summons::Waiting);
        check(&processors, &[&a, &b]);
        assert_eq!(processors.release(&a), None);
        check(&processors, &[&a, &b]);
        assert!(!processors.try_acquire(&a));
        assert_eq!(processors.release(&b), None);
        assert!(processors.try_acquire(&a));
    }

    #[test]
    fn a_free_permit_is_lent_first() {
        let processors = Processors::new(2);
        let [a, b, c] = ['a', 'b', 'c'].map(M::new);
        assert!(processors.try_acquire(&a));
        assert_eq!(processors.lend(), Call::Start(Summons::Waiting));
        processors.seat_started(&b, Summons::Waiting);
        check(&processors, &[&a, &b]);
        assert!(!processors.acquire_or_line_up(&c));
        assert_eq!(processors.give_way(&a), GiveWay::Sleep(Some(c.clone())));
        check(&processors, &[&a, &b, &c]);
    }

    #[test]
    fn a_machine_is_in_one_list_at_most() {
        let processors = Processors::new(1);
        let [a, b] = ['a', 'b'].map(M::new);
        assert!(processors.try_acquire(&a));
        assert!(!processors.acquire_or_line_up(&b));
        assert_eq!(processors.go_idle(&b), None);
        check(&processors, &[&a, &b]);
        assert_eq!(processors.release(&a), None);
        assert!(processors.leave_idle(&b));
        check(&processors, &[&a, &b]);
    }

    #[test]
    fn idle_machines_retire_down_to_the_number_of_processors() {
        let processors = Processors::new(1);
        let [a, b, c] = ['a', 'b', 'c'].map(M::new);
        assert!(processors.try_acquire(&a));
        assert!(!processors.retire(&a, || true));
        for m in [&b, &c] {
            assert_eq!(processors.go_idle(m), None);
        }
        c.seat().set_own(true);
        assert!(!processors.retire(&b, || true));
        assert!(!processors.retire(&c, || true));
        c.seat().set_own(false);
        assert!(!processors.retire(&b, || false));
        let roused = processors.book.lock().roused;
        assert!(processors.retire(&b, || true));
        assert!(!processors.retire(&b, || true));
        assert!(!processors.retire(&c, || true));
        assert_eq!(processors.book.lock().roused, roused);
        check(&processors, &[&a, &b, &c]);
        // It is as if it had never been.
        assert!(processors.census.claim_call() || !processors.census.looks_free());
        assert_eq!(processors.lend(), Call::Wake(c.clone()));
        assert_eq!(processors.lend(), Call::Start(Summons::Waiting));
    }

    #[test]
    fn a_late_retake_sends_its_machine_back_into_the_line() {
        let processors = Processors::new(1);
        let [a, b] = ['a', 'b'].map(M::new);
        assert!(processors.try_acquire(&a));
        assert!(!processors.acquire_or_line_up(&b));
        assert_eq!(processors.release(&a), Some(b.clone()));
        assert!(processors.retake(&b, || true));
        assert_eq!(processors.place_retaken(false), Call::Nobody);
        assert!(processors.acquire_or_line_up(&b));
        check(&processors, &[&a, &b]);
    }

    #[test]
    fn the_total_changes_under_way() {
        let processors = Processors::new(3);
        let [a, b, c, d] = ['a', 'b', 'c', 'd'].map(M::new);
        for m in [&a, &b, &c] {
            assert!(processors.try_acquire(m));
        }
        assert_eq!(processors.set_total(1), (3, vec![]));
        check(&processors, &[&a, &b, &c, &d]);
        assert_eq!(processors.give_way(&a), GiveWay::Sleep(None));
        assert_eq!(processors.release(&b), None);
        check(&processors, &[&a, &b, &c, &d]);
        assert_eq!(processors.set_total(2), (1, vec![a.clone()]));
        assert!(!processors.acquire_or_line_up(&d));
        assert_eq!(processors.release(&a), Some(d.clone()));
        check(&processors, &[&a, &b, &c, &d]);
    }

    #[test]
    fn a_machine_that_did_not_start_leaves_nothing_behind() {
        let processors = Processors::new(1);
        let [a, b] = ['a', 'b'].map(M::new);
        assert!(processors.census.claim_call());
        let call = processors.call_for_work(Summons::New);
        assert_eq!(call, Call::Start(Summons::New));
        processors.seat_started(&a, Summons::Waiting);
        assert_eq!(processors.unseat_started(&a), None);
        check(&processors, &[&a, &b]);
        assert!(processors.census.looks_callable());
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::seats::{M, check};
    use super::{Call, GiveWay, Processors, Summons};
    use crate::idle::Census;
    use crate::shim::{AtomicUsize, Relaxed, model};
    use loom::sync::Arc;
    use loom::thread::spawn;

    /// What a retaker does with the permit in its hand when no machine can
    /// be started.
    fn answer(processors: &Processors<M>, call: Call<M>) {
        if matches!(call, Call::Start(_)) {
            let _next = processors.hand_back();
        }
    }

    /// A stuck machine's permit is taken while it comes back and gives the
    /// permit up itself, and another lines up: the permit is neither lost nor
    /// doubled, and who waits gets it.
    #[test]
    fn a_retaken_permit_is_neither_lost_nor_doubled() {
        model(|| {
            let processors = Arc::new(Processors::new(1));
            let [a, b] = ['a', 'b'].map(M::new);
            assert!(processors.try_acquire(&a));
            let monitor = spawn({
                let (processors, a) = (processors.clone(), a.clone());
                move || {
                    if processors.retake(&a, || true) {
                        let call = processors.place_retaken(true);
                        answer(&processors, call);
                    }
                }
            });
            let waiter = spawn({
                let (processors, b) = (processors.clone(), b.clone());
                move || processors.acquire_or_line_up(&b)
            });
            let _next = processors.release(&a);
            monitor.join().unwrap();
            let at_once = waiter.join().unwrap();
            assert!(!a.has());
            assert!(b.has(), "got it at once: {at_once}");
            check(&processors, &[&a, &b]);
        });
    }

    /// A holder gives way while its permit is retaken and two are in line:
    /// the first in line has it afterwards, and the second not.
    #[test]
    fn the_line_is_first_come_first_served() {
        model(|| {
            let processors = Arc::new(Processors::new(1));
            let [a, b, c] = ['a', 'b', 'c'].map(M::new);
            assert!(processors.try_acquire(&a));
            assert!(!processors.acquire_or_line_up(&b));
            assert!(!processors.acquire_or_line_up(&c));
            let monitor = spawn({
                let (processors, a) = (processors.clone(), a.clone());
                move || {
                    if processors.retake(&a, || true) {
                        let call = processors.place_retaken(false);
                        answer(&processors, call);
                    }
                }
            });
            if processors.give_way(&a) == GiveWay::Keep {
                // It was retaken: back into the line like anybody.
                assert!(!processors.acquire_or_line_up(&a));
            }
            monitor.join().unwrap();
            assert!(b.has() && !c.has() && !a.has());
            check(&processors, &[&a, &b, &c]);
        });
    }

    /// The number of processors shrinks while one holder gives way and
    /// another goes idle: in the end as many hold permits as may.
    #[test]
    fn the_total_is_kept_to() {
        model(|| {
            let processors = Arc::new(Processors::new(2));
            let [a, b] = ['a', 'b'].map(M::new);
            assert!(processors.try_acquire(&a));
            assert!(processors.try_acquire(&b));
            let other = spawn({
                let (processors, b) = (processors.clone(), b.clone());
                move || processors.go_idle(&b)
            });
            let (was, woken) = processors.set_total(1);
            assert_eq!((was, woken.len()), (2, 0));
            let way = processors.give_way(&a);
            let _next = other.join().unwrap();
            check(&processors, &[&a, &b]);
            assert!(a.has() && !b.has(), "{way:?}");
        });
    }

    /// Work is pushed while the only machine goes to sleep: it sees the work
    /// in its second look, or is called, with a permit, and knows then that
    /// it counts as searching. The count of searches is right in the end.
    #[test]
    fn a_called_machine_knows_that_it_searches() {
        model(|| {
            let processors = Arc::new(Processors::new(1));
            let a = M::new('a');
            let queue = Arc::new(AtomicUsize::new(0));
            assert!(processors.try_acquire(&a));
            let producer = spawn({
                let (processors, queue) = (processors.clone(), queue.clone());
                move || {
                    queue.store(1, Relaxed);
                    if !processors.census.claim_call() {
                        return false;
                    }
                    match processors.call_for_work(Summons::Waiting) {
                        Call::Nobody => false,
                        Call::Wake(_) => true,
                        Call::Start(_) => {
                            let _next = processors.hand_back();
                            false
                        }
                    }
                }
            });
            let _next = processors.go_idle(&a);
            Census::before_second_look();
            let seen = queue.load(Relaxed) == 1;
            let has = processors.leave_idle(&a);
            let summoned = a.0.1.take_summons().is_some();
            let woken = producer.join().unwrap();
            let summoned = summoned || a.0.1.take_summons().is_some();
            assert_eq!(
                woken, summoned,
                "a summons without a wake, or a wake without"
            );
            assert!(seen || woken || has, "slept over");
            assert_eq!(processors.census.searching_now(), u32::from(summoned));
            check(&processors, &[&a]);
        });
    }
}
