//! Clusters that are replaced, over real clusters: two of production are the pair, the one of staging is the hub.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value as Json, json};
use sha2::Sha256;

use super::clusters::words;
use super::fleet::Fleet;
use super::run::{Ran, eventually, run};
use crate::web::Web;

/// Until nothing is under way.
const ONCE: &str = "controller --once --pace 200ms --interval 1s --listen off";
/// Until it is ended.
const ON: &str = "controller --pace 200ms --interval 1s --resync 1h --listen off";
const LIMIT: Duration = Duration::from_mins(1);

/// A fleet of which `prod-01` serves alone, under a policy with this hook and this besides.
fn pair(hook: &str, more: &str) -> Option<Fleet> {
    let fleet = Fleet::web()?;
    let policy = format!(
        "apiVersion: fitout.dev/v1alpha1\nkind: SwitchPolicy\nmetadata: {{name: edge}}\nspec:\n  \
         clusters: {{matchLabels: {{environment: prod}}}}\n  pair: {{by: [environment]}}\n  \
         parity: {{allow: [{{label: region, reason: any will do}}, {{label: flavour, reason: any will do}}]}}\n  \
         switch:\n    {hook}\n{more}"
    );
    fleet.env.write("policies/edge.yaml", &policy);
    let green = fleet.env.read("clusters/prod-02.yaml");
    fleet.env.write("held-back.yaml", &green);
    fleet.env.remove("clusters/prod-02.yaml");
    fleet.env.commit("One of a pair");
    with_secret(&fleet, ONCE).succeeded();
    fleet.fitout("switch list").succeeded().says("environment=prod  prod-01");
    Some(fleet)
}

/// The one change in git.
fn join(fleet: &Fleet) {
    let green = fleet.env.read("held-back.yaml");
    fleet.env.write("clusters/prod-02.yaml", &green);
    fleet.env.commit("The next one of production");
}

fn with_secret(fleet: &Fleet, args: &str) -> Ran {
    let mut command = fleet.env.fitout(&words(args));
    command.env("KUBECONFIG", &fleet.clusters.kubeconfig).env("EDGE_SECRET", "correct horse");
    run(&mut command, Duration::from_mins(2))
}

const PATCH: &str = "patch: {apiVersion: v1, kind: Service, namespace: web, name: edge, \
                     merge: {spec: {externalName: $(to.facts.ingressDomain)}}}";

/// A Service that leads to a cluster.
const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: {name: edge, namespace: web}
spec: {type: ExternalName, externalName: prod-01.example.org}
";

#[test]
fn a_cluster_is_replaced_by_one_change_in_git_and_goes_back_with_one_command() {
    let Some(fleet) = pair(PATCH, "  drain: 1s\n  keep: 1h\n  gates: [{approval: {count: 1}}]\n")
    else {
        return;
    };
    let hub = fleet.staging();
    hub.kubectl_apply(SERVICE);
    let traffic = || hub.field("service edge -n web", ".spec.externalName");
    join(&fleet);
    fleet.fitout("preview --base HEAD~1").succeeded().says(
        "prod-02 would take the place of prod-01 (policy edge), once it is at parity, 1 approval is given, \
         by a patch",
    );
    let bare = fleet.fitout("parity prod-01 prod-02 --live --exit-code").exited(3);
    bare.says("! is not ready on prod-02: it is not installed");
    // It brings green up, and waits for somebody.
    fleet.fitout(ONCE).exited(5);
    fleet.fitout("parity prod-01 prod-02 --live --exit-code").succeeded();
    let why = fleet.fitout("why prod-02").succeeded();
    why.says("prod-02, to take the place of prod-01, waits for approval: 0 of 1 given (edge-1)")
        .says("help: fitout switch approve edge-1");
    assert_eq!(traffic(), "prod-01.example.org");
    fleet.fitout("switch approve prod-02 --by ada").succeeded();

    // A controller that is killed as soon as traffic has moved is followed by another.
    let mut killed = fleet.spawn(ON);
    eventually("traffic moves", LIMIT, || traffic() == "prod-02.example.org");
    killed.kill().expect("it is our child");
    killed.wait().expect("it is our child");
    let mut controller = fleet.spawn(ON);
    eventually("blue is kept", LIMIT, || fleet.fitout("why prod-01").out.contains("which is kept"));
    assert_eq!(traffic(), "prod-02.example.org");
    let shown = fleet.fitout("switch show prod-01").succeeded();
    assert_eq!(shown.lines_with("decision 1: traffic goes to prod-02"), 1, "{shown}");
    shown.says("serves: prod-02").says("ada approves");
    fleet.fitout("switch back prod-02 --by ada --reason a-drill").succeeded();
    eventually("traffic goes back", LIMIT, || traffic() == "prod-01.example.org");
    eventually("it is on record", LIMIT, || {
        fleet.fitout("switch list").out.contains("prod-01  edge-1  prod-01 → prod-02  back")
    });
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
    // Nothing begins again by itself.
    fleet.fitout(ONCE).succeeded();
    assert_eq!(traffic(), "prod-01.example.org");
    fleet.fitout("switch back prod-02").exited(5).says("its traffic has gone back");
}

#[test]
fn a_green_that_fails_while_it_is_watched_loses_its_traffic() {
    let Some(fleet) = pair(PATCH, "  drain: 1h\n  failAfter: 1s\n") else { return };
    let hub = fleet.staging();
    hub.kubectl_apply(SERVICE);
    let traffic = || hub.field("service edge -n web", ".spec.externalName");
    join(&fleet);
    let mut controller = fleet.spawn(ON);
    eventually("green serves", LIMIT, || traffic() == "prod-02.example.org");
    let green = fleet.clusters.named("prod-02");
    green.kubectl("set image deployment/web -n web web=registry.example.org/web:2.0-broken");
    eventually("traffic goes back", LIMIT, || traffic() == "prod-01.example.org");
    eventually("it is on record", LIMIT, || {
        fleet.fitout("why prod-02").out.contains("prod-01 serves")
    });
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
    fleet.fitout("why prod-02").succeeded().says("prod-02 is not well: web: ");
}

#[test]
fn a_job_switches_traffic_once_for_each_decision() {
    let job = "job: {manifest: {apiVersion: batch/v1, kind: Job, metadata: {namespace: web}, spec: {backoffLimit: 0, \
               template: {spec: {restartPolicy: Never, containers: [{name: dns, image: \
               \"registry.example.org/dns:1\", args: [\"$(to)\", \"$(from.labels.region)\"]}]}}}}}";
    let Some(fleet) = pair(job, "  drain: 1s\n  keep: 1h\n") else { return };
    join(&fleet);
    let mut controller = fleet.spawn(ON);
    eventually("blue is kept", LIMIT, || fleet.fitout("why prod-01").out.contains("which is kept"));
    fleet.fitout("switch back prod-01").succeeded();
    eventually("it is back", LIMIT, || fleet.fitout("why prod-02").out.contains("prod-01 serves"));
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
    let jobs = fleet.staging().json("get jobs -n web");
    let args: Vec<&Json> = jobs["items"]
        .as_array()
        .expect("it is a list")
        .iter()
        .map(|job| &job["spec"]["template"]["spec"]["containers"][0]["args"])
        .collect();
    assert_eq!(args.len(), 2, "{args:?}");
    assert!(args.contains(&&json!(["prod-02", "meyrin"])), "{args:?}");
    assert!(args.contains(&&json!(["prod-01", "prevessin"])), "{args:?}");
}

#[test]
fn a_webhook_switches_traffic_and_is_asked_until_it_has() {
    let web = Web::start();
    let asked = Arc::<Mutex<Vec<Json>>>::default();
    let known = Arc::clone(&asked);
    web.on("/switch", move |posted| {
        let question: Json = serde_json::from_str(&posted.body).expect("it is JSON");
        let signature = &posted.headers["fitout-signature"];
        let (seconds, signed) = signature.split_once(",v1=").expect("it has both");
        let seconds = seconds.strip_prefix("t=").expect("it has a time");
        let mut mac = Hmac::<Sha256>::new_from_slice(b"correct horse").expect("any length");
        mac.update(format!("{seconds}.{}", posted.body).as_bytes());
        let hex = fitout::base::ids::hex(&mac.finalize().into_bytes());
        assert_eq!(hex, signed);
        let mut asked = known.lock().expect("nobody panics with it");
        asked.push(question.clone());
        let verdict = if asked.len() < 3 { "wait" } else { "pass" };
        json!({"nonce": question["nonce"], "verdict": verdict, "reason": "DNS"}).to_string()
    });
    let hook = format!("webhook: {{url: \"{}/switch\", secret: {{env: EDGE_SECRET}}}}", web.url());
    let Some(fleet) = pair(&hook, "  drain: 1s\n  keep: 1h\n") else { return };
    join(&fleet);
    with_secret(&fleet, ONCE).succeeded();
    fleet.fitout("why prod-01").succeeded().says("prod-02 serves in place of prod-01");
    let asked = asked.lock().expect("nobody panics with it");
    assert_eq!(asked.len(), 3);
    for question in asked.iter() {
        assert_eq!(question["decision"], 1, "{question}");
        assert_eq!(
            (&question["to"]["name"], &question["from"]["name"]),
            (&json!("prod-02"), &json!("prod-01"))
        );
    }
}
