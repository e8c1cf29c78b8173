//! The guide's chapters, so that their programs are tested as documentation.

macro_rules! chapters {
    ($($name:ident $path:literal)*) => {
        $(#[doc = include_str!(concat!("../../", $path))] mod $name {})*
    };
}

chapters! {
    readme "README.md"
    soundness "docs/soundness.md"
    futures "docs/futures.md"
    concurrency "docs/guide/concurrency.md"
    goroutines "docs/guide/goroutines.md"
    lifetime "docs/guide/lifetime.md"
    wait_group "docs/guide/wait-group.md"
    channels "docs/guide/channels.md"
    deadlock "docs/guide/deadlock.md"
    buffered "docs/guide/buffered.md"
    select "docs/guide/select.md"
    memory "docs/guide/memory.md"
    bounded "docs/guide/bounded.md"
    servers "docs/guide/servers.md"
    pitfalls "docs/guide/pitfalls.md"
    checklist "docs/guide/checklist.md"
    from_go "docs/from-go.md"
    from_std_thread "docs/from-std-thread.md"
    from_tokio "docs/from-tokio.md"
    from_may "docs/from-may.md"
}
