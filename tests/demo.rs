//! `lapwing demo` ends by itself with the whole way shown.

use crate::host::Host;

#[test]
fn a_burst_is_caught_delivered_and_resolved() {
    let host = Host::new();
    let done = host.command(&["demo"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let at = |text: &str| {
        let place = done.stdout.find(text);
        place.unwrap_or_else(|| panic!("`{text}` in {}", done.stdout))
    };
    assert!(at("firing critical") < at("The receiver got `firing`"));
    assert!(at("The receiver got `firing`") < at("resolved critical"));
    assert!(at("resolved critical") < at("That was the whole way"));
    assert!(!done.stdout.contains("WRONG"), "{}", done.stdout);
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!done.stdout.contains(control), "{:?}", done.stdout);
}
