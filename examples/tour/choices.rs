//! `select!`: several channels, and whichever is ready.

use crate::page::Page;
use raddle::chan::{Never, Receiver, after, bounded, tick};
use raddle::{go, select};
use std::time::Duration;

pub fn tick_tock(page: &Page) {
    page.say("select! waits for several channels at once. Clocks are channels too.");
    page.code(
        "select! {
    recv(ticks) -> _ => print(\"tick\"),
    recv(tocks) -> _ => print(\"tock\"),
    recv(end) -> _ => break,
}",
    );

    let ticks = tick(Duration::from_millis(100));
    let tocks = tick(Duration::from_millis(400));
    let end = after(Duration::from_millis(850));
    let mut heard = Vec::new();
    loop {
        select! {
            recv(ticks) -> _ => heard.push("tick"),
            recv(tocks) -> _ => heard.push("tock"),
            recv(end) -> _ => break,
        }
    }
    page.result(heard.join(" "));
}

pub fn look(page: &Page) {
    page.say("With a default it does not wait: ready, or not.");
    page.code("select! { recv(mailbox) -> letter => .., default => .. }");

    let (post, mailbox) = bounded(1);
    let look = || {
        select! {
            recv(mailbox) -> letter => format!("{letter:?}"),
            default => "nothing yet".to_owned(),
        }
    };
    let before = look();
    post.send("a letter").expect("there is room");
    let then = look();
    drop(post);
    page.result(format_args!("{before}; {then}; {}", look()));
}

/// Adds up jobs until told to stop.
fn add_up(jobs: Receiver<u32>, done: Receiver<Never>) -> String {
    let mut sum = 0;
    loop {
        select! {
            recv(done) -> _ => return format!("cancelled at {sum}"),
            recv(jobs) -> job => match job {
                Ok(job) => sum += job,
                Err(_) => return format!("no more jobs, {sum} in all"),
            },
        }
    }
}

pub fn cancel(page: &Page) {
    page.say("Nobody ends a goroutine from outside. It listens, and goes: when it is");
    page.say("told to, by a channel that is closed for all at once, or when its jobs");
    page.say("have ended.");
    page.code("select! { recv(done) -> _ => return, recv(jobs) -> job => .. }");

    for cancelled in [true, false] {
        let (open, done) = bounded(0);
        let (sender, jobs) = bounded(0);
        let adder = go!(add_up(jobs, done));
        for job in [1, 2, 3] {
            sender.send(job).expect("it takes jobs");
        }
        if cancelled {
            drop(open);
            page.result(adder.join().expect("it does not panic"));
        } else {
            drop(sender);
            page.result(adder.join().expect("it does not panic"));
        }
    }
}

pub fn switch_off(page: &Page) {
    page.say("A case whose channel is None is never ready: Go's nil channel. So two");
    page.say("channels are drained into one, until both have ended.");
    page.code("recv(a) -> n => match n { Ok(n) => .., Err(_) => a = None },");

    fn send_all(values: [u32; 3]) -> Receiver<u32> {
        let (sender, receiver) = bounded(0);
        go!(move || values.into_iter().try_for_each(|n| sender.send(n)));
        receiver
    }
    let (mut a, mut b) = (Some(send_all([1, 2, 3])), Some(send_all([10, 20, 30])));
    let mut seen = Vec::new();
    while a.is_some() || b.is_some() {
        select! {
            recv(a) -> n => match n {
                Ok(n) => seen.push(n),
                Err(_) => a = None,
            },
            recv(b) -> n => match n {
                Ok(n) => seen.push(n),
                Err(_) => b = None,
            },
        }
    }
    page.result(format_args!(
        "{seen:?}, {} in all",
        seen.iter().sum::<u32>()
    ));
}
