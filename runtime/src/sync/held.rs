//! Which locks the caller holds, and where it took them: for the search for
//! goroutines that wait for each other's (`raddle_scheduler::locks`).
//!
//! Each goroutine and each thread keeps a list for itself, which nobody else
//! reads. A lock has a number, so that no list is believed that is out of
//! date: whoever gives back what is not on their own list takes the number
//! away, and with it all that was noted of the lock.

#[cfg(not(raddle_model))]
pub(crate) use noted::{
    Kind, Lent, Mode, Tag, Want, became, gave_back, said_where, saying_where, took, wait_for,
};
#[cfg(raddle_model)]
pub(crate) use unseen::{Kind, Lent, Mode, Tag, Want, wait_for};

use std::panic::Location;

pub(crate) type Site = &'static Location<'static>;

/// Who asks for a lock: which, for what, where.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) tag: &'a Tag,
    pub(crate) kind: Kind,
    pub(crate) want: Want,
    pub(crate) site: Site,
}

#[cfg(not(raddle_model))]
mod noted {
    use super::{Ask, Site};
    use crate::goroutine_local::LocalKey;
    use crate::shim::{AtomicU32, Reason, Relaxed};
    use crate::sync::notes;
    use crate::sync::wait_queue::Until;
    use raddle_scheduler::locks::{self, Asked, Held, LockId, Standing};
    use raddle_scheduler::{Scheduler, with_current_scheduler};
    use std::cell::RefCell;

    pub(crate) use raddle_scheduler::locks::{Kind, Mode, Want};

    /// A lock's number, once it has been noted anywhere. It is the lock's and
    /// not its place's: it moves and ends with it.
    #[derive(Debug)]
    pub(crate) struct Tag(AtomicU32);

    impl Tag {
        pub(crate) const fn new() -> Self {
            Self(AtomicU32::new(0))
        }

        fn id(&self) -> LockId {
            // ORDER: Relaxed, both: a number that says nothing of others.
            match self.0.load(Relaxed) {
                0 => {
                    let new = locks::next_id();
                    match self.0.compare_exchange(0, new, Relaxed, Relaxed) {
                        Ok(_) => new,
                        Err(other) => other,
                    }
                }
                id => id,
            }
        }
    }

    /// Of the calling goroutine or thread.
    static HELD: LocalKey<RefCell<List>> = LocalKey::__new(RefCell::default);

    #[derive(Default)]
    struct List {
        /// In the order of taking.
        held: Vec<Held>,
        /// Where the next lock is taken, if that was said beforehand.
        site: Option<Site>,
    }

    /// So many are kept on a list; guards that were forgotten stay there.
    const MOST: usize = 256;

    fn is_wanted_here() -> bool {
        notes::are_for(notes::CYCLES)
            && with_current_scheduler(|current| current.is_none_or(Scheduler::checks_locks))
    }

    /// Runs `f` with the caller's list; `None`: there is none any more.
    fn with_list<R>(f: impl FnOnce(&mut List) -> R) -> Option<R> {
        let with = HELD.try_with(|list| list.try_borrow_mut().ok().map(|mut list| f(&mut list)));
        with.ok().flatten()
    }

    /// Runs `take`, which takes a lock for `site`, or has it already.
    #[inline]
    pub(crate) fn saying_where<R>(site: Site, take: impl FnOnce() -> R) -> R {
        if !notes::are_for(notes::CYCLES) {
            return take();
        }
        let _said = with_list(|list| list.site = Some(site));
        let taken = take();
        let _nobody_asked = with_list(|list| list.site = None);
        taken
    }

    /// What `saying_where` was told for this lock; if nothing, `site`.
    #[inline]
    pub(crate) fn said_where(site: Site) -> Site {
        if !notes::are_for(notes::CYCLES) {
            return site;
        }
        with_list(|list| list.site.take()).flatten().unwrap_or(site)
    }

    /// The caller has taken it.
    pub(crate) fn took(tag: &Tag, mode: Mode, site: Site) {
        if !is_wanted_here() {
            return;
        }
        let held = Held {
            lock: tag.id(),
            mode,
            site,
        };
        let _noted = with_list(|list| {
            if list.held.len() == MOST {
                list.held.remove(0);
            }
            list.held.push(held);
        });
    }

    /// The caller is about to give it back.
    pub(crate) fn gave_back(tag: &Tag, mode: Mode) {
        take_off(tag, mode);
    }

    /// Where the caller took it, if it is on the list, from which it goes.
    fn take_off(tag: &Tag, mode: Mode) -> Option<Site> {
        // ORDER: Relaxed: as in `id`.
        let lock = tag.0.load(Relaxed);
        if lock == 0 {
            return None;
        }
        let found = with_list(|list| {
            let is_it = |held: &Held| held.lock == lock && held.mode == mode;
            let at = list.held.iter().rposition(is_it)?;
            Some(list.held.remove(at).site)
        });
        let site = found.flatten();
        if site.is_none() {
            // Another's, or one that was taken before anybody noted.
            // ORDER: Relaxed: as in `id`.
            tag.0.store(0, Relaxed);
            locks::disown(lock);
        }
        site
    }

    /// The caller holds it in another way from now on.
    pub(crate) fn became(tag: &Tag, from: Mode, to: Mode) {
        if let Some(site) = take_off(tag, from) {
            took(tag, to, site);
        }
    }

    /// A lock that its holder does without for a while.
    #[derive(Debug)]
    pub(crate) struct Lent<'a> {
        tag: &'a Tag,
        mode: Mode,
        site: Option<Site>,
    }

    impl<'a> Lent<'a> {
        /// Until it is dropped, by who has the lock then, as before.
        #[inline]
        pub(crate) fn begin(tag: &'a Tag, mode: Mode) -> Self {
            let is_noted = notes::are_for(notes::CYCLES);
            let site = is_noted.then(|| take_off(tag, mode)).flatten();
            Self { tag, mode, site }
        }
    }

    impl Drop for Lent<'_> {
        #[inline]
        fn drop(&mut self) {
            if let Some(site) = self.site {
                took(self.tag, self.mode, site);
            }
        }
    }

    /// The caller is about to wait, for as long as it takes. What it gets
    /// lives as long as the wait.
    pub(crate) fn wait_for(ask: Ask<'_>, reason: Reason, until: Until) -> Option<Standing> {
        if matches!(until, Until::Deadline(_)) || !is_wanted_here() {
            return None;
        }
        let asked = Asked {
            lock: ask.tag.id(),
            kind: ask.kind,
            want: ask.want,
            site: ask.site,
            reason,
        };
        let held = with_list(|list| list.held.clone()).unwrap_or_default();
        Some(Standing::begin(asked, &held))
    }
}

/// Models are about the locks, and not about what is noted of them.
#[cfg(raddle_model)]
mod unseen {
    use super::Ask;
    use crate::shim::Reason;
    use crate::sync::wait_queue::Until;
    use std::marker::PhantomData;

    #[derive(Clone, Copy)]
    pub(crate) enum Kind {
        Mutex,
        RwLock,
    }

    #[derive(Clone, Copy)]
    pub(crate) enum Mode {
        Alone,
    }

    #[derive(Clone, Copy)]
    pub(crate) enum Want {
        Alone,
        Upgradable,
        Gate,
        Read,
        ReadBeside,
    }

    #[derive(Debug)]
    pub(crate) struct Tag;

    impl Tag {
        pub(crate) fn new() -> Self {
            Self
        }
    }

    pub(crate) struct Lent<'a>(PhantomData<&'a Tag>);

    impl<'a> Lent<'a> {
        pub(crate) fn begin(_tag: &'a Tag, _mode: Mode) -> Self {
            Self(PhantomData)
        }
    }

    pub(crate) fn wait_for(_ask: Ask<'_>, _reason: Reason, _until: Until) -> Option<()> {
        None
    }
}
