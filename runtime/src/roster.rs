//! Who is to be told of an end: each that is on it when the end comes.

use crate::shim::Mutex;
use std::mem;

/// Members `C`, until an end `E` comes.
///
/// Invariants
/// 1. Before the end a member stands in one place, from `join` to `leave`;
///    the end gives all that are left to who brought it, once.
/// 2. After the end there are no members: who joins is told of it instead.
#[derive(Debug)]
pub(crate) struct Roster<C, E> {
    state: Mutex<State<C, E>>,
}

#[derive(Debug)]
struct State<C, E> {
    end: Option<E>,
    /// Made for the first: most rosters never have one.
    members: Option<Box<Members<C>>>,
}

#[derive(Debug)]
struct Members<C> {
    places: Vec<Place<C>>,
    /// The first free place, or [`NONE`].
    free: usize,
    taken: usize,
}

#[derive(Debug)]
enum Place<C> {
    Taken(C),
    /// The next free place, or [`NONE`].
    Free(usize),
}

const NONE: usize = usize::MAX;

/// So many places keep their memory when all are free.
const KEPT: usize = 16;

impl<C, E: Clone> Roster<C, E> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                end: None,
                members: None,
            }),
        }
    }

    /// Puts `member` on the roster; where it stands. After the end: that, and
    /// nothing is done.
    pub(crate) fn join(&self, member: C) -> Result<usize, E> {
        let mut state = self.state.lock();
        if let Some(end) = &state.end {
            return Err(end.clone());
        }
        let members = state.members.get_or_insert_with(|| {
            Box::new(Members {
                places: Vec::new(),
                free: NONE,
                taken: 0,
            })
        });
        Ok(members.add(member))
    }

    /// Takes the member at `at` off, by whoever joined there; none after the
    /// end.
    pub(crate) fn leave(&self, at: usize) -> Option<C> {
        let mut state = self.state.lock();
        if state.end.is_some() {
            return None;
        }
        let members = state.members.as_mut()?;
        Some(members.remove(at))
    }

    /// The end. The members, who are the caller's to tell, and `first`, which
    /// ran under the lock; none if it has come before.
    pub(crate) fn end<R>(&self, end: E, first: impl FnOnce() -> R) -> Option<(Vec<C>, R)> {
        let mut state = self.state.lock();
        if state.end.is_some() {
            return None;
        }
        state.end = Some(end);
        let members = state.members.take();
        let first = first();
        drop(state);
        let members = members.map(|members| members.all().collect());
        Some((members.unwrap_or_default(), first))
    }

    /// The end, if it has come.
    pub(crate) fn ended(&self) -> Option<E> {
        self.state.lock().end.clone()
    }

    /// Runs `f`, told whether the end has come, which it does not meanwhile.
    pub(crate) fn steady<R>(&self, f: impl FnOnce(bool) -> R) -> R {
        let state = self.state.lock();
        f(state.end.is_some())
    }
}

impl<C> Members<C> {
    fn add(&mut self, member: C) -> usize {
        self.taken += 1;
        if self.free == NONE {
            self.places.push(Place::Taken(member));
            return self.places.len() - 1;
        }
        let at = self.free;
        let was = mem::replace(&mut self.places[at], Place::Taken(member));
        self.free = match was {
            Place::Free(next) => next,
            Place::Taken(_) => unreachable!("a place that is free and taken"),
        };
        at
    }

    fn remove(&mut self, at: usize) -> C {
        let free = Place::Free(self.free);
        let Place::Taken(member) = mem::replace(&mut self.places[at], free) else {
            unreachable!("a member that left twice");
        };
        self.free = at;
        self.taken -= 1;
        if self.taken == 0 {
            self.free = NONE;
            self.places.clear();
            self.places.shrink_to(KEPT);
        }
        member
    }

    fn all(self) -> impl Iterator<Item = C> {
        self.places.into_iter().filter_map(|place| match place {
            Place::Taken(member) => Some(member),
            Place::Free(_) => None,
        })
    }
}

#[cfg(all(test, not(raddle_model)))]
mod tests {
    use super::Roster;

    #[test]
    fn places_are_used_again_and_given_back() {
        let roster = Roster::<u32, ()>::new();
        let places: Vec<usize> = (0..1000).map(|n| roster.join(n).unwrap()).collect();
        for n in (0..1000).step_by(2) {
            assert_eq!(roster.leave(places[n as usize]), Some(n));
        }
        for n in 1000..1500 {
            assert!(roster.join(n).unwrap() < 1000);
        }
        let (mut left, ()) = roster.end((), || ()).unwrap();
        left.sort_unstable();
        let odd = (0..1000).filter(|n| n % 2 == 1);
        assert!(left.into_iter().eq(odd.chain(1000..1500)));
        assert_eq!(roster.join(1), Err(()));
        assert_eq!(roster.leave(places[1]), None);
        assert!(roster.end((), || ()).is_none());
    }

    #[test]
    fn memory_comes_back_when_all_have_left() {
        let roster = Roster::<u32, ()>::new();
        let places: Vec<usize> = (0..100_000).map(|n| roster.join(n).unwrap()).collect();
        for place in places {
            roster.leave(place).unwrap();
        }
        let state = roster.state.lock();
        let members = state.members.as_ref().unwrap();
        assert!(members.places.capacity() <= super::KEPT);
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::Roster;
    use crate::shim::model;
    use raddle_scheduler::model::{Arc, spawn};

    /// Two end it while one joins, and one that has joined leaves: each
    /// member is told by one, or has left, or was told as it came.
    #[test]
    fn everybody_is_told_once() {
        model(|| {
            let roster = Arc::new(Roster::<u32, u32>::new());
            let first = roster.join(1).unwrap();
            let ends = [7, 8].map(|end| {
                let roster = roster.clone();
                spawn(move || roster.end(end, || ()).map(|(told, ())| (end, told)))
            });
            let joins = spawn({
                let roster = roster.clone();
                move || roster.join(2)
            });
            let left = roster.leave(first);
            let joined = joins.join().unwrap();
            let told: Vec<_> = ends
                .into_iter()
                .filter_map(|end| end.join().unwrap())
                .collect();
            let [(end, told)] = &told[..] else {
                panic!("not one end: {told:?}");
            };
            assert_eq!(left.is_none(), told.contains(&1));
            assert_eq!(joined.is_ok(), told.contains(&2));
            assert!(joined.is_ok_and(|_| true) || joined == Err(*end));
            assert_eq!(roster.ended(), Some(*end));
        });
    }
}
