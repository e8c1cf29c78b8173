//! The items of `std::net`, `std::os::unix::net`, `std::fs`, `std::process`
//! and of `std::io`'s pipes, one by one: each has its twin here, of the same
//! form. What is in the lists is compared by the compiler.

mod common;

use common::{everywhere, limit};
use raddle::net::{Shutdown, SocketAddr};
use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs::{FileTimes, Metadata, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::SocketAddr as UnixAddr;
use std::os::unix::process::CommandExt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};
use std::time::{Duration, SystemTime};

type Result<T = ()> = io::Result<T>;
type Timeout = Option<Duration>;

/// Each item has the form that is given, as ours and as std's.
macro_rules! alike {
    ($($ours:ty, $std:ty { $($item:expr => $form:ty;)* })*) => {$(
        #[allow(clippy::type_complexity, reason = "as std has it")]
        const _: () = {
            $({
                #[allow(dead_code, reason = "not in each form")]
                type S = $ours;
                let _: $form = $item;
            })*
            $({
                #[allow(dead_code, reason = "not in each form")]
                type S = $std;
                let _: $form = $item;
            })*
        };
    )*};
}

alike! {
    raddle::net::TcpStream, std::net::TcpStream {
        S::connect::<&str> => fn(&'static str) -> Result<S>;
        S::connect_timeout => fn(&SocketAddr, Duration) -> Result<S>;
        S::peer_addr => fn(&S) -> Result<SocketAddr>;
        S::local_addr => fn(&S) -> Result<SocketAddr>;
        S::shutdown => fn(&S, Shutdown) -> Result;
        S::try_clone => fn(&S) -> Result<S>;
        S::set_read_timeout => fn(&S, Timeout) -> Result;
        S::set_write_timeout => fn(&S, Timeout) -> Result;
        S::read_timeout => fn(&S) -> Result<Timeout>;
        S::write_timeout => fn(&S) -> Result<Timeout>;
        S::peek => fn(&S, &mut [u8]) -> Result<usize>;
        S::set_nodelay => fn(&S, bool) -> Result;
        S::nodelay => fn(&S) -> Result<bool>;
        S::set_ttl => fn(&S, u32) -> Result;
        S::ttl => fn(&S) -> Result<u32>;
        S::take_error => fn(&S) -> Result<Option<io::Error>>;
        S::set_nonblocking => fn(&S, bool) -> Result;
    }
    raddle::net::UdpSocket, std::net::UdpSocket {
        S::bind::<&str> => fn(&'static str) -> Result<S>;
        S::recv_from => fn(&S, &mut [u8]) -> Result<(usize, SocketAddr)>;
        S::peek_from => fn(&S, &mut [u8]) -> Result<(usize, SocketAddr)>;
        S::send_to::<SocketAddr> => fn(&S, &[u8], SocketAddr) -> Result<usize>;
        S::peer_addr => fn(&S) -> Result<SocketAddr>;
        S::local_addr => fn(&S) -> Result<SocketAddr>;
        S::try_clone => fn(&S) -> Result<S>;
        S::set_read_timeout => fn(&S, Timeout) -> Result;
        S::set_write_timeout => fn(&S, Timeout) -> Result;
        S::read_timeout => fn(&S) -> Result<Timeout>;
        S::write_timeout => fn(&S) -> Result<Timeout>;
        S::set_broadcast => fn(&S, bool) -> Result;
        S::broadcast => fn(&S) -> Result<bool>;
        S::set_multicast_loop_v4 => fn(&S, bool) -> Result;
        S::multicast_loop_v4 => fn(&S) -> Result<bool>;
        S::set_multicast_ttl_v4 => fn(&S, u32) -> Result;
        S::multicast_ttl_v4 => fn(&S) -> Result<u32>;
        S::set_multicast_loop_v6 => fn(&S, bool) -> Result;
        S::multicast_loop_v6 => fn(&S) -> Result<bool>;
        S::set_ttl => fn(&S, u32) -> Result;
        S::ttl => fn(&S) -> Result<u32>;
        S::join_multicast_v4 => fn(&S, &Ipv4Addr, &Ipv4Addr) -> Result;
        S::join_multicast_v6 => fn(&S, &Ipv6Addr, u32) -> Result;
        S::leave_multicast_v4 => fn(&S, &Ipv4Addr, &Ipv4Addr) -> Result;
        S::leave_multicast_v6 => fn(&S, &Ipv6Addr, u32) -> Result;
        S::take_error => fn(&S) -> Result<Option<io::Error>>;
        S::connect::<SocketAddr> => fn(&S, SocketAddr) -> Result;
        S::send => fn(&S, &[u8]) -> Result<usize>;
        S::recv => fn(&S, &mut [u8]) -> Result<usize>;
        S::peek => fn(&S, &mut [u8]) -> Result<usize>;
        S::set_nonblocking => fn(&S, bool) -> Result;
    }
    raddle::net::unix::UnixDatagram, std::os::unix::net::UnixDatagram {
        S::bind::<&Path> => fn(&'static Path) -> Result<S>;
        S::bind_addr => fn(&UnixAddr) -> Result<S>;
        S::unbound => fn() -> Result<S>;
        S::pair => fn() -> Result<(S, S)>;
        S::connect::<&Path> => fn(&S, &'static Path) -> Result;
        S::connect_addr => fn(&S, &UnixAddr) -> Result;
        S::try_clone => fn(&S) -> Result<S>;
        S::local_addr => fn(&S) -> Result<UnixAddr>;
        S::peer_addr => fn(&S) -> Result<UnixAddr>;
        S::recv_from => fn(&S, &mut [u8]) -> Result<(usize, UnixAddr)>;
        S::recv => fn(&S, &mut [u8]) -> Result<usize>;
        S::send_to::<&Path> => fn(&S, &[u8], &'static Path) -> Result<usize>;
        S::send_to_addr => fn(&S, &[u8], &UnixAddr) -> Result<usize>;
        S::send => fn(&S, &[u8]) -> Result<usize>;
        S::set_read_timeout => fn(&S, Timeout) -> Result;
        S::set_write_timeout => fn(&S, Timeout) -> Result;
        S::read_timeout => fn(&S) -> Result<Timeout>;
        S::write_timeout => fn(&S) -> Result<Timeout>;
        S::set_nonblocking => fn(&S, bool) -> Result;
        S::take_error => fn(&S) -> Result<Option<io::Error>>;
        S::shutdown => fn(&S, Shutdown) -> Result;
    }
    raddle::net::unix::UnixStream, std::os::unix::net::UnixStream {
        S::connect::<&Path> => fn(&'static Path) -> Result<S>;
        S::connect_addr => fn(&UnixAddr) -> Result<S>;
        S::pair => fn() -> Result<(S, S)>;
        S::try_clone => fn(&S) -> Result<S>;
        S::local_addr => fn(&S) -> Result<UnixAddr>;
        S::peer_addr => fn(&S) -> Result<UnixAddr>;
        S::set_read_timeout => fn(&S, Timeout) -> Result;
        S::set_write_timeout => fn(&S, Timeout) -> Result;
        S::read_timeout => fn(&S) -> Result<Timeout>;
        S::write_timeout => fn(&S) -> Result<Timeout>;
        S::set_nonblocking => fn(&S, bool) -> Result;
        S::take_error => fn(&S) -> Result<Option<io::Error>>;
        S::shutdown => fn(&S, Shutdown) -> Result;
    }
    raddle::fs::File, std::fs::File {
        S::open::<&Path> => fn(&'static Path) -> Result<S>;
        S::create::<&Path> => fn(&'static Path) -> Result<S>;
        S::create_new::<&Path> => fn(&'static Path) -> Result<S>;
        S::sync_all => fn(&S) -> Result;
        S::sync_data => fn(&S) -> Result;
        S::lock => fn(&S) -> Result;
        S::lock_shared => fn(&S) -> Result;
        S::try_lock => fn(&S) -> std::result::Result<(), TryLockError>;
        S::try_lock_shared => fn(&S) -> std::result::Result<(), TryLockError>;
        S::unlock => fn(&S) -> Result;
        S::set_len => fn(&S, u64) -> Result;
        S::metadata => fn(&S) -> Result<Metadata>;
        S::try_clone => fn(&S) -> Result<S>;
        S::set_permissions => fn(&S, Permissions) -> Result;
        S::set_times => fn(&S, FileTimes) -> Result;
        S::set_modified => fn(&S, SystemTime) -> Result;
        S::read_at => fn(&S, &mut [u8], u64) -> Result<usize>;
        S::read_exact_at => fn(&S, &mut [u8], u64) -> Result;
        S::write_at => fn(&S, &[u8], u64) -> Result<usize>;
        S::write_all_at => fn(&S, &[u8], u64) -> Result;
    }
    raddle::fs::OpenOptions, std::fs::OpenOptions {
        S::new => fn() -> S;
        S::read => fn(&mut S, bool) -> &mut S;
        S::write => fn(&mut S, bool) -> &mut S;
        S::append => fn(&mut S, bool) -> &mut S;
        S::truncate => fn(&mut S, bool) -> &mut S;
        S::create => fn(&mut S, bool) -> &mut S;
        S::create_new => fn(&mut S, bool) -> &mut S;
        S::mode => fn(&mut S, u32) -> &mut S;
        S::custom_flags => fn(&mut S, i32) -> &mut S;
    }
    raddle::fs::DirBuilder, std::fs::DirBuilder {
        S::new => fn() -> S;
        S::recursive => fn(&mut S, bool) -> &mut S;
        S::mode => fn(&mut S, u32) -> &mut S;
        S::create::<&Path> => fn(&S, &'static Path) -> Result;
    }
    raddle::fs::DirEntry, std::fs::DirEntry {
        S::path => fn(&S) -> PathBuf;
        S::metadata => fn(&S) -> Result<Metadata>;
        S::file_type => fn(&S) -> Result<std::fs::FileType>;
        S::file_name => fn(&S) -> std::ffi::OsString;
    }
    raddle::process::Command, std::process::Command {
        S::new::<&str> => fn(&'static str) -> S;
        S::arg::<&str> => for<'a> fn(&'a mut S, &'static str) -> &'a mut S;
        S::args::<[&str; 2], &str> => for<'a> fn(&'a mut S, [&'static str; 2]) -> &'a mut S;
        S::env::<&str, &str> => for<'a> fn(&'a mut S, &'static str, &'static str) -> &'a mut S;
        S::env_remove::<&str> => for<'a> fn(&'a mut S, &'static str) -> &'a mut S;
        S::env_clear => fn(&mut S) -> &mut S;
        S::current_dir::<&str> => for<'a> fn(&'a mut S, &'static str) -> &'a mut S;
        S::stdin::<Stdio> => fn(&mut S, Stdio) -> &mut S;
        S::stdout::<Stdio> => fn(&mut S, Stdio) -> &mut S;
        S::stderr::<Stdio> => fn(&mut S, Stdio) -> &mut S;
        S::output => fn(&mut S) -> Result<Output>;
        S::status => fn(&mut S) -> Result<ExitStatus>;
        S::get_program => fn(&S) -> &OsStr;
        S::get_args => fn(&S) -> CommandArgs<'_>;
        S::get_envs => fn(&S) -> CommandEnvs<'_>;
        S::get_current_dir => fn(&S) -> Option<&Path>;
        S::uid => fn(&mut S, u32) -> &mut S;
        S::gid => fn(&mut S, u32) -> &mut S;
        S::arg0::<&str> => for<'a> fn(&'a mut S, &'static str) -> &'a mut S;
        S::process_group => fn(&mut S, i32) -> &mut S;
    }
    raddle::process::Child, std::process::Child {
        S::id => fn(&S) -> u32;
        S::kill => fn(&mut S) -> Result;
        S::try_wait => fn(&mut S) -> Result<Option<ExitStatus>>;
        S::wait => fn(&mut S) -> Result<ExitStatus>;
        S::wait_with_output => fn(S) -> Result<Output>;
    }
    raddle::io::PipeReader, std::io::PipeReader {
        S::try_clone => fn(&S) -> Result<S>;
    }
    raddle::io::PipeWriter, std::io::PipeWriter {
        S::try_clone => fn(&S) -> Result<S>;
    }
}

/// As `alike`, of which the results are another type each.
macro_rules! twins {
    ($($ours:ty => $our:ty, $std:ty => $theirs:ty { $($item:expr => $form:ty;)* })*) => {$(
        #[allow(clippy::type_complexity, reason = "as std has it")]
        const _: () = {
            $({
                type S = $ours;
                type R = $our;
                let _: $form = $item;
            })*
            $({
                type S = $std;
                type R = $theirs;
                let _: $form = $item;
            })*
        };
    )*};
}

twins! {
    raddle::net::TcpListener => raddle::net::TcpStream,
    std::net::TcpListener => std::net::TcpStream {
        |s: &S| -> Result<(R, SocketAddr)> { s.accept() } => fn(&S) -> Result<(R, SocketAddr)>;
        |s: &S| -> Option<Result<R>> { s.incoming().next() } => fn(&S) -> Option<Result<R>>;
    }
    raddle::net::unix::UnixListener => raddle::net::unix::UnixStream,
    std::os::unix::net::UnixListener => std::os::unix::net::UnixStream {
        |s: &S| -> Result<(R, UnixAddr)> { s.accept() } => fn(&S) -> Result<(R, UnixAddr)>;
        |s: &S| -> Option<Result<R>> { s.incoming().next() } => fn(&S) -> Option<Result<R>>;
        |s: &S| -> Option<Result<R>> { s.into_iter().next() } => fn(&S) -> Option<Result<R>>;
    }
    raddle::fs::OpenOptions => raddle::fs::File, std::fs::OpenOptions => std::fs::File {
        |s: &S| -> Result<R> { s.open("x") } => fn(&S) -> Result<R>;
    }
    raddle::fs::ReadDir => raddle::fs::DirEntry, std::fs::ReadDir => std::fs::DirEntry {
        |s: &mut S| -> Option<Result<R>> { s.next() } => fn(&mut S) -> Option<Result<R>>;
    }
    raddle::process::Command => raddle::process::Child,
    std::process::Command => std::process::Child {
        |s: &mut S| -> Result<R> { s.spawn() } => fn(&mut S) -> Result<R>;
    }
}

alike! {
    raddle::net::TcpListener, std::net::TcpListener {
        S::bind::<&str> => fn(&'static str) -> Result<S>;
        S::local_addr => fn(&S) -> Result<SocketAddr>;
        S::try_clone => fn(&S) -> Result<S>;
        S::set_ttl => fn(&S, u32) -> Result;
        S::ttl => fn(&S) -> Result<u32>;
        S::take_error => fn(&S) -> Result<Option<io::Error>>;
        S::set_nonblocking => fn(&S, bool) -> Result;
    }
    raddle::net::unix::UnixListener, std::os::unix::net::UnixListener {
        S::bind::<&Path> => fn(&'static Path) -> Result<S>;
        S::bind_addr => fn(&UnixAddr) -> Result<S>;
        S::local_addr => fn(&S) -> Result<UnixAddr>;
        S::try_clone => fn(&S) -> Result<S>;
        S::take_error => fn(&S) -> Result<Option<io::Error>>;
        S::set_nonblocking => fn(&S, bool) -> Result;
    }
}

macro_rules! functions {
    ($($name:ident<$($generic:ty),*> => $form:ty;)*) => {
        #[allow(clippy::type_complexity, reason = "as std has it")]
        const _: () = {
            $(
                let _: $form = raddle::fs::$name::<$($generic),*>;
                let _: $form = std::fs::$name::<$($generic),*>;
            )*
        };
    };
}

type P = &'static Path;

functions! {
    canonicalize<P> => fn(P) -> Result<PathBuf>;
    copy<P, P> => fn(P, P) -> Result<u64>;
    create_dir<P> => fn(P) -> Result;
    create_dir_all<P> => fn(P) -> Result;
    exists<P> => fn(P) -> Result<bool>;
    hard_link<P, P> => fn(P, P) -> Result;
    metadata<P> => fn(P) -> Result<Metadata>;
    read<P> => fn(P) -> Result<Vec<u8>>;
    read_link<P> => fn(P) -> Result<PathBuf>;
    read_to_string<P> => fn(P) -> Result<String>;
    remove_dir<P> => fn(P) -> Result;
    remove_dir_all<P> => fn(P) -> Result;
    remove_file<P> => fn(P) -> Result;
    rename<P, P> => fn(P, P) -> Result;
    set_permissions<P> => fn(P, Permissions) -> Result;
    symlink_metadata<P> => fn(P) -> Result<Metadata>;
    write<P, &'static [u8]> => fn(P, &'static [u8]) -> Result;
}

/// What std's have, too.
fn has_descriptor<T>()
where
    T: AsFd + AsRawFd + IntoRawFd + FromRawFd + From<OwnedFd> + Into<OwnedFd>,
    T: Debug + Send + Sync + UnwindSafe + RefUnwindSafe + Unpin,
{
}

fn is_stream<T: Read + Write>()
where
    for<'a> &'a T: Read + Write,
{
}

#[test]
fn traits_are_those_of_std() {
    macro_rules! both {
        ($has:ident: $($path:path)*) => {$($has::<$path>();)*};
    }
    both!(has_descriptor: std::net::TcpStream raddle::net::TcpStream std::net::TcpListener
        raddle::net::TcpListener std::net::UdpSocket raddle::net::UdpSocket
        std::os::unix::net::UnixStream raddle::net::unix::UnixStream
        std::os::unix::net::UnixListener raddle::net::unix::UnixListener
        std::os::unix::net::UnixDatagram raddle::net::unix::UnixDatagram
        std::fs::File raddle::fs::File std::io::PipeReader raddle::io::PipeReader
        std::io::PipeWriter raddle::io::PipeWriter);
    both!(is_stream: std::net::TcpStream raddle::net::TcpStream std::os::unix::net::UnixStream
        raddle::net::unix::UnixStream std::fs::File raddle::fs::File);
    fn is_input<T: Write + AsFd + AsRawFd + IntoRawFd + Into<OwnedFd> + From<OwnedFd>>()
    where
        for<'a> &'a T: Write,
    {
    }
    fn is_output<T: Read + AsFd + AsRawFd + IntoRawFd + Into<OwnedFd> + From<OwnedFd>>() {}
    both!(is_input: std::process::ChildStdin raddle::process::ChildStdin);
    both!(is_output: std::process::ChildStdout raddle::process::ChildStdout
        std::process::ChildStderr raddle::process::ChildStderr);
    fn seeks<T: Seek>()
    where
        for<'a> &'a T: Seek,
    {
    }
    both!(seeks: std::fs::File raddle::fs::File);
}

/// Options that std has not got, by socket2: on ours as it is, or by way of
/// its own type and back.
#[test]
fn socket2_sets_further_options() {
    everywhere(limit(20), || {
        let raw = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        raw.set_reuse_address(true).unwrap();
        raw.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
            .unwrap();
        raw.listen(7).unwrap();
        let listener: raddle::net::TcpListener = OwnedFd::from(raw).into();
        let address = listener.local_addr().unwrap();
        let client = raddle::spawn(move || {
            let stream = raddle::net::TcpStream::connect(address).unwrap();
            // As it is: AsFd is enough.
            let seen = socket2::SockRef::from(&stream);
            let alive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(77));
            seen.set_tcp_keepalive(&alive).unwrap();
            assert!(seen.keepalive().unwrap());
            // By way of socket2's type, and back.
            let raw = socket2::Socket::from(OwnedFd::from(stream));
            assert!(!raw.nonblocking().unwrap());
            raw.set_recv_buffer_size(1 << 16).unwrap();
            assert_eq!(raw.tcp_keepalive_time().unwrap(), Duration::from_secs(77));
            let mut stream = raddle::net::TcpStream::from(OwnedFd::from(raw));
            stream.write_all(b"by way of socket2").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "BY WAY OF SOCKET2");
            // And by std's types.
            let raw = socket2::Socket::from(std::net::TcpStream::from(stream));
            drop(raddle::net::TcpStream::from(std::net::TcpStream::from(raw)));
        });
        let (mut stream, _from) = listener.accept().unwrap();
        let mut asked = String::new();
        stream.read_to_string(&mut asked).unwrap();
        stream.write_all(asked.to_uppercase().as_bytes()).unwrap();
        drop(stream);
        client.join().unwrap();
    });
}

#[test]
fn links_directories_and_owners() {
    everywhere(limit(20), || {
        let top = std::env::temp_dir().join(format!(
            "raddle-like-std-{}-{}",
            std::process::id(),
            raddle::current().id()
        ));
        let inner = top.join("a").join("b");
        let plain = raddle::fs::DirBuilder::new();
        assert_eq!(
            plain.create(&inner).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let mut made = raddle::fs::DirBuilder::new();
        made.recursive(true).mode(0o700);
        made.create(&inner).unwrap();
        made.create(&inner).unwrap();
        let mode = raddle::fs::metadata(&inner).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let mut options = raddle::fs::File::options();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(inner.join("file")).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let link = top.join("link");
        raddle::fs::symlink(inner.join("file"), &link).unwrap();
        assert_eq!(raddle::fs::read_link(&link).unwrap(), inner.join("file"));
        let again = raddle::fs::symlink("nowhere", &link).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let is_link = raddle::fs::symlink_metadata(&link).unwrap();
        assert!(is_link.file_type().is_symlink());
        // Nobody may give things away, but anybody keeps them.
        raddle::fs::chown(&link, None, None).unwrap();
        raddle::fs::lchown(&link, None, None).unwrap();
        raddle::fs::fchown(&file, None, None).unwrap();
        raddle::fs::remove_dir_all(&top).unwrap();
    });
}

#[test]
fn processes_have_names_and_groups_of_their_own() {
    everywhere(limit(20), || {
        let mut command = raddle::process::Command::new("sh");
        command
            .arg0("another")
            .args(["-c", "echo $0 $(ps -o pgid= -p $$) $$"])
            .process_group(0);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words[0], "another", "{text}");
        assert_eq!(words[1], words[words.len() - 1], "{text}");
    });
}

#[test]
fn a_listener_may_belong_to_its_connections() {
    everywhere(limit(20), || {
        let listener = raddle::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = listener.into_incoming();
        let client = raddle::spawn(move || raddle::net::TcpStream::connect(address).unwrap());
        let stream = incoming.next().unwrap().unwrap();
        assert_eq!(stream.local_addr().unwrap(), address);
        stream.set_quickack(false).unwrap();
        assert!(!stream.quickack().unwrap());
        client.join().unwrap();
    });
}
