//! The same work asked for by many at once is done once.

use super::mutex::Mutex;
use super::shared_panic::SharedPanic;
use super::wait_group::WaitGroup;
use crate::shim;
use crate::start::with_scheduler;
use raddle_chan::{Receiver, Sender, bounded};
use raddle_scheduler::{is_panic, report_caught_panic, resume};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;

/// Does work by key, once for all who ask for it while it is under way. Then
/// the key is free again: this is no cache. Clones are one group.
///
/// # Blocking
/// `work` parks while another does the work; on a plain OS thread it blocks
/// the thread. `work_chan` and `forget` never block.
///
/// # Panics
/// `work` goes on with the panic of the closure that did the work, in every
/// caller: in one with its payload, in others with the same text.
///
/// # Examples
/// ```
/// use raddle::sync::singleflight::Group;
///
/// let group = Group::new();
/// let (length, shared) = group.work("weft", || "weft".len());
/// assert_eq!((length, shared), (4, false));
/// ```
///
/// # Go
/// `golang.org/x/sync/singleflight.Group`; `work` is `Do`.
pub struct Group<K, V> {
    calls: Arc<Calls<K, V>>,
}

type Calls<K, V> = shim::Mutex<HashMap<Arc<K>, Arc<Call<V>>>>;

/// Work under way.
struct Call<V> {
    end: WaitGroup,
    joined: shim::Mutex<Joined<V>>,
    /// Set before `end`, by who works; before that nobody else looks. `None`
    /// afterwards: who worked was ended with its goroutine.
    result: Mutex<Option<Result<V, Arc<SharedPanic>>>>,
}

/// Who wants the result beside the one who works.
struct Joined<V> {
    others: usize,
    receivers: Vec<Sender<(V, bool)>>,
}

/// What a caller is to do.
enum Role<V> {
    Work(Arc<Call<V>>),
    Wait(Arc<Call<V>>),
}

impl<V> Call<V> {
    fn new(receiver: Option<Sender<(V, bool)>>) -> Arc<Self> {
        let end = WaitGroup::new();
        end.add(1);
        Arc::new(Self {
            end,
            joined: shim::Mutex::new(Joined {
                others: 0,
                receivers: receiver.into_iter().collect(),
            }),
            result: Mutex::new(None),
        })
    }

    fn join(&self, receiver: Option<Sender<(V, bool)>>) {
        let mut joined = self.joined.lock();
        joined.others += 1;
        joined.receivers.extend(receiver);
    }

    fn set(&self, result: Result<V, Arc<SharedPanic>>) {
        let place = self.result.try_lock();
        *place.expect("nobody looks before the end") = Some(result);
    }
}

impl<K, V> Group<K, V> {
    /// With nothing under way.
    #[must_use]
    pub fn new() -> Self {
        Self {
            calls: Arc::new(shim::Mutex::new(HashMap::new())),
        }
    }
}

impl<K: Hash + Eq, V: Clone> Group<K, V> {
    /// The value of `f`, or of another's closure for the same key if one is
    /// under way. Beside it, whether more than one caller has it.
    ///
    /// If who does the work is ended with its goroutine, by
    /// [`goexit`](crate::goexit) or the end of its runtime, another of those
    /// who wait does it.
    ///
    /// # Blocking
    /// Parks while another does the work. To ask for the key within its own
    /// work is to wait for oneself.
    ///
    /// # Panics
    /// As the closure that did the work. If others wait for it, a line on
    /// stderr says whose it was.
    ///
    /// # Go
    /// `Group.Do`.
    pub fn work(&self, key: K, f: impl FnOnce() -> V) -> (V, bool) {
        let key = Arc::new(key);
        loop {
            match self.role(&key, None) {
                Role::Work(call) => return self.do_work(&key, &call, f),
                Role::Wait(call) => {
                    call.end.wait();
                    let result = call.result.lock();
                    match &*result {
                        Some(Ok(value)) => return (value.clone(), true),
                        Some(Err(panic)) => {
                            let panic = panic.clone();
                            drop(result);
                            panic.resume();
                        }
                        None => {}
                    }
                }
            }
        }
    }

    /// Lets the next who asks for `key` do the work anew, though it may be
    /// under way.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Go
    /// `Group.Forget`.
    pub fn forget(&self, key: &K) {
        let removed = self.calls.lock().remove_entry(key);
        drop(removed);
    }

    /// Joins the work under way, or begins it. A `receiver` is for who will
    /// not wait here.
    fn role(&self, key: &Arc<K>, receiver: Option<Sender<(V, bool)>>) -> Role<V> {
        let mut calls = self.calls.lock();
        match calls.entry(key.clone()) {
            Entry::Vacant(vacant) => Role::Work(vacant.insert(Call::new(receiver)).clone()),
            Entry::Occupied(occupied) => {
                occupied.get().join(receiver);
                Role::Wait(occupied.get().clone())
            }
        }
    }

    fn do_work(&self, key: &Arc<K>, call: &Arc<Call<V>>, f: impl FnOnce() -> V) -> (V, bool) {
        let ends = Ends {
            group: self,
            key,
            call,
        };
        let result = catch_unwind(AssertUnwindSafe(f));
        ends.free();
        // Nobody joins any more.
        let mut joined = call.joined.lock();
        let is_shared = joined.others > 0;
        let receivers = std::mem::take(&mut joined.receivers);
        drop(joined);
        match result {
            Ok(value) => {
                for receiver in receivers {
                    let _nobody_waits = receiver.try_send((value.clone(), is_shared));
                }
                if is_shared {
                    call.set(Ok(value.clone()));
                }
                (value, is_shared)
            }
            Err(payload) if is_panic(payload.as_ref()) => {
                if is_shared {
                    // Others have its payload, which does not say whose it is.
                    report_caught_panic("and those who share its work go on with it");
                }
                let panic = Arc::new(SharedPanic::new(payload));
                call.set(Err(panic.clone()));
                drop(ends);
                panic.resume()
            }
            Err(payload) => resume(payload),
        }
    }
}

/// Frees the key and lets those who wait go on, whatever happens.
struct Ends<'a, K: Hash + Eq, V: Clone> {
    group: &'a Group<K, V>,
    key: &'a Arc<K>,
    call: &'a Arc<Call<V>>,
}

impl<K: Hash + Eq, V: Clone> Ends<'_, K, V> {
    /// The key is free, unless it was forgotten and begun anew.
    fn free(&self) {
        let mut calls = self.group.calls.lock();
        let is_this = |it: &Arc<Call<V>>| Arc::ptr_eq(it, self.call);
        let mut removed = None;
        if calls.get(&**self.key).is_some_and(is_this) {
            removed = calls.remove_entry(&**self.key);
        }
        drop(calls);
        drop(removed);
    }
}

impl<K: Hash + Eq, V: Clone> Drop for Ends<'_, K, V> {
    fn drop(&mut self) {
        self.free();
        self.call.end.done();
    }
}

impl<K, V> Group<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// As [`work`](Group::work), in a goroutine of its own; a channel
    /// delivers the result. It is disconnected without one if the work
    /// panics.
    ///
    /// # Blocking
    /// Never; receiving from it does.
    ///
    /// # Examples
    /// ```
    /// use raddle::sync::singleflight::Group;
    ///
    /// let group = Group::new();
    /// let one = group.work_chan("weft", || "weft".len());
    /// assert_eq!(one.recv().map(|(length, _shared)| length), Ok(4));
    /// ```
    ///
    /// # Go
    /// `Group.DoChan`.
    #[track_caller]
    pub fn work_chan<F>(&self, key: K, f: F) -> Receiver<(V, bool)>
    where
        F: FnOnce() -> V + Send + 'static,
    {
        let site = Location::caller();
        let (sender, receiver) = bounded(1);
        let key = Arc::new(key);
        if let Role::Work(call) = self.role(&key, Some(sender)) {
            let group = self.clone();
            let body = move || {
                let _sent = group.do_work(&key, &call, f);
            };
            with_scheduler(|scheduler| drop(crate::go::spawn_on(scheduler, site, body)));
        }
        receiver
    }
}

impl<K, V> Clone for Group<K, V> {
    fn clone(&self) -> Self {
        Self {
            calls: self.calls.clone(),
        }
    }
}

impl<K, V> Default for Group<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for Group<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").finish_non_exhaustive()
    }
}
