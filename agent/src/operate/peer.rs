//! Who is at the other end of the control socket: the system says so, not they. Only root, the
//! agent's own user and members of its group may change anything, whatever the socket's mode is. A
//! confined service sees neither the processes of others nor their users: there the socket's mode, by
//! which the system lets in no others, is the proof.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio::net::unix::UCred;

/// Longest name that is taken from anywhere, in bytes.
const MOST_NAME: usize = 64;

/// Stands for every user of the host outside a user namespace.
const HIDDEN: u32 = 65_534;

/// A process that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    uid: u32,
    groups: Vec<u32>,
    /// The system has let in nobody else.
    is_proven: bool,
}

impl Peer {
    /// As the system knows it, at the socket `path`.
    pub(super) fn of(credentials: &UCred, path: &Path) -> Self {
        let mode = fs::symlink_metadata(path).map(|it| it.permissions().mode());
        let mut groups = vec![credentials.gid()];
        if let Some(pid) = credentials.pid()
            && let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status"))
        {
            groups.extend(supplementary(&status));
        }
        Self {
            uid: credentials.uid(),
            groups,
            is_proven: mode.is_ok_and(|mode| mode & 0o006 == 0),
        }
    }

    /// Whether it may change anything.
    pub(super) fn may_order(&self) -> bool {
        let own_user = rustix::process::geteuid().as_raw();
        let own_group = rustix::process::getegid().as_raw();
        let is_known = self.uid == own_user || self.groups.contains(&own_group);
        self.uid == 0 || is_known || self.is_proven
    }

    /// What it is called. Root may speak for somebody else (`sudo` says for whom), and so may one whose
    /// name the system hides.
    pub(super) fn name(&self, on_behalf_of: Option<&str>) -> String {
        let named =
            on_behalf_of.filter(|name| (self.uid == 0 || self.uid == HIDDEN) && is_name(name));
        if let Some(name) = named {
            return name.to_owned();
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        user(&users, self.uid).unwrap_or_else(|| format!("uid {}", self.uid))
    }
}

fn is_name(text: &str) -> bool {
    let fine = |c: char| c.is_alphanumeric() || "._-@$\\".contains(c);
    !text.is_empty() && text.len() <= MOST_NAME && text.chars().all(fine)
}

/// Out of `/proc/PID/status`.
fn supplementary(status: &str) -> impl Iterator<Item = u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:"));
    let numbers = line.unwrap_or_default().split_whitespace();
    numbers.filter_map(|number| number.parse().ok())
}

/// Out of `/etc/passwd`.
fn user(users: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    users.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)? == uid && is_name(name)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_read_as_the_system_writes_them() {
        let users = "root:x:0:0:root:/root:/bin/bash\nal:x:1000:1000::/home/al:/bin/sh\n";
        assert_eq!(user(users, 1000).as_deref(), Some("al"));
        assert_eq!(user(users, 100), None);
        let status = "Name:\tx\nGroups:\t4 24 1000 \nNStgid:\t1\n";
        assert_eq!(supplementary(status).collect::<Vec<_>>(), [4, 24, 1000]);
        assert_eq!(supplementary("").count(), 0);
    }

    #[test]
    fn only_root_speaks_for_others() {
        let peer = |uid| Peer {
            uid,
            groups: vec![],
            is_proven: false,
        };
        assert_eq!(peer(0).name(Some("alice")), "alice");
        assert_ne!(peer(4_000_000_000).name(Some("alice")), "alice");
        assert_eq!(peer(4_000_000_000).name(None), "uid 4000000000");
        assert_ne!(peer(0).name(Some("a\x1b[31m")), "a\x1b[31m");
        assert!(peer(0).may_order() && !peer(4_000_000_000).may_order());
    }

    #[test]
    fn a_confined_service_takes_orders_of_whom_the_sockets_mode_lets_in() {
        let hidden = Peer {
            uid: HIDDEN,
            groups: vec![HIDDEN],
            is_proven: true,
        };
        assert!(hidden.may_order());
        assert_eq!(hidden.name(Some("alice")), "alice");
    }
}
