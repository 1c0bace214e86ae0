//! Revisions of real repositories: folders, and remotes served by git itself over `file://`, HTTP
//! and an `ssh` stand-in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fitout::base::ids::Rev;
use fitout::git::settings::{Settings, SshProgram};
use fitout::git::{GitError, Repository};
use fitout::net::http::Credential;
use tempfile::TempDir;

/// A repository whose history a test writes with git itself.
struct Upstream {
    folder: TempDir,
}

impl Upstream {
    fn new() -> Self {
        let upstream = Self { folder: tempfile::tempdir().unwrap() };
        upstream.git(&["init", "--quiet", "--initial-branch=main"]);
        upstream.commit("clusters/a.yaml", "one");
        upstream
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn git(&self, args: &[&str]) -> String {
        git(self.path(), args)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn commit(&self, path: &str, text: &str) -> String {
        self.write(path, text);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", text]);
        self.git(&["rev-parse", "HEAD"])
    }
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn settings(cache: &TempDir) -> Settings {
    Settings {
        cache: cache.path().to_owned(),
        credential: None,
        ssh: SshProgram::Program("false".to_owned()),
    }
}

fn text(repository: &Repository, rev: &str, path: &str) -> Option<String> {
    let rev = repository.resolve(rev).unwrap();
    repository.source(&rev).unwrap().text(path).map(str::to_owned)
}

/// What every kind of remote must be able to do.
fn check_remote(upstream: &Upstream, repository: &Repository) {
    let first = upstream.git(&["rev-parse", "HEAD"]);
    upstream.git(&["tag", "--annotate", "v1", "--message", "one"]);
    repository.fetch().unwrap();
    assert_eq!(text(repository, "HEAD", "clusters/a.yaml").as_deref(), Some("one"));
    assert_eq!(repository.resolve("main").unwrap(), Rev::new(first.as_str()));
    assert_eq!(repository.resolve("v1").unwrap(), Rev::new(first.as_str()));

    let second = upstream.commit("clusters/a.yaml", "two");
    upstream.git(&["branch", "side"]);
    let fetched = repository.fetch().unwrap();
    let moved: Vec<(&str, bool)> =
        fetched.moved.iter().map(|moved| (moved.name.as_str(), moved.is_forced)).collect();
    assert_eq!(moved, [("refs/heads/main", false), ("refs/heads/side", false)]);
    assert_eq!(text(repository, "main", "clusters/a.yaml").as_deref(), Some("two"));
    assert_eq!(text(repository, "main~1", "clusters/a.yaml").as_deref(), Some("one"));
    assert_eq!(repository.fetch().unwrap().moved, []);

    upstream.git(&["reset", "--quiet", "--hard", &first]);
    upstream.git(&["branch", "--quiet", "-D", "side"]);
    upstream.commit("clusters/a.yaml", "three");
    let fetched = repository.fetch().unwrap();
    assert!(fetched.moved[0].is_forced, "{fetched:?}");
    assert_eq!(fetched.moved[1].to, None, "{fetched:?}");
    assert_eq!(text(repository, "main", "clusters/a.yaml").as_deref(), Some("three"));
    assert_eq!(text(repository, &second, "clusters/a.yaml").as_deref(), Some("two"));
    let error = repository.resolve("side").unwrap_err();
    assert!(error.is_unknown_revision(), "{error}");
}

#[test]
fn a_file_remote_is_fetched_and_keeps_what_was_rewritten() {
    let (upstream, cache) = (Upstream::new(), tempfile::tempdir().unwrap());
    let url = format!("file://{}", upstream.path().display());
    let repository = Repository::open_with(&url, settings(&cache)).unwrap();
    check_remote(&upstream, &repository);
}

#[test]
fn an_http_remote_is_fetched_and_keeps_what_was_rewritten() {
    let (upstream, cache) = (Upstream::new(), tempfile::tempdir().unwrap());
    let server = HttpServer::start(upstream.path(), None);
    let repository = Repository::open_with(&server.url, settings(&cache)).unwrap();
    check_remote(&upstream, &repository);
}

#[test]
fn an_ssh_remote_is_fetched_and_keeps_what_was_rewritten() {
    let (upstream, cache) = (Upstream::new(), tempfile::tempdir().unwrap());
    // Runs the last argument, as sshd hands the command to the user's shell.
    let ssh = cache.path().join("ssh");
    std::fs::write(&ssh, "for last; do :; done\nexec sh -c \"$last\"\n").unwrap();
    let settings =
        Settings { ssh: SshProgram::Shell(format!("sh {}", ssh.display())), ..settings(&cache) };
    let url = format!("ssh://git@git.example.org:7999{}", upstream.path().display());
    let repository = Repository::open_with(&url, settings).unwrap();
    check_remote(&upstream, &repository);
}

#[test]
fn the_token_opens_a_private_http_remote() {
    let (upstream, cache) = (Upstream::new(), tempfile::tempdir().unwrap());
    // `x-access-token:s3cret`
    let server = HttpServer::start(upstream.path(), Some("Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0"));
    let closed = Repository::open_with(&server.url, settings(&cache)).unwrap();
    let error = closed.fetch().unwrap_err();
    assert!(error.help()[0].contains("FITOUT_GIT_TOKEN"), "{error}");
    let with_token =
        Settings { credential: Some(Credential::for_git("s3cret")), ..settings(&cache) };
    let open = Repository::open_with(&server.url, with_token).unwrap();
    open.fetch().unwrap();
    assert_eq!(text(&open, "main", "clusters/a.yaml").as_deref(), Some("one"));
}

#[test]
fn a_remote_that_is_gone_is_told_and_what_was_fetched_stays_readable() {
    let (upstream, cache) = (Upstream::new(), tempfile::tempdir().unwrap());
    let url = format!("file://{}", upstream.path().display());
    let repository = Repository::open_with(&url, settings(&cache)).unwrap();
    repository.fetch().unwrap();
    drop(upstream);
    let error = repository.fetch().unwrap_err();
    assert!(error.to_string().ends_with("cannot be fetched"), "{error}");
    assert_eq!(text(&repository, "main", "clusters/a.yaml").as_deref(), Some("one"));

    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let url = format!("http://{address}/fleet.git");
    let error = Repository::open_with(&url, settings(&cache)).unwrap().fetch().unwrap_err();
    assert!(matches!(error, GitError::Http { .. }), "{error}");

    let url = "ssh://git.example.org/fleet.git";
    let error = Repository::open_with(url, settings(&cache)).unwrap().fetch().unwrap_err();
    assert!(error.to_string().contains("git.example.org"), "{error}");
}

#[test]
fn a_commit_that_nobody_has_and_a_name_that_is_wrong_are_told() {
    let (upstream, cache) = (Upstream::new(), tempfile::tempdir().unwrap());
    let server = HttpServer::start(upstream.path(), None);
    let repository = Repository::open_with(&server.url, settings(&cache)).unwrap();
    repository.fetch().unwrap();
    let error = repository.resolve(&"1".repeat(40)).unwrap_err();
    assert!(matches!(error, GitError::CommitGone { .. }), "{error}");
    let error = repository.resolve("mian").unwrap_err();
    assert_eq!(error.help(), ["did you mean `main`?"]);
}

#[test]
fn the_work_tree_is_head_while_nothing_differs() {
    let upstream = Upstream::new();
    upstream.write(".gitignore", "*.log\n");
    let head = upstream.commit("addons/x/addon.yaml", "x");
    let repository = Repository::open(&upstream.path().display().to_string()).unwrap();
    assert_eq!(repository.worktree().unwrap().rev.as_str(), head);

    upstream.write("addons/noise.log", "ignored");
    assert_eq!(repository.worktree().unwrap().rev.as_str(), head);

    upstream.write("addons/new.yaml", "untracked");
    upstream.write("clusters/a.yaml", "changed");
    std::fs::remove_file(upstream.path().join("addons/x/addon.yaml")).unwrap();
    let source = repository.worktree().unwrap();
    assert!(source.rev.as_str().starts_with("worktree:"), "{}", source.rev);
    let paths: Vec<&str> = source.files.keys().map(String::as_str).collect();
    assert_eq!(paths, [".gitignore", "addons/new.yaml", "clusters/a.yaml"]);
    assert_eq!(source.text("clusters/a.yaml"), Some("changed"));
    assert_eq!(repository.worktree().unwrap().rev, source.rev);
}

#[test]
fn a_fleet_may_live_below_the_top_of_the_repository() {
    let upstream = Upstream::new();
    git(upstream.path(), &["rm", "-rq", "clusters"]);
    upstream.write("docs/readme", "not the fleet's");
    let head = upstream.commit("deploy/fleet/clusters/b.yaml", "b");
    for start in ["deploy/fleet", "deploy/fleet/clusters"] {
        let start = upstream.path().join(start).display().to_string();
        let repository = Repository::open(&start).unwrap();
        let source = repository.source(&Rev::new(head.as_str())).unwrap();
        let paths: Vec<&String> = source.files.keys().collect();
        assert_eq!(paths, ["clusters/b.yaml"]);
        assert_eq!(repository.worktree().unwrap().files, source.files);
        let error = repository.source(&repository.resolve("HEAD~1").unwrap()).unwrap_err();
        assert!(matches!(error, GitError::NoFleet { .. }), "{error}");
    }
}

#[test]
fn symbolic_links_are_left_out() {
    let upstream = Upstream::new();
    std::os::unix::fs::symlink("/etc/passwd", upstream.path().join("clusters/link.yaml")).unwrap();
    let repository = Repository::open(&upstream.path().display().to_string()).unwrap();
    let head = upstream.commit("clusters/b.yaml", "b");
    let committed = repository.source(&Rev::new(head.as_str())).unwrap();
    upstream.write("clusters/b.yaml", "changed");
    for source in [committed, repository.worktree().unwrap()] {
        let paths: Vec<&String> = source.files.keys().collect();
        assert_eq!(paths, ["clusters/a.yaml", "clusters/b.yaml"]);
    }
}

#[test]
fn a_folder_without_git_has_files_but_no_revisions() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("clusters")).unwrap();
    std::fs::write(folder.path().join("clusters/a.yaml"), "a").unwrap();
    let repository = Repository::open(&folder.path().display().to_string()).unwrap();
    assert_eq!(repository.worktree().unwrap().text("clusters/a.yaml"), Some("a"));
    let error = repository.resolve("main").unwrap_err();
    assert!(matches!(error, GitError::NotGit(_)), "{error}");
}

/// `git http-backend` behind the smallest web server that can carry it.
pub(crate) struct HttpServer {
    /// Of the repository.
    pub(crate) url: String,
}

impl HttpServer {
    /// Serves `folder`; the thread ends with the process. `authorization` is what requests must
    /// carry, if anything.
    pub(crate) fn start(folder: &Path, authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/.git", listener.local_addr().unwrap());
        let folder = folder.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &folder, authorization);
            }
        });
        Self { url }
    }
}

fn serve(mut stream: TcpStream, folder: &PathBuf, authorization: Option<&str>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return };
    let (mut content_type, mut length, mut given) = (String::new(), 0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-type" => value.clone_into(&mut content_type),
            "content-length" => length = value.parse().unwrap(),
            "authorization" => value.clone_into(&mut given),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    if authorization.is_some_and(|wanted| wanted != given) {
        stream
            .write_all(
                b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            )
            .unwrap();
        return;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", content_type)
        .env("CONTENT_LENGTH", length.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&body).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let split = output.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let headers = String::from_utf8_lossy(&output[..split]);
    let status = headers
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK")
        .to_owned();
    let head = format!("HTTP/1.1 {status}\r\n{headers}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&output[split + 4..]).unwrap();
}
