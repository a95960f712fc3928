//! Bots that call all the time while somebody moves the service: each request on a connection of its own, as the bots do, and each write with a
//! text of its own, so that one that was lost or done twice shows.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::old::PATH;
use crate::harness::http::Connection;
use crate::harness::mcp::{Answer, Post};
use crate::harness::systemd::Machine;
use crate::harness::wait;

/// Who wrote the memories.
pub const USER: &str = "moving-bot";

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Old,
    Tine,
}

/// What the callers have seen.
#[derive(Debug, Default)]
pub struct Tally {
    /// The text of each write that was confirmed, where it was sent to and by whom it was answered.
    written: Mutex<Vec<(String, String, By)>>,
    failed: Mutex<Vec<String>>,
}

impl Tally {
    fn count(&self, place: &str, by: By) -> usize {
        let written = self.written.lock().expect("no panic");
        let seen = written
            .iter()
            .filter(|(_, to, who)| to == place && *who == by);
        seen.count()
    }

    /// Waits for some more answers of this server at each of these places.
    pub fn until_served(&self, places: &[&str], by: By) {
        for place in places {
            let before = self.count(place, by);
            wait::until(&format!("{by:?} answers at {place}"), || {
                self.count(place, by) >= before + 10
            });
        }
    }

    pub fn written(&self) -> Vec<String> {
        let written = self.written.lock().expect("no panic");
        written.iter().map(|(text, ..)| text.clone()).collect()
    }

    pub fn failed(&self) -> Vec<String> {
        self.failed.lock().expect("no panic").clone()
    }
}

/// Runs `body` while two bots call at each of these places in the machine.
pub fn calling<T>(
    machine: &Machine,
    places: &[&str],
    tally: &Tally,
    body: impl FnOnce() -> T,
) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for place in places.iter().flat_map(|place| [place, place]) {
            let over = &over;
            scope.spawn(move || machine.inside(|| call_on(place, tally, over)));
        }
        // The callers end also when the body panics.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _end = End(&over);
        body()
    })
}

fn call_on(place: &str, tally: &Tally, over: &AtomicBool) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let address: SocketAddr = place.parse().expect("an address");
    while !over.load(Ordering::Relaxed) {
        let text = format!("turn {}", NEXT.fetch_add(1, Ordering::Relaxed));
        match turn(address, &text) {
            Ok(by) => {
                let mut written = tally.written.lock().expect("no panic");
                written.push((text, place.to_owned(), by));
            }
            Err(fault) => {
                let mut failed = tally.failed.lock().expect("no panic");
                failed.push(format!("{place}: {text}: {fault}"));
            }
        }
        // People talk slower still.
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a chat message costs: the greeting, the list, and a call.
fn turn(address: SocketAddr, text: &str) -> io::Result<By> {
    let client = json!({"name": "bot", "version": "0"});
    let greeting =
        json!({"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": client});
    let name = ask(address, "initialize", greeting)?["serverInfo"]["name"].clone();
    expect(name == "swf-testbed", &name)?;
    let tools = ask(address, "tools/list", Value::Null)?["tools"].clone();
    expect(
        tools.as_array().is_some_and(|tools| tools.len() >= 4),
        &tools,
    )?;
    let arguments = json!({"username": USER, "session_id": "s", "role": "user", "content": text});
    let call = json!({"name": "swf_record_ai_memory", "arguments": arguments});
    let result = ask(address, "tools/call", call)?;
    let told = result["content"][0]["text"].as_str().unwrap_or_default();
    let told: Value = serde_json::from_str(told).map_err(io::Error::other)?;
    expect(told["success"] == true, &result)?;
    // The old one has text alone.
    Ok(match result["structuredContent"].is_null() {
        true => By::Old,
        false => By::Tine,
    })
}

fn ask(address: SocketAddr, method: &str, params: Value) -> io::Result<Value> {
    let post = Post::legacy(method, params)
        .path(PATH)
        .header("Accept", "application/json")
        .without("MCP-Protocol-Version");
    let mut connection = Connection::try_open(address)?;
    connection.try_send(&post.bytes(address))?;
    let answer = Answer(connection.try_response()?);
    expect(answer.status() == 200, &json!(answer.0.text()))?;
    let message = answer.0.json();
    expect(message["result"].is_object(), &message)?;
    Ok(message["result"].clone())
}

fn expect(good: bool, what: &Value) -> io::Result<()> {
    match good {
        true => Ok(()),
        false => Err(io::Error::other(what.to_string())),
    }
}
