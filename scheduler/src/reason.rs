//! Why a goroutine waits, in Go's words.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a goroutine waits; shown in lists, reports and events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The words.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// It does not wait.
    None = "none",
    /// Sending to a channel.
    ChanSend = "chan send",
    /// Receiving from a channel.
    ChanReceive = "chan receive",
    /// Sending to a channel that never takes anything.
    ChanSendNil = "chan send (nil chan)",
    /// Receiving from a channel that never gives anything.
    ChanReceiveNil = "chan receive (nil chan)",
    /// In a select.
    Select = "select",
    /// In a select without cases.
    SelectNoCases = "select (no cases)",
    /// Locking a mutex.
    MutexLock = "sync.Mutex.Lock",
    /// Locking a read-write lock for reading.
    RwLockRead = "sync.RWMutex.RLock",
    /// Locking a read-write lock for writing.
    RwLockWrite = "sync.RWMutex.Lock",
    /// Waiting for a group.
    WaitGroupWait = "sync.WaitGroup.Wait",
    /// Waiting on a condition variable.
    CondWait = "sync.Cond.Wait",
    /// Waiting for another's initialization.
    OnceDo = "sync.Once.Do",
    /// Acquiring a semaphore.
    SemAcquire = "semacquire",
    /// Sleeping.
    Sleep = "sleep",
    /// Waiting for a descriptor.
    IoWait = "IO wait",
    /// Waiting for a goroutine's end.
    Join = "join",
    /// In `park`.
    Park = "park",
    /// A call that blocks is made for it elsewhere.
    Blocking = "blocking",
}

/// The part of raddle that a reason belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Scheduler,
    Chan,
    Sync,
    Time,
    Net,
}

impl Reason {
    #[cfg_attr(raddle_model, allow(dead_code, reason = "no events in models"))]
    pub(crate) fn part(self) -> Part {
        match self {
            Self::ChanSend
            | Self::ChanReceive
            | Self::ChanSendNil
            | Self::ChanReceiveNil
            | Self::Select
            | Self::SelectNoCases => Part::Chan,
            Self::MutexLock
            | Self::RwLockRead
            | Self::RwLockWrite
            | Self::WaitGroupWait
            | Self::CondWait
            | Self::OnceDo
            | Self::SemAcquire => Part::Sync,
            Self::Sleep => Part::Time,
            Self::IoWait => Part::Net,
            Self::None | Self::Join | Self::Park | Self::Blocking => Part::Scheduler,
        }
    }

    pub(crate) fn from_number(number: u8) -> Self {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .unwrap_or(Self::None)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
