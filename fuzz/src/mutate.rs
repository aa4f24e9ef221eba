//! Mutations of known inputs, the same for the same seed.

/// Values that sit at the edges of fields.
const EDGES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, 58];
/// The longest input that is grown, bytes.
const GROWN_BYTES_MAX: usize = 3000;

/// A source of mutations (xorshift64*).
#[derive(Clone, Debug)]
pub struct Mutator(u64);

impl Mutator {
    /// The seed must not be zero; zero is taken as one.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below the bound, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// The input with one to four changes.
    pub fn mutate(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes, other);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        let edge = EDGES[self.below(EDGES.len())];
        match self.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, edge),
            2 => {
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            3 if bytes.len() < GROWN_BYTES_MAX => {
                let end = (at + self.below(64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let end = (at + self.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            kind => {
                let random = self.next();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = match kind {
                        5 => *byte ^ 1 << (random % 8),
                        6 => edge,
                        _ => random as u8,
                    };
                }
            }
        }
    }
}
