//! A small seeded source of random numbers for the demo's data. The same seed gives the same data
//! on every machine, for ever, which no crate promises across versions. Knows nothing of tables; it
//! is not for secrets.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): one
/// addition and two multiply-xor steps a number.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A stream of its own for `name`: a table that is added or grows leaves the others' data as it was.
    pub fn new(seed: u64, name: &str) -> Random {
        // FNV-1a spreads the name over 64 bits.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Random(seed ^ hash)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 when `bound` is 0. The bias of the multiplication is below 2^-32 for the
    /// small bounds that data needs.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as u64) as i64
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A place in a list of `length`, which must not be empty.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// The same, the early places far more often: a few busy users and many quiet ones.
    pub fn early_index(&mut self, length: usize) -> usize {
        let point = self.fraction().powi(2) * length as f64;
        (point as usize).min(length - 1)
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// One of `choices`, the early ones far more often.
    pub fn skewed<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.early_index(choices.len())]
    }

    /// One of `choices`, by weight.
    pub fn weighted<T: Copy>(&mut self, choices: &[(T, u64)]) -> T {
        let total = choices.iter().map(|(_, weight)| weight).sum();
        let mut point = self.below(total);
        for &(choice, weight) in choices {
            if point < weight {
                return choice;
            }
            point -= weight;
        }
        choices[0].0
    }

    /// A version 4 uuid (RFC 9562, section 5.4).
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 50),
            low & 0xffff_ffff_ffff
        )
    }

    /// An age in microseconds up to `oldest`: the larger `power`, the more of them are recent.
    pub fn age(&mut self, oldest: i64, power: f64) -> i64 {
        (self.fraction().powf(power) * oldest as f64) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_numbers_are_those_of_the_published_algorithm() {
        let mut random = Random(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn bounds_hold_and_every_value_appears() {
        let mut random = Random::new(1, "bounds");
        let mut seen = [0_u32; 7];
        for _ in 0..7_000 {
            seen[random.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| count > 700), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert!((0..1_000).all(|_| (-3..=3).contains(&random.between(-3, 3))));
    }

    #[test]
    fn streams_of_two_tables_differ_and_each_repeats() {
        let first = |name| Random::new(7, name).next();
        assert_eq!(first("a"), first("a"));
        assert_ne!(first("a"), first("b"));
    }

    #[test]
    fn weights_decide() {
        let mut random = Random::new(1, "weights");
        let heavy = (0..10_000)
            .filter(|_| random.weighted(&[(true, 9), (false, 1)]))
            .count();
        assert!((8_500..9_500).contains(&heavy), "{heavy}");
    }
}
