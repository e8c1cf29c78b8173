//! A crawler: every page of a site, each once, so many at a time.
//!
//! ```sh
//! cargo run --release --example crawler
//! cargo run --release --example crawler -- --pages 5000 --at-once 200
//! ```
//!
//! In Go: workers range over a channel of links; one goroutine alone keeps
//! the set of pages seen, gives out what is new, and knows that all is done
//! when nothing is on its way any more. No lock, and no counter that two
//! could see differently. The site is this program's own: a small web server
//! whose pages take their time, so that what the crawler waits for is not the
//! processor.

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use raddle::chan::{Receiver, Sender, bounded, unbounded};
use raddle::go;
use raddle::net::{SocketAddr, TcpListener, TcpStream};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Crawls a web site that this program serves itself.
#[derive(Parser)]
struct Args {
    /// How many pages the site has
    #[arg(short, long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pages: u64,
    /// How many pages to ask for at a time
    #[arg(short, long, value_name = "N", default_value_t = 32)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=400))]
    at_once: u16,
    /// How long the server thinks about each page, in milliseconds
    #[arg(short, long, value_name = "MS", default_value_t = 20)]
    think: u64,
}

#[raddle::main]
fn main() -> ExitCode {
    let args = Args::parse();
    let done = Site::open(args.pages, Duration::from_millis(args.think)).and_then(|site| {
        raddle::println!(
            "a site of {} pages at http://{}/0",
            args.pages,
            site.address
        );
        let begin = Instant::now();
        let found = crawl(site.address, args.at_once.into(), args.pages)?;
        report(&found, &site, begin.elapsed());
        Ok(())
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            raddle::eprintln!("crawler: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(found: &Found, site: &Site, elapsed: Duration) {
    // ORDER: Relaxed: the server has answered all requests.
    let most = site.busy.most.load(Relaxed);
    raddle::println!("pages      {}", found.pages);
    raddle::println!("links      {}, broken {}", found.links, found.broken);
    raddle::println!("bytes      {}", found.bytes);
    raddle::println!("at once    {most} at most, says the server");
    raddle::println!("time       {elapsed:.2?}");
}

// The crawler.

/// What has come of one link: `None` if there is no such page.
type Visit = io::Result<Option<Page>>;

struct Page {
    links: Vec<String>,
    bytes: u64,
}

#[derive(Default)]
struct Found {
    pages: u64,
    links: u64,
    broken: u64,
    bytes: u64,
}

/// All pages that can be reached from the first, of some `expected`.
fn crawl(site: SocketAddr, at_once: usize, expected: u64) -> io::Result<Found> {
    let progress = progress_of(expected);
    // Without bound, so that giving out work never waits for who does it: the
    // workers wait here when `visits` is full.
    let (todo, links) = unbounded::<String>();
    let (visited, visits) = bounded(at_once);
    for _ in 0..at_once {
        let (links, visited) = (links.clone(), visited.clone());
        go!(move || visit_all(site, &links, &visited));
    }
    drop((links, visited));

    let mut found = Found::default();
    let mut seen = HashSet::from(["/0".to_owned()]);
    let mut on_their_way = 1;
    todo.send("/0".to_owned()).expect("the workers wait");
    while on_their_way > 0 {
        let visit = visits.recv().expect("a worker has it on its way");
        on_their_way -= 1;
        let Some(page) = visit? else {
            found.broken += 1;
            continue;
        };
        found.pages += 1;
        found.bytes += page.bytes;
        found.links += page.links.len() as u64;
        for link in page.links {
            if seen.insert(link.clone()) {
                on_their_way += 1;
                todo.send(link).expect("the workers wait");
            }
        }
        progress.set_position(found.pages);
    }
    // `todo` goes, and with it the workers.
    progress.finish_and_clear();
    Ok(found)
}

/// One worker: takes links until there are no more to come.
fn visit_all(site: SocketAddr, links: &Receiver<String>, visited: &Sender<Visit>) {
    for link in links {
        if visited.send(fetch(site, &link)).is_err() {
            return; // given up
        }
    }
}

fn fetch(site: SocketAddr, link: &str) -> Visit {
    let mut stream = TcpStream::connect(site)?;
    stream.set_deadline(Some(Instant::now() + Duration::from_secs(10)));
    write!(stream, "GET {link} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let Some((head, text)) = answer.split_once("\r\n\r\n") else {
        return Err(io::Error::other(format!("{link}: no answer")));
    };
    match head.split(' ').nth(1) {
        Some("200") => Ok(Some(Page {
            links: links_of(text),
            bytes: text.len() as u64,
        })),
        Some("404") => Ok(None),
        _ => Err(io::Error::other(format!("{link}: {head}"))),
    }
}

fn links_of(text: &str) -> Vec<String> {
    let after_each = text.split("href=\"").skip(1);
    let links = after_each.filter_map(|rest| rest.split('"').next());
    links.map(str::to_owned).collect()
}

/// A bar on a terminal; else silence.
fn progress_of(pages: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} pages {per_sec}")
        .expect("the template is a constant");
    ProgressBar::new(pages).with_style(style)
}

// The site.

struct Site {
    address: SocketAddr,
    busy: Arc<Busy>,
}

/// How many requests are answered now, and how many were at most.
#[derive(Default)]
struct Busy {
    now: AtomicU64,
    most: AtomicU64,
}

impl Site {
    /// A server that goes on to the end of the program.
    fn open(pages: u64, think: Duration) -> io::Result<Site> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let busy = Arc::<Busy>::default();
        let counted = busy.clone();
        go!(move || for stream in listener.incoming().flatten() {
            let busy = counted.clone();
            go!(move || {
                // ORDER: Relaxed, all: counts.
                let now = busy.now.fetch_add(1, Relaxed) + 1;
                busy.most.fetch_max(now, Relaxed);
                let answer = answer(&stream, pages, think);
                busy.now.fetch_sub(1, Relaxed);
                // Counted before the crawler can see the end.
                let _gone = answer.and_then(|answer| (&stream).write_all(answer.as_bytes()));
            });
        });
        Ok(Site { address, busy })
    }
}

/// What is to be said to the one request of a connection.
fn answer(stream: &TcpStream, pages: u64, think: Duration) -> io::Result<String> {
    stream.set_deadline(Some(Instant::now() + Duration::from_secs(10)));
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // To the empty line: what is not read would reset the connection.
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    raddle::time::sleep(think);
    let number = request
        .split(' ')
        .nth(1)
        .and_then(|path| path.strip_prefix('/'));
    let page = number.and_then(|number| number.parse().ok());
    Ok(match page.filter(|page| *page < pages) {
        Some(page) => format!("HTTP/1.0 200 OK\r\n\r\n{}", text_of(page, pages)),
        None => "HTTP/1.0 404 Not Found\r\n\r\n".to_owned(),
    })
}

/// A page links to its three children in a tree, so that each is found; to
/// one somewhere, so that many are found twice; every tenth to nowhere.
fn text_of(page: u64, pages: u64) -> String {
    let children = (1..=3)
        .map(|child| 3 * page + child)
        .filter(|child| *child < pages);
    let somewhere = page.wrapping_mul(7_919) % pages;
    let mut text = format!("<h1>Page {page}</h1>\n");
    for to in children.chain([somewhere]) {
        let _never_fails = writeln!(text, "<a href=\"/{to}\">{to}</a>");
    }
    if page.is_multiple_of(10) {
        let _never_fails = writeln!(text, "<a href=\"/gone/{page}\">gone</a>");
    }
    text
}
