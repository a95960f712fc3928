//! The tables of the production configuration in the workflow database: tags, each a numbered set of parameters for one
//! step of a simulation, and the categories of physics.

use std::io;

use serde_json::{Value, json};

use super::Table;
use super::world::{USERS, World};
use crate::demo::copy::{DAY, Row, Rows};
use crate::demo::random::Random;

const CATEGORY_NAMES: &[&str] = &["DIS", "SIDIS", "Exclusive", "Jets & HF", "Übergänge"];

pub const CATEGORIES: Table = Table::swf(
    "pcs_physics_category",
    "digit, name, description, created_by, created_at",
    |world, random, rows| {
        for (digit, name) in CATEGORY_NAMES.iter().enumerate() {
            rows.row(|row| {
                row.plain(digit + 1)
                    .text(name)
                    .text(if digit == 0 {
                        ""
                    } else {
                        "Processes of this kind"
                    })
                    .text(random.pick(USERS))
                    .time(world.now - 300 * DAY);
            })?;
        }
        Ok(())
    },
);

/// The columns that the four kinds of tags share.
const COLUMNS: &str =
    "tag_number, tag_label, status, description, parameters, created_by, created_at, updated_at";

pub const PHYSICS: Table = Table::swf(
    "pcs_physics_tag",
    // The shared ones, and one of its own.
    "tag_number, tag_label, status, description, parameters, created_by, created_at, updated_at, category_id",
    |world, random, rows| {
        for index in 0..world.counts.tags * 2 / 5 {
            // The first digit of a physics tag is its category's.
            let category = index % CATEGORY_NAMES.len() + 1;
            let number = category * 1_000 + index / CATEGORY_NAMES.len() + 1;
            let parameters = json!({
                "process": random.pick(&["NC DIS", "CC DIS", "photoproduction"]),
                "beam_energies": [random.pick(&[5, 10, 18]), random.pick(&[41, 100, 275])],
                "q2_min": random.pick(&[1.0, 10.0, 0.5]),
                "polarised": random.percent(50),
            });
            rows.row(|row| {
                tag(row, random, world, 'p', number, &parameters);
                row.plain(category);
            })?;
        }
        Ok(())
    },
);

pub const EVGEN: Table = Table::swf("pcs_evgen_tag", COLUMNS, |world, random, rows| {
    simple(world, random, rows, 'e', |random| {
        json!({
            "generator": random.pick(&["pythia8", "BeAGLE", "DJANGOH"]),
            "version": random.pick(&["8.310", "1.03", "4.6.20"]),
            "seed": random.percent(50).then_some(42),
            "signal_freq": null,
        })
    })
});

pub const SIMULATION: Table = Table::swf("pcs_simu_tag", COLUMNS, |world, random, rows| {
    simple(world, random, rows, 's', |random| {
        json!({
            "geometry": random.pick(&["epic_craterlake", "epic_brycecanyon"]),
            "background": {"rate": random.pick(&[0.0, 1.5]), "kind": "synchrotron"},
            "label": random.pick(&["", "schnell & \"grob\"", "高速"]),
        })
    })
});

pub const RECONSTRUCTION: Table = Table::swf("pcs_reco_tag", COLUMNS, |world, random, rows| {
    simple(world, random, rows, 'r', |random| {
        json!({
            "release": random.pick(&["25.07.0", "25.10.4", "26.01.1"]),
            "tracking": random.pick(&["CKF", "truth_seeded"]),
            "threshold": random.pick(&[0.001, 0.25]),
        })
    })
});

/// A fifth of all tags, numbered from 1.
fn simple(
    world: &World,
    random: &mut Random,
    rows: &mut Rows,
    letter: char,
    parameters: fn(&mut Random) -> Value,
) -> io::Result<()> {
    for number in 1..=world.counts.tags / 5 {
        let parameters = parameters(random);
        rows.row(|row| tag(row, random, world, letter, number, &parameters))?;
    }
    Ok(())
}

fn tag(
    row: &mut Row,
    random: &mut Random,
    world: &World,
    letter: char,
    number: usize,
    parameters: &Value,
) {
    let created = world.now - random.age(250 * DAY, 1.5);
    row.plain(number)
        .text(&format!("{letter}{number}"))
        .text(random.pick(&["draft", "locked", "locked"]))
        .text(random.pick(&[
            "",
            "First campaign",
            "Nur für Tests, 100% \"vorläufig\"",
            "O'Neill's_choice",
            "第二版",
        ]))
        .json(parameters)
        .text(random.skewed(USERS))
        .time(created)
        .time(created);
}
