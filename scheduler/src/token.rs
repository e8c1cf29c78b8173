//! The token of `park`: left by `unpark`, taken by the next `park`.
//!
//! ```text
//!          leave                    leave: the caller unparks
//!   Empty ───────▶ Left     Waiting ──────────────────────▶ Left
//!     ▲  ◀─────── take        ▲  │ stop                       │
//!     │    wait               │  ▼                      clear │
//!     └───────────────────────┴─ Empty ◀─────────────────────┘
//! ```

use crate::shim::{AcqRel, Acquire, AtomicU8, Relaxed};

const EMPTY: u8 = 0;
const LEFT: u8 = 1;
const WAITING: u8 = 2;

/// Invariants
/// 1. Its goroutine alone makes it `Waiting`, and parks then.
/// 2. `Waiting` ends once. Who ends it owes the goroutine its unpark, unless
///    it is the goroutine itself.
/// 3. What was done before `leave` is seen after the `park` that returns for
///    it, also when the token merged with one that was there: each of the
///    two reads the other's swap.
#[derive(Debug)]
pub(crate) struct Token(AtomicU8);

impl Token {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(EMPTY))
    }

    /// By the goroutine: `true` if the token was there and is used up; else
    /// it counts as waiting from here on.
    #[must_use]
    pub(crate) fn take_or_wait(&self) -> bool {
        // ORDER: Acquire on failure pairs with `leave`.
        match self.0.compare_exchange(EMPTY, WAITING, Relaxed, Acquire) {
            Ok(_) => false,
            Err(_) => {
                // ORDER: Acquire, and a swap: a token that comes between the
                // two merges with the one just found, and what was done
                // before it must be seen. A store would hide it.
                let _ = self.0.swap(EMPTY, Acquire);
                true
            }
        }
    }

    /// Leaves the token. On `true` the goroutine waited for it and this call
    /// owes the unpark.
    #[must_use]
    pub(crate) fn leave(&self) -> bool {
        // ORDER: AcqRel: shows the caller's writes to `park`'s return.
        self.0.swap(LEFT, AcqRel) == WAITING
    }

    /// Ends the wait without a token. On `true` nobody owes an unpark for it
    /// but the caller.
    #[must_use]
    pub(crate) fn stop_waiting(&self) -> bool {
        // ORDER: Acquire on failure pairs with `leave`.
        self.0
            .compare_exchange(WAITING, EMPTY, Relaxed, Acquire)
            .is_ok()
    }

    /// After the wake: uses the token up.
    pub(crate) fn clear(&self) {
        // ORDER: Acquire pairs with `leave`.
        let _ = self.0.swap(EMPTY, Acquire);
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::Token;
    use crate::shim::{AtomicBool, AtomicUsize, Relaxed, model};
    use loom::sync::Arc;
    use loom::thread::spawn;

    /// The flag is set before the second token is left, which may merge with
    /// the first: a park that returns once more than tokens were found must
    /// not be needed to see it.
    #[test]
    fn a_token_that_merges_is_not_lost() {
        model(|| {
            let shared = Arc::new((Token::new(), AtomicBool::new(false)));
            assert!(!shared.0.leave());
            let waker = spawn({
                let shared = shared.clone();
                move || {
                    shared.1.store(true, Relaxed);
                    shared.0.leave()
                }
            });
            assert!(shared.0.take_or_wait());
            // `while !flag { park() }`
            let sleeps = !shared.1.load(Relaxed) && !shared.0.take_or_wait();
            let woken = waker.join().unwrap();
            assert!(!sleeps || woken, "asleep for ever beside a set flag");
        });
    }

    /// A deadline and two tokens race for one wait: one of them ends it.
    #[test]
    fn a_wait_ends_once() {
        model(|| {
            let token = Arc::new(Token::new());
            let ends = Arc::new(AtomicUsize::new(0));
            assert!(!token.take_or_wait());
            let wakers = [(); 2].map(|()| {
                let (token, ends) = (token.clone(), ends.clone());
                spawn(move || {
                    if token.leave() {
                        ends.fetch_add(1, Relaxed);
                    }
                })
            });
            if token.stop_waiting() {
                ends.fetch_add(1, Relaxed);
            }
            for waker in wakers {
                waker.join().unwrap();
            }
            assert_eq!(ends.load(Relaxed), 1);
        });
    }

    /// Wakers that call as often as they like, also after the last wait: each
    /// wait is owed one unpark by one of them, or ends by itself, and no call
    /// that comes later is taken for it.
    #[test]
    fn a_late_call_owes_nothing() {
        model(|| {
            let shared = Arc::new((Token::new(), AtomicUsize::new(0)));
            let wakers = [(); 2].map(|()| {
                let shared = shared.clone();
                spawn(move || {
                    if shared.0.leave() {
                        shared.1.fetch_add(1, Relaxed);
                    }
                })
            });
            let mut waited = 0;
            let mut taken = 0;
            for _ in 0..2 {
                if shared.0.take_or_wait() {
                    taken += 1;
                } else if !shared.0.stop_waiting() {
                    // An unpark is on its way.
                    waited += 1;
                    shared.0.clear();
                }
            }
            for waker in wakers {
                waker.join().unwrap();
            }
            assert_eq!(shared.1.load(Relaxed), waited);
            assert!(waited + taken <= 2);
            assert!(!shared.0.leave(), "nobody waits");
        });
    }
}
