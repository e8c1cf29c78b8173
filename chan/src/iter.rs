//! Messages one after the other.

use crate::ends::Receiver;
use std::fmt;
use std::iter::FusedIterator;

/// Of [`Receiver::iter`].
///
/// # Blocking
/// `next` parks until there is a message, or the channel is disconnected.
///
/// # Go
/// `for it := range c`.
pub struct Iter<'a, T> {
    pub(crate) receiver: &'a Receiver<T>,
}

/// Of [`Receiver::try_iter`].
///
/// # Blocking
/// As [`try_recv`](Receiver::try_recv).
///
/// # Go
/// None: a loop with a `select` that has a `default`.
pub struct TryIter<'a, T> {
    pub(crate) receiver: &'a Receiver<T>,
}

/// Of `Receiver::into_iter`.
///
/// # Blocking
/// `next` parks until there is a message, or the channel is disconnected.
///
/// # Go
/// `for it := range c`.
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for Iter<'_, T> {}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for IntoIter<T> {}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Iter { .. }")
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("TryIter { .. }")
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("IntoIter { .. }")
    }
}
