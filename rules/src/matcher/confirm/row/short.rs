//! A list that mostly is a short one, and then lies where its owner lies.

use std::ops::Deref;

/// Up to `N` items in place, more of them elsewhere.
#[derive(Debug)]
pub(super) enum Short<T, const N: usize> {
    /// The first `length` of `items`.
    Here {
        /// At most `N`.
        length: u8,
        /// In order, the last one over and over at the end.
        items: [T; N],
    },
    /// Too many, or none.
    Elsewhere(Box<[T]>),
}

impl<T: Copy, const N: usize> Short<T, N> {
    /// Of any items.
    pub(super) fn of(items: Vec<T>) -> Self {
        match (u8::try_from(items.len()), items.last()) {
            (Ok(length), Some(last)) if usize::from(length) <= N => Self::Here {
                length,
                items: std::array::from_fn(|index| *items.get(index).unwrap_or(last)),
            },
            _ => Self::Elsewhere(items.into()),
        }
    }
}

impl<T, const N: usize> Deref for Short<T, N> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::Here { length, items } => items.get(..usize::from(*length)).unwrap_or_default(),
            Self::Elsewhere(items) => items,
        }
    }
}
