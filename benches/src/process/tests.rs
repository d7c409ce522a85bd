use super::*;

use lapwing_rules::language::check::{Checked, Defaults, Known, SourceFile, check};
use lapwing_rules::language::pattern::Pattern;

#[test]
fn numbers_are_summed_wherever_they_stand() {
    let said = r#"{"a":{"hits":12,"x":1},"b":{"hits":30}}"#;
    assert_eq!(sum_after(said, "\"hits\":").unwrap(), 42);
    assert!(sum_after("nothing", "hits ").is_err());
}

#[test]
fn every_line_is_read_once_also_without_a_last_line_feed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let line = [b'x'; 1000];
    let mut log = Vec::new();
    for _ in 0..700 {
        log.extend(line);
        log.push(b'\n');
    }
    log.extend(line);
    fs::write(&path, log).unwrap();
    assert_eq!(read_through(&path, None).unwrap().0, 0);
    if Hyperscan::open().is_ok() {
        let patterns = ["x{999}".to_owned()];
        assert_eq!(read_through(&path, Some(&patterns)).unwrap().0, 701);
    }
}

#[test]
fn every_made_up_rule_stands_in_a_rule_file_as_it_is() {
    for set in crate::rule_sets::all() {
        let file = SourceFile {
            name: "rules.yaml".into(),
            text: rule_file(&set.patterns).into(),
        };
        let Checked {
            rules, problems, ..
        } = check(&[file], &Defaults::default(), Known::default());
        assert_eq!(problems, []);
        let regexes = rules.iter().flat_map(|rule| &rule.matching.regex);
        let texts: Vec<&str> = regexes.map(Pattern::text).collect();
        assert_eq!(texts, set.patterns);
    }
}
