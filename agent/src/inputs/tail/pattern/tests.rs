use super::*;

fn check(pattern: &str, yes: &[&str], no: &[&str]) {
    let parsed = Pattern::parse(pattern).unwrap();
    for path in yes {
        assert!(parsed.matches(Path::new(path)), "{pattern} means {path}");
        for folder in Path::new(path).ancestors().skip(1) {
            assert!(
                parsed.reaches(folder),
                "{pattern} reaches {}",
                folder.display()
            );
        }
    }
    for path in no {
        assert!(
            !parsed.matches(Path::new(path)),
            "{pattern} does not mean {path}"
        );
    }
}

#[test]
fn globs_mean_what_a_shell_means() {
    check("/a/b.log", &["/a/b.log"], &["/a/b.log.1", "/a", "/b.log"]);
    check(
        "/a/*.log",
        &["/a/x.log", "/a/\n\".log"],
        &["/a/b/x.log", "/a/x.log1"],
    );
    check(
        "/a/*/c?.log",
        &["/a/b/c1.log"],
        &["/a/c1.log", "/a/b/c12.log"],
    );
    check(
        "/a/**/x.log",
        &["/a/x.log", "/a/b/x.log", "/a/b/c/x.log"],
        &["/b/x.log"],
    );
    check("/a/**", &["/a/x", "/a/b/x"], &["/b"]);
    check(
        "/a/{b,c}[0-9].log",
        &["/a/b1.log", "/a/c9.log"],
        &["/a/d1.log", "/a/bx.log"],
    );
}

#[test]
fn a_pattern_reaches_only_folders_on_its_way() {
    let pattern = Pattern::parse("/var/log/*/app.log").unwrap();
    for (folder, reached) in [
        ("/var", true),
        ("/var/log/x", true),
        ("/var/lib", false),
        ("/var/log/x/y", false),
    ] {
        assert_eq!(pattern.reaches(Path::new(folder)), reached, "{folder}");
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    for text in ["relative.log", "", "/a/{b/c,d}/x", "/a/[x", "/a/b**{"] {
        assert!(Pattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn an_exact_path_may_hold_any_character() {
    let pattern = Pattern::exactly(Path::new("/a/[x]*.log")).unwrap();
    assert!(pattern.matches(Path::new("/a/[x]*.log")));
    assert!(!pattern.matches(Path::new("/a/xy.log")));
}

#[test]
fn an_exclude_without_a_slash_is_for_names() {
    let by_name = Exclude::parse("*.gz").unwrap();
    assert!(by_name.matches(Path::new("/a/b/x.gz")));
    assert!(!by_name.matches(Path::new("/a/x.gz/y")));
    let by_path = Exclude::parse("/a/*/x.log").unwrap();
    assert!(by_path.matches(Path::new("/a/b/x.log")));
    assert!(!by_path.matches(Path::new("/a/x.log")));
}

#[test]
fn rotated_names_are_told_from_other_names() {
    for (name, base, rotated) in [
        ("access.log.1", "access.log", true),
        ("access.log-20261121", "access.log", true),
        ("access-2026-11-21.log", "access.log", true),
        ("access.log-20261121T0900", "access.log", true),
        ("access.log", "access.log", false),
        ("access.log.1.gz", "access.log", false),
        ("access.log.bak", "access.log", false),
        ("error.log.1", "access.log", false),
        ("accessory.log", "access.log", false),
        ("log.2", "log", true),
    ] {
        assert_eq!(
            is_rotation_of(OsStr::new(name), OsStr::new(base)),
            rotated,
            "{name} of {base}"
        );
    }
}

#[test]
fn a_copy_names_what_it_was_made_from() {
    for (name, base) in [
        ("app.log.1", "app.log"),
        ("app.log.bak", "app.log"),
        ("app.log-20261121", "app.log"),
        ("app-2026-11-21.log", "app.log"),
        ("app_copy.log", "app.log"),
    ] {
        assert!(
            bases(OsStr::new(name)).contains(&OsString::from(base)),
            "{name} of {base}"
        );
    }
    assert!(bases(OsStr::new("app")).is_empty());
}
