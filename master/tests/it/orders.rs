//! Orders over the control socket of a real pool, across changes of its configuration and its binary.

use nix::sys::signal::Signal;

use crate::place::{Place, generation, order_of};

#[test]
fn who_orders_a_change_is_told_what_came_of_it_also_by_the_next_program() {
    let place = Place::new("order");
    let mut pool = place.start_with_control(&["workers=2"]);
    let last = |lines: &[String]| lines.last().expect("an answer").clone();
    for (number, word) in [(2, "reload"), (3, "upgrade"), (4, "upgrade"), (5, "reload")] {
        place.configure(&format!("word=w{number}"));
        let lines = place.order(word);
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
            let lines = place.order(word);
            assert!(
                last(&lines).contains(&format!("\"ok\":false,\"text\":\"{word} refused")),
                "{lines:?}"
            );
        }
    }
    // The file is removed by the program that runs last, though another one made it.
    let lines = place.order("stop");
    assert!(last(&lines).contains("\"ok\":true"), "{lines:?}");
    assert_eq!(pool.exit(), 0);
    assert!(!place.control().exists());
}

#[test]
fn an_order_that_waits_for_an_upgrade_is_obeyed_also_when_that_is_taken_back() {
    let place = Place::new("waits");
    let mut pool = place.start_with_control(&["workers=2", "boot_timeout=3000"]);
    place.configure("boot=hang");
    pool.signal(Signal::SIGUSR2);
    pool.wait_for("hangs as told");
    place.configure("word=two");
    let lines = place.order("reload");
    let last = lines.last().expect("an answer");
    assert!(last.contains("\"text\":\"reload done"), "{lines:?}");
    assert!(generation(&pool).ends_with(" two"));
}

#[test]
fn who_has_not_ordered_when_the_binary_changes_may_order_then() {
    let place = Place::new("silent");
    let mut pool = place.start_with_control(&["workers=2"]);
    let client = place.connect();
    // The socket takes its clients in order, so whoever hears an answer knows that the one before was taken.
    place.order("status");
    pool.signal(Signal::SIGUSR2);
    pool.wait_for("upgrade done");
    let lines = order_of(client, "status");
    let answer = lines.last().expect("an answer");
    assert!(answer.contains("\"done\":true,\"ok\":true"), "{lines:?}");
}
