//! Which combinations of a tool's marked lines can occur at all. Pure; knows only which parameter may be absent.

use std::collections::BTreeSet;

use super::parameter::{Absence, Parameter};

/// Up to so many conditions every combination is listed, beyond it only the telling ones.
const ALL_UP_TO: usize = 4;

/// The masks of conditions that a call can lead to: none, all and each alone of those that can be off; every
/// combination where there are few. `guards` are the bits of the parameters that each condition needs.
pub(crate) fn reachable(guards: &[u64], parameters: &[Parameter]) -> Vec<usize> {
    let bit = |index: usize| 1u64 << index.min(63);
    let may_lack = |parameter: &Parameter| parameter.absence == Absence::Null;
    let optional = parameters
        .iter()
        .enumerate()
        .filter(|(_, parameter)| may_lack(parameter));
    let optional = optional.fold(0, |bits, (index, _)| bits | bit(index));
    let always = !optional;
    // What holds if, of the optional parameters, exactly these have values.
    let mask = |present: u64| {
        let holds = |needed: &u64| needed & (present | always) == *needed;
        guards.iter().enumerate().fold(0, |mask, (index, needed)| {
            mask | usize::from(holds(needed)) << index
        })
    };
    let mut masks = BTreeSet::from([mask(0), mask(optional)]);
    masks.extend(guards.iter().map(|needed| mask(*needed)));
    if guards.len() <= ALL_UP_TO {
        for subset in 0..1usize << guards.len() {
            let chosen = guards
                .iter()
                .enumerate()
                .filter(|(index, _)| subset & (1 << index) != 0);
            masks.insert(mask(
                chosen.fold(0, |present, (_, needed)| present | needed),
            ));
        }
    }
    masks.into_iter().collect()
}

/// The slot of a mask: `definition` makes one for every combination of a statement's conditions.
pub(crate) fn slot<T>(slots: &[T], mask: usize) -> &T {
    match slots.get(mask) {
        Some(slot) => slot,
        None => unreachable!("a mask has one bit for each condition"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameters 0 and 1 may be absent (cursors are), 2 never is (a limit has a default).
    fn parameters() -> Vec<Parameter> {
        vec![
            Parameter::cursor(0..0),
            Parameter::cursor(0..0),
            Parameter::limit(1, 1, 0..0),
        ]
    }

    #[test]
    fn only_what_a_call_can_lead_to() {
        let table: &[(&[u64], &[usize])] = &[
            (&[], &[0]),
            (&[0b001], &[0, 1]),
            (&[0b001, 0b010], &[0, 1, 2, 3]),
            // The second needs what the first needs.
            (&[0b001, 0b011], &[0, 1, 3]),
            // Always there.
            (&[0b100, 0b001], &[1, 3]),
        ];
        for (guards, expected) in table {
            assert_eq!(reachable(guards, &parameters()), *expected, "{guards:?}");
        }
    }

    #[test]
    fn many_conditions_are_tried_none_all_and_each_alone() {
        let parameters: Vec<Parameter> = (0..6).map(|_| Parameter::cursor(0..0)).collect();
        let guards: Vec<u64> = (0..6).map(|index| 1 << index).collect();
        assert_eq!(reachable(&guards, &parameters), [0, 1, 2, 4, 8, 16, 32, 63]);
    }
}
