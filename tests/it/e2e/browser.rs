//! The page of `fitout preview -o html` in a real Chromium: its script runs under its own policy,
//! filters stand in the address, and what charts say stays text.

use std::path::PathBuf;
use std::process::Command;

use crate::env::Env;

/// Names under which Chromium is on `PATH`.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"];

/// `FITOUT_BROWSER`, else a Chromium on `PATH`; `None`, with the reason printed, where there is none
/// or end-to-end tests are not asked for.
fn browser() -> Option<PathBuf> {
    if std::env::var_os("FITOUT_E2E").is_none_or(|asked| asked != "1") {
        println!("skipped: FITOUT_E2E is not 1; `make e2e` sets it");
        return None;
    }
    if let Some(path) = std::env::var_os("FITOUT_BROWSER") {
        return Some(PathBuf::from(path));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        println!("skipped: no Chromium on PATH, and FITOUT_BROWSER is not set");
    }
    found
}

/// The page after its script has run, opened at a filter.
fn opened(browser: &PathBuf, env: &Env, filter: &str) -> String {
    let profile = env.root().join("profile");
    let page = env.fleet().join("preview.html");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}{filter}", page.display()))
        .output()
        .expect("the browser starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The addons of the groups that are shown.
fn shown(page: &str) -> Vec<&str> {
    let groups = page.split("<details class=\"group\"").skip(1);
    let tags = groups.filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag));
    let shown = tags.filter(|tag| !tag.contains("hidden"));
    shown.filter_map(|tag| tag.split("data-addon=\"").nth(1)?.split('"').next()).collect()
}

#[test]
fn the_page_of_a_preview_filters_what_it_shows() {
    let Some(browser) = browser() else { return };
    let env = Env::example();
    env.replace("addons/traefik/values/prod.yaml", "1Gi", "2Gi");
    env.replace("addons/prometheus/values/prod.yaml", "30d", "60d");
    env.write(
        "addons/traefik/chart/templates/hostile.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hostile}\n\
         data: {a: \"</td><script>document.title = 'taken'</script><img src=x onerror=alert(1)>\"}\n",
    );
    let told = env.run("preview -o html --output-file preview.html");
    assert!(told.contains("exit 0"), "{told}");

    let all = opened(&browser, &env, "");
    assert_eq!(shown(&all), ["traefik", "prometheus", "traefik"], "{all}");
    assert!(all.contains("3 of 3 groups"), "the script has run: {all}");
    assert!(!all.contains("<title>taken") && !all.contains("<img"), "{all}");

    let one = opened(&browser, &env, "#addon=prometheus");
    assert_eq!(shown(&one), ["prometheus"]);
    assert!(one.contains("1 of 3 groups"));
    let staging = opened(&browser, &env, "#cluster=stg-meyrin-01");
    assert_eq!(shown(&staging), ["traefik"], "only the new object goes there");
    let found = opened(&browser, &env, "#search=retention.time&risk=restart");
    assert_eq!(shown(&found), ["prometheus"]);
}
