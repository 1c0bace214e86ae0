//! `ci/gitlab-chart.yml`: its own lines, run with the real helm on a chart of the worked example.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use fitout::yaml::helm;
use serde_json::Value as Json;

use super::clusters::tool;
use crate::env::{Env, copy, repository};

/// A chart repository and GitLab's API in one: what they were sent.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<(String, String, Bytes)>>>);

impl Received {
    fn serve(&self, runtime: &tokio::runtime::Runtime) -> String {
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = self.clone();
        let answer = |uri: Uri, headers: HeaderMap, body: Bytes| async move {
            let token =
                ["authorization", "private-token"].iter().find_map(|name| headers.get(*name));
            let token = token.and_then(|token| token.to_str().ok()).unwrap_or_default().to_owned();
            received.0.lock().unwrap().push((uri.to_string(), token, body));
            StatusCode::CREATED
        };
        let router = Router::new().fallback(answer);
        runtime.spawn(async move { axum::serve(listener, router).await });
        url
    }
}

/// The lines of each job, in the order of the file.
fn jobs() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(repository().join("ci/gitlab-chart.yml")).unwrap();
    let jobs = text.split("\n---\n").nth(1).expect("the jobs are behind the inputs");
    let read = helm::read_map(jobs).unwrap();
    let order = jobs.lines().filter_map(|line| line.strip_suffix(':'));
    let order = order.filter(|name| name.starts_with("chart-"));
    let lines = |job: &Json| -> Vec<String> {
        let lines = job["script"].as_array().expect("a job has lines").iter();
        lines.map(|line| line.as_str().expect("a line is text").to_owned()).collect()
    };
    order.map(|name| (name.to_owned(), lines(&read[name]))).collect()
}

fn run(job: &str, lines: &[String], folder: &Path, set: &[(&str, String)]) {
    let script = lines.join("\n");
    let path = format!(
        "{}:{}:{}",
        Path::new(env!("CARGO_BIN_EXE_fitout")).parent().unwrap().display(),
        tool("FITOUT_HELM").parent().unwrap().display(),
        std::env::var("PATH").unwrap_or_default(),
    );
    let output = Command::new("sh")
        .args(["-e", "-c", &script])
        .current_dir(folder)
        .env("PATH", path)
        .env("HOME", folder)
        .envs(set.iter().map(|(name, value)| (*name, value)))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{job}: {told}");
}

#[test]
fn a_chart_is_linted_tested_packaged_pushed_and_tagged() {
    if std::env::var_os("FITOUT_E2E").is_none() {
        println!("skipped: FITOUT_E2E is not set");
        return;
    }
    let env = Env::new();
    let folder = env.root().join("chart");
    copy(&repository().join("addons/traefik/chart"), &folder);
    // Its dependency is in the folder already, and its repository is nowhere.
    let text = std::fs::read_to_string(folder.join("Chart.yaml")).unwrap();
    let lines = text.lines().filter(|line| !line.contains("repository:"));
    // The number and the commit are what the pipeline adds.
    let lines = lines.map(|line| match line.strip_prefix("version: ") {
        Some(version) => format!("version: {}\n", version.rsplit_once('-').unwrap().0),
        None => format!("{line}\n"),
    });
    std::fs::write(folder.join("Chart.yaml"), lines.collect::<String>()).unwrap();
    std::fs::create_dir(folder.join("ci")).unwrap();
    std::fs::write(folder.join("ci/large-values.yaml"), "proxy: {replicas: 5}\n").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let received = Received::default();
    let url = received.serve(&runtime);
    let mut set = vec![
        ("CI_PIPELINE_IID", "7".to_owned()),
        ("CI_COMMIT_SHORT_SHA", "ba5e8134".to_owned()),
        ("CI_COMMIT_SHA", "ba5e813400000000000000000000000000000000".to_owned()),
        ("CI_API_V4_URL", format!("{url}/api/v4")),
        ("CI_PROJECT_ID", "12".to_owned()),
        ("CHART_REPOSITORY_TOKEN", "uploads".to_owned()),
        ("GITLAB_TOKEN", "tags".to_owned()),
    ];
    for (job, lines) in jobs() {
        let fill = |line: &String| {
            line.replace("$[[ inputs.chart ]]", ".")
                .replace("$[[ inputs.kubernetes ]]", "1.34 1.35")
                .replace("$[[ inputs.repository ]]", &format!("{url}/charts"))
        };
        run(&job, &lines.iter().map(fill).collect::<Vec<_>>(), &folder, &set);
        if job == "chart-package" {
            // As GitLab does with the job's `dotenv`.
            let text = std::fs::read_to_string(folder.join("chart.env")).unwrap();
            let version = text.trim().strip_prefix("CHART_VERSION=").unwrap().to_owned();
            set.push(("CHART_VERSION", version));
        }
    }
    let version = &set.last().unwrap().1;
    assert!(version.ends_with("-7+ba5e8134") && version.contains("-cern-"), "{version}");
    assert!(folder.join(format!("packages/traefik-{version}.tgz")).exists());
    let received = received.0.lock().unwrap();
    let [(push, push_token, package), (tag, tag_token, form)] = received.as_slice() else {
        panic!("{} requests", received.len());
    };
    assert_eq!((push.as_str(), push_token.as_str()), ("/charts/api/charts", "Bearer uploads"));
    assert!(package.starts_with(&[0x1f, 0x8b]), "a package is sent");
    assert_eq!((tag.as_str(), tag_token.as_str()), ("/api/v4/projects/12/repository/tags", "tags"));
    let form = String::from_utf8_lossy(form);
    let written = version.replace('+', "%2B");
    assert!(form.contains(&format!("tag_name={written}")), "{form}");
}
