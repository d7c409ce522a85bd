//! The system says no, or the process dies, at a system call of our choice: strace on one thread
//! of a running agent.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use crate::host::{Agent, wait_until};

/// What a store writes with.
pub(crate) const WRITES: &str = "pwrite64,pwritev,write,ftruncate,fallocate,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,unlink,unlinkat";

/// strace on a thread; it lets go when this is dropped.
pub(crate) struct Strace {
    child: Child,
    reader: Option<JoinHandle<Vec<String>>>,
}

impl Strace {
    /// On the agent's thread of this name, with these arguments. It has taken hold when this
    /// returns.
    pub(crate) fn on(agent: &Agent, thread: &str, args: &[&str]) -> Self {
        let tasks = format!("/proc/{}/task", agent.pid());
        let mut found = None;
        wait_until(&format!("the thread `{thread}`"), || {
            let mut all = fs::read_dir(&tasks).unwrap().flatten();
            found = all.find(|task| {
                fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == thread)
            });
            found.is_some()
        });
        let task = found.expect("just found").file_name();
        let mut child = Command::new("strace")
            .args(args)
            .arg("-p")
            .arg(task)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tests/setup installs strace");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        assert!(first.contains("attached"), "{first}");
        let read = move || lines.map_while(Result::ok).collect();
        let reader = std::thread::Builder::new().name("strace".to_owned());
        Self {
            child,
            reader: Some(reader.spawn(read).unwrap()),
        }
    }

    /// Lets go; gives the lines that it wrote.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.let_go();
        self.reader.take().unwrap().join().unwrap()
    }

    fn let_go(&mut self) {
        // It may have ended with the process that it held.
        kill_process(Pid::from_child(&self.child), Signal::INT).ok();
        self.child.wait().ok();
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        self.let_go();
    }
}
