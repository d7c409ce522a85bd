use proptest::prelude::*;

use super::*;

/// `a=1 b=x` → fields.
fn fields(text: &str) -> Fields {
    let mut out = Fields::default();
    for pair in text.split_whitespace() {
        let (name, value) = pair.split_once('=').expect("name=value");
        out.push(name, value.as_bytes());
    }
    out
}

fn check(line: &str, cases: &[(&str, bool)]) {
    let fields = fields(line);
    for (text, expected) in cases {
        let expression =
            Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(expression.holds(&fields), *expected, "{text} for {line}");
        assert_eq!(expression.text(), *text);
    }
}

#[test]
fn compares_numbers_with_numbers() {
    check(
        "status=502 bytes=1500000 rt=0.250 id=9007199254740993 neg=-5 hash=1e3",
        &[
            ("status == 502", true),
            ("status == \"502\"", true),
            ("status == '502.0'", true),
            ("status != 502", false),
            ("status >= 500 and status < 600", true),
            ("status < 60", false),
            ("status > '60'", true),
            ("bytes > 1e6", true),
            ("bytes > 1.5e+6", false),
            ("rt == 0.25", true),
            ("id == 9007199254740992", false),
            ("id > 9007199254740992", true),
            ("neg < 0", true),
            ("neg == -5", true),
            ("hash == 1000", true),
            ("status in [500, 502.0]", true),
            ("status not in [500, 501]", true),
            ("status not in [502]", false),
            ("status ~ '^5'", true),
        ],
    );
}

#[test]
fn compares_texts_by_their_bytes() {
    check(
        "path=/b empty= bytes=- ip=10.0.0.9",
        &[
            ("path == \"/b\"", true),
            ("path == '/B'", false),
            ("path > '/a'", true),
            ("path <= '/b'", true),
            ("path < 5", false),
            ("path > 5", false),
            ("path >= 5", false),
            ("path != 5", true),
            ("path == 5", false),
            ("bytes > 0", false),
            ("bytes < 0", false),
            ("bytes == '-'", true),
            ("empty == ''", true),
            ("empty < 'a'", true),
            ("exists(empty)", true),
            ("ip == '10.0.0.9'", true),
            ("ip ~ '^10\\.'", true),
            ("ip ~ \"\\.9$\"", true),
            ("ip in ['10.0.0.8', '10.0.0.9',]", true),
        ],
    );
}

#[test]
fn a_comparison_with_a_missing_field_is_false() {
    check(
        "a=1",
        &[
            ("b == 1", false),
            ("b != 1", false),
            ("b < 1", false),
            ("b >= 1", false),
            ("b in [1]", false),
            ("b not in [1]", false),
            ("b ~ ''", false),
            ("exists(b)", false),
            ("not exists(b)", true),
            ("not (b == 1)", true),
            ("not b == 1", true),
            ("not b not in [1]", true),
            ("exists(a)", true),
        ],
    );
}

#[test]
fn not_binds_before_and_before_or() {
    check(
        "t=1 f=0",
        &[
            ("t == 1 or t == 1 and f == 1", true),
            ("(t == 1 or t == 1) and f == 1", false),
            ("f == 1 and f == 1 or t == 1", true),
            ("not f == 1 and t == 1", true),
            ("not f == 1 and f == 1", false),
            ("not (f == 1 or t == 1)", false),
            ("not not t == 1", true),
            ("not(t==1)or(t==1)", true),
        ],
    );
}

#[test]
fn a_name_may_hold_more_than_letters() {
    let mut fields = Fields::default();
    for name in [
        "sd.id@32473.iut",
        "@timestamp",
        "x-y",
        "größe",
        "odd name",
        "in",
        "exists",
        "5",
        "android",
    ] {
        fields.push(name, b"1");
    }
    for text in [
        "sd.id@32473.iut == 1",
        "@timestamp == 1",
        "x-y == 1",
        "größe == 1",
        "`odd name` == 1",
        "`in` in [1]",
        "exists == 1",
        "exists(exists)",
        "exists(`5`)",
        "`5` == 1",
        "android == 1",
    ] {
        let expression =
            Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert!(expression.holds(&fields), "{text}");
    }
}

#[test]
fn a_text_means_what_its_escapes_say() {
    let mut fields = Fields::default();
    fields.push("a", b"\"'\\\n\r\t\xff");
    for text in [
        r#"a == "\"'\\\n\r\t\xff""#,
        r#"a == '"\'\\\n\r\t\xFF'"#,
        r"a ~ '^\x22\x27\\'",
        r#"a ~ "\"'""#,
    ] {
        let expression =
            Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert!(expression.holds(&fields), "{text}");
    }
}

#[test]
fn names_each_field_once_with_its_place() {
    let text = "a == 1 or exists(b.c) and a == 2 or `d e` ~ 'a'";
    let expression = Expression::parse(text).unwrap();
    assert_eq!(
        expression.names(),
        [("a", 0..1), ("b.c", 17..20), ("d e", 36..41)]
    );
}

/// Each text, the part of it that the error is about, a piece of its message, a piece of its help.
const ERRORS: &[(&str, &str, &str, &str)] = &[
    ("status = 502", "=", "not known", "write =="),
    ("a == 1 && b == 2", "&&", "not known", "write `and`"),
    ("a == 1 || b == 2", "||", "not known", "write `or`"),
    ("!exists(a)", "!", "not known", "write `not`"),
    ("a =~ 'x'", "=~", "not known", "write ~"),
    ("a !~ 'x'", "!~", "not known", "not (field ~"),
    ("a <> 1", "<>", "not known", "write !="),
    ("a === 1", "===", "not known", "write =="),
    ("a == GET", "GET", "the word `GET`", "quote it: \"GET\""),
    ("a == 5xx", "5xx", "the word `5xx`", "quote it: \"5xx\""),
    ("a == null", "null", "no such value", "exists(..)"),
    ("a == 1 AND b == 2", "AND", "not known", "write `and`"),
    ("NOT a == 1", "NOT", "not known", "write `not`"),
    ("a IN [1]", "IN", "not known", "write `in`"),
    ("a contains 'x'", "contains", "no comparison", "==, !="),
    ("a is 1", "is", "no comparison", "==, !="),
    ("status", "status", "compared with nothing", "exists(..)"),
    (
        "a == 1 and status",
        "status",
        "compared with nothing",
        "exists(..)",
    ),
    (
        "502 == status",
        "502",
        "found the number 502",
        "field first",
    ),
    (
        "'status' == 502",
        "'status'",
        "found a text",
        "without quotes: status",
    ),
    ("and == 1", "and", "found `and`", "backticks"),
    ("a == 1 b == 2", "b", "expected `and` or `or`", "join"),
    ("a == 1 == 1", "==", "second comparison", "compare once"),
    ("a == 'x", "'x", "never closed", "close it with '"),
    ("`a == 1", "`a == 1", "never closed", "close it with `"),
    ("`` == 1", "``", "empty", ""),
    (r"a == '\d'", r"\d", "escape", r"\\ for a backslash"),
    (r"a == 'é\é'", r"\é", "escape", r"\\ for a backslash"),
    (r"a == '\x4é'", r"\x", "escape", r"\xHH"),
    (r"a == '\x+4'", r"\x", "escape", r"\xHH"),
    ("(a == 1", "", "never closed", "close it with )"),
    ("a == 1)", ")", "closes nothing", ""),
    ("a in 1", "1", "expected a list", "brackets"),
    ("a in [1 2]", "2", "`,` or `]`", ""),
    ("a in [1", "", "`,` or `]`", ""),
    ("a in []", "]", "empty", "leave"),
    ("a not [1]", "a", "compared with nothing", "not in"),
    ("a ~ x", "x", "expected a pattern", "quotes"),
    ("a ~ 'x(y'", "(", "", ""),
    ("exists a", "a", "no comparison", "==, !="),
    ("exists(a", "", "expected `)`", ""),
    ("a ==", "", "expected a value", "number"),
    ("a == 1 and", "", "breaks off", "field"),
    ("", "", "empty", "leave `where` out"),
    ("  ", "  ", "empty", "leave `where` out"),
    ("a == $x", "$", "`$` is not known", "quotes"),
    ("path/x == 1", "/", "`/` is not known", "backticks"),
    ("a in {1}", "{", "not known", "[ ]"),
];

#[test]
fn an_error_says_where_what_and_what_instead() {
    for (text, meant, message, help) in ERRORS.iter().copied() {
        let error = Expression::parse(text).expect_err(text);
        assert_eq!(
            text.get(error.span.clone()),
            Some(meant),
            "{text}: {error:?}"
        );
        assert!(error.message.contains(message), "{text}: {error:?}");
        assert!(
            error.help.clone().unwrap_or_default().contains(help),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}a == 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Expression::parse(&nested(Expression::MAX_DEPTH)).is_ok());
    let error = Expression::parse(&nested(Expression::MAX_DEPTH + 1)).unwrap_err();
    assert_eq!(error.span, 64..65);
    assert!(Expression::parse(&format!("{}a == 1", "not ".repeat(10_000))).is_err());

    let wide = vec!["a == 1"; 5000].join(" or ");
    assert!(Expression::parse(&wide).unwrap().holds(&fields("a=1")));
    let long = format!("a == '{}'", "x".repeat(Expression::MAX_LEN));
    assert!(
        Expression::parse(&long)
            .unwrap_err()
            .message
            .contains("bytes")
    );
}

/// A condition as a person would draw it: what the property below writes down and works out by
/// itself, the slow way.
#[derive(Clone, Debug)]
enum Naive {
    Compare(usize, &'static str, &'static str),
    In(usize, Vec<&'static str>),
    NotIn(usize, Vec<&'static str>),
    Exists(usize),
    Not(Box<Naive>),
    And(Box<Naive>, Box<Naive>),
    Or(Box<Naive>, Box<Naive>),
}

const NAMES: [&str; 3] = ["a", "b.c", "@d"];
const VALUES: [&str; 9] = ["", "1", "1.0", "-2", "1e1", "10", "x", "X y", "10.0.0.1"];

impl Naive {
    /// Only the parentheses that precedence asks for.
    fn write(&self) -> String {
        let list = |values: &[&str]| {
            values
                .iter()
                .map(|value| format!("'{value}'"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        match self {
            Self::Compare(name, operator, value) => {
                format!("{} {operator} \"{value}\"", NAMES[*name])
            }
            Self::In(name, values) => format!("{} in [{}]", NAMES[*name], list(values)),
            Self::NotIn(name, values) => format!("{} not in [{}]", NAMES[*name], list(values)),
            Self::Exists(name) => format!("exists({})", NAMES[*name]),
            Self::Not(inner) if matches!(**inner, Self::And(..) | Self::Or(..)) => {
                format!("not ({})", inner.write())
            }
            Self::Not(inner) => format!("not {}", inner.write()),
            Self::And(left, right) => {
                let side = |side: &Self| match side {
                    Self::Or(..) => format!("({})", side.write()),
                    other => other.write(),
                };
                format!("{} and {}", side(left), side(right))
            }
            Self::Or(left, right) => format!("{} or {}", left.write(), right.write()),
        }
    }

    fn holds(&self, values: &[Option<&str>; 3]) -> bool {
        match self {
            Self::Compare(name, operator, value) => {
                values[*name].is_some_and(|found| Self::compare(found, operator, value))
            }
            Self::In(name, list) => values[*name]
                .is_some_and(|found| list.iter().any(|value| Self::compare(found, "==", value))),
            Self::NotIn(name, list) => values[*name]
                .is_some_and(|found| list.iter().all(|value| Self::compare(found, "!=", value))),
            Self::Exists(name) => values[*name].is_some(),
            Self::Not(inner) => !inner.holds(values),
            Self::And(left, right) => left.holds(values) && right.holds(values),
            Self::Or(left, right) => left.holds(values) || right.holds(values),
        }
    }

    fn compare(found: &str, operator: &str, value: &str) -> bool {
        let order = match (found.parse::<f64>(), value.parse::<f64>()) {
            (Ok(found), Ok(value)) => found.partial_cmp(&value).unwrap(),
            (Err(_), Err(_)) => found.cmp(value),
            _ => return operator == "!=",
        };
        match operator {
            "==" => order.is_eq(),
            "!=" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_ge(),
        }
    }
}

fn naive() -> impl Strategy<Value = Naive> {
    let name = || 0..NAMES.len();
    let value = || prop::sample::select(&VALUES[..]);
    let operator = prop::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]);
    let list = || prop::collection::vec(value(), 1..4);
    let leaf = prop_oneof![
        4 => (name(), operator, value()).prop_map(|(name, operator, value)| Naive::Compare(name, operator, value)),
        1 => (name(), list()).prop_map(|(name, list)| Naive::In(name, list)),
        1 => (name(), list()).prop_map(|(name, list)| Naive::NotIn(name, list)),
        1 => name().prop_map(Naive::Exists),
    ];
    leaf.prop_recursive(5, 24, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Naive::Not(Box::new(inner))),
            (inner.clone(), inner.clone())
                .prop_map(|(left, right)| Naive::And(Box::new(left), Box::new(right))),
            (inner.clone(), inner)
                .prop_map(|(left, right)| Naive::Or(Box::new(left), Box::new(right))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn holds_when_a_naive_reading_holds(
        naive in naive(),
        values in prop::array::uniform3(prop::option::of(prop::sample::select(&VALUES[..]))),
    ) {
        let text = naive.write();
        let mut fields = Fields::default();
        for (name, value) in NAMES.iter().zip(&values) {
            if let Some(value) = value {
                fields.push(name, value.as_bytes());
            }
        }
        let expression = Expression::parse(&text).unwrap();
        prop_assert_eq!(expression.holds(&fields), naive.holds(&values), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in r#"([a-c.@é]{1,2}|[0-9-]{1,2}|==|!=|[<>=~!&|]|and|or|not|in|exists|[\[\](),'"`\\ ]|\PC){0,12}"#) {
        match Expression::parse(&text) {
            Ok(expression) => { expression.holds(&fields("a=1 b=x")); }
            Err(error) => prop_assert!(text.get(error.span.clone()).is_some(), "{:?}", error),
        }
    }
}
