//! A value that is never printed: whoever needs it asks for it by name.

use std::fmt;

/// A password, a token, the URL of a chat webhook. `Debug` and `Display` show `[secret]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What stands in a secret's place.
pub const HIDDEN: &str = "[secret]";

/// Parts of a secret shorter than this may stand in any text by chance.
const SHORTEST_PART: usize = 8;

impl Secret {
    /// Keeps `value` from being shown.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without this secret: neither the whole of it nor, where it is a URL, any part of
    /// its path, query or user. For what the other side answered, which may repeat it.
    pub fn scrub(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let mut clean = text.replace(&self.0, HIDDEN);
        let Some((_, rest)) = self.0.split_once("://") else {
            return clean;
        };
        if let Some((_, local)) = rest.split_once('/')
            && local.len() >= SHORTEST_PART
        {
            clean = clean.replace(local, HIDDEN);
        }
        let (authority, local) = rest.split_once('/').unwrap_or((rest, ""));
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        let parts = local
            .split(['/', '?', '&', '=', '#'])
            .chain(user.split(':'));
        for part in parts.filter(|part| part.len() >= SHORTEST_PART) {
            clean = clean.replace(part, HIDDEN);
        }
        clean
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing_of_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "[secret] [secret] Some([secret])"
        );
    }

    #[test]
    fn scrubs_the_parts_of_a_url_out_of_an_answer() {
        let url = Secret::new(
            "https://me:sesame-open@hooks.example.com/services/T0001/B0002XYZW/abcdefghijkl?token=verysecret",
        );
        for (text, clean) in [
            ("no service", "no service"),
            ("bad path /B0002XYZW/", "bad path /[secret]/"),
            ("token verysecret is void", "token [secret] is void"),
            ("abcdefghijkl", "[secret]"),
            ("sesame-open", "[secret]"),
            (
                "POST https://me:sesame-open@hooks.example.com/services/T0001/B0002XYZW/abcdefghijkl?token=verysecret",
                "POST [secret]",
            ),
            ("hooks.example.com answers", "hooks.example.com answers"),
        ] {
            assert_eq!(url.scrub(text), clean);
        }
    }
}
