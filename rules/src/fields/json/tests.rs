use proptest::prelude::*;
use serde_json::Value as Tree;

use super::*;

fn fields(line: &[u8]) -> String {
    let mut out = Fields::default();
    read(line, &mut out);
    let show =
        |(name, value): (&str, &[u8])| format!("{name}={} | ", String::from_utf8_lossy(value));
    out.iter().map(show).collect()
}

#[test]
fn gives_every_key() {
    for (line, expected) in [
        (r#"{"a":"x","b":1,"c":true}"#, "a=x | b=1 | c=true | "),
        (
            r#" { "a" : { "b" : { "c" : 1 } , "d" : 2 } } "#,
            "a.b.c=1 | a.d=2 | ",
        ),
        (r#"{"a.b":1,"@timestamp":"t"}"#, "a.b=1 | @timestamp=t | "),
        (
            r#"{"n":-0.50e+3,"m":1.0,"k":12345678901234567890}"#,
            "n=-0.50e+3 | m=1.0 | k=12345678901234567890 | ",
        ),
        (
            r#"{"s":"a\"b\\c\n\u00e9\ud83d\ude00\/"}"#,
            "s=a\"b\\c\né😀/ | ",
        ),
        (r#"{"a":null,"b":""}"#, "b= | "),
        (
            r#"{"a":["x",{"b":[1, 2]}],"c":[]}"#,
            r#"a=["x",{"b":[1, 2]}] | c=[] | "#,
        ),
        (r#"{"a":{},"b":1}"#, "b=1 | "),
        (r#"{"\u0061\"":1}"#, "a\"=1 | "),
        ("{\"a\":\"tab\tx\"}", "a=tab\tx | "),
        ("{}", ""),
    ] {
        assert_eq!(fields(line.as_bytes()), expected, "{line}");
    }
    assert_eq!(fields(b"{\"\xff\":\"\xfe\"}"), "\u{fffd}=\u{fffd} | ");
}

#[test]
fn what_is_no_object_gives_nothing() {
    for line in [
        "",
        "{",
        r#"{"a":1"#,
        r#"{"a":1,}"#,
        r#"{"a":1}x"#,
        r#"{"a":1}{"b":2}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":1e}"#,
        r#"{"a":+1}"#,
        r#"{"a":nul}"#,
        r#"{"a":True}"#,
        r#"{"a" 1}"#,
        r"{'a':1}",
        r"{a:1}",
        r#"{"a":"x}"#,
        r#"{"a":"x\"}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[1 2]}"#,
        r#"["a"]"#,
        r#""a""#,
        "12",
    ] {
        assert_eq!(fields(line.as_bytes()), "", "{line}");
        assert!(!detect(line.as_bytes()), "{line}");
    }
}

#[test]
fn depth_and_number_of_fields_are_bounded() {
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert_eq!(
        fields(nested(17).as_bytes()),
        format!("a{}=1 | ", ".a".repeat(16))
    );
    assert_eq!(
        fields(nested(18).as_bytes()),
        format!("a{}={{\"a\":1}} | ", ".a".repeat(16))
    );
    assert_eq!(fields(nested(1000).as_bytes()), "");
    assert_eq!(
        fields(format!("{{\"a\":{}", "[".repeat(100_000)).as_bytes()),
        ""
    );

    let many: Vec<_> = (0..MAX_FIELDS + 5)
        .map(|i| format!("\"k{i}\":{i}"))
        .collect();
    let mut out = Fields::default();
    read(format!("{{{}}}", many.join(",")).as_bytes(), &mut out);
    assert_eq!(out.len(), MAX_FIELDS);

    let long = "k".repeat(MAX_NAME_BYTES + 1);
    assert_eq!(
        fields(format!("{{\"{long}\":1,\"b\":{{\"c\":2}}}}").as_bytes()),
        "b.c=2 | "
    );
}

#[test]
fn a_line_that_breaks_off_takes_nothing_from_what_was_there() {
    let mut out = Fields::default();
    out.push("peer", b"1.2.3.4");
    read(br#"{"a":1,"b":"#, &mut out);
    assert_eq!(out.iter().collect::<Vec<_>>(), [("peer", &b"1.2.3.4"[..])]);
}

#[test]
fn takes_the_time_from_the_first_key_that_holds_one() {
    let nine = "2026-11-21T09:00:00Z".parse().ok();
    for (line, time_field, expected) in [
        (r#"{"time":"2026-11-21T09:00:00Z"}"#, None, nine),
        (r#"{"ts":1795251600.0,"time":"0.032"}"#, None, nine),
        (
            r#"{"ts":1700000000,"@timestamp":"2026-11-21 09:00:00"}"#,
            None,
            nine,
        ),
        (r#"{"timestamp":1795251600000}"#, None, nine),
        (
            r#"{"time":"2020-01-01T00:00:00Z","time":"2026-11-21T09:00:00Z"}"#,
            None,
            nine,
        ),
        (r#"{"time":"2026\/11\/21 09:00:00"}"#, None, nine),
        (r#"{"time":"21/Nov/2026:09:00:00 +0000"}"#, None, nine),
        (r#"{"t\u0069me":"1795251600"}"#, None, nine),
        (r#"{"a":{"time":"2026-11-21T09:00:00Z"}}"#, None, None),
        (
            r#"{"a":{"time":"2026-11-21T09:00:00Z"}}"#,
            Some("a.time"),
            nine,
        ),
        (r#"{"time":"2026-11-21T09:00:00Z"}"#, Some("at"), None),
        (r#"{"time":"yesterday"}"#, None, None),
        (r#"{"time":null}"#, None, None),
        (r#"{"time":"2026-11-21T09:00:00Z""#, None, None),
    ] {
        assert_eq!(
            time(line.as_bytes(), time_field, Assume::default()),
            expected,
            "{line}"
        );
    }
}

/// Any tree of JSON.
fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<f64>().prop_map(Tree::from),
        any::<String>().prop_map(Tree::from),
    ];
    leaf.prop_recursive(4, 30, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::from),
            prop::collection::vec(("[a-c\"\\\\é]{0,2}", inner), 0..6)
                .prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    })
}

/// What the fields of a tree must be, by walking it.
fn walk(name: &str, tree: &Tree, out: &mut Vec<(String, Vec<u8>)>) {
    match tree {
        Tree::Null => {}
        Tree::Object(members) => {
            for (key, value) in members {
                walk(&format!("{name}.{key}"), value, out);
            }
        }
        Tree::String(text) => out.push((name.to_owned(), text.clone().into_bytes())),
        other => out.push((name.to_owned(), other.to_string().into_bytes())),
    }
}

proptest! {
    #[test]
    fn reads_what_serde_json_wrote(members in prop::collection::vec(("[a-c\"\\\\é]{0,2}", tree()), 0..6)) {
        let tree = Tree::Object(members.into_iter().collect());
        let mut expected = Vec::new();
        for (key, value) in tree.as_object().unwrap() {
            walk(key, value, &mut expected);
        }
        for text in [tree.to_string(), serde_json::to_string_pretty(&tree).unwrap()] {
            let mut out = Fields::default();
            read(text.as_bytes(), &mut out);
            // A pretty array has other spaces: compare what it means.
            let same = |text: &[u8]| serde_json::from_slice::<Tree>(text).map_or_else(|_| text.to_vec(), |tree| tree.to_string().into_bytes());
            let found: Vec<_> = out.iter().map(|(name, value)| (name.to_owned(), same(value))).collect();
            let expected: Vec<_> = expected.iter().map(|(name, value)| (name.clone(), same(value))).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn reads_whatever_serde_json_accepts(text in r#"[{]("[ab]"[:]("x"|1|-2\.5e1|null|\[1, ?2\]|[{]"c":true[}])[, ]?){0,4}[}]?"#) {
        let is_object = serde_json::from_str::<Tree>(&text).is_ok();
        prop_assert_eq!(each_field(text.as_bytes(), &mut |_, _| ()).is_some(), is_object);
    }
}
