//! Waiting for something that will happen: polling with a deadline. A test that needs longer has failed.

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything a test waits for takes on a busy machine, unless the test says otherwise.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Asks every 10 ms until `probe` yields something; panics with `what` after [`LIMIT`].
pub fn for_some<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    for_some_within(LIMIT, what, probe)
}

/// [`for_some`] with a limit of its own.
pub fn for_some_within<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {} s in vain for: {what}",
            limit.as_secs()
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asks every 10 ms until `holds`; panics with `what` after [`LIMIT`].
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for_some(what, || holds().then_some(()));
}
