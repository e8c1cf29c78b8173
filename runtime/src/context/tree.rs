//! The tree of contexts that can end.
//!
//! A child holds its parent; a parent knows its children by its roster, but
//! does not hold them, so those that nobody holds are cut off. Ends
//! and drops go from one to the next in a loop: a tree may be deeper than a
//! stack.

use super::{Cause, ContextError};
use crate::chan::{Never, Receiver, Sender, bounded};
use crate::go::spawn_on;
use crate::roster::Roster;
use crate::shim::Mutex;
use crate::start::{try_default_scheduler, with_timer_scheduler};
use raddle_scheduler::{Later, clock};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{
    AtomicU8, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

/// How a context ended.
#[derive(Clone)]
pub(super) struct End {
    error: ContextError,
    cause: Option<Cause>,
}

impl End {
    pub(super) fn new(error: ContextError, cause: Option<Cause>) -> Self {
        Self { error, cause }
    }
}

/// Who is told when a branch ends.
enum Child {
    Branch(Weak<Branch>),
    Call(Arc<Later>),
    /// Of one that was cut off: others wait for its end all the same.
    Done(Sender<Never>),
    /// In its own roster: nobody but its deadline holds it.
    Stump(#[expect(dead_code, reason = "held")] Arc<Branch>),
}

/// A context that can end.
///
/// Invariants
/// 1. `end` of the roster is set once, before `done` is disconnected.
/// 2. It stands in its parent's roster, at `place`, until one of the two ends
///    or it is dropped. One lock of the tree is held at a time.
pub(super) struct Branch {
    parent: Option<Arc<Branch>>,
    place: AtomicUsize,
    deadline: Option<Instant>,
    /// If that is its own, not its parent's.
    timed: Option<Box<Timed>>,
    /// Where it was made.
    site: &'static Location<'static>,
    roster: Roster<Child, End>,
    /// The end's error, for a glance: 0 while there is none.
    glance: AtomicU8,
    /// Made when somebody asks, while the roster stands still.
    gate: OnceLock<Box<Gate>>,
}

/// What ends a branch in time.
struct Timed {
    cause: Option<Cause>,
    /// The last that was set.
    timer: Mutex<Option<Arc<Later>>>,
}

/// Where others wait for the end of a branch.
struct Gate {
    done: Receiver<Never>,
    /// What disconnects `done`, before the end.
    open: Mutex<Option<Sender<Never>>>,
}

const NOWHERE: usize = usize::MAX;
const CANCELED: u8 = 1;
const LATE: u8 = 2;

impl Branch {
    /// A child of `parent`, which may have ended; then it has, too.
    pub(super) fn grow(
        parent: Option<&Arc<Branch>>,
        deadline: Option<Instant>,
        deadline_cause: Option<Cause>,
        site: &'static Location<'static>,
    ) -> Arc<Self> {
        let inherited = parent.and_then(|parent| parent.deadline);
        let own = deadline.filter(|own| inherited.is_none_or(|inherited| *own < inherited));
        let branch = Arc::new(Self {
            parent: parent.cloned(),
            place: AtomicUsize::new(NOWHERE),
            deadline: own.or(inherited),
            timed: own.map(|_| Box::new(Timed::new(deadline_cause))),
            site,
            roster: Roster::new(),
            glance: AtomicU8::new(0),
            gate: OnceLock::new(),
        });
        if let Some(parent) = parent {
            match parent.roster.join(Child::Branch(Arc::downgrade(&branch))) {
                // ORDER: Relaxed: read by who drops or ends it, to whom it is
                // handed on; the parent's end does not read it.
                Ok(place) => branch.place.store(place, Relaxed),
                Err(end) => {
                    branch.end(end);
                    return branch;
                }
            }
        }
        if let (Some(deadline), Some(timed)) = (own, &branch.timed) {
            branch.end_at(deadline, timed);
        }
        branch
    }

    /// Ends it if the time has come, else sets a timer. The runtime of that may
    /// end before: then the default one comes here again.
    fn end_at(self: &Arc<Self>, deadline: Instant, timed: &Timed) {
        if deadline <= Instant::now() {
            self.end_in_time();
            return;
        }
        let (this, site) = (Arc::downgrade(self), self.site);
        let heir = || try_default_scheduler().ok();
        let later = with_timer_scheduler(|scheduler| {
            Later::with_heir(scheduler, heir, move |scheduler, later| {
                if let Some(branch) = this.upgrade() {
                    let look = Look(Some(branch));
                    spawn_on(scheduler, site, move || {
                        let _later = later;
                        look.take();
                    });
                }
            })
        });
        later.set(clock::at(deadline));
        *timed.timer.lock() = Some(later.clone());
        // The end takes what it finds, under that lock.
        if self.error().is_some() {
            later.cancel();
        }
    }

    fn end_if_due(self: &Arc<Self>) {
        if let (Some(deadline), Some(timed)) = (self.deadline, &self.timed) {
            self.end_at(deadline, timed);
        }
    }

    fn end_in_time(self: &Arc<Self>) {
        let cause = self.timed.as_ref().and_then(|timed| timed.cause.clone());
        self.end(End::new(ContextError::DeadlineExceeded, cause));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn done(&self) -> &Receiver<Never> {
        match self.gate.get() {
            Some(gate) => &gate.done,
            None => self.make_gate(),
        }
    }

    #[cold]
    fn make_gate(&self) -> &Receiver<Never> {
        let (open, done) = bounded(0);
        let another_was_first = self.roster.steady(|has_ended| {
            // Who sees `done` of one that has ended finds it disconnected.
            let open = Mutex::new(Some(open).filter(|_| !has_ended));
            // Set within: so the end, which comes later, finds it.
            self.gate.set(Box::new(Gate { done, open }))
        });
        drop(another_was_first);
        self.done()
    }

    /// What disconnects `done`, if anybody asked for that.
    fn close_gate(&self) -> Option<Sender<Never>> {
        self.gate.get().and_then(|gate| gate.open.lock().take())
    }

    fn timer(&self) -> Option<Arc<Later>> {
        self.timed.as_ref().and_then(|timed| timed.timer.lock().clone())
    }

    pub(super) fn error(&self) -> Option<ContextError> {
        // ORDER: Acquire pairs with `end_alone`.
        match self.glance.load(Acquire) {
            0 => None,
            CANCELED => Some(ContextError::Canceled),
            _ => Some(ContextError::DeadlineExceeded),
        }
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        let end = self.roster.ended()?;
        Some(end.cause.unwrap_or_else(|| Arc::new(end.error)))
    }

    /// Ends it, and then all that descend from it, if it has not ended.
    pub(super) fn end(&self, end: End) {
        let Some(children) = self.end_alone(&end) else {
            return;
        };
        self.leave_parent();
        // Parents first.
        let mut left = VecDeque::from(children);
        while let Some(child) = left.pop_front() {
            match child {
                Child::Branch(branch) => {
                    let children = branch.upgrade().and_then(|branch| branch.end_alone(&end));
                    left.extend(children.into_iter().flatten());
                }
                Child::Call(later) => later.start_now(),
                Child::Done(_) | Child::Stump(_) => {}
            }
        }
    }

    /// Ends it; who is to be told.
    fn end_alone(&self, end: &End) -> Option<Vec<Child>> {
        let glance = match end.error {
            ContextError::Canceled => CANCELED,
            ContextError::DeadlineExceeded => LATE,
        };
        let (children, open) = self.roster.end(end.clone(), || {
            // ORDER: Release: who sees it sees what came before the end.
            self.glance.store(glance, Release);
            self.close_gate()
        })?;
        drop(open);
        if let Some(later) = self.timer() {
            later.cancel();
        }
        Some(children)
    }

    fn leave_parent(&self) {
        // ORDER: Relaxed: one of those who come here has the place.
        let place = self.place.swap(NOWHERE, Relaxed);
        if let Some(parent) = &self.parent
            && place != NOWHERE
        {
            drop(parent.roster.leave(place));
        }
    }

    /// Tells `child` of the end, when it comes or if it has come.
    fn adopt(&self, child: Child) {
        let call = match &child {
            Child::Call(later) => Some(later.clone()),
            // Told by being dropped.
            _ => None,
        };
        if self.roster.join(child).is_err()
            && let Some(later) = call
        {
            later.start_now();
        }
    }

    /// Cuts it off, as nobody holds it; its parent, to be dropped by the
    /// caller. Whoever waits for its end, by a function or a clone of `done`,
    /// waits on, at its parent or at a stump that only its deadline holds.
    fn cut_off(&mut self) -> Option<Arc<Branch>> {
        self.leave_parent();
        let parent = self.parent.take();
        let timer = self.timer();
        if let Some(later) = &timer {
            later.cancel();
        }
        let end = End::new(ContextError::Canceled, None);
        // Without children: those hold it. None: it has ended.
        let Some((mut heirs, ())) = self.roster.end(end, || ()) else {
            return parent;
        };
        let open = self.close_gate();
        heirs.extend(open.filter(Sender::__has_other_receivers).map(Child::Done));
        if heirs.is_empty() {
            return parent;
        }
        if timer.is_some() {
            let cause = self.timed.as_mut().and_then(|timed| timed.cause.take());
            let stump = Branch::grow(parent.as_ref(), self.deadline, cause, self.site);
            heirs.push(Child::Stump(stump.clone()));
            heirs.into_iter().for_each(|heir| stump.adopt(heir));
        } else if let Some(parent) = &parent {
            heirs.into_iter().for_each(|heir| parent.adopt(heir));
        } else {
            for heir in heirs {
                if let Child::Done(open) = heir {
                    // Nobody can end it any more, so it does not.
                    open.__abandon();
                }
            }
        }
        parent
    }
}

/// A look whether a branch is due, by a goroutine. If that is never run, as
/// its runtime ends, another of the default runtime takes it.
struct Look(Option<Arc<Branch>>);

impl Look {
    fn take(mut self) {
        if let Some(branch) = self.0.take() {
            branch.end_if_due();
        }
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        if let Some(branch) = self.0.take()
            && let Ok(scheduler) = try_default_scheduler()
        {
            spawn_on(scheduler, branch.site, move || branch.end_if_due());
        }
    }
}

impl Timed {
    fn new(cause: Option<Cause>) -> Self {
        Self {
            cause,
            timer: Mutex::new(None),
        }
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        let mut up = self.cut_off();
        while let Some(mut last) = up.and_then(Arc::into_inner) {
            up = last.cut_off();
        }
    }
}

/// A call that waits for the end of a context: of
/// [`Context::after_func`](super::Context::after_func). Dropping it changes
/// nothing.
///
/// # Blocking
/// Never.
///
/// # Go
/// None; `context.AfterFunc` returns its `stop` alone.
pub struct AfterFunc {
    call: Arc<Call>,
    /// Where it waits, if that can end.
    stands: Option<(Weak<Branch>, usize)>,
}

/// The function, until it is called or stopped.
struct Call(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Call {
    fn take(&self) -> Option<Box<dyn FnOnce() + Send>> {
        self.0.lock().take()
    }
}

impl AfterFunc {
    pub(super) fn new(
        branch: Option<&Arc<Branch>>,
        f: Box<dyn FnOnce() + Send>,
        site: &'static Location<'static>,
    ) -> Self {
        let call = Arc::new(Call(Mutex::new(Some(f))));
        let stands = branch.and_then(|branch| {
            let this = call.clone();
            let later = with_timer_scheduler(|scheduler| {
                Later::new(scheduler, move |scheduler, later| {
                    if let Some(f) = this.take() {
                        spawn_on(scheduler, site, move || {
                            let _later = later;
                            f();
                        });
                    }
                })
            });
            match branch.roster.join(Child::Call(later.clone())) {
                Ok(place) => Some((Arc::downgrade(branch), place)),
                Err(_has_ended) => {
                    later.start_now();
                    None
                }
            }
        });
        Self { call, stands }
    }

    /// Keeps the function from being called. Whether it was: not if it has
    /// been stopped before, or has begun.
    ///
    /// # Blocking
    /// Never; a function that has begun is not waited for.
    ///
    /// # Go
    /// The function that `context.AfterFunc` returns.
    pub fn stop(&self) -> bool {
        let Some(f) = self.call.take() else {
            return false;
        };
        if let Some((branch, place)) = &self.stands
            && let Some(branch) = branch.upgrade()
        {
            drop(branch.roster.leave(*place));
        }
        drop(f);
        true
    }
}

impl fmt::Debug for AfterFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("AfterFunc { .. }")
    }
}

// Locks are held for a few instructions of ours, which do not panic.
impl UnwindSafe for AfterFunc {}
impl RefUnwindSafe for AfterFunc {}
impl UnwindSafe for Branch {}
impl RefUnwindSafe for Branch {}
