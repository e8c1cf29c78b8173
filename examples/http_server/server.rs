//! The accept loop: how many connections there are, and how it ends.

use crate::connection;
use crate::routes::Router;
use crate::settings::Settings;
use raddle::context::Context;
use raddle::net::{TcpListener, TcpStream};
use raddle::sync::{Permit, Semaphore, WaitGroup};
use std::io;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What all connections share.
pub struct Server {
    pub settings: Settings,
    pub router: Router,
    /// How many connections are open.
    open: AtomicUsize,
}

/// Before the next `accept` when one has failed, and how far that grows: no
/// descriptor is left, as a rule.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

impl Server {
    pub fn new(settings: Settings, router: Router) -> Arc<Self> {
        Arc::new(Self {
            settings,
            router,
            open: AtomicUsize::new(0),
        })
    }

    /// Serves until the context ends, and then those who are in the midst of
    /// a request. Gives the number of connections that did not end in time.
    pub fn serve(self: Arc<Self>, listener: TcpListener, context: &Context) -> usize {
        let listener = Arc::new(listener);
        let stop = listener.clone();
        let _ends_the_loop = context.after_func(move || stop.set_deadline(Some(Instant::now())));

        let slots = Semaphore::new(self.settings.connections as usize);
        let connections = WaitGroup::new();
        let mut pause = PAUSES.0;
        // First the slot, then the connection: those without one wait in the
        // system's queue, and cost nothing here.
        while let Ok(slot) = slots.acquire_ctx(context, 1) {
            match listener.accept() {
                Ok((stream, _from)) => {
                    pause = PAUSES.0;
                    self.begin(stream, slot, &connections, context);
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
                Err(error) => {
                    raddle::eprintln!("http_server: accept: {error}");
                    raddle::time::sleep(pause);
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
        // Those in the system's queue are connected as far as they know, and
        // closing the listener would reset them.
        listener.set_nonblocking(true).expect("it never fails");
        let last: Vec<_> = iter::from_fn(|| listener.accept().ok()).collect();
        drop(listener);
        let until = Instant::now() + self.settings.grace;
        let (grace, _cancel) = Context::background().with_deadline(until);
        let mut never_served = 0;
        for (stream, _from) in last {
            match slots.acquire_ctx(&grace, 1) {
                Ok(slot) => self.begin(stream, slot, &connections, context),
                Err(_too_late) => never_served += 1,
            }
        }
        if connections.wait_timeout(until.saturating_duration_since(Instant::now())) {
            return never_served;
        }
        // ORDER: Relaxed: a count of what goes on.
        never_served + self.open.load(Relaxed)
    }

    /// Starts the goroutine of one connection. Whatever happens in there, a
    /// panic even, gives the slot back.
    fn begin(
        self: &Arc<Self>,
        stream: TcpStream,
        slot: Permit,
        connections: &WaitGroup,
        context: &Context,
    ) {
        let open = Open::new(self.clone(), slot);
        let context = context.clone();
        drop(connections.go(move || connection::serve(stream, &open.server, &context)));
    }
}

/// Counts a connection while it is open.
struct Open {
    server: Arc<Server>,
    _slot: Permit,
}

impl Open {
    fn new(server: Arc<Server>, slot: Permit) -> Self {
        // ORDER: Relaxed: a count.
        server.open.fetch_add(1, Relaxed);
        let _slot = slot;
        Self { server, _slot }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // ORDER: Relaxed: a count.
        self.server.open.fetch_sub(1, Relaxed);
    }
}
