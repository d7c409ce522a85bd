//! The shipped rule packs, inside the binary: `pack:nginx`.

use std::sync::Arc;

use super::check::SourceFile;

const PACKS: &[(&str, &str)] = &[
    ("apache", include_str!("../../packs/apache.yaml")),
    ("app", include_str!("../../packs/app.yaml")),
    ("auth", include_str!("../../packs/auth.yaml")),
    ("cron", include_str!("../../packs/cron.yaml")),
    ("docker", include_str!("../../packs/docker.yaml")),
    ("haproxy", include_str!("../../packs/haproxy.yaml")),
    ("java", include_str!("../../packs/java.yaml")),
    ("kernel", include_str!("../../packs/kernel.yaml")),
    ("mysql", include_str!("../../packs/mysql.yaml")),
    ("nginx", include_str!("../../packs/nginx.yaml")),
    ("postfix", include_str!("../../packs/postfix.yaml")),
    ("postgres", include_str!("../../packs/postgres.yaml")),
    ("python", include_str!("../../packs/python.yaml")),
    ("redis", include_str!("../../packs/redis.yaml")),
    ("sshd", include_str!("../../packs/sshd.yaml")),
    ("systemd", include_str!("../../packs/systemd.yaml")),
];

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
