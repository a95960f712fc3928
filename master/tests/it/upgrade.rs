//! Upgrade of a real pool: the new binary takes the place of the old one, or gives way to it, and nobody is turned away meanwhile.

use nix::sys::signal::Signal;

use crate::harness::{binary, children, name_of, send, status_of, until};
use crate::place::{Clients, Place, generation};

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

#[test]
fn a_signal_that_comes_with_the_death_of_an_upgrades_check_is_not_lost() {
    let place = Place::new("with");
    let mut pool = place.start(&["workers=2"]);
    let master = pool.pid();
    place.configure("wait");
    pool.signal(Signal::SIGUSR2);
    pool.wait_for("waits as told");
    pool.signal(Signal::SIGSTOP);
    let state = |pid: u32| status_of(pid, "State");
    until("the master stands", || state(master).starts_with('T'));
    // The check ends, and nobody reaps it.
    place.configure("word=two");
    until("the check is dead", || {
        children(master)
            .iter()
            .any(|pid| state(*pid).starts_with('Z'))
    });
    place.configure("word=three");
    pool.signal(Signal::SIGHUP);
    pool.signal(Signal::SIGCONT);
    pool.wait_for("upgrade done");
    pool.wait_for("reload done");
    assert!(generation(&pool).ends_with(" three"));
}
