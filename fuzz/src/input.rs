//! Reads structured input from bytes.

use arbitrary::{Arbitrary, Unstructured, unstructured::Int};

/// The bytes of one run. When they are used up, every choice is the first one, so every input is complete.
#[derive(Debug)]
pub struct Input<'a>(Unstructured<'a>);

impl<'a> Input<'a> {
    /// All of these bytes.
    pub fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Any value.
    pub fn any<T: Arbitrary<'a> + Default>(&mut self) -> T {
        self.0.arbitrary().unwrap_or_default()
    }

    /// A number from 0 to `most`.
    pub fn up_to<T: Int>(&mut self, most: T) -> T {
        self.0.int_in_range(T::ZERO..=most).unwrap_or(T::ZERO)
    }

    /// Whether one of `many` equal chances is met.
    pub fn one_in(&mut self, many: u8) -> bool {
        self.up_to(many.saturating_sub(1)) + 1 == many
    }

    /// One of several values.
    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> Option<T> {
        self.0.choose(values).ok().or(values.first()).copied()
    }

    /// One of several texts.
    pub fn word(&mut self, words: &[&'static str]) -> &'static str {
        self.one_of(words).unwrap_or_default()
    }

    /// At most `most` values, each made by `make`.
    pub fn several<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.up_to(most);
        (0..count).map(|_| make(self)).collect()
    }

    /// A value in one of `many` cases.
    pub fn sometimes<T>(&mut self, many: u8, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(many).then(|| make(self))
    }

    /// A text of at most `most` pieces, which are words or any characters.
    pub fn text(&mut self, words: &[&'static str], most: usize) -> String {
        let pieces = self.several(most, |input| {
            if input.one_in(3) {
                let character = input.any::<u8>();
                if character < 0x80 { char::from(character).to_string() } else { input.any::<char>().to_string() }
            } else {
                input.word(words).to_owned()
            }
        });
        pieces.concat()
    }

    /// The bytes that are left as text. What is not UTF-8 becomes U+FFFD.
    pub fn rest(self) -> String {
        String::from_utf8_lossy(self.0.take_rest()).into_owned()
    }
}
