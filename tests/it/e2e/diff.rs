//! What `fitout diff` says on real clusters: where each change comes from, who else has a hand in
//! it, what is left alone, what a CRD's change would cost, and never the value of a Secret.

use std::collections::BTreeSet;

use fitout::object::apis;

use super::fleet::Fleet;
use crate::env::WIDGETS;

const ALL: &str = "addons/web/chart/templates/all.yaml";

#[test]
fn a_diff_tells_the_template_line_the_owner_and_what_is_left_alone() {
    let Some(fleet) = Fleet::web() else { return };
    let staging = fleet.staging();
    fleet.env.replace(
        "addons/web/addon.yaml",
        "placement: {}",
        "placement: {}\n  ignoreDifferences: [{kind: Deployment, path: /spec/replicas, \
         reason: scaled by hand}]",
    );
    fleet.env.commit("Replicas are left alone");
    fleet.bring_web("stg-01");

    // What is left alone is told, and is no difference.
    staging.kubectl("scale deployment web -n web --replicas 5");
    let diff = fleet.fitout("diff stg-01 --exit-code").succeeded();
    assert_eq!(diff.out, "", "{diff}");
    let left = "Deployment/web/web spec.replicas stays 5, where git says 2: scaled by hand";
    assert!(diff.err.contains(left), "{diff}");
    fleet.fitout("diff stg-01 -o json").succeeded().says("\"leftAlone\"").says("scaled by hand");

    // Somebody's hand is told with the field that it has set.
    staging.kubectl("set image deployment/web web=registry.example.org/other:1 -n web");
    let image = "spec.template.spec.containers[name=web].image: registry.example.org/other:1 → \
                 registry.example.org/web:1.0  :29  (owned by kubectl-set since ";
    fleet.fitout("diff stg-01").succeeded().says(&format!("{ALL}:18")).says(image).says(left);

    // Each field has its line; texts of many lines are compared line by line; quantities that
    // are the same are the same.
    fleet.env.replace(ALL, "data: {motd:", "data:\n  long: |\n    one\n    two\n  motd:");
    fleet.env.replace(ALL, ".motd | quote }}}\n---", ".motd | quote }}\n---");
    fleet.env.replace(
        ALL,
        "          env:",
        "          resources: {limits: {cpu: 1000m}}\n          env:",
    );
    fleet.env.commit("A longer text");
    fleet.fitout("apply stg-01 --yes").succeeded();
    fleet.env.replace(ALL, "    two\n", "    zwei\n    three\n");
    fleet.env.replace(ALL, "cpu: 1000m", "cpu: 1");
    fleet.env.replace(ALL, "name: http, port: 80", "name: http, port: 81");
    fleet.env.commit("A line, a port and the same quantity");
    let diff = fleet.fitout("diff stg-01 --exit-code").exited(3);
    let told: Vec<&str> = diff.out.lines().map(str::trim).collect();
    assert_eq!(
        told[1..],
        [
            "~ ConfigMap/web/web  addons/web/chart/templates/all.yaml:1",
            "~ data.long:  :5",
            "one",
            "- two",
            "+ zwei",
            "+ three",
            "~ Service/web/web  addons/web/chart/templates/all.yaml:16",
            "~ spec.ports[name=http].port: 80 → 81  :21",
            &format!("= {left}"),
        ],
        "{diff}"
    );
}

#[test]
fn a_conflict_shows_what_would_change_and_whose_it_is_and_a_recreated_object_why() {
    let Some(fleet) = Fleet::web() else { return };
    let staging = fleet.staging();
    fleet.env.replace(
        "addons/web/addon.yaml",
        "spec:\n",
        "spec:\n  upgrade: {onImmutable: recreate}\n",
    );
    fleet.env.commit("Objects may be created anew");
    fleet.bring_web("stg-01");
    staging.kubectl(
        "patch deployment web -n web --field-manager autoscaler --type merge -p \
         {\"spec\":{\"replicas\":7}}",
    );
    let diff = fleet.fitout("diff stg-01").exited(5);
    diff.says("`.spec.replicas` is owned by `autoscaler`")
        .says("~ spec.replicas: 7 → 2  :22  (owned by autoscaler since ")
        .says("help: leave the field to its owner with `ignoreDifferences`");
    staging.kubectl(
        "patch deployment web -n web --field-manager autoscaler --type merge -p \
         {\"spec\":{\"replicas\":2}}",
    );

    fleet.env.replace(
        ALL,
        "selector: {matchLabels: {app: web}}",
        "selector: {matchLabels: {app: web, tier: b}}",
    );
    fleet.env.replace(
        ALL,
        "metadata: {labels: {app: web}}",
        "metadata: {labels: {app: web, tier: b}}",
    );
    fleet.env.commit("Another selector");
    let diff = fleet.fitout("diff stg-01").succeeded();
    diff.says("~ Deployment/web/web is deleted and created anew: `spec.selector` cannot change")
        .says("+ spec.selector.matchLabels.tier: b  :23");
    fleet.fitout("apply stg-01 --yes").succeeded();
    fleet.is_settled_on("stg-01");
}

/// The classes of leaks that diffs by server-side apply have had in other tools: what the dry run
/// gives back besides what was sent, values that stand elsewhere than in a Secret's data, and the
/// words of a refusal.
const VALUES: [&str; 4] = ["hunter2", "aHVudGVyMi", "swordfish", "c3dvcmRmaXNo"];

fn hidden(fleet: &Fleet, commands: &[&str]) {
    for command in commands {
        let mut ran = fleet.fitout(&format!("{command} -v -v"));
        for value in VALUES {
            ran = ran.hides(value);
        }
    }
}

const LOOKS: [&str; 6] = [
    "diff stg-01",
    "diff stg-01 -o json",
    "diff stg-01 -o markdown",
    "plan stg-01",
    "plan stg-01 -o json",
    "apply stg-01 --yes -o json",
];

#[test]
fn what_a_dry_run_gives_back_of_a_secret_is_never_shown() {
    let Some(fleet) = Fleet::web() else { return };
    let staging = fleet.staging();
    // A Secret that kubectl made: its last-applied annotation has the values once more.
    staging.kubectl_apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n");
    staging.kubectl_apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: web, namespace: web}\n\
         stringData: {password: swordfish-of-old}\n",
    );
    hidden(&fleet, &["diff stg-01", "plan stg-01 --take-ownership -o json"]);
    fleet.fitout("apply stg-01 --yes --take-ownership").succeeded().hides("swordfish");
    // A key of somebody else, which a dry run gives back with those that were sent.
    staging.kubectl(
        "patch secret web -n web --type merge -p {\"stringData\":{\"extra\":\"swordfish-2\"}}",
    );
    fleet.set("hunter2-first", "hunter2-second");
    fleet.fitout("diff stg-01").succeeded().says("~ data.password: (hidden) → (hidden, changed)");
    hidden(&fleet, &LOOKS);
    fleet.fitout("diff stg-01 --exit-code").succeeded();
}

#[test]
fn a_secrets_value_is_hidden_wherever_a_chart_writes_it() {
    let Some(fleet) = Fleet::web() else { return };
    fleet.env.replace(
        ALL,
        "---\napiVersion: v1\nkind: Secret",
        "  url: postgres://web:{{ .Values.password }}@db/web\n  \
         encoded: {{ .Values.password | b64enc }}\n---\napiVersion: v1\nkind: Secret",
    );
    fleet.env.replace(
        ALL,
        "data: {motd: {{ .Values.motd | quote }}}",
        "data:\n  motd: {{ .Values.motd | quote }}",
    );
    fleet.env.replace(
        ALL,
        "value: {{ .Values.motd | quote }}}]",
        "value: {{ .Values.password | quote }}}]",
    );
    fleet.env.commit("The password everywhere");
    hidden(&fleet, &LOOKS);
    fleet.set("hunter2-first", "hunter2-second");
    let diff = fleet.fitout("diff stg-01").succeeded();
    diff.says("data.url: (hidden) → (hidden, changed)").says("env[name=MOTD].value: (hidden) → ");
    hidden(&fleet, &LOOKS);
    fleet.fitout("diff stg-01 --exit-code").succeeded();
}

#[test]
fn what_the_server_says_of_a_value_is_never_repeated() {
    let Some(fleet) = Fleet::web() else { return };
    // Of the Secret itself, whose key it does not take, and of an object that quotes the value.
    for (from, to) in [
        (
            "stringData: {password:",
            "stringData: {\"not a key\": {{ .Values.password | quote }}, password:",
        ),
        (
            "metadata: {name: web}\ndata:",
            "metadata: {name: web, labels: {a: {{ printf \"%s !\" .Values.password | quote }}}}\ndata:",
        ),
    ] {
        let before = fleet.env.read(ALL);
        fleet.env.replace(ALL, from, to);
        fleet.env.commit("Nothing that a server takes");
        fleet.fitout("diff stg-01").exited(5);
        hidden(&fleet, &LOOKS);
        fleet.env.write(ALL, &before);
    }
}

#[test]
fn a_crd_loses_no_version_field_or_object_unheard() {
    let Some(fleet) = Fleet::web() else { return };
    let staging = fleet.staging();
    let widgets = "addons/web/chart/templates/widgets.yaml";
    let version = |name: &str, storage: bool, properties: &str| {
        format!(
            "    - name: {name}\n      served: true\n      storage: {storage}\n      \
             schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, \
             properties: {{{properties}}}}}}}}}}}\n"
        )
    };
    let head = WIDGETS.split("    - name: v1").next().expect("it has versions");
    let crd = |versions: &[String]| format!("{head}{}", versions.concat());
    let both = "size: {type: integer}, colour: {type: string}";
    fleet.env.write(widgets, &crd(&[version("v1alpha1", true, both)]));
    fleet.env.commit("A CRD");
    fleet.bring_web("stg-01");
    staging.kubectl_apply(
        "apiVersion: example.org/v1alpha1\nkind: Widget\nmetadata: {name: one, namespace: web}\n\
         spec: {size: 1, colour: red}\n",
    );

    // A field in use: warned of in each command, and done.
    let less = version("v1alpha1", false, "size: {type: integer}");
    fleet.env.write(widgets, &crd(&[less, version("v1", true, "size: {type: integer}")]));
    fleet.env.commit("Another version, and no colour");
    let field = "the field `spec.colour` goes, and 1 object has it: Widget/web/one";
    for command in ["diff stg-01", "plan stg-01", "apply stg-01 --yes"] {
        fleet.fitout(command).succeeded().says(field);
    }

    // A version that objects are stored in: refused, with the objects.
    fleet.env.write(widgets, &crd(&[version("v1", true, "size: {type: integer}")]));
    fleet.env.commit("No old version");
    let stored = "the CRD `widgets.example.org` would lose the version v1alpha1, which its objects \
                  may be stored in: Widget/web/one";
    for command in ["diff stg-01", "plan stg-01", "apply stg-01 --yes"] {
        fleet.fitout(command).exited(5).says(stored).says("status.storedVersions");
    }
    // Served no longer: warned of.
    let unserved = version("v1alpha1", false, "size: {type: integer}")
        .replace("served: true", "served: false");
    fleet.env.write(widgets, &crd(&[unserved, version("v1", true, "size: {type: integer}")]));
    fleet.env.commit("An old version that is not served");
    let served = "`v1alpha1` is served no longer, and 1 object was written in it: Widget/web/one";
    for command in ["diff stg-01", "plan stg-01"] {
        fleet.fitout(command).succeeded().says(served);
    }

    // The CRD itself: refused as long as there is an object, whatever the limits say.
    fleet.env.write(widgets, "");
    fleet.env.commit("No CRD");
    let deleted = "the CRD `widgets.example.org` would be deleted, and 1 object of it with it: \
                   Widget/web/one";
    for command in ["plan stg-01 --ignore-limits", "apply stg-01 --yes --ignore-limits"] {
        fleet.fitout(command).exited(5).says(deleted).says("delete its objects first");
    }
    assert!(staging.has("widget one -n web"));
    staging.kubectl("delete widget one -n web");
    fleet.fitout("apply stg-01 --yes --ignore-limits").succeeded();
    staging.kubectl("wait --for=delete crd/widgets.example.org --timeout=60s");
}

#[test]
fn an_api_that_the_cluster_does_not_serve_is_told_before_anything_is_sent() {
    let Some(fleet) = Fleet::web() else { return };
    let staging = fleet.staging();
    // A chart that asks what the cluster can do, and a document that is wrong about it.
    fleet.env.write(
        "addons/web/chart/templates/budget.yaml",
        "{{- if .Capabilities.APIVersions.Has \"policy/v1beta1/PodDisruptionBudget\" }}\n\
         apiVersion: policy/v1beta1\n{{- else }}\napiVersion: policy/v1\n{{- end }}\n\
         kind: PodDisruptionBudget\nmetadata: {name: web}\n\
         spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}\n",
    );
    fleet.env.replace("clusters/stg-01.yaml", "\"1.35\"", "\"1.24\"");
    fleet.env.commit("A budget, for a cluster of yesterday");
    let told = "the cluster serves no kind `PodDisruptionBudget` of `policy/v1beta1` (Kubernetes \
                1.25 removed it: use `policy/v1`): PodDisruptionBudget/web/web from \
                `web/templates/budget.yaml`";
    let version = "cluster `stg-01` runs Kubernetes v1.35.4, and its document says 1.24";
    for command in ["diff stg-01", "plan stg-01", "apply stg-01 --yes"] {
        fleet.fitout(command).exited(5).says(told).says(version);
    }
    assert_eq!(staging.releases(), "", "nothing was sent");
    assert!(!staging.has("deployment web -n web"));
    fleet.env.replace("clusters/stg-01.yaml", "\"1.24\"", "\"1.35\"");
    fleet.env.commit("The cluster of today");
    fleet.bring_web("stg-01");
    assert!(staging.has("poddisruptionbudget web -n web"));

    // A kind of which nobody has the CRD, and one that another addon of the plan brings.
    fleet.env.write(
        "addons/web/chart/templates/widget.yaml",
        "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: one}\nspec: {size: 1}\n",
    );
    fleet.env.commit("A Widget");
    let told = "the cluster serves no kind `Widget` of `example.org/v1`: Widget/web/one from \
                `web/templates/widget.yaml`";
    fleet.fitout("diff stg-01").exited(5).says(told).says("add the addon that brings the CRD");
    fleet.env.write(
        "addons/widgets/chart/Chart.yaml",
        "apiVersion: v2\nname: widgets\nversion: 1.0.0\n",
    );
    fleet.env.write("addons/widgets/chart/crds/widgets.yaml", WIDGETS);
    fleet.env.write(
        "addons/widgets/addon.yaml",
        "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {name: widgets}\n\
         spec:\n  chart: {path: chart}\n  namespace: widgets\n  placement: {}\n",
    );
    fleet.env.commit("Its CRD");
    fleet.fitout("diff stg-01").succeeded().says("its kind comes with the addon `widgets`");
    fleet.fitout("plan stg-01").succeeded().says("after stg-01/widgets");
    fleet.fitout("apply stg-01 --yes").succeeded();
    fleet.is_settled_on("stg-01");
    // CRDs of `crds/` folders stay, as with Helm.
    fleet.fitout("uninstall stg-01 --addon web --yes").succeeded();
    staging.kubectl("delete crd widgets.example.org");
}

#[test]
fn objects_that_two_addons_claim_are_written_by_neither() {
    let Some(fleet) = Fleet::web() else { return };
    fleet
        .env
        .write("addons/other/chart/Chart.yaml", "apiVersion: v2\nname: other\nversion: 1.0.0\n");
    fleet.env.write(
        "addons/other/chart/templates/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: web}\ndata: {a: b}\n",
    );
    fleet.env.write(
        "addons/other/addon.yaml",
        "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {name: other}\n\
         spec:\n  chart: {path: chart}\n  namespace: other\n  placement: {}\n",
    );
    fleet.env.commit("Another addon with the same ConfigMap");
    let told = "ConfigMap/web/web from `web/templates/all.yaml` is claimed by release other/other";
    fleet.fitout("apply stg-01 --yes").exited(5).says(told);
    assert_eq!(fleet.staging().releases(), "");
    // Who has it, keeps it.
    fleet.bring_web("stg-01");
    fleet.fitout("apply stg-01 --yes").exited(5).says("belongs to release web/web");
    fleet.fitout("diff stg-01 --addon web --exit-code").succeeded();
}

#[test]
fn the_recorded_apis_are_those_that_the_cluster_serves() {
    let Some(fleet) = Fleet::web() else { return };
    let staging = fleet.staging();
    let is_own =
        |version: &str| apis::is_own_group(version.rsplit_once('/').map_or("", |(group, _)| group));
    let mut live = BTreeSet::new();
    for version in staging.kubectl("api-versions").lines().filter(|version| is_own(version)) {
        let path = if version.contains('/') { "apis" } else { "api" };
        let listed = staging.kubectl(&format!("get --raw /{path}/{version}"));
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("it is JSON");
        live.insert(version.to_owned());
        for resource in listed["resources"].as_array().expect("it is a list") {
            let is_whole = !resource["name"].as_str().unwrap_or_default().contains('/');
            let kind = resource["kind"].as_str().unwrap_or_default();
            live.extend(is_whole.then(|| format!("{version}/{kind}")));
        }
    }
    let recorded: BTreeSet<String> = apis::served(35).into_iter().collect();
    assert_eq!(recorded, live);
}
