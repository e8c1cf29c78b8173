//! What stacks ask of the system: address space, guards, pages.

use crate::shim::Relaxed;
#[cfg(any(test, target_os = "linux"))]
use crate::shim::fixed::AtomicBool;
use crate::shim::fixed::AtomicUsize;
use std::io;
use std::ptr;

/// The system's page; 4 KiB nearly everywhere.
pub(crate) fn page_size() -> usize {
    // SAFETY: asks only.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// A piece of reserved memory, in whole pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) len: usize,
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Address space for stacks: readable and writable, with no memory behind it.
/// `Err` is the system's number.
pub(super) fn reserve(len: usize) -> Result<usize, i32> {
    // Without access at first: where the program has locked what it will map
    // (mlockall), the system would fill an accessible mapping at once.
    #[cfg(target_os = "linux")]
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    #[cfg(not(target_os = "linux"))]
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
    // SAFETY: a new mapping, where the system likes.
    let memory = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
    if memory == libc::MAP_FAILED {
        return Err(errno());
    }
    #[cfg(target_os = "linux")]
    lock_on_fault(memory, len);
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: mapped above, known to nobody else.
    if unsafe { libc::mprotect(memory, len, access) } != 0 {
        let error = errno();
        // SAFETY: as above.
        unsafe { libc::munmap(memory, len) };
        return Err(error);
    }
    #[cfg(target_os = "linux")]
    mark(memory, len);
    Ok(memory as usize)
}

/// Locked memory is filled as a whole; ours shall be locked as it is touched.
#[cfg(target_os = "linux")]
fn lock_on_fault(memory: *mut libc::c_void, len: usize) {
    const MLOCK_ONFAULT: libc::c_int = 1;
    // Of a fresh private mapping only a locked one refuses this.
    // SAFETY: mapped by the caller; there is nothing in it.
    if unsafe { libc::madvise(memory, page_size(), libc::MADV_DONTNEED) } == 0 {
        return;
    }
    // SAFETY: takes numbers, and changes no content.
    let done = unsafe { libc::syscall(libc::SYS_mlock2, memory, len, MLOCK_ONFAULT) } == 0;
    if !done {
        // A stack that may be swapped is better than memory full of stacks.
        // SAFETY: as above.
        unsafe { libc::munlock(memory, len) };
    }
}

/// No huge pages: one would be resident for each stack that is touched at
/// all. And a name, the same for all, so that neighbours become one mapping.
/// What an older system refuses here it can do without.
#[cfg(target_os = "linux")]
fn mark(memory: *mut libc::c_void, len: usize) {
    const PR_SET_VMA: libc::c_int = 0x5356_4d41;
    const PR_SET_VMA_ANON_NAME: libc::c_ulong = 0;
    // SAFETY: changes no content.
    unsafe { libc::madvise(memory, len, libc::MADV_NOHUGEPAGE) };
    let name = c"raddle stacks";
    // SAFETY: changes no content; the name is copied.
    unsafe { libc::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, memory, len, name.as_ptr()) };
}

/// Guards that were made, by kind.
pub(super) static BY_MARKER: AtomicUsize = AtomicUsize::new(0);
/// Each splits a mapping.
pub(super) static BY_MPROTECT: AtomicUsize = AtomicUsize::new(0);

/// Why a guard could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoGuard {
    /// The system's number.
    Refused(i32),
    /// One more would leave the program too few mappings.
    TooManyMappings,
}

/// Makes `pieces` inaccessible for ever; says how many of them, from the
/// first, and why not all.
///
/// # Safety
/// 1. Reserved here, and used by nobody.
pub(super) unsafe fn guard(pieces: &[Piece]) -> (usize, Option<NoGuard>) {
    // SAFETY: 1.
    if unsafe { advise_together(pieces, advice::GUARD) } {
        // ORDER: Relaxed: a statistic.
        BY_MARKER.fetch_add(pieces.len(), Relaxed);
        return (pieces.len(), None);
    }
    for (done, piece) in pieces.iter().enumerate() {
        // SAFETY: 1.
        if unsafe { advise(*piece, advice::GUARD) } {
            // ORDER: Relaxed: a statistic.
            BY_MARKER.fetch_add(1, Relaxed);
            continue;
        }
        // An older system, or locked memory.
        // ORDER: Relaxed: a count; that machines may pass the limit by a few
        // is what the room left is for.
        if BY_MPROTECT.load(Relaxed) >= most_splits() {
            return (done, Some(NoGuard::TooManyMappings));
        }
        let start = piece.start as *mut libc::c_void;
        // SAFETY: 1.
        if unsafe { libc::mprotect(start, piece.len, libc::PROT_NONE) } != 0 {
            return (done, Some(NoGuard::Refused(errno())));
        }
        // ORDER: Relaxed: as above.
        BY_MPROTECT.fetch_add(1, Relaxed);
    }
    (pieces.len(), None)
}

/// How many guards may split a mapping, two new ones each. The rest of the
/// program needs mappings too: its next malloc must not be what fails.
#[cfg(target_os = "linux")]
pub(super) fn most_splits() -> usize {
    static MOST: AtomicUsize = AtomicUsize::new(0);
    // ORDER: Relaxed: whoever writes it writes the same.
    let known = MOST.load(Relaxed);
    if known != 0 {
        return known;
    }
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let limit = text.ok().and_then(|text| text.trim().parse().ok());
    let limit: usize = limit.unwrap_or(65_530);
    let most = (limit - (limit / 2).min(4096)) / 2;
    // ORDER: Relaxed: as above.
    MOST.store(most.max(1), Relaxed);
    most.max(1)
}

/// No such limit is known here.
#[cfg(not(target_os = "linux"))]
pub(super) fn most_splits() -> usize {
    usize::MAX
}

/// Puts pages into `pieces`, cheaper than faults would. Where that fails they
/// come by faults.
///
/// # Safety
/// 1. Reserved here, and used by nobody.
pub(super) unsafe fn populate(pieces: &[Piece]) {
    // SAFETY: 1.
    unsafe { advise_all(pieces, advice::POPULATE) };
}

/// The pages of `pieces` go back to the system, their content is lost. Guards
/// stay. `false`: some did not go; locked ones never do.
///
/// # Safety
/// 1. Reserved here, and used by nobody.
pub(super) unsafe fn give_back(pieces: &[Piece]) -> bool {
    // SAFETY: 1.
    unsafe { advise_all(pieces, advice::GIVE_BACK) }
}

/// Numbers that libc does not have for every system.
mod advice {
    #[cfg(target_os = "linux")]
    pub(super) const GUARD: libc::c_int = 102; // MADV_GUARD_INSTALL
    #[cfg(target_os = "linux")]
    pub(super) const POPULATE: libc::c_int = 23; // MADV_POPULATE_WRITE
    #[cfg(target_os = "linux")]
    pub(super) const GIVE_BACK: libc::c_int = libc::MADV_DONTNEED;
    #[cfg(not(target_os = "linux"))]
    pub(super) const GUARD: libc::c_int = -1;
    #[cfg(not(target_os = "linux"))]
    pub(super) const POPULATE: libc::c_int = -1;
    #[cfg(not(target_os = "linux"))]
    pub(super) const GIVE_BACK: libc::c_int = libc::MADV_FREE;
}

/// # Safety
/// 1. Reserved here, and used by nobody.
unsafe fn advise_all(pieces: &[Piece], advice: libc::c_int) -> bool {
    // SAFETY: 1.
    let together = unsafe { advise_together(pieces, advice) };
    together
        || pieces.iter().fold(true, |all, piece| {
            // SAFETY: 1.
            unsafe { advise(*piece, advice) && all }
        })
}

/// # Safety
/// 1. Reserved here, and used by nobody.
unsafe fn advise(piece: Piece, advice: libc::c_int) -> bool {
    #[cfg(test)]
    if advice == advice::GUARD && tests::NO_MARKERS.load(Relaxed) {
        return false;
    }
    loop {
        // SAFETY: 1. no content is lost that anybody needs.
        let done = unsafe { libc::madvise(piece.start as *mut _, piece.len, advice) } == 0;
        if done || errno() != libc::EINTR {
            return done;
        }
    }
}

/// One call for many pieces: for guards and first pages a fifth cheaper than
/// one each, to give back four times. `false`: not all are known to be done.
/// To repeat advice does no harm.
///
/// # Safety
/// 1. Reserved here, and used by nobody.
#[cfg(target_os = "linux")]
unsafe fn advise_together(pieces: &[Piece], advice: libc::c_int) -> bool {
    const MOST: usize = 64;
    const PIDFD_SELF: libc::c_int = -10_000;
    /// A system before 6.14, or one that forbids the call.
    static REFUSED: AtomicBool = AtomicBool::new(false);
    // ORDER: Relaxed: at worst it is asked once more.
    if pieces.len() < 2 || REFUSED.load(Relaxed) {
        return false;
    }
    #[cfg(test)]
    if tests::NO_MARKERS.load(Relaxed) {
        return false;
    }
    for pieces in pieces.chunks(MOST) {
        let mut vectors = [const {
            libc::iovec {
                iov_base: ptr::null_mut(),
                iov_len: 0,
            }
        }; MOST];
        let mut asked = 0;
        for (vector, piece) in vectors.iter_mut().zip(pieces) {
            vector.iov_base = piece.start as *mut _;
            vector.iov_len = piece.len;
            asked += piece.len;
        }
        // SAFETY: 1. no content is lost that anybody needs.
        let done = unsafe {
            libc::syscall(
                libc::SYS_process_madvise,
                PIDFD_SELF,
                vectors.as_ptr(),
                pieces.len(),
                advice,
                0,
            )
        };
        if done < 0 && [libc::EBADF, libc::EPERM, libc::ENOSYS].contains(&errno()) {
            // ORDER: Relaxed: as above.
            REFUSED.store(true, Relaxed);
        }
        if usize::try_from(done) != Ok(asked) {
            return false;
        }
    }
    true
}

/// # Safety
/// As above.
#[cfg(not(target_os = "linux"))]
unsafe fn advise_together(_: &[Piece], _: libc::c_int) -> bool {
    false
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A system before 6.13, for tests that have a process of their own.
    pub(in super::super) static NO_MARKERS: AtomicBool = AtomicBool::new(false);
}
