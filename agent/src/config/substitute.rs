//! `${NAME}`, `${file:PATH}` and `${credential:NAME}` in the values of `lapwing.yaml`; `$$` is a
//! dollar sign. What comes in this way is never shown in a message: the scalar keeps its own text
//! for that.

use std::path::{Path, PathBuf};

use lapwing_rules::language::diagnostic::Diagnostic;
use lapwing_rules::language::reader::Reader;
use lapwing_rules::language::yaml::{Node, Value};

/// Looks up environment variables; passed in, so that a test needs none.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A file that holds a secret is at most so long, in bytes.
const MAX_SECRET_BYTES: usize = 64 * 1024;

/// What a value that could not be filled in is told as.
const CODE: &str = "bad-substitution";

/// Fills in every scalar below `node`. `folder` is what relative paths are taken from.
pub(super) fn substitute(
    reader: &mut Reader,
    node: &mut Node,
    folder: &Path,
    environment: &Environment<'_>,
) {
    let place = node.place.clone();
    match &mut node.value {
        Value::List(items) => {
            for item in items {
                substitute(reader, item, folder, environment);
            }
        }
        Value::Map(entries) => {
            for (_, value) in entries {
                substitute(reader, value, folder, environment);
            }
        }
        Value::Scalar(scalar) if scalar.text.contains('$') => {
            match fill_in(&scalar.text, folder, environment) {
                Ok(text) => scalar.shown = Some(std::mem::replace(&mut scalar.text, text)),
                Err((message, help)) => reader.error(CODE, &place, message, help),
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

/// A value that could not be filled in is wrong in other ways too (`${URL}` is no URL): saying so
/// helps nobody.
pub(super) fn drop_consequences(problems: &mut Vec<Diagnostic>) {
    let causes: Vec<_> = problems
        .iter()
        .filter(|problem| problem.code == CODE)
        .map(|problem| problem.place.bytes.clone())
        .collect();
    problems.retain(|problem| {
        let bytes = &problem.place.bytes;
        let within =
            |cause: &std::ops::Range<usize>| cause.start <= bytes.start && bytes.end <= cause.end;
        problem.code == CODE || !causes.iter().any(within)
    });
}

type Failure = (String, Option<String>);

fn fill_in(text: &str, folder: &Path, environment: &Environment<'_>) -> Result<String, Failure> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            filled.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err((
                    "`${` without `}`".into(),
                    Some("a dollar sign itself is written `$$`".into()),
                ));
            };
            filled.push_str(&look_up(name, folder, environment)?);
            rest = after;
        } else {
            filled.push('$');
            rest = after;
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn look_up(name: &str, folder: &Path, environment: &Environment<'_>) -> Result<String, Failure> {
    if let Some(path) = name.strip_prefix("file:") {
        return read_secret(&folder.join(path));
    }
    if let Some(credential) = name.strip_prefix("credential:") {
        let Some(credentials) = environment("CREDENTIALS_DIRECTORY") else {
            let help =
                format!("systemd passes it with `LoadCredential={credential}:PATH` in the unit");
            return Err((
                "there are no credentials: `CREDENTIALS_DIRECTORY` is not set".into(),
                Some(help),
            ));
        };
        if credential.contains('/') {
            return Err(("the name of a credential has no slash".into(), None));
        }
        return read_secret(&PathBuf::from(credentials).join(credential));
    }
    environment(name).ok_or_else(|| {
        let help = "set it, or write `$$` for a dollar sign".to_owned();
        (format!("the environment has no `{name}`"), Some(help))
    })
}

/// The text of a file without the newline at its end.
fn read_secret(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| (format!("cannot read {}: {error}", path.display()), None))?;
    if bytes.len() > MAX_SECRET_BYTES {
        return Err((
            format!("{} is longer than {MAX_SECRET_BYTES} bytes", path.display()),
            None,
        ));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| (format!("{} is not UTF-8", path.display()), None))?;
    Ok(text
        .strip_suffix('\n')
        .map_or(text.as_str(), |text| {
            text.strip_suffix('\r').unwrap_or(text)
        })
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_names_and_files_are_filled_in() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "s3cret\n").unwrap();
        let environment = |name: &str| match name {
            "HOME" => Some("/root".to_owned()),
            "CREDENTIALS_DIRECTORY" => Some(folder.path().display().to_string()),
            _ => None,
        };
        for (text, filled) in [
            ("a${HOME}b", "a/rootb"),
            ("$$x $ y$", "$x $ y$"),
            ("x-${file:token}", "x-s3cret"),
            ("${credential:token}", "s3cret"),
        ] {
            assert_eq!(
                fill_in(text, folder.path(), &environment).as_deref(),
                Ok(filled),
                "{text}"
            );
        }
        for text in [
            "${NOT_SET}",
            "${file:missing}",
            "${open",
            "${credential:../token}",
        ] {
            assert!(
                fill_in(text, folder.path(), &environment).is_err(),
                "{text}"
            );
        }
    }
}
