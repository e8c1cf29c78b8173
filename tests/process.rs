//! Pipes and child processes: what std promises, and that only goroutines
//! wait.

mod common;

use common::{MODES, everywhere, limit, on_runtimes, with_deadline};
use raddle::io::{PipeReader, PipeWriter, pipe};
use raddle::process::{Command, Stdio};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn much_goes_through_a_pipe() {
    everywhere(limit(20), || {
        let (mut reader, mut writer) = pipe().unwrap();
        let writing = raddle::spawn(move || writer.write_all(&vec![7; 1_000_000]).unwrap());
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all, vec![7; 1_000_000]);
        writing.join().unwrap();
    });
}

#[test]
fn lines_go_to_and_fro() {
    everywhere(limit(20), || {
        let (mut asks, mut asked) = (pipe().unwrap(), pipe().unwrap());
        let echo = raddle::spawn(move || {
            let mut byte = [0; 1];
            while asks.0.read(&mut byte).unwrap() == 1 {
                asked.1.write_all(&byte).unwrap();
            }
        });
        for byte in 0..100 {
            asks.1.write_all(&[byte]).unwrap();
            let mut answer = [0; 1];
            asked.0.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [byte]);
        }
        drop(asks.1);
        echo.join().unwrap();
        assert_eq!(asked.0.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn pipes_end_and_break() {
    everywhere(limit(20), || {
        let (mut reader, writer) = pipe().unwrap();
        let reading = raddle::spawn(move || reader.read(&mut [0; 8]).unwrap());
        raddle::yield_now();
        drop(writer);
        assert_eq!(reading.join().unwrap(), 0);
        let (reader, mut writer) = pipe().unwrap();
        let writing = raddle::spawn(move || writer.write_all(&vec![1; 1 << 20]).unwrap_err());
        raddle::time::sleep(Duration::from_millis(2));
        drop(reader);
        assert_eq!(writing.join().unwrap().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn pipes_have_deadlines_clones_and_vectors() {
    everywhere(limit(20), || {
        let (reader, mut writer) = pipe().unwrap();
        let mut clone = reader.try_clone().unwrap();
        let reading = raddle::spawn(move || clone.read(&mut [0; 8]).unwrap_err().kind());
        reader.set_deadline(Some(Instant::now() + SHORT));
        assert_eq!(reading.join().unwrap(), ErrorKind::TimedOut);
        writer.set_deadline(Some(Instant::now() + SHORT));
        let full = writer.write_all(&vec![1; 1 << 20]).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::TimedOut);
        let (mut reader, mut writer) = pipe().unwrap();
        let parts = [IoSlice::new(b"ab"), IoSlice::new(b"c")];
        assert_eq!(writer.write_vectored(&parts).unwrap(), 3);
        let (mut a, mut b) = ([0; 1], [0; 4]);
        let mut parts = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
        assert_eq!(reader.read_vectored(&mut parts).unwrap(), 3);
        let std = std::io::PipeReader::from(reader);
        let mut reader = PipeReader::from(std);
        let mut writer = PipeWriter::from(std::io::PipeWriter::from(writer));
        writer.write_all(b"x").unwrap();
        assert_eq!(reader.read(&mut a).unwrap(), 1);
    });
}

/// What runs beside a call on the same processors while it waits: only that
/// ends the call.
fn others_run_beside(call: impl FnOnce(), end: impl FnOnce() + Send + 'static) {
    let other = raddle::spawn(|| {
        for _ in 0..20 {
            raddle::time::sleep(Duration::from_millis(1));
        }
        end();
    });
    call();
    other.join().unwrap();
}

#[test]
fn waiting_for_a_child_holds_up_nobody() {
    on_runtimes(&[1, 2], &MODES, limit(20), |runtime, _| {
        runtime.run(|| {
            let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
            let id = Pid::from_raw(child.id() as i32).expect("a process");
            others_run_beside(
                || assert_eq!(child.wait().unwrap().signal(), Some(9)),
                move || kill_process(id, Signal::KILL).expect("it runs"),
            );
        });
    });
}

#[test]
fn status_output_and_streams() {
    everywhere(limit(30), || {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; cat; exit 4"]);
        assert_eq!(command.get_program(), "sh");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(4));
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"out\n"[..], &b"err\n"[..])
        );
        let output = Command::new("sh")
            .args(["-c", "echo $HERE; pwd"])
            .env("HERE", "there")
            .current_dir("/")
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"there\n/\n");
        let failed = Command::new("/does/not/exist").status().unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::NotFound);
    });
}

/// A child that writes much to both, and reads what it is given.
#[test]
fn all_streams_at_once() {
    everywhere(limit(30), || {
        let mut child = Command::new("sh")
            .args([
                "-c",
                "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; cat",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writing = raddle::spawn(move || stdin.write_all(&vec![1; 300_000]).unwrap());
        let output = child.wait_with_output().unwrap();
        writing.join().unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (600_000, 300_000)
        );
        assert!(output.status.success());
    });
}

#[test]
fn children_are_killed_and_tried() {
    everywhere(limit(20), || {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(child.try_wait().unwrap().is_none());
        let id = child.id();
        assert!(id > 0);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9));
        assert_eq!(child.wait().unwrap(), status, "asked again");
        assert_eq!(child.try_wait().unwrap(), Some(status));
    });
}

#[test]
fn many_children_at_once() {
    everywhere(limit(60), || {
        let children: Vec<_> = (0..20)
            .map(|n| {
                raddle::spawn(move || {
                    let exit = format!("exit {n}");
                    let status = Command::new("sh").args(["-c", &exit]).status().unwrap();
                    assert_eq!(status.code(), Some(n));
                })
            })
            .collect();
        for child in children {
            child.join().unwrap();
        }
    });
}

/// One child's output is another's input, without us in between.
#[test]
fn a_pipeline_of_children() {
    everywhere(limit(20), || {
        let mut first = Command::new("echo")
            .arg("pipeline")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let second = Command::new("cat")
            .stdin(first.stdout.take().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(second.wait_with_output().unwrap().stdout, b"pipeline\n");
        assert!(first.wait().unwrap().success());
    });
}

/// The standard input of a child of ours is raddle's own.
#[test]
fn the_standard_streams_park() {
    const NAME: &str = "the_standard_streams_park";
    if common::is_child() {
        let runtime = common::runtime(common::Mode::Pinned, 1);
        runtime.run(|| {
            let call = || {
                let mut output = raddle::io::stdout();
                for line in raddle::io::stdin().lines() {
                    writeln!(output, "<{}>", line.unwrap()).unwrap();
                }
                output.flush().unwrap();
                assert!(!output.is_terminal());
                write!(raddle::io::stderr(), "the end").unwrap();
            };
            others_run_beside(call, || raddle::eprintln!("others run"));
        });
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env("RADDLE_TEST_ROLE", NAME)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    with_deadline(limit(20), "", || {
        let mut stdin = child.stdin.take().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut errors = String::new();
        stdin.write_all(b"one\ntwo").unwrap();
        stderr.read_line(&mut errors).unwrap();
        assert_eq!(errors, "others run\n");
        stdin.write_all(b"\r\n\nlast").unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        stderr.read_to_string(&mut errors).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{errors}");
        assert!(text.contains("<one>\n<two>\n<>\n<last>\n"), "{text}");
        assert!(errors.contains("the end"), "{errors}");
    });
}
