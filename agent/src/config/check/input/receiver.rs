//! An input of type `syslog` → where and how it listens.

use std::path::Path;
use std::time::Duration;

use lapwing_rules::language::reader::{Keys, Reader, Section, meant};
use lapwing_rules::language::yaml::Node;

use super::super::only;
use crate::inputs::syslog::address::{self, AddressError, Security};
use crate::inputs::syslog::{Address, Spec, tls};

const OWN_KEYS: &[&str] = &[
    "type",
    "max_line_bytes",
    "listen",
    "tls",
    "max_connections",
    "idle_timeout",
];
const TLS_KEYS: Keys = Keys {
    of: "`tls`",
    known: &["cert", "key", "client_ca"],
};

/// `None` where something is wrong that it cannot do without.
pub(super) fn read(
    reader: &mut Reader,
    section: &Section<'_>,
    keys: Keys,
    folder: &Path,
) -> Option<Spec> {
    only(reader, section, keys, "an input of type `syslog`", OWN_KEYS);
    let listen = listen(reader, section)?;
    let tls = section
        .get("tls")
        .and_then(|node| files(reader, node, folder));
    let encrypted = listen.iter().find(|address| address.is_encrypted());
    if let Some(address) = encrypted
        && section.get("tls").is_none()
    {
        let message = format!("`{address}` needs a certificate");
        let help = "`tls: {cert: /etc/lapwing/tls/cert.pem, key: /etc/lapwing/tls/key.pem}`";
        reader.error("missing-key", section.place, message, Some(help.to_owned()));
        return None;
    }
    if encrypted.is_none()
        && let Some((key, _)) = section.entry("tls")
    {
        let message = "nothing that this input listens at is encrypted";
        let help = Some("`tls://` or `relp+tls://` in `listen`".to_owned());
        reader.warning("unused-key", &key.place, message, help);
    }
    let most = section.get("max_connections");
    let most = most.and_then(|node| reader.integer(node, "max_connections", 1..=100_000));
    let idle = section.get("idle_timeout").and_then(|node| {
        let bounds = Duration::from_secs(1)..=Duration::from_hours(24 * 366);
        reader.duration(node, "idle_timeout", bounds)
    });
    Some(Spec {
        listen,
        tls,
        max_connections: most.unwrap_or(Spec::MAX_CONNECTIONS),
        idle_timeout: idle.unwrap_or(Spec::IDLE_TIMEOUT),
    })
}

fn listen(reader: &mut Reader, section: &Section<'_>) -> Option<Vec<Address>> {
    let Some(node) = section.get("listen") else {
        let at = address::DEFAULT;
        return Some(vec![Address::Udp(at), Address::Tcp(at, Security::Plain)]);
    };
    let mut listen = Vec::new();
    for (text, node) in reader.text_nodes(node, "listen") {
        match Address::parse(text) {
            Ok(address) if listen.contains(&address) => {
                let message = format!("`{address}` stands here twice");
                reader.error("duplicate-item", &node.place, message, None);
            }
            Ok(address) => listen.push(address),
            Err(error) => {
                let help = help(&error);
                reader.error("bad-address", &node.place, error.to_string(), Some(help));
            }
        }
    }
    (!listen.is_empty()).then_some(listen)
}

fn help(error: &AddressError) -> String {
    match error {
        AddressError::Scheme(scheme) => {
            let known = Address::SCHEMES.iter().copied();
            meant(scheme, known)
                .unwrap_or_else(|| format!("one of {}", Address::SCHEMES.join(", ")))
        }
        AddressError::Socket(_) => {
            "as in `tcp://127.0.0.1:5514`, `udp://[::1]:5514`, or `tcp://*:5514` for every address"
                .to_owned()
        }
        AddressError::Path(_) => "as in `unix:///run/lapwing/syslog.sock`".to_owned(),
    }
}

/// The files are read when the agent starts.
fn files(reader: &mut Reader, node: &Node, folder: &Path) -> Option<tls::Files> {
    let section = reader.section(node, TLS_KEYS)?;
    let mut path = |key: &str| {
        let text = section.get(key).and_then(|node| reader.text(node, key));
        text.map(|text| folder.join(text))
    };
    let (cert, key, client_ca) = (path("cert"), path("key"), path("client_ca"));
    for name in ["cert", "key"] {
        if section.get(name).is_none() {
            let message = format!("`tls` needs a `{name}`");
            reader.error("missing-key", section.place, message, None);
        }
    }
    let files = tls::Files {
        cert: cert?,
        key: key?,
        client_ca,
    };
    match tls::load(&files) {
        Ok(_) => Some(files),
        Err(error) => {
            reader.error("bad-tls", section.place, error.to_string(), None);
            None
        }
    }
}
