use super::*;

use crate::engines::line_pairs;
use crate::examples::example;

#[test]
fn sets_hold_as_many_different_rules_as_they_say() {
    let sizes = all().map(|set| {
        let different: HashSet<&String> = set.patterns.iter().collect();
        assert_eq!(different.len(), set.patterns.len(), "{}", set.name);
        (set.name, set.patterns.len())
    });
    let sizes: Vec<(&str, usize)> = sizes.iter().map(|(name, size)| (&**name, *size)).collect();
    assert_eq!(
        sizes,
        [
            ("r1", 1),
            ("r50", 50),
            ("r50w", 55),
            ("r500", 500),
            ("r2000", 2_000),
            ("r2000d", 2_000)
        ]
    );
}

#[test]
fn every_rule_matches_what_is_drawn_from_it() {
    let mut choices = Choices::new(3);
    for set in all() {
        for (index, pattern) in set.patterns.iter().enumerate().step_by(7) {
            let mut line = b"x ".to_vec();
            line.extend(example(pattern, &mut choices).bytes);
            line.extend(b" x");
            let one = [pattern.clone()];
            assert_eq!(
                line_pairs(&one, &line).unwrap(),
                [(0, 0)],
                "{index}: {pattern}"
            );
        }
    }
}
