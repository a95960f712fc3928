//! Watches the counters of `GET /health`, none of which may ever fall, whoever dies, drains or is executed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};

use serde_json::{Map, Value};

use crate::harness::http::Connection;

pub struct Counters {
    stop: Arc<AtomicBool>,
    /// What fell, and how often there was something to see.
    watcher: JoinHandle<(Vec<String>, u64)>,
}

impl Counters {
    pub fn watch(address: SocketAddr) -> Counters {
        let stop = Arc::new(AtomicBool::new(false));
        let watcher = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || watch(address, &stop))
        };
        Counters { stop, watcher }
    }

    /// Ends the watch and panics if a counter has ever been lower than before.
    pub fn assert_never_fell(self) {
        self.stop.store(true, SeqCst);
        let (fell, looks) = self.watcher.join().expect("a watcher");
        assert!(fell.is_empty(), "in {looks} looks: {fell:?}");
        assert!(looks > 10, "only {looks} looks");
    }
}

fn watch(address: SocketAddr, stop: &AtomicBool) -> (Vec<String>, u64) {
    let mut highest = Map::new();
    let (mut fell, mut looks) = (Vec::new(), 0);
    while !stop.load(SeqCst) {
        // The request may meet a worker that was just killed.
        let Some(health) = try_health(address) else {
            continue;
        };
        looks += 1;
        for (name, count) in health["totals"].as_object().expect("totals") {
            let before = highest.insert(name.clone(), count.clone());
            let before = before.and_then(|count| count.as_u64());
            if before > count.as_u64() {
                fell.push(format!("{name} from {before:?} to {count}"));
            }
        }
    }
    (fell, looks)
}

fn try_health(address: SocketAddr) -> Option<Value> {
    let mut client = Connection::try_open(address).ok()?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\n\r\n");
    client.try_send(request.as_bytes()).ok()?;
    Some(client.try_response().ok()?.json())
}
