//! Chance that is the same in every run and on every machine: what corpora and rule sets are drawn
//! with. Seeds are constants of those who draw.

/// The same choices for the same seed (xorshift64*).
#[derive(Clone, Debug)]
pub struct Choices {
    state: u64,
}

impl Choices {
    /// `seed`: any number but 0.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let [_, _, _, _, a, b, c, d] = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
        u32::from_le_bytes([a, b, c, d]) % bound
    }

    /// Whether one of `in_how_many` comes up.
    pub fn once_in(&mut self, in_how_many: u32) -> bool {
        self.below(in_how_many) == 0
    }

    /// A place in a list of `len`, which is not 0.
    ///
    /// # Panics
    ///
    /// When the list is longer than `u32` counts.
    pub fn place(&mut self, len: usize) -> usize {
        self.below(u32::try_from(len).expect("a short list")) as usize
    }

    /// One of `items`, of which there is at least one.
    pub fn one_of<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.place(items.len())]
    }
}
