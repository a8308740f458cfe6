//! Numbers that look like chance and follow from a seed: `SplitMix64` (Steele, Lea and Flood, 2014), in a dozen
//! lines. A dependency would have to promise never to change its stream; this cannot.

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// One number made of another, as if by chance.
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Random {
    /// The stream of a seed for something with these two numbers.
    pub(super) const fn of(seed: u64, one: u64, other: u64) -> Self {
        let one = mix(one.wrapping_mul(GAMMA) ^ mix(seed));
        Self(mix(other.wrapping_add(GAMMA) ^ one))
    }

    pub(super) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number from `least` to `most`, both included. The bias of so small ranges is below a billionth.
    pub(super) const fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.number() % (most - least + 1)
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(super) const fn happens(&mut self, per_mille: u64) -> bool {
        self.between(0, 999) < per_mille
    }

    /// Thirty-two bytes.
    pub(super) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.number().to_be_bytes());
        }
        bytes
    }

    /// A UUID (RFC 9562, version 8: by the maker's own rule).
    pub(super) fn uuid(&mut self) -> String {
        let id = u128::from(self.number()) << 64 | u128::from(self.number());
        let id = id & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
        let digits = format!("{id:032x}");
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
        let parts = parts.map(|part| digits.get(part).unwrap_or_default());
        parts.join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_the_paper() {
        // The first numbers of `SplitMix64` from the state 1234567, as its authors' C code gives them.
        let mut random = Random(1_234_567);
        let first = [random.number(), random.number(), random.number()];
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn ranges_hold_and_their_ends_occur() {
        let mut random = Random::of(1, 2, 3);
        let drawn: Vec<u64> = (0..1_000).map(|_| random.between(3, 5)).collect();
        for number in 3..=5 {
            assert!(drawn.contains(&number));
        }
        assert!(drawn.iter().all(|number| (3..=5).contains(number)));
        assert!((0..1_000).all(|_| !random.happens(0)));
        assert!((0..1_000).all(|_| random.happens(1_000)));
    }
}
