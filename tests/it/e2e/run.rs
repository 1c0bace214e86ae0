//! Commands that are run, told and bounded in time.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a command did.
pub(super) struct Ran {
    /// What was typed, without the folder of the program.
    pub(super) typed: String,
    pub(super) out: String,
    pub(super) err: String,
    /// `None` for one that was ended by a signal.
    pub(super) code: Option<i32>,
}

impl Ran {
    /// It must have ended with 0.
    #[track_caller]
    pub(super) fn succeeded(self) -> Self {
        self.exited(0)
    }

    /// It must have ended with this code.
    #[track_caller]
    pub(super) fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Everything it said must have this in it.
    #[track_caller]
    pub(super) fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "no `{text}` in\n{self}");
        self
    }

    /// Nothing it said may have this in it.
    #[track_caller]
    pub(super) fn hides(self, text: &str) -> Self {
        assert!(!self.out.contains(text) && !self.err.contains(text), "`{text}` is in\n{self}");
        self
    }

    /// How many lines of what it said have this in them.
    pub(super) fn lines_with(&self, text: &str) -> usize {
        self.out.lines().chain(self.err.lines()).filter(|line| line.contains(text)).count()
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { typed, out, err, code } = self;
        write!(f, "$ {typed}\n{out}--- stderr\n{err}--- exit {code:?}")
    }
}

/// Runs a command to its end, and ends it when it takes too long. Prints what `fitout` does, and
/// what takes its time.
pub(super) fn run(command: &mut Command, limit: Duration) -> Ran {
    let began = Instant::now();
    let typed = typed(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{typed} does not start: {error}"));
    let out = reader(child.stdout.take().expect("it is a pipe"));
    let err = reader(child.stderr.take().expect("it is a pipe"));
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            break Some(status);
        }
        if began.elapsed() > limit {
            child.kill().expect("it is our child");
            child.wait().expect("it is our child");
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let join = |thread: std::thread::JoinHandle<String>| thread.join().expect("it only reads");
    let ran = Ran { typed, out: join(out), err: join(err), code: status.and_then(|s| s.code()) };
    let seconds = began.elapsed().as_secs_f32();
    // Looks at the clusters are many, and quick.
    if ran.typed.starts_with("fitout") || seconds > 1.0 {
        let typed: String = ran.typed.chars().take(120).collect();
        println!("  {seconds:6.2} s  $ {typed}");
    }
    assert!(status.is_some(), "not done after {limit:?}: {ran}");
    ran
}

fn typed(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(program).chain(args).collect::<Vec<_>>().join(" ")
}

fn reader(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error still says something.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Looks until `is_so` or the time is over.
#[track_caller]
pub(super) fn eventually(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
