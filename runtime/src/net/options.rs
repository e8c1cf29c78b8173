//! Methods that several kinds of sockets have, as in std, and their words.

/// What is read or set in the system at once, and named as in std.
macro_rules! system_options {
    ($($(#[$doc:meta])+ fn $name:ident(&self $(, $argument:ident: $of:ty)*) -> $result:ty;)*) => {$(
        $(#[$doc])+
        ///
        /// # Blocking
        /// Never.
        ///
        /// # Errors
        /// Those of std's method of that name.
        pub fn $name(&self $(, $argument: $of)*) -> std::io::Result<$result> {
            self.source.inner().$name($($argument),*)
        }
    )*};
}

macro_rules! nonblocking_option {
    () => {
        /// Whether calls that would wait fail with `WouldBlock` instead, for
        /// all clones. Calls that wait already go on waiting.
        ///
        /// # Blocking
        /// Never.
        ///
        /// # Errors
        /// None; the form is std's.
        pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
            self.source.set_nonblocking(nonblocking);
            Ok(())
        }
    };
}

macro_rules! timeout_options {
    () => {
        /// Each read takes so long at most, then fails with `WouldBlock`;
        /// for all clones.
        ///
        /// # Blocking
        /// Never.
        ///
        /// # Errors
        /// `InvalidInput` for a timeout of zero.
        pub fn set_read_timeout(
            &self,
            timeout: Option<std::time::Duration>,
        ) -> std::io::Result<()> {
            // The system keeps it for whoever takes the socket over.
            self.source.inner().set_read_timeout(timeout)?;
            self.source
                .set_timeout(raddle_scheduler::Direction::Read, timeout);
            Ok(())
        }

        /// Each write takes so long at most, then fails with `WouldBlock`;
        /// for all clones.
        ///
        /// # Blocking
        /// Never.
        ///
        /// # Errors
        /// `InvalidInput` for a timeout of zero.
        pub fn set_write_timeout(
            &self,
            timeout: Option<std::time::Duration>,
        ) -> std::io::Result<()> {
            self.source.inner().set_write_timeout(timeout)?;
            self.source
                .set_timeout(raddle_scheduler::Direction::Write, timeout);
            Ok(())
        }

        system_options! {
            /// The timeout of reads.
            fn read_timeout(&self) -> Option<std::time::Duration>;
            /// The timeout of writes.
            fn write_timeout(&self) -> Option<std::time::Duration>;
        }
    };
}

macro_rules! deadline_options {
    () => {
        /// Reads and writes end at `deadline`, with `TimedOut`, also those
        /// that wait already, and on all clones. `None`: never.
        ///
        /// # Blocking
        /// Never.
        ///
        /// # Go
        /// `SetDeadline`.
        pub fn set_deadline(&self, deadline: Option<std::time::Instant>) {
            self.set_read_deadline(deadline);
            self.set_write_deadline(deadline);
        }

        /// As `set_deadline`, for reads.
        ///
        /// # Blocking
        /// Never.
        ///
        /// # Go
        /// `SetReadDeadline`.
        pub fn set_read_deadline(&self, deadline: Option<std::time::Instant>) {
            self.source
                .set_deadline(raddle_scheduler::Direction::Read, deadline);
        }

        /// As `set_deadline`, for writes.
        ///
        /// # Blocking
        /// Never.
        ///
        /// # Go
        /// `SetWriteDeadline`.
        pub fn set_write_deadline(&self, deadline: Option<std::time::Instant>) {
            self.source
                .set_deadline(raddle_scheduler::Direction::Write, deadline);
        }
    };
}

macro_rules! accept_deadline {
    () => {
        /// `accept` ends at `deadline`, with `TimedOut`, also where it waits
        /// already, and on all clones. `None`: never.
        ///
        /// # Blocking
        /// Never.
        ///
        /// # Go
        /// `SetDeadline`.
        pub fn set_deadline(&self, deadline: Option<std::time::Instant>) {
            self.source
                .set_deadline(raddle_scheduler::Direction::Read, deadline);
        }
    };
}

macro_rules! clone_of {
    ($what:literal) => {
        #[doc = concat!("Another handle to the same ", $what, ". What is set on one holds for both.")]
        ///
        /// # Blocking
        /// Never.
        ///
        /// # Errors
        /// No descriptor is left.
        pub fn try_clone(&self) -> std::io::Result<Self> {
            let source = self.source.try_clone(|inner| inner.try_clone())?;
            Ok(Self { source })
        }
    };
}

/// `Read` and `Write` for a stream and for references to it.
macro_rules! stream_traits {
    ($stream:ty) => {
        impl std::io::Read for &$stream {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.read_some(buffer)
            }

            fn read_vectored(
                &mut self,
                buffers: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                self.read_some_vectored(buffers)
            }
        }

        impl std::io::Write for &$stream {
            fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
                self.write_some(buffer)
            }

            fn write_vectored(
                &mut self,
                buffers: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.write_some_vectored(buffers)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        impl std::io::Read for $stream {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.read_some(buffer)
            }

            fn read_vectored(
                &mut self,
                buffers: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                self.read_some_vectored(buffers)
            }
        }

        impl std::io::Write for $stream {
            fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
                self.write_some(buffer)
            }

            fn write_vectored(
                &mut self,
                buffers: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.write_some_vectored(buffers)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}
