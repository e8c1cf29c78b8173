//! Channels: values go from one goroutine to another.

use crate::page::Page;
use raddle::chan::{Never, Receiver, bounded};
use raddle::observe::dump;
use raddle::time::sleep;
use raddle::{Builder, JoinHandle, blocking, go};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

pub fn count(page: &Page) {
    page.say("A channel without a buffer is a meeting: a send returns once its value");
    page.say("is taken. The loop ends when the last sender is dropped; there is no");
    page.say("close to forget.");
    page.code("let (sender, numbers) = bounded(0);");
    page.code("go!(move || (1..=5).for_each(|n| sender.send(n).unwrap()));");
    page.code("for n in numbers { .. }");

    let (sender, numbers) = bounded(0);
    go!(move || (1..=5).try_for_each(|n: u32| sender.send(n)));
    let seen: Vec<_> = numbers.iter().collect();
    page.result(format_args!("{seen:?}, then {:?}", numbers.recv()));
}

pub fn publish(page: &Page) {
    page.say("What was written before a close is seen after it, and so with every");
    page.say("message. Go's memory model and Rust's agree on that.");
    page.code("x.store(42, Relaxed);  drop(sender);");
    page.code("done.recv();  x.load(Relaxed)");

    let x = Arc::new(AtomicU32::new(0));
    let (open, done) = bounded::<Never>(0);
    let writer = x.clone();
    go!(move || {
        // ORDER: Relaxed: published by the close that follows.
        writer.store(42, Relaxed);
        drop(open);
    });
    done.recv().expect_err("it has no messages, it only closes");
    // ORDER: Relaxed: after the close, so after the store.
    page.result(x.load(Relaxed));
}

pub fn own(page: &Page) {
    page.say("Who makes a channel keeps the end it sends into, and hands out the");
    page.say("other. And when nobody listens any more, who sends is told: in Go it");
    page.say("would wait for ever.");
    page.code("fn all_numbers() -> Receiver<u64> { .. }");
    page.code("numbers.iter().take(3);  drop(numbers);");

    fn all_numbers() -> (Receiver<u64>, JoinHandle<u64>) {
        let (sender, numbers) = bounded(0);
        let writer = go!(move || (1..).find(|n| sender.send(*n).is_err()).unwrap_or(0));
        (numbers, writer)
    }
    let (numbers, writer) = all_numbers();
    let first: Vec<_> = numbers.iter().take(3).collect();
    drop(numbers);
    let unwanted = writer.join().expect("it does not panic");
    page.result(format_args!("{first:?}; nobody took {unwanted}"));
}

pub fn buffer(page: &Page) {
    page.say("A buffer lets who sends go ahead, as far as it reaches. After that a");
    page.say("send waits, and try_send gives the value back.");
    page.code("let (words, heard) = bounded(2);");
    page.code("words.try_send(\"again\")  // the third");

    let (words, heard) = bounded(2);
    words.send("hello").expect("there is room");
    words.send("world").expect("there is room");
    let refused = words.try_send("again").expect_err("it is full");
    page.result(format_args!("{refused}: {:?}", refused.into_inner()));
    drop(words);
    page.result(format_args!("{:?}", heard.iter().collect::<Vec<_>>()));
}

/// What the tour is when it is started with `--deadlock`.
pub fn deadlock_for_real() {
    let (messages, _inbox) = bounded(0);
    messages.send("hello").expect("the inbox is there");
}

pub fn deadlock(page: &Page) {
    page.say("A send, and nobody to receive: when all goroutines are asleep, the");
    page.say("process ends with status 2 and says where they wait. A process of its");
    page.say("own shows it:");
    page.code("let (messages, _inbox) = bounded(0);");
    page.code("messages.send(\"hello\");");

    let output = std::env::current_exe()
        .and_then(|tour| blocking(|| Command::new(tour).arg("--deadlock").output()));
    match output {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            page.result(said.trim_end().replace("\n\n", "\n"));
            page.result(output.status);
        }
        Err(error) => page.result(format_args!("no process for it: {error}")),
    }
}

pub fn leak(page: &Page) {
    page.say("Three are asked, and the first answer will do: two wait to send for as");
    page.say("long as somebody keeps the receiver. That is a leak, and a dump of all");
    page.say("goroutines shows it.");
    page.code("println!(\"{}\", raddle::observe::dump());");

    let (sender, answers) = bounded(0);
    let askers = ["north", "south", "west"].map(|server| {
        let sender = sender.clone();
        let builder = Builder::new().name(format!("ask {server}"));
        let asker = builder.spawn(move || sender.send(server).is_ok());
        asker.expect("it needs no thread of its own")
    });
    answers.recv().expect("one comes first");
    let waiting = loop {
        let dump = dump().to_string();
        let waiting = dump.lines().filter(|line| line.contains("[chan send"));
        let waiting: Vec<_> = waiting.map(String::from).collect();
        if waiting.len() == 2 {
            break waiting;
        }
        sleep(Duration::from_millis(1));
    };
    page.result(waiting.join("\n"));

    drop(answers);
    let left = askers.into_iter().filter_map(|asker| asker.join().ok());
    page.result(format_args!(
        "the receiver is dropped, and {} have left",
        left.filter(|sent| !sent).count()
    ));
}
