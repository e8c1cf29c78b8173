//! Notes as JSON over HTTP, kept in a database file by SQLite, which is called
//! straight from goroutines.
//!
//! ```sh
//! cargo run --bin sqlite_api -- --listen 127.0.0.1:8080 --file notes.db
//! curl -d '{"text": "buy wool"}' http://127.0.0.1:8080/notes
//! curl http://127.0.0.1:8080/notes
//! curl http://127.0.0.1:8080/count?to=100000000   # slow; others go on
//! ```
//!
//! | request | answer |
//! |---|---|
//! | `GET /notes` | all notes |
//! | `POST /notes` with `{"text": ..}` | the new note |
//! | `GET /notes/ID`, `DELETE /notes/ID` | the note |
//! | `GET /count?to=N` | N, counted by the database: a slow query |
//! | `GET /status` | how many queries run now |
//!
//! SQLite knows nothing of goroutines: a query blocks its thread. In pinned
//! mode, which is the default, others are at home on that thread, so queries
//! run in `raddle::blocking`. With `--migrate` they are called as they are:
//! the scheduler sees a thread that is stuck and takes its work away.

use clap::Parser;
use raddle::chan::{Receiver, Sender, bounded};
use raddle::context::Context;
use raddle::net::TcpStream;
use raddle::runtime::Builder;
use raddle_ecosystem::http::{Connection, Request, Response};
use raddle_ecosystem::server::{self, Options, serve};
use rusqlite::{InterruptHandle, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Notes as JSON over HTTP, in a database file
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    server: Options,
    /// The database, made if it is not there
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// So many queries run at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..))]
    connections: u8,
    /// Let goroutines move between threads, and call the database as it is
    #[arg(long)]
    migrate: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let builder = Builder::new();
    let builder = if arguments.migrate {
        migrating(builder)
    } else {
        builder
    };
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    server::status(runtime.run(|| run(&arguments)))
}

#[allow(unsafe_code)]
fn migrating(builder: Builder) -> Builder {
    // SAFETY: no goroutine keeps what is not `Send`, or a reference into a
    // thread-local, across a call that parks: between taking a database
    // connection and giving it back nothing parks, and rusqlite's values do
    // not live longer.
    unsafe { builder.migrate() }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let database = Database::open(arguments)
        .map_err(|error| io::Error::other(format!("{}: {error}", arguments.file.display())))?;
    let database = Arc::new(database);
    let served = serve(&arguments.server, "http", {
        let database = database.clone();
        move |stream, context| serve_connection(&stream, context, &database)
    });
    // What still runs is over its time.
    database.interrupt();
    served
}

fn serve_connection(stream: &TcpStream, context: &Context, database: &Database) -> io::Result<()> {
    stream.set_nodelay(true)?;
    Connection::new(stream, stream, context)?.serve(|request| {
        let answered = answer(request, database);
        answered
            .unwrap_or_else(|error| json(error.status(), &json!({ "error": error.to_string() })))
    })
}

/// What a client is told when there is no answer.
#[derive(Debug)]
enum Refusal {
    NotFound,
    BadRequest(String),
    Database(rusqlite::Error),
}

impl Refusal {
    fn status(&self) -> &'static str {
        match self {
            Self::NotFound => "404 Not Found",
            Self::BadRequest(_) => "400 Bad Request",
            Self::Database(_) => "500 Internal Server Error",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such thing"),
            Self::BadRequest(why) => f.write_str(why),
            Self::Database(error) => error.fmt(f),
        }
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

#[derive(Deserialize)]
struct NewNote {
    text: String,
}

#[derive(Serialize)]
struct Note {
    id: i64,
    text: String,
}

impl Note {
    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            text: row.get(1)?,
        })
    }
}

fn answer(request: &Request, database: &Database) -> Result<Response, Refusal> {
    let (path, query) = match request.path.split_once('?') {
        Some((path, query)) => (path, query),
        None => (&*request.path, ""),
    };
    match (&*request.method, path) {
        ("GET", "/notes") => {
            let notes = database.with(|connection| {
                let mut select =
                    connection.prepare_cached("SELECT id, text FROM notes ORDER BY id")?;
                let notes = select.query_map([], Note::of_row)?;
                notes.collect::<rusqlite::Result<Vec<_>>>()
            })?;
            Ok(json("200 OK", &notes))
        }
        ("POST", "/notes") => {
            let NewNote { text } = serde_json::from_slice(&request.body)
                .map_err(|error| Refusal::BadRequest(error.to_string()))?;
            let note = database.with(|connection| {
                let insert = "INSERT INTO notes (text) VALUES (?1) RETURNING id, text";
                connection.query_row(insert, [&text], Note::of_row)
            })?;
            Ok(json("201 Created", &note))
        }
        ("GET", "/count") => {
            let to = query
                .strip_prefix("to=")
                .and_then(|to| to.parse::<u32>().ok());
            let to = to.ok_or_else(|| Refusal::BadRequest("/count?to=N".to_owned()))?;
            let count = database.with(|connection| {
                let count =
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                    SELECT count(*) FROM n";
                connection.query_row(count, [to], |row| row.get::<_, i64>(0))
            })?;
            Ok(json("200 OK", &json!({ "count": count })))
        }
        ("GET", "/status") => Ok(json("200 OK", &json!({ "running": database.running() }))),
        (method, path) => {
            let id = path
                .strip_prefix("/notes/")
                .and_then(|id| id.parse::<i64>().ok());
            let id = id.ok_or(Refusal::NotFound)?;
            let statement = match method {
                "GET" => "SELECT id, text FROM notes WHERE id = ?1",
                "DELETE" => "DELETE FROM notes WHERE id = ?1 RETURNING id, text",
                _ => return Err(Refusal::BadRequest("GET or DELETE it".to_owned())),
            };
            let note = database.with(|connection| {
                let note = connection.query_row(statement, params![id], Note::of_row);
                note.optional()
            })?;
            note.map(|note| json("200 OK", &note))
                .ok_or(Refusal::NotFound)
        }
    }
}

fn json(status: &'static str, value: &impl Serialize) -> Response {
    let mut body = serde_json::to_vec(value).expect("maps have keys of text");
    body.push(b'\n');
    Response {
        status,
        media_type: "application/json",
        body,
    }
}

/// A few connections to one file; who wants one waits in a channel.
struct Database {
    free: Receiver<rusqlite::Connection>,
    back: Sender<rusqlite::Connection>,
    interrupts: Vec<InterruptHandle>,
    running: AtomicUsize,
    is_migrating: bool,
}

impl Database {
    fn open(arguments: &Arguments) -> rusqlite::Result<Self> {
        let (back, free) = bounded(arguments.connections.into());
        let mut interrupts = Vec::new();
        for _ in 0..arguments.connections {
            let connection = rusqlite::Connection::open(&arguments.file)?;
            // One writes, and others read meanwhile.
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
            )?;
            interrupts.push(connection.get_interrupt_handle());
            back.send(connection).expect("the receiver is here");
        }
        Ok(Self {
            free,
            back,
            interrupts,
            running: AtomicUsize::new(0),
            is_migrating: arguments.migrate,
        })
    }

    /// Runs `query` with a connection of its own.
    fn with<T: Send>(&self, query: impl FnOnce(&rusqlite::Connection) -> T + Send) -> T {
        let mut lent = Lent::from(self);
        if self.is_migrating {
            query(lent.connection())
        } else {
            raddle::blocking(move || query(lent.connection()))
        }
    }

    fn running(&self) -> usize {
        self.running.load(Relaxed)
    }

    /// Ends the queries that run, with an error.
    fn interrupt(&self) {
        for interrupt in &self.interrupts {
            interrupt.interrupt();
        }
    }
}

/// A connection, given back also when the query panics.
struct Lent<'a> {
    database: &'a Database,
    connection: Option<rusqlite::Connection>,
}

impl<'a> Lent<'a> {
    fn from(database: &'a Database) -> Self {
        let connection = database.free.recv().ok();
        database.running.fetch_add(1, Relaxed);
        Self {
            database,
            connection,
        }
    }

    fn connection(&mut self) -> &rusqlite::Connection {
        self.connection.as_ref().expect("it is lent, and kept")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.database.running.fetch_sub(1, Relaxed);
        if let Some(connection) = self.connection.take() {
            // There is room for all.
            let _back = self.database.back.try_send(connection);
        }
    }
}
