//! The state folder: can it be made, written to, and is there room?

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};

use super::{Findings, Level};
use crate::config::Config;

/// Less room than this is too little: what waits for one output may take as much.
const LITTLE_BYTES: u64 = 128 << 20;

pub(super) fn look(config: &Config, found: &mut Findings) {
    let dir = &config.state_dir;
    let shown = dir.display();
    // The nearest that is there: the agent makes the rest.
    let Some(there) = dir.ancestors().find(|path| path.exists()) else {
        return;
    };
    if !there.is_dir() {
        let message = format!("{} is in the way: it is no folder", there.display());
        found.add(
            Level::Error,
            "state",
            message,
            "remove it, or set `state_dir`",
        );
        return;
    }
    if let Err(error) = may_write(there) {
        let message = format!("{} cannot be written to: {error}", there.display());
        let fix = format!("install -d -o lapwing -g lapwing -m 0750 {shown}");
        found.add(Level::Error, "state", message, fix);
        return;
    }
    match statvfs(there) {
        Ok(about) if about.f_bavail.saturating_mul(about.f_frsize) < LITTLE_BYTES => {
            let left = about.f_bavail.saturating_mul(about.f_frsize) >> 20;
            let message = format!("only {left} MiB are free where {shown} lies");
            found.add(
                Level::Warning,
                "state",
                message,
                "make room: a full disk keeps nothing",
            );
        }
        _ => found.ok("state", format!("{shown} can be written to")),
    }
}

/// Asks with the rights of this process, as the system itself would.
fn may_write(dir: &Path) -> rustix::io::Result<()> {
    accessat(
        CWD,
        dir,
        Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    )?;
    let about = statvfs(dir)?;
    if about.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Err(rustix::io::Errno::ROFS);
    }
    Ok(())
}
