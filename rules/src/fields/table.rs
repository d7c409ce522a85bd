//! Names and values of one line, in two arenas that are reused from line to line. Knows nothing
//! of formats: they fill it, rules read it.

/// Names and values of one line. Reused from line to line: warm, it allocates nothing.
///
/// Names are compared byte for byte. The bound on how many fields there are is the format's.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    names: String,
    values: Vec<u8>,
    /// Where each field ends in the arenas; it starts where the one before it ends.
    ends: Vec<End>,
}

#[derive(Clone, Copy, Debug, Default)]
struct End {
    name: usize,
    value: usize,
}

/// How far a [`Fields`] was filled: what [`Fields::mark`] gives and [`Fields::reset`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

impl Fields {
    /// Forgets all fields, keeps the memory.
    pub fn clear(&mut self) {
        self.reset(Mark(0));
    }

    /// Adds a field; a later one of the same name wins.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.push_with(
            |names| names.push_str(name),
            |values| values.extend_from_slice(value),
        );
    }

    /// Adds a field whose name and value are written in place. Both closures must only append.
    pub(super) fn push_with(
        &mut self,
        name: impl FnOnce(&mut String),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.end();
        name(&mut self.names);
        value(&mut self.values);
        let end = End {
            name: self.names.len(),
            value: self.values.len(),
        };
        debug_assert!(
            end.name >= start.name && end.value >= start.value,
            "only appended"
        );
        self.ends.push(end);
    }

    /// The value of a field: of the last one pushed, where there are several. O(fields).
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let index = (0..self.ends.len())
            .rev()
            .find(|&index| self.name(index) == name)?;
        Some(self.value(index))
    }

    /// All fields, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        (0..self.ends.len()).map(|index| (self.name(index), self.value(index)))
    }

    /// How many there are, those of equal name counted each.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Remembers how far it is filled, so that what is pushed from now on can be taken back.
    pub fn mark(&self) -> Mark {
        Mark(self.ends.len())
    }

    /// Takes back what was pushed since `mark`. A mark beyond the end changes nothing.
    pub fn reset(&mut self, mark: Mark) {
        self.ends.truncate(mark.0);
        let end = self.end();
        self.names.truncate(end.name);
        self.values.truncate(end.value);
    }

    fn end(&self) -> End {
        self.ends.last().copied().unwrap_or_default()
    }

    fn start(&self, index: usize) -> End {
        index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or_default()
    }

    fn name(&self, index: usize) -> &str {
        let end = self.ends.get(index).copied().unwrap_or_default();
        self.names
            .get(self.start(index).name..end.name)
            .unwrap_or_default()
    }

    fn value(&self, index: usize) -> &[u8] {
        let end = self.ends.get(index).copied().unwrap_or_default();
        self.values
            .get(self.start(index).value..end.value)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_field_of_a_name_wins() {
        let mut fields = Fields::default();
        fields.push("status", b"200");
        fields.push("stat", b"");
        fields.push("status", b"502");
        assert_eq!(fields.get("status"), Some(&b"502"[..]));
        assert_eq!(fields.get("stat"), Some(&b""[..]));
        assert_eq!(fields.get("Status"), None);
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(
            all,
            [("status", &b"200"[..]), ("stat", b""), ("status", b"502")]
        );
    }

    #[test]
    fn what_was_pushed_after_a_mark_can_be_taken_back() {
        let mut fields = Fields::default();
        fields.push("a", b"1");
        let mark = fields.mark();
        fields.push("a", b"2");
        fields.push("b", b"\xff");
        fields.reset(mark);
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("a", &b"1"[..])]);
        fields.push("c", b"3");
        assert_eq!(fields.get("a"), Some(&b"1"[..]));
        assert_eq!(fields.get("c"), Some(&b"3"[..]));
        assert_eq!(fields.get("b"), None);
    }

    #[test]
    fn a_cleared_one_keeps_its_memory() {
        let mut fields = Fields::default();
        fields.push("name", b"value");
        let before = (
            fields.names.capacity(),
            fields.values.capacity(),
            fields.ends.capacity(),
        );
        fields.clear();
        assert!(fields.is_empty());
        fields.push("name", b"value");
        let after = (
            fields.names.capacity(),
            fields.values.capacity(),
            fields.ends.capacity(),
        );
        assert_eq!(before, after);
    }
}
