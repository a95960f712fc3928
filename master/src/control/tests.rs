//! Real sockets and clients of every kind. Time is what the tests say it is.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::MutexGuard;

use serde_json::Value;

use super::conversation::PATIENCE;
use super::*;
use crate::listen::{BindError, MASK};

const NOW: Time = Duration::from_secs(1000);
const LATE: Time = NOW.saturating_add(PATIENCE);

/// A socket in a folder of its own, which is removed with it.
struct Place {
    folder: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Place {
    fn new(name: &str) -> Place {
        let turn = MASK.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let folder =
            std::env::temp_dir().join(format!("tine-control-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("folder");
        Place {
            folder,
            _turn: turn,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("run/swf/control")
    }

    fn bind(&self) -> ControlSocket {
        ControlSocket::bind(&self.path()).expect("bind")
    }

    fn connect(&self) -> UnixStream {
        let client = UnixStream::connect(self.path()).expect("connect");
        // Longer than anything takes: what a test reads has been written already.
        client
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("timeout");
        client
    }

    fn send(&self, words: &str) -> UnixStream {
        let mut client = self.connect();
        client.write_all(words.as_bytes()).expect("write");
        client
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn only(orders: &[(ClientId, Order)]) -> (ClientId, Order) {
    match orders {
        [order] => *order,
        other => panic!("one order, not {other:?}"),
    }
}

/// Everything until the end of the connection, which must be a clean one.
fn lines(client: UnixStream) -> Vec<Value> {
    let lines = BufReader::new(client).lines();
    lines
        .map(|line| serde_json::from_str(&line.expect("a clean end")).expect("JSON"))
        .collect()
}

fn refusal(client: UnixStream) -> String {
    let lines = lines(client);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["done"], &lines[0]["ok"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
    lines[0]["text"].as_str().expect("text").to_owned()
}

#[test]
fn an_order_its_progress_and_its_outcome() {
    let place = Place::new("order");
    let mut socket = place.bind();
    let client = place.send("reload\n");
    let (id, order) = only(&socket.turn(NOW));
    assert_eq!(order, Order::Reload);
    assert_eq!(socket.next_deadline(), None, "who waits may wait");
    assert!(socket.turn(NOW + 10 * PATIENCE).is_empty());
    socket.tell(LATE, id, "checking");
    socket.finish(LATE, id, &Outcome::yes("generation 2"));
    assert_eq!(socket.clients.len(), 0);
    let lines = lines(client);
    assert_eq!(lines[0], serde_json::json!({ "text": "checking" }));
    assert_eq!(
        lines[1],
        serde_json::json!({ "done": true, "ok": true, "text": "generation 2" })
    );
    assert_eq!(lines.len(), 2);
}

#[test]
fn an_order_in_pieces_and_one_before_a_half_closed_end() {
    let place = Place::new("pieces");
    let mut socket = place.bind();
    let mut slow = place.send("sta");
    assert!(socket.turn(NOW).is_empty());
    slow.write_all(b"tus\r\nstop\n").expect("write");
    let half_closed = place.send("stop quick\n");
    half_closed.shutdown(Shutdown::Write).expect("shutdown");
    let orders = socket.turn(NOW);
    let words: Vec<Order> = orders.iter().map(|(_, order)| *order).collect();
    assert_eq!(words, [Order::Status, Order::Stop { quick: true }]);
    assert!(socket.turn(NOW).is_empty());
    for (id, _) in orders {
        socket.finish(NOW, id, &Outcome::yes("done"));
    }
    for client in [slow, half_closed] {
        assert_eq!(lines(client).len(), 1);
    }
}

#[test]
fn garbage_and_long_lines_are_answered_and_dropped() {
    let place = Place::new("garbage");
    let mut socket = place.bind();
    let garbage: &[&[u8]] = &[
        b"\0\xff\x1b[2J\n",
        b"\n",
        b"statusstatus\n",
        b"{\"order\":\"stop\"}\n",
    ];
    for bytes in garbage {
        let mut client = place.connect();
        client.write_all(bytes).expect("write");
        assert!(socket.turn(NOW).is_empty());
        let text = refusal(client);
        assert!(text.contains("status, reload"), "{text}");
    }
    // Far more than is read: neither a reset nor an end without a word.
    let long = place.send(&"x".repeat(2 * ORDER_BYTES));
    assert!(socket.turn(NOW).is_empty());
    let text = refusal(long);
    assert!(text.contains("5120 bytes"), "{text}");
    assert_eq!(socket.clients.len(), 0);
}

#[test]
fn a_silent_client_is_dropped_in_time_and_one_that_leaves_at_once() {
    let place = Place::new("silent");
    let mut socket = place.bind();
    let mut silent = place.connect();
    let gone = place.send("stat");
    assert!(socket.turn(NOW).is_empty());
    assert_eq!(socket.clients.len(), 2);
    assert_eq!(socket.next_deadline(), Some(LATE));
    drop(gone);
    let before = LATE.checked_sub(Duration::from_nanos(1)).expect("time");
    assert!(socket.turn(before).is_empty());
    assert_eq!(socket.clients.len(), 1);
    assert!(socket.turn(LATE).is_empty());
    assert_eq!(socket.clients.len(), 0);
    assert_eq!(silent.read(&mut [0]).expect("end"), 0);
    assert_eq!(socket.next_deadline(), None);
}

#[test]
fn a_client_that_does_not_read_is_dropped_in_time() {
    let place = Place::new("slow");
    let mut socket = place.bind();
    let slow = place.send("reload\n");
    let (id, _) = only(&socket.turn(NOW));
    let text = "x".repeat(64 << 10);
    while socket.next_deadline().is_none() {
        socket.tell(NOW, id, &text);
    }
    assert_eq!(socket.next_deadline(), Some(LATE));
    assert!(
        socket
            .descriptors()
            .any(|(_, flags)| flags == PollFlags::POLLOUT)
    );

    // One that reads in time gets all of it.
    let reader = std::thread::spawn(move || lines(slow).len());
    while socket.next_deadline().is_some() {
        socket.turn(NOW);
    }
    socket.finish(NOW, id, &Outcome::yes("done"));
    assert!(reader.join().expect("reader") > 1);

    let slow = place.send("reload\n");
    let (id, _) = only(&socket.turn(NOW));
    while socket.next_deadline().is_none() {
        socket.tell(NOW, id, &text);
    }
    socket.turn(LATE);
    assert_eq!(socket.clients.len(), 0);
    drop(slow);
}

#[test]
fn an_answer_after_the_client_left_and_one_for_another_client_miss() {
    let place = Place::new("late");
    let mut socket = place.bind();
    let first = place.send("upgrade\n");
    let (old, _) = only(&socket.turn(NOW));
    drop(first);
    let ended = socket.descriptors().last().map(|(fd, flags)| {
        let mut watched = [PollFd::new(fd, flags)];
        poll(&mut watched, PollTimeout::ZERO)
    });
    assert_eq!(
        ended,
        Some(Ok(1)),
        "the loop wakes when a waiting client leaves"
    );
    assert!(socket.turn(NOW).is_empty());
    let second = place.send("reload\n");
    let (new, _) = only(&socket.turn(NOW));
    socket.tell(NOW, old, "for the first");
    socket.finish(NOW, old, &Outcome::yes("for the first"));
    socket.finish(NOW, new, &Outcome::yes("for the second"));
    assert_eq!(lines(second)[0]["text"], "for the second");
    assert_eq!(socket.clients.len(), 0);
}

/// Orders of those who leave at once are orders.
#[test]
fn whoever_orders_and_leaves_has_ordered() {
    let place = Place::new("leaves");
    let mut socket = place.bind();
    drop(place.send("stop\n"));
    assert_eq!(only(&socket.turn(NOW)).1, Order::Stop { quick: false });
    assert_eq!(socket.clients.len(), 0);
}

#[test]
fn the_seventeenth_client_takes_a_silent_ones_place_or_is_refused() {
    let place = Place::new("many");
    let mut socket = place.bind();
    let mut silent: Vec<UnixStream> = (0..MOST_CLIENTS).map(|_| place.connect()).collect();
    assert!(socket.turn(NOW).is_empty());
    assert_eq!(socket.clients.len(), MOST_CLIENTS);
    let waiting: Vec<UnixStream> = (0..MOST_CLIENTS).map(|_| place.send("reload\n")).collect();
    let orders = socket.turn(NOW);
    assert_eq!(orders.len(), MOST_CLIENTS, "silent clients keep nobody out");
    assert_eq!(socket.clients.len(), MOST_CLIENTS);
    let text = refusal(silent.remove(0));
    assert!(text.contains("too many"), "{text}");

    let one_more = place.send("status\n");
    assert!(socket.turn(NOW).is_empty());
    let text = refusal(one_more);
    assert!(text.contains("try again"), "{text}");
    for (id, _) in orders {
        socket.finish(NOW, id, &Outcome::yes("done"));
    }
    for client in waiting {
        assert_eq!(lines(client)[0]["ok"], true);
    }
}

#[test]
fn a_flood_is_taken_in_bites() {
    let place = Place::new("flood");
    let mut socket = place.bind();
    let flood: Vec<UnixStream> = (0..BACKLOG).map(|_| place.connect()).collect();
    socket.turn(NOW);
    let taken = socket.next_id;
    assert_eq!(taken, ACCEPTS_A_TURN as u64);
    for _ in 0..flood.len() {
        socket.turn(NOW);
    }
    assert_eq!(socket.next_id, flood.len() as u64);
    assert_eq!(socket.clients.len(), MOST_CLIENTS);
}

#[test]
fn the_file_is_ours_alone_and_leaves_with_us() {
    let place = Place::new("file");
    let socket = place.bind();
    let mode = |path: &std::path::Path| path.metadata().expect("file").permissions().mode() & 0o777;
    assert_eq!(socket.path(), place.path());
    assert_eq!(mode(&place.path()), 0o600);
    assert_eq!(mode(place.path().parent().expect("folder")), 0o700);
    assert_eq!(mode(&place.folder.join("run")), 0o755);
    let flags = nix::fcntl::fcntl(&socket.listener, nix::fcntl::FcntlArg::F_GETFD);
    assert_eq!(flags, Ok(1), "closed on exec");

    // A living one is refused, also while nobody answers.
    let error = ControlSocket::bind(&place.path()).expect_err("alive");
    assert!(
        matches!(error, ControlError::Bind(BindError::Alive(_))),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains(place.path().to_str().expect("path")),
        "{error}"
    );

    // What a killed server left is replaced.
    drop(socket);
    assert!(place.path().exists());
    let mut socket = place.bind();

    // At the end each who waits has a last word, and its connection lasts as long as the process.
    let client = place.send("stop\n");
    let (_, stop) = only(&socket.turn(NOW));
    let silent = place.connect();
    socket.turn(NOW);
    socket.leave(NOW, |order| {
        assert_eq!(order, stop);
        Outcome::yes("stopped")
    });
    assert!(!place.path().exists());
    assert_eq!(lines(silent).len(), 0);
    client.set_nonblocking(true).expect("non-blocking");
    let mut reader = BufReader::new(client);
    let mut line = String::new();
    reader.read_line(&mut line).expect("the last word");
    assert!(line.contains("stopped"), "{line}");
    let more = reader.read_line(&mut line).expect_err("the process lives");
    assert_eq!(more.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_successors_file_stays() {
    let place = Place::new("successor");
    let first = place.bind();
    fs::remove_file(place.path()).expect("remove");
    let mut second = place.bind();
    first.leave(NOW, |_| Outcome::yes("stopped"));
    let _client = place.send("status\n");
    assert_eq!(only(&second.turn(NOW)).1, Order::Status);
}

#[test]
fn no_folder_and_no_path() {
    let place = Place::new("nowhere");
    fs::write(place.folder.join("run"), "a file").expect("write");
    let error = ControlSocket::bind(&place.path())
        .expect_err("no folder")
        .to_string();
    assert!(
        error.contains("folder") && error.contains("choose another path"),
        "{error}"
    );
    let long = place.folder.join("x".repeat(120));
    let error = ControlSocket::bind(&long)
        .expect_err("too long")
        .to_string();
    assert!(error.contains("107 bytes"), "{error}");
}

#[test]
fn a_new_image_goes_on_where_the_old_one_was() {
    let place = Place::new("image");
    let mut socket = place.bind();
    let waiting = place.send("upgrade\n");
    let (id, _) = only(&socket.turn(NOW));
    let left = place.send("reload\n");
    let (late, _) = only(&socket.turn(NOW));
    drop(left);
    let silent = place.connect();
    let mut halfway = place.send("sta");
    socket.turn(NOW);

    let mut socket = {
        let kept = serde_json::to_vec(&socket.keep()).expect("writes");
        let kept: Kept = serde_json::from_slice(&kept).expect("reads");
        // As an execution does, this keeps the named descriptors and closes all others.
        let copy = |number| {
            // SAFETY: the socket is alive, so its descriptors are open.
            let fd = unsafe { BorrowedFd::borrow_raw(number) };
            (number, fd.try_clone_to_owned().expect("a copy"))
        };
        let copies: HashMap<_, _> = kept.descriptors().map(copy).collect();
        let copies = RefCell::new(copies);
        drop(socket);
        ControlSocket::resume(kept, |number| copies.borrow_mut().remove(&number).ok_or(()))
            .expect("resume")
    };
    halfway.write_all(b"tus\n").expect("write");
    let (half, order) = only(&socket.turn(NOW));
    assert_eq!(order, Order::Status);
    socket.finish(NOW, half, &Outcome::yes("as it was"));
    assert_eq!(lines(halfway)[0]["text"], "as it was");
    assert_eq!(socket.next_deadline(), Some(LATE), "patience goes on too");
    let client = place.send("status\n");
    let (new, order) = only(&socket.turn(LATE));
    assert_eq!(order, Order::Status);
    assert!(new != id && new != late, "no number is given twice");
    assert_eq!(lines(silent).len(), 0);
    socket.finish(NOW, late, &Outcome::no("for nobody"));
    socket.finish(NOW, new, &Outcome::yes("as ever"));
    socket.finish(NOW, id, &Outcome::yes("upgraded"));
    assert_eq!(lines(client)[0]["text"], "as ever");
    assert_eq!(lines(waiting)[0]["text"], "upgraded");
    socket.leave(NOW, |_| Outcome::yes("stopped"));
    assert!(!place.path().exists());
}

#[test]
fn an_order_for_another_server_is_refused() {
    let place = Place::new("owner");
    let mut socket = place.bind().belonging_to("/etc/a.toml".to_owned());
    let other = place.send("stop\t/etc/b.toml\n");
    let none = place.send("reload\t\n");
    assert_eq!(socket.turn(NOW), Vec::new());
    for (client, whom) in [(other, "/etc/b.toml"), (none, "no configuration file")] {
        let answer = &lines(client)[0];
        assert_eq!(answer["ok"], false);
        let text = answer["text"].as_str().expect("a text");
        assert!(
            text.contains("that of /etc/a.toml") && text.contains(whom),
            "{text}"
        );
    }
    let ours = place.send("reload\t/etc/a.toml\n");
    let whoever = place.send("upgrade\n");
    let orders: Vec<Order> = socket
        .turn(NOW)
        .into_iter()
        .map(|(_, order)| order)
        .collect();
    assert_eq!(orders, [Order::Reload, Order::Upgrade]);
    drop((ours, whoever));
}
