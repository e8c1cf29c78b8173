//! A chat room over WebSockets, by tungstenite; the page is served beside it.
//!
//! ```sh
//! cargo run --bin chat -- --listen 127.0.0.1:8080
//! ```
//!
//! Open the address in a browser, in two windows.
//!
//! Each member has two goroutines: one reads its socket through tungstenite,
//! the other writes what comes out of a channel. All that is written is whole
//! frames, also tungstenite's own answers to pings and closes, so the two
//! never mix. What is said is framed once and shared by all.

use clap::Parser;
use raddle::chan::{Receiver, Sender, TrySendError, bounded};
use raddle::context::Context;
use raddle::go;
use raddle::net::TcpStream;
use raddle::sync::Mutex;
use raddle_ecosystem::http::{Connection, Request, Response};
use raddle_ecosystem::server::{self, Options, serve};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

const PAGE: &str = include_str!("../../static/chat.html");

/// So many frames wait for a member; one that lets more pile up has to go.
/// Enough for a moment in which somebody speaks fast and a thread is late.
const BACKLOG: usize = 1024;
/// A frame is to be taken by its member so soon, and a close answered.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest message, in bytes.
const LONGEST: usize = 4096;

/// A chat room over WebSockets on goroutines
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    server: Options,
}

#[raddle::main]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let room = Arc::new(Room::default());
    let served = serve(&arguments.server, "http", move |socket, context| {
        serve_connection(socket, context, &room)
    });
    server::status(served)
}

/// Answers requests until one is for the room.
fn serve_connection(socket: TcpStream, context: &Context, room: &Arc<Room>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut connection = Connection::new(&socket, &socket, context)?;
    while let Some(request) = connection.next_request()? {
        if request.path.starts_with("/room") && asks_for_upgrade(&request) {
            let ahead = connection.into_ahead();
            return join(&socket, ahead, &request, context, room);
        }
        let response = match (&*request.method, &*request.path) {
            ("GET" | "HEAD", "/") => Response {
                status: "200 OK",
                media_type: "text/html; charset=utf-8",
                body: PAGE.into(),
            },
            (_, "/") => Response::text("405 Method Not Allowed", "get it"),
            _ => Response::text("404 Not Found", "no such page"),
        };
        if !connection.answer(&request, &response)? {
            break;
        }
    }
    Ok(())
}

fn asks_for_upgrade(request: &Request) -> bool {
    let upgrade = request.header("upgrade").unwrap_or_default();
    request.method == "GET"
        && upgrade.eq_ignore_ascii_case("websocket")
        && request.header("sec-websocket-version") == Some("13")
        && request.header("sec-websocket-key").is_some()
}

/// A frame as it goes over the wire.
type Wire = Arc<[u8]>;

fn wire(frame: Frame) -> Wire {
    let mut bytes = Vec::with_capacity(frame.len());
    frame
        .format(&mut bytes)
        .expect("writing to memory does not fail");
    bytes.into()
}

fn join(
    mut socket: &TcpStream,
    ahead: Vec<u8>,
    request: &Request,
    context: &Context,
    room: &Arc<Room>,
) -> io::Result<()> {
    let key = request.header("sec-websocket-key").unwrap_or_default();
    write!(
        socket,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    )?;

    let (sender, frames) = bounded(BACKLOG);
    let writing = go!(write_frames(socket.try_clone()?, frames));
    // When the server ends, so does the room: members are told.
    let goodbye = context.after_func({
        let (sender, socket) = (sender.clone(), socket.try_clone()?);
        move || {
            let frame = Frame::close(Some(CloseFrame {
                code: CloseCode::Away,
                reason: "the server ends".into(),
            }));
            let _told = sender.try_send(wire(frame));
            socket.set_read_deadline(Some(Instant::now() + PATIENCE));
        }
    });

    let name = name_of(&request.path);
    let number = room.enter(&name, sender.clone(), socket.try_clone()?);
    listen(socket, ahead, sender, &name, context, room);
    room.leave(number, &name);
    goodbye.stop();
    drop(goodbye);
    // Its last sender is gone: the writer ends once all is written.
    let _written = writing.join();
    Ok(())
}

/// `/room?name=..`, without escapes: letters and digits are names enough.
fn name_of(path: &str) -> String {
    let name = path.split_once("?name=").map_or("", |(_, name)| name);
    let name: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .take(20)
        .collect();
    if name.is_empty() {
        "somebody".to_owned()
    } else {
        name
    }
}

/// Reads what a member says, until it has gone.
fn listen(
    socket: &TcpStream,
    ahead: Vec<u8>,
    replies: Sender<Wire>,
    name: &str,
    context: &Context,
    room: &Room,
) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST));
    let stream = Ears { socket, replies };
    let mut member = WebSocket::from_partially_read(stream, ahead, Role::Server, Some(config));
    loop {
        match member.read() {
            Ok(Message::Text(text)) => {
                room.say(name, &text);
                // Much may have come at once, and others are to write it.
                raddle::yield_now();
            }
            // The answer to our own: all is said.
            Ok(Message::Close(_)) if context.err().is_some() => return,
            // The next read answers what has to be answered.
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// A member's socket as tungstenite reads it; what it writes in answer goes
/// the way of all frames. It writes its whole buffer at once, and all of it
/// is taken, so each write is made of whole frames.
struct Ears<'a> {
    socket: &'a TcpStream,
    replies: Sender<Wire>,
}

impl Read for Ears<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Ears<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.replies.send(bytes.into());
        sent.map_err(|_gone| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes frames until all their senders are gone.
fn write_frames(socket: TcpStream, frames: Receiver<Wire>) {
    for frame in frames {
        socket.set_write_deadline(Some(Instant::now() + PATIENCE));
        if (&socket).write_all(&frame).is_err() {
            // The reader ends too.
            let _gone = socket.shutdown(Shutdown::Both);
            return;
        }
    }
    let _gone = socket.shutdown(Shutdown::Write);
}

/// Those who are here. What is said is sent under the lock, so all hear it in
/// the same order; sending never waits.
#[derive(Default)]
struct Room(Mutex<Members>);

#[derive(Default)]
struct Members {
    all: BTreeMap<u64, Member>,
    next: u64,
}

struct Member {
    frames: Sender<Wire>,
    socket: TcpStream,
}

impl Room {
    fn enter(&self, name: &str, frames: Sender<Wire>, socket: TcpStream) -> u64 {
        let mut members = self.0.lock();
        let number = members.next;
        members.next += 1;
        members.all.insert(number, Member { frames, socket });
        members.tell(&json!({ "from": name, "does": "enters" }));
        number
    }

    fn leave(&self, number: u64, name: &str) {
        let mut members = self.0.lock();
        members.all.remove(&number);
        members.tell(&json!({ "from": name, "does": "leaves" }));
    }

    fn say(&self, name: &str, text: &str) {
        let mut members = self.0.lock();
        members.tell(&json!({ "from": name, "says": text }));
    }
}

impl Members {
    fn tell(&mut self, what: &serde_json::Value) {
        let text = OpCode::Data(Data::Text);
        let frame = wire(Frame::message(what.to_string(), text, true));
        self.all.retain(|_, member| {
            let sent = member.frames.try_send(frame.clone());
            let is_slow = matches!(sent, Err(TrySendError::Full(_)));
            if is_slow {
                let _gone = member.socket.shutdown(Shutdown::Both);
            }
            !is_slow
        });
    }
}
