//! Files: what std promises, and that only goroutines wait.

mod common;

use common::{MODES, everywhere, limit, on_runtimes};
use raddle::fs::{self, File, OpenOptions};
use raddle::sync::WaitGroup;
use std::io::{ErrorKind, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A directory of its own, removed in the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // ORDER: Relaxed: a number.
        let number = NEXT.fetch_add(1, Relaxed);
        let name = format!("raddle-fs-{}-{number}", std::process::id());
        let place = std::env::temp_dir().join(name);
        fs::create_dir(&place).unwrap();
        Self(place)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn whole_files_are_written_read_copied_and_moved() {
    everywhere(limit(20), || {
        let place = Place::new();
        let (a, b, c) = (place.at("a"), place.at("b"), place.at("c"));
        fs::write(&a, "some text").unwrap();
        assert_eq!(fs::read(&a).unwrap(), b"some text");
        assert_eq!(fs::copy(&a, &b).unwrap(), 9);
        fs::rename(&b, &c).unwrap();
        assert!(!fs::exists(&b).unwrap());
        assert_eq!(fs::read_to_string(&c).unwrap(), "some text");
        fs::hard_link(&c, &b).unwrap();
        assert_eq!(fs::metadata(&b).unwrap().len(), 9);
        std::os::unix::fs::symlink(&a, place.at("link")).unwrap();
        assert_eq!(fs::read_link(place.at("link")).unwrap(), a);
        assert!(fs::symlink_metadata(place.at("link")).unwrap().is_symlink());
        assert_eq!(
            fs::canonicalize(place.at("link")).unwrap(),
            fs::canonicalize(&a).unwrap()
        );
        fs::set_permissions(&a, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(fs::metadata(&a).unwrap().permissions().readonly());
        fs::remove_file(&c).unwrap();
        let gone = fs::read(&c).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn directories_are_made_read_and_removed() {
    everywhere(limit(20), || {
        let place = Place::new();
        let deep = place.at("one/two/three");
        fs::create_dir_all(&deep).unwrap();
        for n in 0..300 {
            fs::write(deep.join(format!("{n}")), "x").unwrap();
        }
        fs::create_dir(deep.join("inner")).unwrap();
        let (mut files, mut directories) = (0, 0);
        for entry in fs::read_dir(&deep).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.path(), deep.join(entry.file_name()));
            if entry.file_type().unwrap().is_dir() {
                directories += 1;
            } else {
                files += 1;
                assert_eq!(entry.metadata().unwrap().len(), 1);
            }
        }
        assert_eq!((files, directories), (300, 1));
        assert!(fs::remove_dir(&deep).is_err(), "not empty");
        fs::remove_dir_all(place.at("one")).unwrap();
        assert!(fs::read_dir(&deep).is_err());
    });
}

#[test]
fn files_are_read_and_written_in_parts() {
    everywhere(limit(20), || {
        let place = Place::new();
        let path = place.at("parts");
        let mut file = File::create_new(&path).unwrap();
        assert_eq!(
            File::create_new(&path).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        file.write_all(b"0123456789").unwrap();
        file.seek(SeekFrom::Start(2)).unwrap();
        let mut buffer = [0; 3];
        assert_eq!(file.read(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer, b"234");
        // Goes on where it was.
        let mut clone = file.try_clone().unwrap();
        assert_eq!(clone.read(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer, b"567");
        let mut other = [0; 1];
        let mut parts = [IoSliceMut::new(&mut other), IoSliceMut::new(&mut buffer)];
        assert_eq!(file.read_vectored(&mut parts).unwrap(), 2);
        assert_eq!((other[0], buffer[0]), (b'8', b'9'));
        assert_eq!(file.read(&mut buffer).unwrap(), 0, "the end");
        file.read_exact_at(&mut buffer, 4).unwrap();
        assert_eq!(&buffer, b"456");
        file.write_all_at(b"ab", 0).unwrap();
        assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 3);
        assert_eq!(&buffer, b"ab2");
        let short = file.read_exact_at(&mut buffer, 9).unwrap_err();
        assert_eq!(short.kind(), ErrorKind::UnexpectedEof);
        file.set_len(4).unwrap();
        file.sync_all().unwrap();
        file.sync_data().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 4);
        let mut appended = OpenOptions::new().append(true).open(&path).unwrap();
        appended.write_all(b"!").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ab23!");
        let shown = format!("{file:?}");
        let std = std::fs::File::from(file);
        assert_eq!(format!("{std:?}"), shown);
        let mut all = Vec::new();
        let mut file = File::from(std);
        file.seek(SeekFrom::Start(1)).unwrap();
        file.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"b23!");
    });
}

#[test]
fn locks_exclude_each_other() {
    everywhere(limit(20), || {
        let place = Place::new();
        let path = place.at("lock");
        let first = File::create(&path).unwrap();
        let second = File::open(&path).unwrap();
        first.lock().unwrap();
        assert!(matches!(
            second.try_lock(),
            Err(fs::TryLockError::WouldBlock)
        ));
        let waits = raddle::spawn(move || {
            second.lock().unwrap();
            second.unlock().unwrap();
        });
        // It is waited for at P = 1 too: the lock holds up its goroutine alone.
        raddle::time::sleep(Duration::from_millis(5));
        assert!(!waits.is_finished());
        first.unlock().unwrap();
        waits.join().unwrap();
    });
}

/// Opening a FIFO blocks until the other end is opened, by others that must
/// run meanwhile; and so does reading it.
#[test]
fn others_run_while_a_file_blocks() {
    on_runtimes(&[1, 2, 4], &MODES, limit(20), |runtime, _| {
        let place = Place::new();
        let path = place.at("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        runtime.run(|| {
            let begun = WaitGroup::new();
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let path = path.clone();
                    begun.add(1);
                    let begun = begun.clone();
                    raddle::spawn(move || {
                        begun.done();
                        let mut byte = [0; 1];
                        File::open(&path).unwrap().read_exact(&mut byte).unwrap();
                        byte[0]
                    })
                })
                .collect();
            begun.wait();
            let begin = Instant::now();
            for _ in 0..20 {
                raddle::time::sleep(Duration::from_millis(1));
            }
            assert!(begin.elapsed() < Duration::from_secs(5));
            let mut options = std::fs::OpenOptions::new();
            options.write(true).custom_flags(0);
            let mut writer = OpenOptions::from(options).open(&path).unwrap();
            raddle::time::sleep(Duration::from_millis(5));
            writer.write_all(b"xyz").unwrap();
            let mut bytes: Vec<u8> = readers.into_iter().map(|r| r.join().unwrap()).collect();
            bytes.sort_unstable();
            assert_eq!(bytes, b"xyz");
        });
    });
}

#[test]
fn many_goroutines_work_on_many_files() {
    everywhere(limit(30), || {
        let place = Place::new();
        raddle::scope(|scope| {
            for n in 0..50 {
                let place = &place;
                scope.go(move || {
                    let path = place.at(&format!("{n}"));
                    for round in 0..10 {
                        fs::write(&path, vec![round; 10_000]).unwrap();
                        let mut file = File::open(&path).unwrap();
                        let mut buffer = vec![0; 10_000];
                        file.read_exact(&mut buffer).unwrap();
                        assert_eq!(buffer, vec![round; 10_000]);
                    }
                });
            }
        });
    });
}
