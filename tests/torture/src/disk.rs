//! A small disk of its own for a scenario (a tmpfs), which can be filled and freed. Needs root.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// A mounted tmpfs; unmounted when it is dropped.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts `kib` KiB at `path`, which is made.
    ///
    /// # Errors
    ///
    /// Nobody but root may mount.
    pub fn mount(path: &Path, kib: u32) -> anyhow::Result<Self> {
        fs::create_dir_all(path)?;
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(path);
        let done = command.output().context("mount")?;
        ensure!(
            done.status.success(),
            "mount: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Whether this process may mount at all.
    pub fn allowed() -> bool {
        let Ok(folder) = tempfile::tempdir() else {
            return false;
        };
        Self::mount(&folder.path().join("disk"), 64).is_ok()
    }

    /// Its root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all that is free, to the last byte.
    ///
    /// # Errors
    ///
    /// Those of the system but that it is full.
    pub fn fill(&self) -> io::Result<()> {
        let mut ballast = File::create(self.path.join("ballast"))?;
        for size in [64 * 1024, 4096, 1] {
            let piece = vec![b'x'; size];
            loop {
                match ballast.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Gives it back.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn free(&self) -> io::Result<()> {
        fs::remove_file(self.path.join("ballast"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever has a file open there keeps it until then.
        drop(Command::new("umount").arg("-l").arg(&self.path).output());
    }
}
