//! Draws lines of every format, well written and not, and conditions over what is read from them.

use crate::fields::{Fields, Format};

/// A source of choices: the same seed draws the same.
pub(super) struct Draw {
    state: u64,
}

const KEYS: [&str; 12] = [
    "status", "k", "host", "a.b", "a", "b", "x/y", "é", "up", "time", "level", "it's",
];
const VALUES: [&str; 44] = [
    "/p?q=1&r",
    "/a b?c d",
    "?",
    "[\"a/b\", 2]",
    "502",
    "0502",
    "502.0",
    "5.02e2",
    "50.2E1",
    "50200e-2",
    "501.99999999999999999999",
    "500",
    "5e2",
    "499.999999999999999999",
    "0",
    "-0",
    "-3",
    "-3.0",
    "0.5",
    "12345",
    "1.2345e4",
    "12344.99999999999999999",
    "1234567890123",
    "100000",
    "1e5",
    "true",
    "false",
    "a",
    "x y",
    "/api/v1/users",
    "https://e.com/a/b/c/d/e/f/g",
    "it's",
    "say \"hi\"",
    "back\\slash",
    "\\",
    "é",
    "日本語",
    "😀",
    "tab\there",
    "two\nlines",
    "",
    "[1, 2]",
    "{\"z\":1}",
    "error",
];

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// Below `bound` (xorshift64*).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = u32::try_from(self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32).unwrap();
        high as usize % bound
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn one_of<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    fn value(&mut self) -> String {
        match self.below(8) {
            0 => self.below(2000).to_string(),
            1 => (0..self.below(6))
                .map(|_| char::from(u8::try_from(self.below(128)).unwrap()))
                .collect(),
            _ => self.one_of(&VALUES).to_owned(),
        }
    }

    pub(super) fn format(&mut self) -> &'static str {
        self.one_of(Format::NAMES)
    }

    pub(super) fn line(&mut self, format: &Format) -> Vec<u8> {
        let mut line = match format {
            Format::Json { .. } => self.object(0),
            Format::Logfmt { .. } => self.logfmt(),
            Format::NginxError => self.nginx_error(),
            Format::Syslog => self.syslog(),
            Format::Pattern { .. } => {
                let (a, b) = (self.value(), self.value());
                format!("2026 {a} id={b} {}", self.value())
            }
            _ => self.access(),
        }
        .into_bytes();
        if self.one_in(6) {
            let len = self.below(line.len() + 1);
            line.truncate(len);
        }
        for _ in 0..self.below(12).saturating_sub(8) {
            let odd = b"\"\\ =,\xff{}:\n\r\t[]eE.0-";
            let byte = odd[self.below(odd.len())];
            let at = self.below(line.len() + 1);
            if self.one_in(2) && at < line.len() {
                line[at] = byte;
            } else {
                line.insert(at, byte);
            }
        }
        line
    }

    fn space(&mut self) -> &'static str {
        match self.below(10) {
            0..=5 => "",
            6 | 7 => " ",
            _ => self.one_of(&["\t", "  ", " \t", "\r", "   "]),
        }
    }

    /// `text` between quotes, some of it as escapes.
    fn quoted(&mut self, text: &str) -> String {
        let often = self.one_in(3);
        let mut out = String::from("\"");
        for char in text.chars() {
            if often && self.one_in(4) {
                out += &self.by_number(char);
                continue;
            }
            match char {
                '"' => out += "\\\"",
                '\\' if self.one_in(4) => out.push('\\'),
                '\\' => out += "\\\\",
                '/' | '\'' if self.one_in(3) => {
                    out.push('\\');
                    out.push(char);
                }
                '\n' if !self.one_in(4) => out += "\\n",
                '\t' if !self.one_in(4) => out += "\\t",
                other => out.push(other),
            }
        }
        out.push('"');
        out
    }

    fn by_number(&mut self, char: char) -> String {
        let hex = |unit: u32, upper: bool, width: usize| {
            if upper {
                format!("{unit:0width$X}")
            } else {
                format!("{unit:0width$x}")
            }
        };
        let upper = self.one_in(2);
        let codes: Vec<String> = if self.one_in(3) {
            let bytes = char.to_string().into_bytes();
            let code = |byte: &u8| format!("\\x{}", hex(u32::from(*byte), upper, 2));
            bytes.iter().map(code).collect()
        } else {
            let mut units = [0; 2];
            let code = |unit: &u16| format!("\\u{}", hex(u32::from(*unit), upper, 4));
            char.encode_utf16(&mut units).iter().map(code).collect()
        };
        codes.concat()
    }

    fn object(&mut self, depth: usize) -> String {
        let mut members = Vec::new();
        for _ in 0..=self.below(5) {
            let key = self.one_of(&KEYS);
            let key = self.quoted(key);
            let value = match self.below(6) {
                0 if depth < 3 => self.object(depth + 1),
                1 | 2 => self.value(),
                3 => self
                    .one_of(&["true", "null", "[1, \"a/b\"]", "502", "1e3", "500.5"])
                    .to_owned(),
                _ => {
                    let value = self.value();
                    self.quoted(&value)
                }
            };
            let spaces: Vec<&str> = (0..4).map(|_| self.space()).collect();
            members.push(format!(
                "{}{key}{}:{}{value}{}",
                spaces[0], spaces[1], spaces[2], spaces[3]
            ));
        }
        format!("{{{}}}", members.join(","))
    }

    fn logfmt(&mut self) -> String {
        let mut line = String::new();
        for _ in 0..=self.below(5) {
            let (key, value) = (self.one_of(&KEYS), self.value());
            let pair = match self.below(5) {
                0 => key.to_owned(),
                1 | 2 => format!("{key}={value}"),
                _ => format!("{key}={}", self.quoted(&value)),
            };
            line.push_str(&pair);
            line += match self.below(8) {
                0 => "",
                1 => "\t",
                _ => " ",
            };
        }
        line
    }

    fn access(&mut self) -> String {
        let head = self.one_of(&[
            "1.2.3.4 - -",
            "e.com:80 1.2.3.4 - bob",
            "h - \"\"",
            "::1 - a b",
        ]);
        let method = self.one_of(&["GET ", "POST ", "", "x"]);
        let (path, protocol) = (self.value(), self.one_of(&[" HTTP/1.1", "", " HTTP/2.0"]));
        let status = self.one_of(&[
            " 502", " 200", " 503", "502", " 0502", " 5", " -", "", " x", "  502",
        ]);
        let mut line = format!(
            "{head} [21/Nov/2026:09:00:00 +0000] \"{method}{path}{protocol}\"{status} {}",
            self.value()
        );
        if self.one_in(2) {
            let (referer, agent) = (self.value(), self.value());
            line = format!("{line} \"{referer}\" \"{agent}\"");
        }
        line.push_str(self.one_of(&["", " ", " "]));
        line += &self.logfmt();
        line
    }

    fn nginx_error(&mut self) -> String {
        let level = self.one_of(&["error", "crit", "info", "emerg"]);
        let ids = self.one_of(&[" 12#34: *5 ", " 12#34: ", "12#034:*9 ", " ", ""]);
        let mut line = format!("2026/11/21 09:00:00 [{level}]{ids}{}", self.value());
        for name in [
            "client", "server", "request", "upstream", "host", "referrer",
        ] {
            let value = self.value();
            let item = match self.below(4) {
                0 => String::new(),
                1 => format!(", {name}: {value}"),
                _ => format!(", {name}: \"{value}\""),
            };
            line.push_str(&item);
        }
        line
    }

    fn syslog(&mut self) -> String {
        let pri = self.one_of(&["<13>", "<34>", "<191>", "<192>", ""]);
        if self.one_in(2) {
            let words: Vec<String> = (0..4)
                .map(|_| match self.below(4) {
                    0 => "-".to_owned(),
                    _ => self.value().replace(' ', "_"),
                })
                .collect();
            let mut elements = String::new();
            for _ in 0..self.below(3) {
                let id = self.one_of(&["id", "a.b", "x@32473"]);
                elements.extend(["[", id]);
                for _ in 0..self.below(3) {
                    let (key, value) = (self.one_of(&KEYS), self.value());
                    let value = if self.one_in(3) {
                        value
                    } else {
                        value
                            .replace('\\', "\\\\")
                            .replace('"', "\\\"")
                            .replace(']', "\\]")
                    };
                    elements.extend([" ", key, "=\"", &value, "\""]);
                }
                elements.push(']');
            }
            let elements = if elements.is_empty() { "-" } else { &elements };
            let stamp = self.one_of(&["2026-11-21T09:00:00Z", "-"]);
            return format!(
                "{pri}1 {stamp} {} {elements} {}",
                words.join(" "),
                self.value()
            );
        }
        let stamp = self.one_of(&[
            "Nov 21 09:00:00 ",
            "45: *Nov 21 2026 09:00:00: ",
            "2026-11-21T09:00:00Z ",
            "",
        ]);
        let host = self.one_of(&["web-1 ", "", "fe80:: ", "- "]);
        let tag = self.one_of(&["app[12]: ", "app: ", "502: ", "daemon.info a[1]: ", ""]);
        format!("{pri}{stamp}{host}{tag}{}", self.value())
    }

    /// A condition that often holds for `fields`.
    pub(super) fn condition(&mut self, fields: &Fields) -> String {
        match self.below(8) {
            0 => format!(
                "({}) and ({})",
                self.condition(fields),
                self.condition(fields)
            ),
            1 => format!(
                "({}) or ({})",
                self.condition(fields),
                self.condition(fields)
            ),
            2 if self.one_in(3) => format!("not ({})", self.condition(fields)),
            _ => self.comparison(fields),
        }
    }

    fn comparison(&mut self, fields: &Fields) -> String {
        let all: Vec<(&str, &[u8])> = fields.iter().collect();
        let (name, value) = if all.is_empty() || self.one_in(8) {
            (self.one_of(&KEYS).to_owned(), self.value().into_bytes())
        } else {
            let (name, value) = all[self.below(all.len())];
            (name.to_owned(), value.to_vec())
        };
        let value = match (str::from_utf8(&value), self.below(8)) {
            (Ok(text), 0) => text.to_uppercase().into_bytes(),
            (Ok(text), 1 | 2) if text.parse::<f64>().is_ok() => {
                let number: f64 = text.parse().unwrap();
                let near = [number, number, number + 1.0, number - 1.0, number / 2.0];
                match self.below(2) {
                    0 => format!("{}", near[self.below(near.len())]).into_bytes(),
                    _ => format!("{number:e}").into_bytes(),
                }
            }
            _ => value,
        };
        let bytes: Vec<String> = value.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let literal = bytes.concat();
        let name = format!("`{name}`");
        match self.below(8) {
            0 => format!("exists({name})"),
            1 => format!("{name} != '{literal}'"),
            2 | 3 => {
                let operator = self.one_of(&["<", "<=", ">", ">=", ">="]);
                format!("{name} {operator} '{literal}'")
            }
            4 => format!("{name} in ['zz', '{literal}']"),
            5 => {
                let text = String::from_utf8_lossy(&value).into_owned();
                let keep = self.below(text.chars().count() + 1);
                let part: String = text.chars().skip(keep / 2).take(keep).collect();
                // A text between quotes of a condition cannot hold both of them.
                let part = regex_syntax::escape(&part).replace('\'', "\\x27");
                let look = if keep / 2 == 0 { "^" } else { "" };
                format!("{name} ~ '{look}{part}|zzz'")
            }
            _ => format!("{name} == '{literal}'"),
        }
    }
}
