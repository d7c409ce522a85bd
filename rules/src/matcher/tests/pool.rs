//! Rules with every trap that is known.

use super::Written;

/// Patterns: empty matches, assertions, folding outside ASCII, bytes outside UTF-8, terminators.
const PATTERNS: &[&str] = &[
    "",
    "^",
    "$",
    "^$",
    r"\b",
    r"\B",
    "a*",
    ".*",
    ".",
    r"^\s*$",
    r"\bkey\b",
    r"\Bkey",
    r"key\B",
    "^key$",
    "^.key",
    "key.$",
    "(?i)kiss",
    "(?i)sKey#",
    "ſ#",
    "\u{212a}ey",
    r"(?-u)\xFF",
    r"(?-u:\xFF)#",
    r"\x00",
    r"[\x00#]{2}",
    r"\r",
    r"#\r$",
    r"key=[0-9]+#",
    r"(key|lock)#",
    r"(?:kiss|lock|)#?",
    r"k.s+",
    r"(?s)k.*#",
    r"[^#]#",
    r"#{2,3}",
    "(?:##?){2}",
    r"\S+#\S+",
    r"[[:alpha:]]#[k-s]",
    r"(?i)[k-l]ock[#]",
    r"é#",
    r"(?i)É",
    r"(?i)straße#",
    "#|zz",
    "(?m)^k",
    "(?m)s$",
    r"(?R)s$",
    r"\A#",
    r"#\z",
    r"[^\s\S]",
    r"key[^\s\S]",
    r"(?i-u)kiss#",
    r"(?-u:.)#",
    r"(k|s){2}(k|s){2}",
    r"\pL#",
    r"(?x) k i s s # a comment",
];

/// The patterns alone.
pub(in crate::matcher) fn pool_patterns() -> &'static [&'static str] {
    PATTERNS
}

/// All of them, and rules with other keys.
pub(in crate::matcher) fn pool() -> Vec<Written> {
    let mut pool: Vec<Written> = PATTERNS
        .iter()
        .map(|pattern| Written::regex(&[pattern]))
        .collect();
    pool.extend([
        Written::default(),
        Written::contains(&["key"]),
        Written::contains(&["KEY"]),
        Written::contains(&["kiss", "lock#"]).ignoring_case(),
        Written::contains(&["é#", "\u{212a}"]).ignoring_case(),
        Written::contains(&["\0"]),
        Written::contains(&["\r"]),
        Written::contains(&["#\r", " "]),
        Written::contains(&["ſ"]).ignoring_case(),
        Written::contains(&["a", "b", "c", "d", "e", "f", "#0", "#1", "#2", "#"]),
        Written::contains(&["#"]).but_not("key", "^k"),
        Written::contains(&["#"])
            .but_not("key", "kiss")
            .ignoring_case(),
        Written::default().but_not("#", "[a-f]"),
        Written::regex(&["lock", "k.y"]).but_not("#", "$^"),
        Written {
            contains: vec![vec![0xFF], vec![0xE2, 0x84]],
            ..Written::default()
        },
        Written {
            contains: vec![vec![0xFF, b'k'], vec![0xE2, 0x84]],
            ignore_case: true,
            ..Written::default()
        },
        Written {
            contains: vec![b"#".to_vec()],
            regex: vec!["key".to_owned(), r"\d".to_owned()],
            ..Written::default()
        },
        Written::regex(&[r"\w#", "kiss"]).ignoring_case(),
    ]);
    pool
}
