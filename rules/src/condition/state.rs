//! A condition as it is saved, beside the hits of its window and what is saved in parts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Condition, cardinality, flatline, novelty, pair, percentage, sequence, spike};

/// What a type remembers. Fields of the variants may be added with a default.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct State(Of);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Of {
    Spike(spike::Saved),
    Flatline(flatline::Saved),
    Cardinality(cardinality::Saved),
    Percentage(percentage::Saved),
    Pair(pair::Saved),
    Sequence(sequence::Saved),
    Novelty(novelty::Saved),
    Told,
}

impl Condition {
    /// What is to be saved; `None` where there is nothing but the hits of the window.
    pub fn save(&self) -> Option<State> {
        let state = match self {
            Self::Any | Self::Frequency(_) => return None,
            Self::Spike(spike) => Of::Spike(spike.save()),
            Self::Flatline(flatline) => Of::Flatline(flatline.save()),
            Self::Cardinality(cardinality) => Of::Cardinality(cardinality.save()),
            Self::Percentage(percentage) => Of::Percentage(percentage.save()),
            Self::Pair(pair) => Of::Pair(pair.save()),
            Self::Sequence(sequence) => Of::Sequence(sequence.save()),
            Self::Novelty(novelty) => Of::Novelty(novelty.save()),
            Self::Told => Of::Told,
        };
        Some(State(state))
    }

    /// The parts that are not as they were saved, by number; from now on they are. Only of types
    /// that keep no window.
    pub fn take_parts(&mut self) -> BTreeMap<u64, Vec<u8>> {
        match self {
            Self::Novelty(novelty) => novelty.take_parts(),
            _ => BTreeMap::new(),
        }
    }

    /// Nothing counts as saved any more.
    pub fn forget_saved(&mut self) {
        if let Self::Novelty(novelty) = self {
            novelty.forget_saved();
        }
        if let Some(window) = self.window_mut() {
            window.forget_saved();
        }
    }

    /// Goes on from what was saved. Gives `false` when that is damaged or of another type.
    pub fn restore(&mut self, state: State, parts: &BTreeMap<u64, Vec<u8>>) -> bool {
        match (self, state.0) {
            (Self::Spike(spike), Of::Spike(saved)) => spike.restore(saved),
            (Self::Flatline(flatline), Of::Flatline(saved)) => flatline.restore(&saved),
            (Self::Cardinality(cardinality), Of::Cardinality(saved)) => cardinality.restore(saved),
            (Self::Percentage(percentage), Of::Percentage(saved)) => percentage.restore(saved),
            (Self::Pair(pair), Of::Pair(saved)) => pair.restore(saved),
            (Self::Sequence(sequence), Of::Sequence(saved)) => sequence.restore(saved),
            (Self::Novelty(novelty), Of::Novelty(saved)) => return novelty.restore(&saved, parts),
            // A group of what is new, or one that speaks for all, takes the place of an ordinary one.
            (condition, Of::Told) => *condition = Self::Told,
            _ => return false,
        }
        true
    }
}
