//! Goroutines that work on one thing, and may fail.

use super::semaphore::{Permit, Semaphore};
use super::wait_group::WaitGroup;
use crate::context::{CancelFunc, Context};
use crate::shim::Mutex;
use crate::start::with_scheduler;
use raddle_scheduler::{is_panic, look_point, report_caught_panic, resume};
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;

/// Goroutines that work on one thing: waits for all, and gives the first
/// error. Clones are one group, so members can add others.
///
/// # Blocking
/// `wait` parks, and so does `go` at the limit; on a plain OS thread they
/// block the thread. `try_go` never blocks.
///
/// # Panics
/// `wait` goes on with the panic of a member, if one panicked. A line on
/// stderr has said which: its number, its name and where it was spawned.
///
/// # Examples
/// ```
/// use raddle::sync::errgroup::Group;
///
/// raddle::run(|| {
///     let group = Group::new();
///     for n in ["1", "2", "three"] {
///         group.go(move || n.parse::<u32>().map(drop));
///     }
///     let error = group.wait().unwrap_err();
///     assert_eq!(error.to_string(), "invalid digit found in string");
/// });
/// ```
///
/// # Go
/// `golang.org/x/sync/errgroup.Group`.
pub struct Group<E> {
    inner: Arc<Inner<E>>,
}

struct Inner<E> {
    members: WaitGroup,
    state: Mutex<State<E>>,
}

struct State<E> {
    /// Members counted, before they wait for their turn.
    members: usize,
    limit: Option<Semaphore>,
    error: Option<E>,
    panic: Option<Box<dyn Any + Send>>,
    /// Of the context that ends with the first failure, or with `wait`.
    cancel: Option<CancelFunc>,
}

impl<E> State<E> {
    /// What ends the group's context, the first time.
    fn end_context(&mut self) -> Ended {
        Ended(self.cancel.take())
    }
}

impl<E> Inner<E> {
    /// Keeps the first failure of its kind, and ends the context. Whether it
    /// was the first.
    fn fail<F>(&self, kept: impl FnOnce(&mut State<E>) -> &mut Option<F>, failure: F) -> bool {
        let mut state = self.state.lock();
        let first = kept(&mut state);
        let is_first = first.is_none();
        // The one that is not kept is dropped after the lock.
        let _late = match first {
            None => first.replace(failure),
            Some(_) => Some(failure),
        };
        let ended = state.end_context();
        drop(state);
        drop(ended);
        is_first
    }
}

/// Ends a context, once the lock is free.
#[must_use = "to be dropped after the lock"]
struct Ended(Option<CancelFunc>);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(cancel) = &self.0 {
            cancel.cancel();
        }
    }
}

impl<E> Group<E> {
    /// A group of none, without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self::ending(None)
    }

    /// A group of none, and a context for its members: done when the first of
    /// them fails or panics, when `parent` is, and after `wait`.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Examples
    /// ```
    /// use raddle::context::Context;
    /// use raddle::sync::errgroup::Group;
    ///
    /// let (group, context) = Group::with_context(&Context::background());
    /// let stops = context.clone();
    /// group.go(move || {
    ///     let _ended = stops.done().recv();
    ///     Ok(())
    /// });
    /// group.go(|| Err("lost"));
    /// assert_eq!(group.wait(), Err("lost"));
    /// assert!(context.err().is_some());
    /// ```
    ///
    /// # Go
    /// `errgroup.WithContext`.
    #[must_use]
    #[track_caller]
    pub fn with_context(parent: &Context) -> (Self, Context) {
        let (context, cancel) = parent.with_cancel();
        (Self::ending(Some(cancel)), context)
    }

    fn ending(cancel: Option<CancelFunc>) -> Self {
        Self {
            inner: Arc::new(Inner {
                members: WaitGroup::new(),
                state: Mutex::new(State {
                    members: 0,
                    limit: None,
                    error: None,
                    panic: None,
                    cancel,
                }),
            }),
        }
    }

    /// Lets no more than `limit` members run at once: `go` then waits for one
    /// to end. With 0 none runs.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Panics
    /// When the group has members.
    ///
    /// # Go
    /// `Group.SetLimit`; no limit is its negative one.
    pub fn set_limit(&self, limit: usize) {
        let mut state = self.inner.state.lock();
        let members = state.members;
        if members > 0 {
            drop(state);
            panic!("the limit of an errgroup was set while it had {members} members");
        }
        state.limit = Some(Semaphore::new(limit));
    }

    /// Waits until all members have ended. The first error, if there was one
    /// since the last `wait`.
    ///
    /// # Blocking
    /// Parks; on a plain OS thread it blocks the thread.
    ///
    /// # Errors
    /// The first that a member returned.
    ///
    /// # Panics
    /// As the first member did that panicked, with the same payload.
    ///
    /// # Go
    /// `Group.Wait`, which gives the same error again and again.
    pub fn wait(&self) -> Result<(), E> {
        self.inner.members.wait();
        let mut state = self.inner.state.lock();
        let ended = state.end_context();
        let panic = state.panic.take();
        // Beside a panic the error stays, for the next `wait`.
        let error = panic.is_none().then(|| state.error.take()).flatten();
        drop(state);
        drop(ended);
        if let Some(payload) = panic {
            resume(payload);
        }
        error.map_or(Ok(()), Err)
    }
}

impl<E: Send + 'static> Group<E> {
    /// Spawns `f` as a member.
    ///
    /// # Blocking
    /// Parks while as many run as may.
    ///
    /// # Go
    /// `Group.Go`.
    #[track_caller]
    pub fn go<F>(&self, f: F)
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        let site = Location::caller();
        let (member, limit) = self.count_one();
        let permit = limit.map(|limit| limit.acquire(1));
        member.spawn(site, permit, f);
    }

    /// As [`go`](Group::go), unless as many run as may. Whether `f` runs.
    ///
    /// # Blocking
    /// Never; a call that fails may yield when it is made in a loop that
    /// keeps others of its thread waiting for 100 ms.
    ///
    /// # Go
    /// `Group.TryGo`.
    #[must_use = "says whether it runs"]
    #[track_caller]
    pub fn try_go<F>(&self, f: F) -> bool
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        let site = Location::caller();
        let (member, limit) = self.count_one();
        let permit = limit.as_ref().map(|limit| limit.take(1));
        match permit {
            Some(None) => {
                drop(member);
                look_point();
                false
            }
            permit => {
                member.spawn(site, permit.flatten(), f);
                true
            }
        }
    }

    fn count_one(&self) -> (Member<E>, Option<Semaphore>) {
        let mut state = self.inner.state.lock();
        state.members += 1;
        let limit = state.limit.clone();
        drop(state);
        self.inner.members.add(1);
        (Member(self.inner.clone()), limit)
    }
}

/// Counted while it lives.
struct Member<E>(Arc<Inner<E>>);

impl<E: Send + 'static> Member<E> {
    fn spawn<F>(self, site: &'static Location<'static>, permit: Option<Permit>, f: F)
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        let body = move || {
            let member = self;
            let permit = permit;
            match catch_unwind(AssertUnwindSafe(f)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let _is_first = member.0.fail(|state| &mut state.error, error);
                }
                Err(payload) if is_panic(payload.as_ref()) => {
                    // The payload does not say whose it is.
                    let is_first = member.0.fail(|state| &mut state.panic, payload);
                    report_caught_panic(if is_first {
                        "and `wait` of its errgroup goes on with it"
                    } else {
                        "and its errgroup has another's panic to go on with"
                    });
                }
                Err(payload) => resume(payload),
            }
            // Before the count: who waited finds the limit free.
            drop(permit);
            drop(member);
        };
        with_scheduler(|scheduler| drop(crate::go::spawn_on(scheduler, site, body)));
    }
}

impl<E> Drop for Member<E> {
    fn drop(&mut self) {
        self.0.state.lock().members -= 1;
        self.0.members.done();
    }
}

impl<E> Clone for Group<E> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<E> Default for Group<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Group<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").finish_non_exhaustive()
    }
}
