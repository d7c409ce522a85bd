//! When the inputs said anything, and which of them cannot be read: what a flatline tells apart.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{InputId, InputState, Timestamp};
use crate::scanner::Span;

/// Spans of one input that are kept.
const MOST_SPANS: usize = 256;

/// What is known of all inputs.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// Lines closer together than this are one span.
    tolerance: Duration,
    inputs: Vec<Input>,
}

#[derive(Clone, Debug, Default)]
struct Input {
    /// In the order in which they were heard.
    spans: VecDeque<Span>,
    is_unreadable: bool,
}

impl Inputs {
    /// Nothing was heard of so many.
    pub(super) fn new(len: usize, tolerance: Duration) -> Self {
        Self {
            tolerance,
            inputs: vec![Input::default(); len],
        }
    }

    /// Lines came.
    pub(super) fn heard(&mut self, input: InputId, (from, to): Span) {
        let tolerance = self.tolerance;
        let Some(input) = self.inputs.get_mut(input.0 as usize) else {
            return;
        };
        let touches =
            |span: &&mut Span| from <= span.1.plus(tolerance) && span.0 <= to.plus(tolerance);
        // Nearly always they go on where they were: with the span that was heard of last.
        match input.spans.iter_mut().rev().find(touches) {
            Some(span) => *span = (span.0.min(from), span.1.max(to)),
            None => input.spans.push_back((from, to)),
        }
        if input.spans.len() > MOST_SPANS {
            input.spans.pop_front();
        }
    }

    /// These cannot be read now, the others can.
    pub(super) fn set_unreadable(&mut self, unreadable: &[InputId]) {
        for (index, input) in (0..).zip(&mut self.inputs) {
            input.is_unreadable = unreadable.contains(&InputId(index));
        }
    }

    /// How those of `inputs` were in (`after`, `until`].
    pub(super) fn state(
        &self,
        inputs: impl Iterator<Item = InputId>,
        after: Timestamp,
        until: Timestamp,
    ) -> InputState {
        let mut state = InputState::Silent;
        for input in inputs {
            let Some(input) = self.inputs.get(input.0 as usize) else {
                continue;
            };
            let mut spans = input.spans.iter();
            if spans.any(|(from, to)| *to > after && *from <= until) {
                return InputState::Ok;
            }
            if input.is_unreadable {
                state = InputState::Unreadable;
            }
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_silent_where_no_line_came_and_unreadable_where_none_could() {
        let at = Timestamp::from_secs;
        let mut inputs = Inputs::new(2, Duration::from_secs(59));
        for second in (0..600).step_by(50) {
            inputs.heard(InputId(0), (at(second), at(second + 1)));
        }
        assert_eq!(inputs.inputs[0].spans, [(at(0), at(551))]);
        let state = |inputs: &Inputs, ids: &[u32], until| {
            let ids = ids.iter().map(|id| InputId(*id));
            inputs.state(ids, at(until - 60), at(until))
        };
        assert_eq!(state(&inputs, &[0], 610), InputState::Ok);
        assert_eq!(state(&inputs, &[0], 611), InputState::Silent);
        inputs.set_unreadable(&[InputId(1)]);
        assert_eq!(state(&inputs, &[0, 1], 700), InputState::Unreadable);
        assert_eq!(state(&inputs, &[0, 1], 300), InputState::Ok);
        assert_eq!(state(&inputs, &[0], 700), InputState::Silent);
    }
}
