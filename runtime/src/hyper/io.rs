//! Streams as hyper reads and writes them.

use crate::net::{TcpStream, came_short, unix::UnixStream};
use crate::source::{Source, Watcher};
use ::hyper::rt::ReadBufCursor;
use raddle_scheduler::Direction;
use rustix::io::{Errno, writev};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A stream as hyper reads and writes it: hyper-util's `TokioIo`.
///
/// Reading and writing go on side by side, and a future that waits for one of
/// them can do anything else meanwhile. Timeouts of the stream are for calls
/// and do not hold here; deadlines do, and `shutdown` of a clone ends what
/// waits.
///
/// # Blocking
/// Never: the future waits, and whoever polls it.
///
/// # Examples
/// ```
/// use hyper::rt::{Read, ReadBuf};
/// use raddle::block_on;
/// use raddle::hyper::Io;
/// use raddle::net::{TcpListener, TcpStream};
/// use std::{future::poll_fn, io::Write, pin::Pin};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut near = TcpStream::connect(listener.local_addr()?)?;
/// let mut far = Io::new(listener.accept()?.0);
/// near.write_all(b"well met")?;
/// let mut bytes = [0; 16];
/// let mut buffer = ReadBuf::new(&mut bytes);
/// block_on(poll_fn(|context| {
///     Pin::new(&mut far).poll_read(context, buffer.unfilled())
/// }))?;
/// assert_eq!(buffer.filled(), b"well met");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// None: `net/http` reads its connections itself.
pub struct Io<S> {
    watcher: Watcher,
    stream: S,
}

/// The streams that [`Io`] takes: [`TcpStream`] and [`UnixStream`].
///
/// # Blocking
/// Never.
///
/// # Go
/// `net.Conn`.
pub trait Stream: sealed::Sourced {}

impl Stream for TcpStream {}
impl Stream for UnixStream {}

mod sealed {
    use crate::source::Source;
    use std::os::fd::AsFd;

    pub trait Sourced: Unpin {
        type Inner: AsFd;

        #[expect(private_interfaces, reason = "nobody outside names this trait")]
        fn source(&self) -> &Source<Self::Inner>;
    }
}

macro_rules! sourced {
    ($($stream:ty = $inner:ty;)*) => {$(
        impl sealed::Sourced for $stream {
            type Inner = $inner;

            #[expect(private_interfaces, reason = "nobody outside names this trait")]
            fn source(&self) -> &Source<$inner> {
                &self.source
            }
        }
    )*};
}

sourced! {
    TcpStream = std::net::TcpStream;
    UnixStream = std::os::unix::net::UnixStream;
}

impl<S: Stream> Io<S> {
    /// Around `stream`.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn new(stream: S) -> Self {
        Self {
            watcher: stream.source().watcher(),
            stream,
        }
    }

    /// The stream.
    ///
    /// # Blocking
    /// Never.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream, for calls again: after an upgrade, say.
    ///
    /// # Blocking
    /// Never.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: Stream> Io<S> {
    /// Writes some of `total` bytes by a call of the system's.
    fn poll_writing(
        &mut self,
        context: &mut Context<'_>,
        total: usize,
        mut call: impl FnMut(&S::Inner) -> Result<usize, Errno>,
    ) -> Poll<io::Result<usize>> {
        let write = |inner: &S::Inner| {
            let written = call(inner)?;
            Ok((written, came_short(written, total)))
        };
        let source = self.stream.source();
        source.poll(
            &mut self.watcher,
            Direction::Write,
            context.waker(),
            write,
        )
    }
}

impl<S: Stream> ::hyper::rt::Read for Io<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let source = this.stream.source();
        // SAFETY: nothing but the system's call writes there, and that writes
        // bytes.
        let room = unsafe { buffer.as_mut() };
        if room.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let read = |inner: &S::Inner| {
            let ((read, _rest), _) = recv(inner, &mut *room, RecvFlags::empty())?;
            Ok((read.len(), came_short(read.len(), room.len())))
        };
        let polled = source.poll(&mut this.watcher, Direction::Read, context.waker(), read);
        let read = ready!(polled)?;
        // SAFETY: the call has written so many.
        unsafe { buffer.advance(read) };
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> ::hyper::rt::Write for Io<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_writing(context, bytes.len(), |inner| {
            send(inner, bytes, SendFlags::NOSIGNAL)
        })
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total = slices.iter().map(|slice| slice.len()).sum();
        let this = self.get_mut();
        this.poll_writing(context, total, |inner| writev(inner, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing is kept back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match shutdown(self.stream.source().inner(), Shutdown::Write) {
            // The other end was faster.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }
}

impl<S: fmt::Debug> fmt::Debug for Io<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Io").field(&self.stream).finish()
    }
}
