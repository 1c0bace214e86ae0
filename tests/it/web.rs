//! A web server for tests: files in memory on loopback, and a log of what was asked for.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Serves until the process ends, or [`Web::stop`].
pub(crate) struct Web {
    port: u16,
    shared: Arc<Shared>,
}

/// From a request to the body of its answer.
type Handler = Box<dyn Fn(&Posted) -> String + Send>;

/// What somebody has sent.
pub(crate) struct Posted {
    /// What is behind `?`.
    pub(crate) query: String,
    pub(crate) body: String,
    /// By their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Default)]
struct Shared {
    handlers: Mutex<BTreeMap<String, Handler>>,
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    /// What requests must carry, if anything.
    authorization: Mutex<Option<String>>,
    asked: Mutex<Vec<String>>,
    is_stopped: std::sync::atomic::AtomicBool,
}

impl Web {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if served.is_stopped.load(std::sync::atomic::Ordering::SeqCst) {
                    return;
                }
                let served = Arc::clone(&served);
                // A client that goes away in the middle is no matter of the test.
                std::thread::spawn(move || serve(stream, &served));
            }
        });
        Self { port, shared }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.shared.files.lock().unwrap().insert(path.to_owned(), bytes.into());
    }

    /// Answers what is sent to a path, whatever its query is.
    pub(crate) fn on(&self, path: &str, handler: impl Fn(&Posted) -> String + Send + 'static) {
        self.shared.handlers.lock().unwrap().insert(path.to_owned(), Box::new(handler));
    }

    /// From now on, requests must carry this header.
    pub(crate) fn require(&self, authorization: &str) {
        *self.shared.authorization.lock().unwrap() = Some(authorization.to_owned());
    }

    /// What was asked for since the last time, each with `+` where credentials came along.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }

    /// From now on, connections are closed.
    pub(crate) fn stop(&self) {
        self.shared.is_stopped.store(true, std::sync::atomic::Ordering::SeqCst);
        // Wakes the thread, which lets the port go.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }

    /// A text with the port taken out of it.
    pub(crate) fn without_port(&self, text: &str) -> String {
        text.replace(&format!(":{}", self.port), ":[PORT]")
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").and_then(|text| text.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let given = headers.get("authorization").cloned();
        let mark = if given.is_some() { "+" } else { "" };
        shared.asked.lock().unwrap().push(format!("{path}{mark}"));
        let wanted = shared.authorization.lock().unwrap().clone();
        let file = shared.files.lock().unwrap().get(&path).cloned();
        let (bare, query) = path.split_once('?').unwrap_or((&path, ""));
        let body = String::from_utf8_lossy(&body).into_owned();
        let posted = Posted { query: query.to_owned(), body, headers };
        let handlers = shared.handlers.lock().unwrap();
        let made = handlers.get(bare).map(|handler| handler(&posted).into_bytes());
        drop(handlers);
        let (status, body) = match made.or(file) {
            _ if wanted.is_some() && wanted != given => ("401 Unauthorized", Vec::new()),
            None => ("404 Not Found", Vec::new()),
            Some(bytes) => ("200 OK", bytes),
        };
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len())?;
        stream.write_all(&body)?;
    }
}
