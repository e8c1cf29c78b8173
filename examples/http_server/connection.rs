//! One connection: requests in, answers out, in order.

use crate::body::Body;
use crate::request::{Failure, Head};
use crate::response::Response;
use crate::server::Server;
use crate::wire::Wire;
use raddle::context::{AfterFunc, Context};
use raddle::net::TcpStream;
use raddle::{Goexit, Shutdown};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Instant;

/// What becomes of the connection after an answer.
enum Then {
    GoOn,
    Close,
}

/// Serves one connection to its end.
pub fn serve(stream: TcpStream, server: &Server, context: &Context) {
    // Answers go out whole: nothing is to be waited for.
    let _as_it_is = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let _guard = call_back_at_the_end(&stream, context);
    let mut wire = Wire::new(stream, server.settings.write_timeout);
    // An error means that the client is gone, or too slow to be told so.
    let _gone = converse(&mut wire, server, context).and_then(|()| wire.close());
}

/// Request by request, until one side has had enough.
fn converse(wire: &mut Wire, server: &Server, context: &Context) -> io::Result<()> {
    let settings = &server.settings;
    // Who connects has something to ask; later the next question may take
    // its time.
    let mut patience = settings.head_timeout;
    loop {
        wire.skip_empty_lines();
        if wire.unread().is_empty() && !wire.wait(context, Instant::now() + patience)? {
            return Ok(());
        }
        patience = settings.idle_timeout;
        match one_request(wire, server, context)? {
            Then::GoOn => {}
            Then::Close => return Ok(()),
        }
    }
}

fn one_request(wire: &mut Wire, server: &Server, context: &Context) -> io::Result<Then> {
    let settings = &server.settings;
    let head_until = Instant::now() + settings.head_timeout;
    let head = match Head::read(wire, settings.max_head, head_until) {
        Ok(head) => head,
        Err(Failure::Refused(status)) => {
            Response::refusal(status).closing().write(wire);
            return Ok(Then::Close);
        }
        Err(Failure::Gone(error)) => return Err(error),
    };
    let mut body = Body::new(wire, &head, settings);
    let (response, is_well) = match answer(server, &head, &mut body) {
        Ok(response) => (response, true),
        Err(Failure::Refused(status)) => (Response::refusal(status), false),
        Err(Failure::Gone(error)) => return Err(error),
    };
    // Asked for after the answer is known: it may have taken long.
    let goes_on = is_well && head.keeps_alive && body.may_be_skipped() && context.err().is_none();
    let response = response.to(&head);
    if !goes_on {
        response.closing().write(body.wire());
        return Ok(Then::Close);
    }
    response.write(body.wire());
    // At once: neither the rest of a body that nobody wanted nor the next
    // request, which may be there already, holds this answer up.
    body.wire().flush()?;
    Ok(match body.skip() {
        Ok(()) => Then::GoOn,
        Err(Failure::Refused(_)) => Then::Close,
        Err(Failure::Gone(error)) => return Err(error),
    })
}

/// The handler's answer; 500 if it panics.
fn answer(server: &Server, head: &Head, body: &mut Body) -> Result<Response, Failure> {
    let handled = catch_unwind(AssertUnwindSafe(|| server.router.answer(head, body)));
    handled.unwrap_or_else(|payload| {
        if payload.is::<Goexit>() || payload.is::<Shutdown>() {
            // It has not failed: this goroutine is to end.
            resume_unwind(payload);
        }
        Err(Failure::Refused(500))
    })
}

/// When the context ends, whoever waits in a read is called back by a
/// deadline; `Wire` knows whether it goes on.
fn call_back_at_the_end(stream: &Arc<TcpStream>, context: &Context) -> Guard {
    let stream = stream.clone();
    Guard(context.after_func(move || stream.set_read_deadline(Some(Instant::now()))))
}

struct Guard(AfterFunc);

impl Drop for Guard {
    fn drop(&mut self) {
        // Else the stream would stay open as long as the context.
        self.0.stop();
    }
}
