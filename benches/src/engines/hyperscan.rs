//! Hyperscan, where this machine has it (Debian: `libhyperscan5`): the shared library is opened
//! while the program runs, so nothing of it is needed to build or test.
//!
//! Block mode with `HS_FLAG_MULTILINE` and a callback that does nothing but count: how it is
//! fastest. Without its UTF-8 flag, which spares it work that the other engines do.
#![expect(unsafe_code, reason = "a C library is called")]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr::{self, NonNull};
use std::rc::Rc;

use anyhow::{Context, bail, ensure};
use libloading::Library;

/// Its name since version 5.
const LIBRARY: &str = "libhs.so.5";
const HS_FLAG_MULTILINE: c_uint = 4;
const HS_MODE_BLOCK: c_uint = 1;
const HS_SUCCESS: c_int = 0;

/// `hs_compile_error_t`.
#[repr(C)]
struct CompileError {
    message: *const c_char,
    expression: c_int,
}

type OnMatch = unsafe extern "C" fn(c_uint, c_ulonglong, c_ulonglong, c_uint, *mut c_void) -> c_int;
type CompileMulti = unsafe extern "C" fn(
    *const *const c_char,
    *const c_uint,
    *const c_uint,
    c_uint,
    c_uint,
    *const c_void,
    *mut *mut c_void,
    *mut *mut CompileError,
) -> c_int;
type FreeCompileError = unsafe extern "C" fn(*mut CompileError) -> c_int;
type AllocScratch = unsafe extern "C" fn(*const c_void, *mut *mut c_void) -> c_int;
type Free = unsafe extern "C" fn(*mut c_void) -> c_int;
type Scan = unsafe extern "C" fn(
    *const c_void,
    *const c_char,
    c_uint,
    c_uint,
    *mut c_void,
    OnMatch,
    *mut c_void,
) -> c_int;
type Version = unsafe extern "C" fn() -> *const c_char;

/// The opened library.
#[derive(Debug)]
pub struct Hyperscan {
    compile_multi: CompileMulti,
    free_compile_error: FreeCompileError,
    alloc_scratch: AllocScratch,
    free_scratch: Free,
    free_database: Free,
    scan: Scan,
    version: Version,
    // Last: what is above lies in it.
    _library: Library,
}

impl Hyperscan {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// When it is not installed.
    pub fn open() -> anyhow::Result<Rc<Self>> {
        // SAFETY: Hyperscan's library has no initialisers that ask anything of us.
        let library = unsafe { Library::new(LIBRARY) }.context("Hyperscan is not installed")?;
        // SAFETY: the types are those of `hs_compile.h`, `hs_runtime.h` and `hs_common.h` of
        // version 5, whose library this is by its name; the pointers are kept beside the library.
        let hyperscan = unsafe {
            Self {
                compile_multi: *library.get::<CompileMulti>("hs_compile_multi")?,
                free_compile_error: *library.get::<FreeCompileError>("hs_free_compile_error")?,
                alloc_scratch: *library.get::<AllocScratch>("hs_alloc_scratch")?,
                free_scratch: *library.get::<Free>("hs_free_scratch")?,
                free_database: *library.get::<Free>("hs_free_database")?,
                scan: *library.get::<Scan>("hs_scan")?,
                version: *library.get::<Version>("hs_version")?,
                _library: library,
            }
        };
        Ok(Rc::new(hyperscan))
    }

    /// As `5.4.0`, without the day on which it was built.
    pub fn version(&self) -> String {
        // SAFETY: takes nothing and gives a constant text.
        let text = unsafe { CStr::from_ptr((self.version)()) };
        let text = text.to_string_lossy();
        text.split(' ').next().unwrap_or_default().to_owned()
    }

    /// Compiles `patterns` for this processor.
    ///
    /// # Errors
    ///
    /// When it does not take one of them.
    pub fn compile(self: &Rc<Self>, patterns: &[String]) -> anyhow::Result<Database> {
        let texts: Result<Vec<CString>, _> = patterns
            .iter()
            .map(|text| CString::new(text.as_str()))
            .collect();
        let texts = texts?;
        let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
        let count = c_uint::try_from(pointers.len())?;
        let (flags, ids) = (
            vec![HS_FLAG_MULTILINE; pointers.len()],
            (0..count).collect::<Vec<_>>(),
        );
        let (mut database, mut error) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: three lists of `count` items that outlive the call, no platform (this one), and
        // two places for what comes back.
        let status = unsafe {
            (self.compile_multi)(
                pointers.as_ptr(),
                flags.as_ptr(),
                ids.as_ptr(),
                count,
                HS_MODE_BLOCK,
                ptr::null(),
                &raw mut database,
                &raw mut error,
            )
        };
        if status != HS_SUCCESS {
            bail!("Hyperscan: {}", self.said(error, patterns));
        }
        let database = NonNull::new(database).context("Hyperscan gave no database")?;
        let mut owned = Database {
            hyperscan: Rc::clone(self),
            compiled: database,
            scratch: ptr::null_mut(),
        };
        // SAFETY: the database is whole, and the scratch is null, which asks for a new one.
        let status = unsafe { (self.alloc_scratch)(database.as_ptr(), &raw mut owned.scratch) };
        ensure!(status == HS_SUCCESS, "Hyperscan's scratch: {status}");
        Ok(owned)
    }

    fn said(&self, error: *mut CompileError, patterns: &[String]) -> String {
        if error.is_null() {
            return "no reason given".to_owned();
        }
        // SAFETY: a failed compilation gives one error with a text, which is ours to free, once.
        let (message, index) = unsafe {
            let message = CStr::from_ptr((*error).message)
                .to_string_lossy()
                .into_owned();
            let index = (*error).expression;
            (self.free_compile_error)(error);
            (message, index)
        };
        let pattern = usize::try_from(index)
            .ok()
            .and_then(|index| patterns.get(index));
        pattern.map_or_else(
            || message.clone(),
            |pattern| format!("{message} ({pattern})"),
        )
    }
}

/// Compiled patterns with the memory that a scan needs.
#[derive(Debug)]
pub struct Database {
    hyperscan: Rc<Hyperscan>,
    compiled: NonNull<c_void>,
    scratch: *mut c_void,
}

/// What the callback of [`Database::matching_lines`] keeps.
struct Lines<'a> {
    batch: &'a [u8],
    /// Behind the last line that was counted.
    end: usize,
    count: u64,
}

impl Database {
    /// The number of ends of matches in `batch`, which may be many of one rule in one line.
    ///
    /// # Panics
    ///
    /// When `batch` is 4 GiB or more, or the library reports an error.
    pub fn matches(&mut self, batch: &[u8]) -> u64 {
        let mut count = 0_u64;
        self.run(batch, count_match, (&raw mut count).cast());
        count
    }

    /// The number of lines of `batch` with a match. A class such as `[^ ]` holds LF here, so there
    /// may be a few that no engine for lines finds.
    ///
    /// # Panics
    ///
    /// When `batch` is 4 GiB or more, or the library reports an error.
    pub fn matching_lines(&mut self, batch: &[u8]) -> u64 {
        let mut lines = Lines {
            batch,
            end: 0,
            count: 0,
        };
        self.run(batch, count_line, (&raw mut lines).cast());
        lines.count
    }

    fn run(&mut self, batch: &[u8], on_match: OnMatch, context: *mut c_void) {
        let length = c_uint::try_from(batch.len()).expect("a batch is small");
        // SAFETY: `batch` has `length` bytes; the scratch is this database's and used by no other
        // scan (`&mut self`); `context` is what `on_match` takes and outlives the call.
        let status = unsafe {
            (self.hyperscan.scan)(
                self.compiled.as_ptr(),
                batch.as_ptr().cast(),
                length,
                0,
                self.scratch,
                on_match,
                context,
            )
        };
        assert_eq!(status, HS_SUCCESS, "hs_scan");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: both come from this library and are given back once; a null scratch is allowed.
        unsafe {
            (self.hyperscan.free_scratch)(self.scratch);
            (self.hyperscan.free_database)(self.compiled.as_ptr());
        }
    }
}

/// `context`: a `u64` that nobody else uses while the scan runs.
unsafe extern "C" fn count_match(
    _id: c_uint,
    _from: c_ulonglong,
    _to: c_ulonglong,
    _flags: c_uint,
    context: *mut c_void,
) -> c_int {
    // SAFETY: as above.
    unsafe { *context.cast::<u64>() += 1 };
    0
}

/// `context`: a [`Lines`] that nobody else uses while the scan runs.
unsafe extern "C" fn count_line(
    _id: c_uint,
    _from: c_ulonglong,
    to: c_ulonglong,
    _flags: c_uint,
    context: *mut c_void,
) -> c_int {
    // SAFETY: as above.
    let lines = unsafe { &mut *context.cast::<Lines<'_>>() };
    let to = usize::try_from(to).unwrap_or(usize::MAX);
    if to > lines.end {
        let rest = lines.batch.get(to..).unwrap_or_default();
        let lf = memchr::memchr(b'\n', rest);
        lines.end = lf.map_or(lines.batch.len(), |lf| to + lf);
        lines.count += 1;
    }
    0
}
