//! A value that is never printed: whoever needs it asks for it by name.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// A password, a token, the URL of a chat webhook. `Debug` and `Display` show `[secret]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What stands in a secret's place.
pub const HIDDEN: &str = "[secret]";

/// Parts of a secret shorter than this may stand in any text by chance.
const SHORTEST_PART: usize = 8;
/// A password of fewer is none.
const SHORTEST_PASSWORD: usize = 3;

/// What `%40` and the like stand for.
fn decoded(part: &str) -> String {
    // In a form, unlike here, a plus is a space.
    let form = format!("x={}", part.replace('+', "%2B").replace('&', "%26"));
    let mut pairs = form_urlencoded::parse(form.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// How `part` stands in a longer text that is written in base64, as logins are: by where in the text it
/// begins, without the characters that its neighbours have a part in.
fn in_base64(part: &str) -> impl Iterator<Item = String> {
    (0..3_usize).filter_map(move |before| {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(part.as_bytes());
        let (begin, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        let text = STANDARD_NO_PAD.encode(bytes);
        let own = text.get(begin..end)?;
        (own.len() >= SHORTEST_PASSWORD).then(|| own.to_owned())
    })
}

fn without(text: &str, secret: &str) -> String {
    let plain = text.replace(secret, HIDDEN);
    in_base64(secret).fold(plain, |text, part| text.replace(&part, HIDDEN))
}

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
    /// its path, query or user, nor a password in base64. For what the other side answered, which may
    /// repeat it.
    pub fn scrub(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let Some((_, rest)) = self.0.split_once("://") else {
            return without(text, &self.0);
        };
        let mut clean = text.replace(&self.0, HIDDEN);
        if let Some((_, local)) = rest.split_once('/')
            && local.len() >= SHORTEST_PART
        {
            clean = clean.replace(local, HIDDEN);
        }
        let (authority, local) = rest.split_once('/').unwrap_or((rest, ""));
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        let parts = local.split(['/', '?', '&', '=', '#']);
        for part in parts.filter(|part| part.len() >= SHORTEST_PART) {
            clean = clean.replace(part, HIDDEN);
        }
        // A password is one however short, and is sent as what the URL's writing of it means.
        let password = user.split_once(':').map_or(user, |(_, password)| password);
        for part in [password.to_owned(), decoded(password)] {
            if part.len() >= SHORTEST_PASSWORD {
                clean = without(&clean, &part);
            }
        }
        if let Some((name, _)) = user.split_once(':')
            && name.len() >= SHORTEST_PART
        {
            clean = clean.replace(name, HIDDEN);
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
    fn a_short_password_is_scrubbed_as_it_is_written_and_as_it_is_meant() {
        let url = Secret::new("smtp://ops:p%40ss+1@mail.example.com");
        for (text, clean) in [
            ("535 no: p%40ss+1", "535 no: [secret]"),
            ("535 no: p@ss+1", "535 no: [secret]"),
            ("ops is unknown", "ops is unknown"),
        ] {
            assert_eq!(url.scrub(text), clean);
        }
    }

    #[test]
    fn a_login_that_is_repeated_in_base64_does_not_show_the_password() {
        let url = Secret::new("smtp://ops:sesame-open@mail.example.com");
        for login in [
            "\0ops\0sesame-open",
            "sesame-open",
            "a\0ops\0sesame-open",
            "x\0o\0sesame-open!",
        ] {
            for secret in [&url, &Secret::new("sesame-open")] {
                let words = STANDARD_NO_PAD.encode(login);
                let clean = secret.scrub(&format!("535 5.7.8 cannot take {words}"));
                assert!(clean.contains(HIDDEN), "{clean}");
                let rest = clean.replace(HIDDEN, "");
                let rest = rest.trim_start_matches("535 5.7.8 cannot take ");
                // What is left holds at most the ends of two characters of it.
                assert!(
                    rest.len() <= words.len() - 4 * "sesame-open".len() / 3 + 2,
                    "{rest}"
                );
            }
        }
        assert_eq!(Secret::new("ab").scrub("YWI and ab"), "YWI and [secret]");
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
