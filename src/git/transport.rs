//! Carriers of the `upload-pack` conversation: HTTP, and the user's own `ssh`.

use std::io::{self, Cursor, Read, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::location::SshRemote;
use super::settings::SshProgram;
use super::upload_pack::Channel;
use crate::net::http::{Client, Credential, HttpError, Method, Upload, Url};

const SSH_TALK_BYTES_MAX: u64 = 64 << 10;

/// Git's stateless form of the conversation over HTTP.
pub(super) struct HttpChannel {
    client: Client,
    url: Url,
    credential: Option<Credential>,
    /// What failed, for a better message than an `io::Error` gives.
    pub(super) error: Option<HttpError>,
}

impl HttpChannel {
    pub(super) fn new(url: Url, credential: Option<Credential>) -> Self {
        Self { client: Client::shared(), url, credential, error: None }
    }

    fn service(&self, path: &str) -> Result<Url, HttpError> {
        Url::parse(&format!("{}/{path}", self.url.as_str().trim_end_matches('/')))
    }

    fn fail<T>(&mut self, error: HttpError) -> io::Result<T> {
        self.error = Some(error);
        Err(io::Error::other("HTTP"))
    }

    fn get(&mut self) -> Result<Box<dyn Read>, HttpError> {
        let asked = self.service("info/refs?service=git-upload-pack")?;
        let accept = "application/x-git-upload-pack-advertisement";
        let answer = self.client.get(&asked, accept, self.credential.as_ref())?;
        // A redirected repository is talked to where it is now; the credentials stay behind when
        // that is another origin.
        if answer.url != asked {
            if !answer.url.is_same_origin(&asked) {
                self.credential = None;
            }
            let there = answer.url.as_str().split("/info/refs").next().unwrap_or_default();
            self.url = Url::parse(there)?;
        }
        if answer.content_type != accept {
            // A login page or a file listing: reported as something that is not git.
            return Ok(Box::new(Cursor::new(b"html")));
        }
        Ok(answer.into_reader())
    }

    fn post(&mut self, body: &[u8]) -> Result<Box<dyn Read>, HttpError> {
        let url = self.service("git-upload-pack")?;
        let content_type = "application/x-git-upload-pack-request";
        let upload = Upload { method: Method::Post, content_type, body, headers: &[] };
        let accept = "application/x-git-upload-pack-result";
        let answer = self.client.send_to(&url, accept, self.credential.as_ref(), upload)?;
        Ok(answer.into_reader())
    }
}

impl Channel for HttpChannel {
    fn advertisement(&mut self) -> io::Result<Box<dyn Read + '_>> {
        self.get().or_else(|error| self.fail(error)).map(|reader| reader as Box<dyn Read>)
    }

    fn request(&mut self, body: &[u8]) -> io::Result<Box<dyn Read + '_>> {
        self.post(body).or_else(|error| self.fail(error)).map(|reader| reader as Box<dyn Read>)
    }
}

/// The conversation through a process of the system's `ssh`: the user's keys, known hosts and
/// configuration apply, and nothing is asked.
pub(super) struct SshChannel {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    talk: Arc<Mutex<Vec<u8>>>,
    talker: Option<JoinHandle<()>>,
}

impl SshChannel {
    /// Starts ssh.
    pub(super) fn start(remote: &SshRemote, ssh: &SshProgram) -> io::Result<Self> {
        let mut child = ssh_command(remote, ssh)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let taken = "the stream was asked for as a pipe above";
        let stdout = child.stdout.take();
        let stderr = child.stderr.take().expect(taken);
        let talk = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&talk);
        let talker = std::thread::spawn(move || {
            let mut heard = Vec::new();
            // What cannot be heard cannot be told either.
            let _ = stderr.take(SSH_TALK_BYTES_MAX).read_to_end(&mut heard);
            if let Ok(mut talk) = sink.lock() {
                *talk = heard;
            }
        });
        Ok(Self { stdin: child.stdin.take(), child, stdout, talk, talker: Some(talker) })
    }

    /// Ends the conversation and gives what ssh said last, if anything.
    pub(super) fn finish(mut self) -> String {
        self.hang_up();
        if let Some(talker) = self.talker.take() {
            let _ = talker.join();
        }
        let talk = self.talk.lock().map(|talk| talk.clone()).unwrap_or_default();
        let talk = String::from_utf8_lossy(&talk);
        let mut lines: Vec<&str> =
            talk.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let first = lines.len().saturating_sub(3);
        lines.drain(..first);
        lines.join("; ")
    }

    fn hang_up(&mut self) {
        if let Some(mut stdin) = self.stdin.take() {
            // A flush packet says goodbye; a server that left already is no matter.
            let _ = stdin.write_all(b"0000");
        }
        // A process that still wants to write must not wait for a reader.
        self.stdout = None;
        let _ = self.child.wait();
    }
}

impl Drop for SshChannel {
    fn drop(&mut self) {
        if self.stdin.is_some() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Channel for SshChannel {
    fn advertisement(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.stdout.as_mut().ok_or_else(closed)?))
    }

    fn request(&mut self, body: &[u8]) -> io::Result<Box<dyn Read + '_>> {
        let stdin = self.stdin.as_mut().ok_or_else(closed)?;
        stdin.write_all(body)?;
        stdin.flush()?;
        Ok(Box::new(self.stdout.as_mut().ok_or_else(closed)?))
    }
}

fn closed() -> io::Error {
    io::Error::other("the pipe is closed")
}

fn ssh_command(remote: &SshRemote, ssh: &SshProgram) -> Command {
    let mut command = match ssh {
        SshProgram::Shell(text) => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!("{text} \"$@\"")).arg(text);
            command
        }
        SshProgram::Program(program) => Command::new(program),
    };
    command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=15"]);
    command.args(["-o", "ServerAliveInterval=15"]);
    if let Some(port) = remote.port {
        command.arg("-p").arg(port.to_string());
    }
    command.arg(match &remote.user {
        Some(user) => format!("{user}@{}", remote.host),
        None => remote.host.clone(),
    });
    // A home folder must be expanded on the other side, so that `~` stays outside the quotes.
    let (home, path) = match remote.path.strip_prefix('~').and_then(|rest| rest.split_once('/')) {
        Some((user, path)) if user.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
            (format!("~{user}/"), path)
        }
        _ => (String::new(), remote.path.as_str()),
    };
    let quoted = path.replace('\'', r"'\''");
    command.arg(format!("git-upload-pack {home}'{quoted}'"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_reaches_the_other_shell_as_one_word() {
        let remote = |path: &str| SshRemote {
            user: Some("git".to_owned()),
            host: "h".to_owned(),
            port: Some(22),
            path: path.to_owned(),
        };
        let last = |path| {
            let command = ssh_command(&remote(path), &SshProgram::Program("ssh".to_owned()));
            command.get_args().last().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(last("/a/b.git"), "git-upload-pack '/a/b.git'");
        assert_eq!(last("/a';rm -rf /'"), r"git-upload-pack '/a'\'';rm -rf /'\'''");
        assert_eq!(last("~me/b"), "git-upload-pack ~me/'b'");
        assert_eq!(last("~$(evil)/b"), "git-upload-pack '~$(evil)/b'");
    }
}
