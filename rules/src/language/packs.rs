//! The shipped rule packs, inside the binary: `pack:nginx`.

use std::sync::Arc;

use super::check::SourceFile;

const PACKS: &[(&str, &str)] = &[("nginx", include_str!("../../packs/nginx.yaml"))];

/// What stands before a pack's name where a file could stand.
pub const PREFIX: &str = "pack:";

/// The names of all packs.
pub fn names() -> impl Iterator<Item = &'static str> {
    PACKS.iter().map(|(name, _)| *name)
}

/// The pack with this name, as a rule file.
pub fn find(name: &str) -> Option<SourceFile> {
    let (name, text) = PACKS.iter().find(|(known, _)| *known == name)?;
    Some(SourceFile {
        name: format!("{PREFIX}{name}").into(),
        text: Arc::from(*text),
    })
}
