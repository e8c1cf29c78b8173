//! The machines of one runtime by number, and who may have something to take.
//!
//! Machines come one by one and stay to the end, so a number is good for
//! ever. Beside each stands a bit, its *stall*: open while others may find
//! something in its queue or its next slot. Where hundreds of machines rest or
//! are in calls that block, a search looks at the few whose stall is open.
//!
//! A machine opens and closes its own stall, and nobody else's:
//!
//! 1. it opens before it puts anything into its queue or next slot;
//! 2. it closes only when both are empty, and puts nothing there before it
//!    opens again.
//!
//! So an open stall may be empty, and a closed one never hides anything; nor
//! in a race. Who pushes has opened before, and between the push and the look
//! for somebody to call stands its fence (`idle.rs`). Who sleeps looks at the
//! stalls after a fence of its own. If the pusher's fence is first, opening
//! and push both come before the sleeper's looks: it finds the stall open and
//! the work in it, unless the owner has closed since, and then the work was
//! gone by 2. If the sleeper's is first, the pusher sees whom to call. A word
//! holds 64 stalls; what others do with theirs leaves ours as it is, as every
//! write exchanges the whole word.

use crate::shim::{Acquire, AtomicU64, AtomicUsize, Mutex, Relaxed, Release};
use std::sync::OnceLock;

/// Things in a block, and stalls in a word.
const BLOCK: usize = 64;
/// Row `n` holds `2^n` blocks; all rows, more than a process has threads.
const ROWS: usize = 26;

/// Things that are added one by one and stay.
pub(crate) struct Table<T> {
    len: AtomicUsize,
    rows: [OnceLock<Box<[Block<T>]>>; ROWS],
    /// Held while one is added.
    adding: Mutex<()>,
}

struct Block<T> {
    stalls: Stalls,
    things: [OnceLock<T>; BLOCK],
}

/// Bits that machines write when they fall asleep and when they wake: away
/// from what all read.
#[repr(align(128))]
struct Stalls(AtomicU64);

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self {
            len: AtomicUsize::new(0),
            rows: [const { OnceLock::new() }; ROWS],
            adding: Mutex::new(()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        // ORDER: Acquire pairs with `add`: those below the number are there.
        self.len.load(Acquire)
    }

    /// Adds what `make` makes for the next number, if there are fewer than
    /// `most`. Its stall is closed.
    pub(crate) fn add(&self, most: usize, make: impl FnOnce(usize) -> T) -> Option<&T> {
        let _adding = self.adding.lock();
        // ORDER: Relaxed: written under the lock.
        let number = self.len.load(Relaxed);
        if number >= most {
            return None;
        }
        let (row, at) = place(number / BLOCK);
        let blocks = || (0..1 << row).map(|_| Block::new()).collect();
        let block = &self.rows.get(row)?.get_or_init(blocks)[at];
        let thing = block.things[number % BLOCK].get_or_init(|| make(number));
        // ORDER: Release: who sees the number finds the thing.
        self.len.store(number + 1, Release);
        Some(thing)
    }

    /// All of them, as of now.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len())
            .filter_map(|number| self.block(number / BLOCK)?.things[number % BLOCK].get())
    }

    /// Opens a stall; by its owner.
    pub(crate) fn open(&self, number: usize) {
        if let Some(block) = self.block(number / BLOCK) {
            // ORDER: Release: who sees it open finds the owner. The fence
            // before the look for somebody to call does the rest.
            block.stalls.0.fetch_or(1 << (number % BLOCK), Release);
        }
    }

    /// Closes a stall; by its owner, who has nothing there.
    pub(crate) fn close(&self, number: usize) {
        if let Some(block) = self.block(number / BLOCK) {
            // ORDER: Release: whoever relies on it being closed sees that the
            // work is gone.
            block.stalls.0.fetch_and(!(1 << (number % BLOCK)), Release);
        }
    }

    /// Whether a stall is open.
    pub(crate) fn is_open(&self, number: usize) -> bool {
        // ORDER: Acquire pairs with `close`.
        self.block(number / BLOCK)
            .is_some_and(|block| block.stalls.0.load(Acquire) >> (number % BLOCK) & 1 == 1)
    }

    /// Those whose stall is open, beginning about `start`.
    pub(crate) fn open_from(&self, start: usize) -> impl Iterator<Item = &T> {
        let blocks = self.len().div_ceil(BLOCK);
        let (first, turn) = (start / BLOCK, start % BLOCK);
        (0..blocks)
            .filter_map(move |n| self.block((first + n) % blocks))
            .flat_map(move |block| block.open_from(turn))
    }

    fn block(&self, number: usize) -> Option<&Block<T>> {
        let (row, at) = place(number);
        self.rows.get(row)?.get()?.get(at)
    }
}

impl<T> Block<T> {
    fn new() -> Self {
        Self {
            stalls: Stalls(AtomicU64::new(0)),
            things: [const { OnceLock::new() }; BLOCK],
        }
    }

    fn open_from(&self, turn: usize) -> impl Iterator<Item = &T> {
        // ORDER: Acquire pairs with `open`. Before a sleep a fence has ordered
        // it.
        let mut left = self.stalls.0.load(Acquire).rotate_right(turn as u32);
        std::iter::from_fn(move || {
            let at = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some((at + turn) % BLOCK)
        })
        .filter_map(|at| self.things[at].get())
    }
}

/// The row of a block, and its place there.
fn place(block: usize) -> (usize, usize) {
    let row = (block + 1).ilog2();
    (row as usize, block + 1 - (1 << row))
}

#[cfg(all(test, not(raddle_model)))]
mod tests {
    use super::Table;

    #[test]
    fn a_number_is_good_for_ever() {
        let table = Table::new();
        for number in 0..1000 {
            assert_eq!(table.add(1000, |number| number), Some(&number));
        }
        assert_eq!(table.add(1000, |number| number), None);
        assert_eq!(table.len(), 1000);
        assert!(table.iter().copied().eq(0..1000));
    }

    #[test]
    fn open_stalls_are_found_from_anywhere_once() {
        let table = Table::new();
        while table.add(500, |number| number).is_some() {}
        let open = [0, 1, 63, 64, 130, 191, 192, 447, 448, 499];
        for number in open {
            table.open(number);
            table.open(number);
        }
        table.open(300);
        table.close(300);
        for start in 0..500 {
            let mut found: Vec<_> = table.open_from(start).copied().collect();
            if open.contains(&start) {
                assert_eq!(found[0], start);
            }
            found.sort_unstable();
            assert_eq!(found, open);
        }
    }

    #[test]
    fn nothing_is_found_in_an_empty_table() {
        let table = Table::<u8>::new();
        assert_eq!(table.open_from(7).next(), None);
        assert_eq!(table.iter().next(), None);
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::Table;
    use crate::idle::Census;
    use crate::shim::{AcqRel, Acquire, AtomicUsize, Relaxed, model};
    use loom::sync::Arc;
    use loom::thread::spawn;

    /// What the stalls are about: how much lies in each.
    fn table(of: usize) -> Arc<Table<AtomicUsize>> {
        let table = Table::new();
        for _ in 0..of {
            table.add(of, |_| AtomicUsize::new(0));
        }
        Arc::new(table)
    }

    fn sees_work(table: &Table<AtomicUsize>) -> bool {
        // ORDER: Relaxed: a fence came before.
        table.open_from(0).any(|queue| queue.load(Relaxed) > 0)
    }

    fn take(queue: &AtomicUsize) -> bool {
        // ORDER: AcqRel, Acquire: as a deque's.
        queue.compare_exchange(1, 0, AcqRel, Acquire).is_ok()
    }

    /// One opens its stall and pushes while another opens and closes its own
    /// in the same word, and a third gives its processor up: the work is seen
    /// by the second look, or its producer calls.
    #[test]
    fn work_in_a_stall_is_not_slept_over() {
        model(|| {
            let (census, table) = (Arc::new(Census::new()), table(2));
            let producer = spawn({
                let (census, table) = (census.clone(), table.clone());
                move || {
                    table.open(0);
                    // ORDER: Relaxed: the fence follows.
                    table.iter().next().unwrap().store(1, Relaxed);
                    census.claim_call()
                }
            });
            let other = spawn({
                let table = table.clone();
                move || {
                    table.open(1);
                    table.close(1);
                }
            });
            census.set_free(0, 1);
            Census::before_second_look();
            let seen = sees_work(&table);
            let called = producer.join().unwrap();
            other.join().unwrap();
            assert!(seen || called);
        });
    }

    /// A machine whose work a thief takes closes, opens again and pushes more
    /// while another gives its processor up: what is left in the end was seen,
    /// or somebody was called.
    #[test]
    fn a_stall_that_closes_hides_nothing() {
        model(|| {
            let (census, table) = (Arc::new(Census::new()), table(1));
            let owner = spawn({
                let (census, table) = (census.clone(), table.clone());
                move || {
                    let queue = table.iter().next().unwrap();
                    let mut called = false;
                    for _ in 0..2 {
                        table.open(0);
                        // ORDER: Relaxed: the fence follows.
                        let was = queue.swap(1, AcqRel);
                        called |= census.claim_call();
                        if was == 1 || queue.load(Acquire) > 0 {
                            break;
                        }
                        table.close(0);
                    }
                    called
                }
            });
            let thief = spawn({
                let table = table.clone();
                move || table.open_from(0).any(take)
            });
            census.set_free(0, 1);
            Census::before_second_look();
            let seen = sees_work(&table);
            let called = owner.join().unwrap();
            let _took = thief.join().unwrap();
            // ORDER: Relaxed: all is quiet.
            let left = table.iter().next().unwrap().load(Relaxed) > 0;
            assert!(!left || seen || called);
        });
    }
}
