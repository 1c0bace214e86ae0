//! Charts of HTTP repositories: index, digests, the cache, credentials, and archives that nobody
//! should unpack.

use std::io::Write as _;

use insta::assert_snapshot;

use fitout::base::ids::Digest;

use crate::env::Env;
use crate::web::Web;

/// A fleet whose `web` addon is a packed chart of a repository that is served.
struct Place {
    env: Env,
    web: Web,
}

const CONFIG: &str = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: web}\ndata: {size: {{ .Values.size | quote }}}\n";

/// The files of a chart called `web`.
fn chart(version: &str) -> Vec<(&'static str, String)> {
    vec![
        ("web/Chart.yaml", format!("apiVersion: v2\nname: web\nversion: {version}\n")),
        ("web/values.yaml", "size: 0\n".to_owned()),
        ("web/templates/config.yaml", CONFIG.to_owned()),
    ]
}

/// A gzipped tar; names are taken as they are.
fn packed<T: AsRef<[u8]>>(files: &[(&str, T)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let bytes = text.as_ref();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // The builder itself would refuse a name that leads elsewhere.
        let field = &mut header.as_gnu_mut().unwrap().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, bytes).unwrap();
    }
    gzip(&tar.into_inner().unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

impl Place {
    fn new() -> Self {
        let place = Self { env: Env::small(), web: Web::start() };
        place.publish(&packed(&chart("1.0.0")), None);
        place.repository("");
        place.chart("web", "1.0.0");
        place
    }

    /// Serves an archive with its index; the digest is the right one unless another is given.
    fn publish(&self, archive: &[u8], digest: Option<&str>) {
        let right = Digest::of(archive).to_string();
        let digest = digest.unwrap_or(&right);
        let index = format!(
            "apiVersion: v1\nentries:\n  web:\n  - {{name: web, version: 1.0.0, digest: {digest}, urls: [charts/web-1.0.0.tgz]}}\n  - {{name: web, version: 0.9.0, urls: [charts/web-0.9.0.tgz]}}\n  base: []\n"
        );
        self.web.put("/cern/index.yaml", index);
        self.web.put("/cern/charts/web-1.0.0.tgz", archive);
        self.web.put("/cern/charts/web-0.9.0.tgz", packed(&chart("0.9.0")));
    }

    fn repository(&self, more: &str) {
        let url = self.web.url();
        let text = format!(
            "apiVersion: fitout.dev/v1alpha1\nkind: ChartRepository\nmetadata: {{name: cern}}\nspec:\n  url: {url}/cern\n{more}"
        );
        self.env.write("addons/repositories.yaml", &text);
    }

    fn chart(&self, name: &str, version: &str) {
        let file = "addons/web/addon.yaml";
        let lines = self.env.read(file);
        let line = format!("  chart: {{repository: cern, name: {name}, version: {version}}}");
        let lines = lines
            .lines()
            .map(|old| if old.trim_start().starts_with("chart:") { line.as_str() } else { old });
        self.env.write(file, &lines.collect::<Vec<_>>().join("\n"));
    }

    fn run(&self, args: &str) -> String {
        self.web.without_port(&self.env.run(args))
    }

    fn run_with(&self, args: &str, variable: (&str, &str)) -> String {
        let args: Vec<&str> = args.split(' ').collect();
        let mut command = self.env.fitout(&args);
        let output = command.env(variable.0, variable.1).output().unwrap();
        self.web.without_port(&self.env.tell(&args, &output))
    }
}

#[test]
fn a_chart_is_fetched_once_and_needs_no_network_afterwards() {
    let place = Place::new();
    let first = place.run("render prod --addon web");
    assert_snapshot!(first);
    assert_eq!(place.web.asked(), ["/cern/index.yaml", "/cern/charts/web-1.0.0.tgz"]);
    place.web.stop();
    assert_eq!(place.run("render prod --addon web"), first);
    assert!(place.web.asked().is_empty());
}

#[test]
fn one_index_serves_all_charts_and_clusters_of_a_run() {
    let place = Place::new();
    place.env.replace(
        "clusters/dev.yaml",
        "spec:",
        "spec:\n  addons: [{name: web, version: 0.9.0}]",
    );
    let told = place.run("validate");
    assert!(told.contains("ok: "), "{told}");
    let mut asked = place.web.asked();
    asked.sort();
    assert_eq!(
        asked,
        ["/cern/charts/web-0.9.0.tgz", "/cern/charts/web-1.0.0.tgz", "/cern/index.yaml"]
    );
}

#[test]
fn names_and_versions_that_the_index_does_not_have() {
    let place = Place::new();
    let mut told = Vec::new();
    for (name, version) in [("wep", "1.0.0"), ("web", "1.0.1"), ("web", "7.7.7"), ("base", "1.0.0")]
    {
        place.chart(name, version);
        told.push(place.run("validate"));
    }
    assert_snapshot!(told.join("\n"));
}

#[test]
fn a_pin_of_a_cluster_is_where_a_missing_version_is_told() {
    let place = Place::new();
    let setting = "spec:\n  addons: [{name: web, version: 0.9.9}]";
    place.env.replace("clusters/dev.yaml", "spec:", setting);
    assert_snapshot!(place.run("validate"));
}

#[test]
fn a_range_is_no_version() {
    let place = Place::new();
    let mut told = Vec::new();
    for version in ["~1.0", "latest", "\"\""] {
        place.chart("web", version);
        told.push(place.run("validate"));
    }
    assert_snapshot!(told.join("\n"));
}

#[test]
fn an_archive_that_is_not_what_the_index_says_is_refused() {
    let place = Place::new();
    place.publish(&packed(&chart("1.0.0")), Some(&"ab".repeat(32)));
    assert_snapshot!(place.run("validate"));
}

#[test]
fn a_digest_can_be_required() {
    let place = Place::new();
    place.repository("  verify: {digest: required}\n");
    assert!(place.run("validate").contains("ok: "));
    place.chart("web", "0.9.0");
    assert_snapshot!(place.run("validate"));
}

#[test]
fn credentials_come_from_the_environment() {
    let place = Place::new();
    place.repository("  credentials: {env: CERN_TOKEN}\n");
    place.web.require("Bearer hunter2");
    let mut told = vec![place.run("validate --no-render"), place.run("validate")];
    told.push(place.run_with("validate", ("CERN_TOKEN", "wrong")));
    told.push(place.run_with("validate", ("CERN_TOKEN", "hunter2")));
    let told = told.join("\n");
    assert!(!told.contains("hunter2"), "{told}");
    assert_snapshot!(told);
    assert_eq!(
        place.web.asked(),
        ["/cern/index.yaml+", "/cern/index.yaml+", "/cern/charts/web-1.0.0.tgz+"]
    );
}

#[test]
fn credentials_do_not_go_to_another_origin() {
    let (place, other) = (Place::new(), Web::start());
    place.repository("  credentials: {env: CERN_TOKEN}\n");
    other.put("/web.tgz", packed(&chart("1.0.0")));
    let url = other.url();
    place.web.put(
        "/cern/index.yaml",
        format!("entries: {{web: [{{version: 1.0.0, urls: [\"{url}/web.tgz\"]}}]}}\n"),
    );
    let told = place.run_with("validate", ("CERN_TOKEN", "hunter2"));
    assert!(told.contains("ok: "), "{told}");
    assert_eq!(other.asked(), ["/web.tgz"]);
    assert_eq!(place.web.asked(), ["/cern/index.yaml+"]);
}

#[test]
fn a_repository_without_the_credentials_it_wants_says_so() {
    let place = Place::new();
    place.web.require("Bearer hunter2");
    assert_snapshot!(place.run("validate"));
}

#[test]
fn a_repository_that_is_gone_is_the_worlds_fault() {
    let place = Place::new();
    place.web.stop();
    let told = place.run("render dev");
    assert!(told.contains("# dev/base:"), "the rest goes on: {told}");
    assert_snapshot!(place.run("validate"));
}

#[test]
fn an_index_that_is_none() {
    let place = Place::new();
    let mut told = Vec::new();
    for index in ["<html>not here</html>", "entries: {web: [{version: 1.0.0}]}", "a: ["] {
        place.web.put("/cern/index.yaml", index);
        told.push(place.run("validate"));
    }
    place.repository("");
    place.env.replace("addons/repositories.yaml", "/cern", "/elsewhere");
    told.push(place.run("validate"));
    assert_snapshot!(told.join("\n"));
}

#[test]
fn archives_that_nobody_should_unpack() {
    let with = |name: &str| {
        let mut files = chart("1.0.0");
        files.push(("web/x", String::new()));
        let files: Vec<(&str, String)> = files
            .into_iter()
            .map(|(old, text)| if old == "web/x" { (name, text) } else { (old, text) })
            .collect();
        packed(&files)
    };
    let zeros = vec![0; 7 << 20];
    let mut bomb: Vec<(&str, &[u8])> = vec![("web/Chart.yaml", b"name: web\n")];
    for name in ["web/a", "web/b", "web/c", "web/d", "web/e"] {
        bomb.push((name, &zeros));
    }
    let archives = [
        with("web/../../../etc/cron.d/x"),
        with("web//etc/passwd"),
        with("../x"),
        packed(&bomb),
        packed(&[("web/large", vec![0_u8; (8 << 20) + 1])]),
        linked(),
        b"no archive".to_vec(),
        gzip(b"no tar"),
        packed::<&str>(&[]),
    ];
    let mut told = Vec::new();
    for archive in archives {
        let place = Place::new();
        place.publish(&archive, None);
        told.push(place.run("validate"));
    }
    assert_snapshot!(told.join("\n"));
}

/// An archive with a symbolic link in it.
fn linked() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "web/values.yaml", "/etc/passwd").unwrap();
    gzip(&tar.into_inner().unwrap())
}

#[test]
fn a_damaged_cache_is_fetched_again() {
    let place = Place::new();
    let first = place.run("render prod --addon web");
    let archives = place.env.root().join("cache/charts/archives");
    for entry in std::fs::read_dir(archives).unwrap() {
        std::fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    place.web.asked();
    assert_eq!(place.run("render prod --addon web"), first);
    assert_eq!(place.web.asked(), ["/cern/index.yaml", "/cern/charts/web-1.0.0.tgz"]);
}

#[test]
fn template_takes_a_chart_of_a_repository() {
    let place = Place::new();
    let url = place.web.url();
    let told = [
        format!("template shop web --repo {url}/cern --version 0.9.0"),
        format!("template shop web --repo {url}/cern --version 7.7.7"),
        format!("template shop web --repo {url}/nowhere --version 1.0.0"),
        format!("template shop web --repo {url}/cern"),
        format!("template shop web --repo {url}/cern --version <1"),
        format!("template shop web --repo {url}/cern --version ~0.9 --devel"),
        format!("template shop web --repo {url}/cern --version >=2"),
        format!("template shop web --repo {url}/cern --version nonsense"),
        format!("template shop wbe --repo {url}/cern"),
    ];
    assert_snapshot!(told.map(|args| place.run(&args)).join("\n"));
}
