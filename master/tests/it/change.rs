//! Reload and upgrade of a real pool: what is proven is served, what is wrong changes nothing, and nobody is turned away meanwhile.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::sys::signal::Signal;

use crate::harness::{Pool, answer, ask, binary, children, name_of, send, until};

/// A folder with the pool's configuration and a copy of its binary, gone with the test.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Place {
        let folder = std::env::temp_dir().join(format!("tine-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let place = Place(folder);
        place.configure("word=one");
        place.install(&binary());
        place
    }

    fn configure(&self, text: &str) {
        std::fs::write(self.0.join("config"), text).expect("write");
    }

    fn program(&self) -> PathBuf {
        self.0.join("pool")
    }

    /// Puts a binary in the place of the one before, as a package manager does: under its name, not into it.
    fn install(&self, from: &Path) {
        let new = self.0.join("pool.new");
        std::fs::copy(from, &new).expect("copy");
        std::fs::rename(&new, self.program()).expect("rename");
    }

    fn start(&self, options: &[&str]) -> Pool {
        let config = format!("config={}", self.0.join("config").display());
        let program = format!("program={}", self.program().display());
        let mut all = vec![config.as_str(), program.as_str()];
        all.extend(options);
        Pool::ready(&all)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Generation and word of whoever answers.
fn generation(pool: &Pool) -> String {
    let answer = answer(&pool.address, "generation").expect("an answer");
    answer
        .splitn(3, ' ')
        .nth(2)
        .expect("a generation")
        .to_owned()
}

/// Clients that never stop asking, and the number of those who got no answer.
struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<usize>>,
}

impl Clients {
    fn of(pool: &Pool) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (stop, address) = (Arc::clone(&stop), pool.address.clone());
            std::thread::spawn(move || {
                let mut lost = 0;
                while !stop.load(Ordering::Relaxed) {
                    lost += usize::from(ask(&address, "pid").is_err());
                }
                lost
            })
        };
        Clients {
            threads: (0..4).map(client).collect(),
            stop,
        }
    }

    fn lost(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let lost = |thread: JoinHandle<usize>| thread.join().expect("client");
        self.threads.into_iter().map(lost).sum()
    }
}

#[test]
fn sighup_replaces_every_worker_by_one_of_the_new_configuration_and_loses_nobody() {
    let place = Place::new("reload");
    let mut pool = place.start(&["workers=3"]);
    assert_eq!(generation(&pool), "1 one");
    let clients = Clients::of(&pool);
    for (number, word) in [(2, "two"), (3, "three"), (4, "four")] {
        let before = pool.workers();
        place.configure(&format!("word={word}"));
        pool.signal(Signal::SIGHUP);
        pool.wait_for("reload: checking");
        let line = pool.wait_for("reload done");
        assert!(
            line.contains(&format!("3 of 3 workers run generation {number}")),
            "{line}"
        );
        until("the old ones are gone", || pool.workers().len() == 3);
        assert!(pool.workers().iter().all(|pid| !before.contains(pid)));
        assert_eq!(generation(&pool), format!("{number} {word}"));
    }
    assert_eq!(clients.lost(), 0);
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
    pool.all_gone();
}

#[test]
fn a_configuration_that_is_wrong_changes_nothing() {
    let place = Place::new("wrong");
    let mut pool = place.start(&["workers=2", "check_timeout=5000"]);
    let workers = pool.workers();
    for (text, why) in [
        (
            "wrong",
            "reload refused, generation 1 goes on: the configuration is wrong",
        ),
        ("panic", "a fault of the program: it panicked"),
        ("hang", "the check took longer than 5s"),
        ("workers=9", "9 workers (at most 4) are not possible"),
    ] {
        place.configure(text);
        pool.signal(Signal::SIGHUP);
        pool.wait_for(why);
        assert_eq!(generation(&pool), "1 one");
        until("only the workers are left", || pool.workers() == workers);
    }
    place.configure("word=two");
    pool.signal(Signal::SIGHUP);
    pool.wait_for("2 of 2 workers run generation 2");
    assert_eq!(generation(&pool), "2 two");
}

#[test]
fn a_configuration_with_which_no_worker_boots_is_taken_back() {
    let place = Place::new("boot");
    let mut pool = place.start(&["workers=2", "boot_timeout=2000"]);
    let workers = pool.workers();
    for text in [
        "boot=exit:4",
        "boot=exit:3",
        "boot=panic",
        "boot=hang workers=4",
    ] {
        place.configure(text);
        pool.signal(Signal::SIGHUP);
        pool.wait_for("reload refused, generation 1 goes on: the first worker of generation");
        until("only the workers are left", || pool.workers() == workers);
    }
    // Who dies now is replaced by one that boots.
    send(workers[0], Signal::SIGKILL);
    pool.wait_for("is ready");
    assert_eq!(generation(&pool), "1 one");
    place.configure("word=two");
    pool.signal(Signal::SIGHUP);
    pool.wait_for("2 of 2 workers run generation");
    assert!(generation(&pool).ends_with(" two"));
}

#[test]
fn a_configuration_may_change_the_number_of_workers() {
    let place = Place::new("number");
    let mut pool = place.start(&["max=4"]);
    for number in [4, 1, 3] {
        place.configure(&format!("workers={number}"));
        pool.signal(Signal::SIGHUP);
        pool.wait_for(&format!("{number} of {number} workers run generation"));
        until("as many as configured", || pool.workers().len() == number);
    }
}

#[test]
fn orders_during_a_reload_merge_into_one_that_follows() {
    let place = Place::new("merge");
    let mut pool = place.start(&["workers=2", "check_timeout=1000"]);
    place.configure("hang");
    pool.signal(Signal::SIGHUP);
    pool.wait_for("hangs as told");
    place.configure("word=two");
    for _ in 0..5 {
        pool.signal(Signal::SIGHUP);
        pool.wait_for("reload noted");
    }
    pool.wait_for("the check took longer");
    pool.wait_for("reload: checking");
    pool.wait_for("reload done");
    assert_eq!(generation(&pool), "2 two");
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
    assert_eq!(
        pool.log().matches("reload: checking").count(),
        2,
        "{}",
        pool.log()
    );
}

#[test]
fn a_stop_wins_over_a_reload_at_once() {
    let place = Place::new("stop");
    for text in ["hang", "boot=hang"] {
        place.configure("word=one");
        let mut pool = place.start(&["workers=2"]);
        place.configure(text);
        pool.signal(Signal::SIGHUP);
        pool.wait_for("hangs as told");
        pool.signal(Signal::SIGHUP);
        pool.wait_for("reload noted");
        pool.signal(Signal::SIGTERM);
        assert_eq!(pool.exit(), 0);
        pool.all_gone();
    }
}

#[test]
fn sigusr2_executes_the_binary_in_place_and_loses_nobody() {
    let place = Place::new("upgrade");
    let mut pool = place.start(&["workers=3"]);
    let master = pool.pid();
    let clients = Clients::of(&pool);
    for number in 2..6 {
        let before = pool.workers();
        place.configure(&format!("word=w{number}"));
        place.install(&binary());
        pool.signal(Signal::SIGUSR2);
        pool.wait_for("upgrade: checking");
        let line = pool.wait_for("upgrade done");
        assert!(
            line.contains(&format!("3 of 3 workers run generation {number}")),
            "{line}"
        );
        until("the old ones are gone", || children(master).len() == 3);
        assert!(children(master).iter().all(|pid| !before.contains(pid)));
        assert_eq!(generation(&pool), format!("{number} w{number}"));
    }
    assert_eq!(clients.lost(), 0);
    let program = std::fs::read_link(format!("/proc/{master}/exe")).expect("its binary");
    assert_eq!(program, place.program(), "the last one that was installed");
    assert_eq!(name_of(master), "pool");
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
    pool.all_gone();
}

#[test]
fn descriptors_do_not_pile_up_over_reloads_and_upgrades() {
    let place = Place::new("descriptors");
    let mut pool = place.start(&["workers=2"]);
    let open = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    let expected = (open(pool.pid()), open(pool.workers()[0]));
    for number in 0..6 {
        pool.signal(if number % 2 == 0 {
            Signal::SIGHUP
        } else {
            Signal::SIGUSR2
        });
        pool.wait_for("2 of 2 workers run generation");
        until("as many descriptors as before", || {
            let workers = pool.workers();
            workers.len() == 2
                && open(pool.pid()) == expected.0
                && workers.iter().all(|pid| open(*pid) == expected.1)
        });
    }
}

#[test]
fn a_broken_binary_changes_nothing() {
    let place = Place::new("broken");
    let mut pool = place.start(&["workers=2"]);
    let workers = pool.workers();
    let script = |text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::remove_file(place.program());
        std::fs::write(place.program(), text).expect("write");
        std::fs::set_permissions(place.program(), std::fs::Permissions::from_mode(0o755))
            .expect("mode");
    };
    let mut refused = |why: &str| {
        pool.signal(Signal::SIGUSR2);
        pool.wait_for(&format!("upgrade refused, generation 1 goes on: {why}"));
        assert_eq!(generation(&pool), "1 one");
        until("only the workers are left", || pool.workers() == workers);
    };
    let _ = std::fs::remove_file(place.program());
    refused("");
    script("not a program");
    refused("");
    script("#!/bin/sh\nexit 7\n");
    refused("the check exited with code 7");
    script("#!/bin/sh\nexit 0\n");
    refused("the binary can't take over from this one");
    script("#!/bin/sh\nkill -SEGV $$\n");
    refused("the check was killed by signal 11");
    place.install(&binary());
    place.configure("wrong");
    refused("the configuration is wrong");
    place.configure("word=two");
    pool.signal(Signal::SIGUSR2);
    pool.wait_for("2 of 2 workers run generation 2");
    assert_eq!(generation(&pool), "2 two");
}

#[test]
fn a_binary_whose_workers_do_not_boot_gives_way_to_the_one_before() {
    let place = Place::new("back");
    let mut pool = place.start(&["workers=2"]);
    let (master, workers) = (pool.pid(), pool.workers());
    let old = std::fs::metadata(format!("/proc/{master}/exe")).expect("its binary");
    let clients = Clients::of(&pool);
    place.install(&binary());
    place.configure("boot=exit:4 word=two");
    pool.signal(Signal::SIGUSR2);
    pool.wait_for("upgrade refused, generation 1 goes on: the first worker of generation 2");
    until("only the workers are left", || pool.workers() == workers);
    assert_eq!(generation(&pool), "1 one");
    let now = std::fs::metadata(format!("/proc/{master}/exe")).expect("its binary");
    {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(now.ino(), old.ino(), "the old binary runs again");
    }
    // And it can do everything as before.
    send(workers[0], Signal::SIGKILL);
    pool.wait_for("is ready");
    place.configure("word=three");
    pool.signal(Signal::SIGHUP);
    pool.wait_for("2 of 2 workers run generation");
    pool.signal(Signal::SIGUSR2);
    pool.wait_for("upgrade done");
    assert!(generation(&pool).ends_with(" three"));
    // One client may have been at the worker that was killed.
    assert!(clients.lost() <= 4);
}

/// What the control socket says to an order, to the end.
fn order(place: &Place, order: &str) -> Vec<String> {
    use std::io::{BufRead, BufReader, Write};
    let mut client =
        std::os::unix::net::UnixStream::connect(place.0.join("control")).expect("connect");
    client
        .set_read_timeout(Some(crate::harness::PATIENCE))
        .expect("timeout");
    writeln!(client, "{order}").expect("send");
    let lines = BufReader::new(client).lines();
    lines.map(|line| line.expect("a line")).collect()
}

#[test]
fn who_orders_a_change_is_told_what_came_of_it_also_by_the_next_program() {
    let place = Place::new("order");
    let control = format!("control={}", place.0.join("control").display());
    let mut pool = place.start(&["workers=2", &control]);
    let last = |lines: &[String]| lines.last().expect("an answer").clone();
    for (number, word) in [(2, "reload"), (3, "upgrade"), (4, "upgrade"), (5, "reload")] {
        place.configure(&format!("word=w{number}"));
        let lines = order(&place, word);
        let text = format!("{word} done: 2 of 2 workers run generation {number}");
        assert!(
            last(&lines).starts_with(&format!("{{\"done\":true,\"ok\":true,\"text\":\"{text}\"")),
            "{lines:?}"
        );
        assert!(
            lines.iter().any(|line| line.contains("is ready")),
            "it hears how it goes: {lines:?}"
        );
        assert_eq!(generation(&pool), format!("{number} w{number}"));
    }
    for word in ["reload", "upgrade"] {
        for text in ["wrong", "boot=exit:4"] {
            place.configure(text);
            let lines = order(&place, word);
            assert!(
                last(&lines).contains(&format!("\"ok\":false,\"text\":\"{word} refused")),
                "{lines:?}"
            );
        }
    }
    // The file is removed by the program that runs last, though another one made it.
    let lines = order(&place, "stop");
    assert!(last(&lines).contains("\"ok\":true"), "{lines:?}");
    assert_eq!(pool.exit(), 0);
    assert!(!place.0.join("control").exists());
}

#[test]
fn a_signal_that_comes_with_the_death_of_an_upgrades_check_is_not_lost() {
    let place = Place::new("with");
    let mut pool = place.start(&["workers=2"]);
    let master = pool.pid();
    for number in 0..5 {
        pool.signal(Signal::SIGUSR2);
        pool.wait_for("upgrade: checking");
        pool.signal(Signal::SIGSTOP);
        // The check ends while nobody reaps it, unless it was over before.
        until("no check is at work", || {
            let at_work = |pid: &u32| {
                let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
                !name_of(*pid).contains("-w")
                    && status.is_ok_and(|text| !text.contains("State:\tZ"))
            };
            !children(master).iter().any(at_work)
        });
        place.configure(&format!("word=w{number}"));
        pool.signal(Signal::SIGHUP);
        pool.signal(Signal::SIGCONT);
        pool.wait_for("upgrade done");
        pool.wait_for("reload done");
        assert!(generation(&pool).ends_with(&format!(" w{number}")));
    }
}

#[test]
fn an_order_that_waits_for_an_upgrade_is_obeyed_also_when_that_is_taken_back() {
    let place = Place::new("waits");
    let control = format!("control={}", place.0.join("control").display());
    let mut pool = place.start(&["workers=2", "boot_timeout=3000", &control]);
    place.configure("boot=hang");
    pool.signal(Signal::SIGUSR2);
    pool.wait_for("hangs as told");
    place.configure("word=two");
    let lines = order(&place, "reload");
    let last = lines.last().expect("an answer");
    assert!(last.contains("\"text\":\"reload done"), "{lines:?}");
    assert!(generation(&pool).ends_with(" two"));
}

#[test]
fn a_check_is_not_ended_by_what_is_said_to_the_group() {
    let place = Place::new("group");
    let mut pool = place.start(&["workers=1", "check_timeout=3000"]);
    place.configure("hang");
    pool.signal(Signal::SIGHUP);
    pool.wait_for("hangs as told");
    let check = children(pool.pid())
        .into_iter()
        .find(|pid| name_of(*pid) == "tine-check");
    let check = check.expect("the child that checks");
    for signal in [
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
    ] {
        send(check, signal);
    }
    pool.wait_for("reload refused, generation 1 goes on: the check took longer than 3s");
}
