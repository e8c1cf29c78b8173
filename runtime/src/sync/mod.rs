//! Waiting for one another, from goroutines and plain OS threads alike.

#[allow(unsafe_code)]
mod wait_queue;

mod wait_group;

pub use wait_group::WaitGroup;
