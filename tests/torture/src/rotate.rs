//! Rotation, as hosts do it: the real logrotate at its hand, and the same steps done quickly by
//! ourselves where 10,000 of them are wanted.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

/// `app.log` → `app.log.3`.
pub fn numbered(log: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(log);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// `app.log` → `app.log.3.gz`.
pub fn packed(log: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(numbered(log, number));
    name.push(".gz");
    PathBuf::from(name)
}

/// Moves `.1` to `.2` and so on; what would be `.keep + 1` is deleted. `.1` is free then.
///
/// # Errors
///
/// Those of the system.
pub fn shift(log: &Path, keep: u32) -> io::Result<()> {
    for name in [numbered, packed] {
        present(fs::remove_file(name(log, keep)))?;
        for number in (1..keep).rev() {
            present(fs::rename(name(log, number), name(log, number + 1)))?;
        }
    }
    Ok(())
}

fn present(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// What `create` does: shifts, renames the log to `.1`, makes an empty one.
///
/// # Errors
///
/// Those of the system.
pub fn rename_and_create(log: &Path, keep: u32) -> io::Result<()> {
    shift(log, keep)?;
    fs::rename(log, numbered(log, 1))?;
    File::create_new(log).map(drop)
}

/// What `copytruncate` does: shifts, copies the log to `.1`, truncates it.
///
/// # Errors
///
/// Those of the system.
pub fn copy_and_truncate(log: &Path, keep: u32) -> io::Result<()> {
    shift(log, keep)?;
    let mut from = OpenOptions::new().read(true).write(true).open(log)?;
    let mut to = File::create_new(numbered(log, 1))?;
    // As logrotate does: 16 KiB at a time until there is no more, then the cut.
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        to.write_all(buffer.get(..count).unwrap_or_default())?;
    }
    from.set_len(0)
}

/// The real gzip, which replaces the file.
///
/// # Errors
///
/// It cannot be run, or fails.
pub fn gzip(path: &Path) -> anyhow::Result<()> {
    let done = Command::new("gzip").arg("-f").arg(path).output();
    let done = done.context("gzip")?;
    ensure!(
        done.status.success(),
        "gzip: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// The real logrotate, for one log.
#[derive(Debug)]
pub struct Logrotate {
    config: PathBuf,
    state: PathBuf,
    stall: Duration,
}

impl Logrotate {
    /// `how`: directives, one a line, such as `create 0644` or `copytruncate`. Its files go to `folder`.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn new(folder: &Path, log: &Path, how: &str) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let config = folder.join("logrotate.conf");
        fs::write(
            &config,
            format!("{} {{\n  missingok\n{how}\n}}\n", log.display()),
        )?;
        // It refuses a configuration that others can write.
        fs::set_permissions(&config, fs::Permissions::from_mode(0o644))?;
        Ok(Self {
            config,
            state: folder.join("logrotate.state"),
            stall: Duration::ZERO,
        })
    }

    /// From now on strace holds it for `stall` when it is about to cut a file off, as a host does where others
    /// want the processor: what is written meanwhile is in no copy.
    pub fn stall(&mut self, stall: Duration) {
        self.stall = stall;
    }

    /// Rotates once.
    ///
    /// # Errors
    ///
    /// It cannot be run, or fails.
    pub fn rotate(&self) -> anyhow::Result<()> {
        // Debian keeps it where only root's PATH leads.
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = if self.stall.is_zero() {
            Command::new("logrotate")
        } else {
            let mut strace = Command::new("strace");
            let micros = self.stall.as_micros();
            strace.args(["-qq", "-o", "/dev/null", "-e", "trace=ftruncate", "-e"]);
            strace.arg(format!("inject=ftruncate:delay_enter={micros}"));
            strace.args(["--", "logrotate"]);
            strace
        };
        command
            .env("PATH", format!("{path}:/usr/sbin"))
            .arg("--force");
        command.arg("--state").arg(&self.state).arg(&self.config);
        let done = command.output().context("logrotate is not installed")?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "logrotate: {said}");
        Ok(())
    }
}
