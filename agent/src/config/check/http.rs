//! `http:` → [`http::Spec`].

use std::net::SocketAddr;

use lapwing_rules::language::reader::{Keys, Reader};
use lapwing_rules::language::yaml::Node;

use crate::operate::http;

const KEYS: Keys = Keys {
    of: "`http`",
    known: &["listen", "hosts"],
};

/// Reads it; `None` when it has no address to listen at.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Option<http::Spec> {
    let section = reader.section(node, KEYS)?;
    let hosts = section
        .get("hosts")
        .map(|node| reader.texts(node, "hosts"))
        .unwrap_or_default();
    let Some(listen) = section.get("listen") else {
        let message = "`http` needs `listen`".to_owned();
        reader.error("missing-key", section.place, message, None);
        return None;
    };
    let text = reader.text(listen, "listen")?;
    let Ok(address) = text.parse::<SocketAddr>() else {
        let message = format!("`listen` must be an address and a port, not `{text}`");
        let help = Some("such as `127.0.0.1:7311`, or `[::1]:7311`".to_owned());
        reader.error("bad-value", &listen.place, message, help);
        return None;
    };
    Some(http::Spec {
        listen: address,
        hosts,
    })
}
