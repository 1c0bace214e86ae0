//! Taking over what Helm, Flux and `kubectl` have installed, in place, and giving it back.

use serde_json::{Value as Json, json};

use super::clusters::Cluster;
use super::fleet::Fleet;

const CLUSTER: &str = "prod-01";

/// The chart and values of `web`, as arguments of `helm`.
fn chart(fleet: &Fleet) -> String {
    let folder = fleet.env.fleet().join("addons/web");
    format!("{0}/chart -f {0}/values.yaml -n web", folder.display())
}

/// What must stay as it is when an addon is taken over: every pod, and what would make new ones.
fn running(cluster: &Cluster) -> String {
    let list = |kind: &str, path: &str| cluster.field(&format!("{kind} -n web"), path);
    [
        list("pods", ".items[*].metadata.uid"),
        list("replicasets", ".items[*].metadata.name"),
        list("replicasets", ".items[*].metadata.generation"),
        list("deployments", ".items[*].metadata.uid"),
        list("services", ".items[*].spec.clusterIP"),
    ]
    .join("\n")
}

/// The managers of an object's fields but its controllers, with how they write.
fn managers(cluster: &Cluster, object: &str) -> String {
    let object = cluster.json(&format!("get {object} -n web --show-managed-fields"));
    let entries = object["metadata"]["managedFields"].as_array().expect("it has some");
    let told = entries.iter().map(|entry| {
        let text = |field: &str| entry[field].as_str().expect("it is text").to_owned();
        format!("{} {}", text("manager"), text("operation"))
    });
    let mut told: Vec<_> = told.filter(|manager| !manager.starts_with("kube-")).collect();
    told.sort_unstable();
    told.dedup();
    told.join(", ")
}

/// Takes `web` over: first only looks, which writes nothing, then does it; no pod is touched.
fn adopts(fleet: &Fleet, cluster: &Cluster, says: &[&str]) {
    let generation = || cluster.field("deployment web -n web", ".metadata.generation");
    let (was, spec) = (generation(), cluster.field("deployment web -n web", ".spec"));
    let before = (running(cluster), cluster.writes());
    let mut told = fleet.fitout(&format!("adopt {CLUSTER} web --dry-run")).succeeded();
    for text in says {
        told = told.says(text);
    }
    assert_eq!((running(cluster), cluster.writes()), before, "a dry run writes nothing");
    fleet.fitout(&format!("adopt {CLUSTER} web --yes")).succeeded().says("adopted as revision");
    assert_eq!(running(cluster), before.0, "no pod is made anew");
    assert_eq!(cluster.field("deployment web -n web", ".spec"), spec);
    // Of a Deployment, new annotations count as a new generation: those of the release, where it
    // had none.
    let had_release = fleet.history(CLUSTER).starts_with("1 superseded");
    assert!(generation() == was || !had_release, "{was} → {}", generation());
    for object in ["deployment web", "service web", "configmap web", "secret web"] {
        assert_eq!(managers(cluster, object), "fitout Apply", "{object}");
    }
    let diff = fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
    assert_eq!(diff.out, "");
    let again = fleet.fitout(&format!("adopt {CLUSTER} web")).succeeded();
    again.says("is fitout's already, at revision");
}

/// The rendered chart, with `edit` made to it, in a file.
fn manifests(fleet: &Fleet, cluster: &Cluster, edit: impl Fn(String) -> String) -> String {
    let text = edit(cluster.helm(&format!("template web {}", chart(fleet))));
    let path = fleet.env.root().join("manifests.yaml");
    std::fs::write(&path, text).expect("the folder is ours");
    path.display().to_string()
}

#[test]
fn a_release_of_helm_is_taken_over_without_touching_a_pod() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    cluster.helm(&format!("install web {} --create-namespace --wait", chart(&fleet)));
    adopts(
        &fleet,
        cluster,
        &[
            "prod-01/web: release web/web of Helm, revision 1 (deployed), chart version 1.0.0",
            "4 objects taken over",
            "Deployment/web/web  from helm (Update)",
            "nothing changes but who manages them",
        ],
    );
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 deployed Adoption complete\n"
    );
}

#[test]
fn an_adoption_that_would_end_pods_or_remove_objects_is_refused() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    let more = "--set replicas=3,tag=0.9,extra={leftover}";
    cluster.helm(&format!("install web {} --create-namespace --wait {more}", chart(&fleet)));
    let before = (running(cluster), cluster.writes());
    fleet
        .fitout(&format!("adopt {CLUSTER} web --yes"))
        .exited(5)
        .says(
            "the pods of Deployment/web/web would restart: spec.template.spec.containers[name=web]",
        )
        .says("ConfigMap/web/leftover would be deleted")
        .says("--allow-disruption");
    assert_eq!((running(cluster), cluster.writes()), before);
    fleet.fitout(&format!("adopt {CLUSTER} web --yes --allow-disruption")).succeeded();
    assert!(!cluster.has("configmap leftover -n web"));
    assert_eq!(cluster.field("deployment web -n web", ".spec.replicas"), "2");
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
}

#[test]
fn what_kubectl_applied_is_taken_over_and_what_its_file_had_beside_the_chart_goes() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    for (args, manager) in [
        ("apply", "kubectl-client-side-apply (Update)"),
        ("apply --server-side", "kubectl (Apply)"),
    ] {
        cluster.try_kubectl(&["create", "namespace", "web"]);
        let path = manifests(&fleet, cluster, |text| {
            text.replace("data: {motd: \"hello\"}", "data: {motd: \"hello\", theirs: \"mine\"}")
        });
        cluster.kubectl(&format!("{args} -n web -f {path}"));
        cluster.kubectl("rollout status deployment web -n web --timeout=60s");
        fleet
            .fitout(&format!("apply {CLUSTER} --yes"))
            .exited(5)
            .says("is there already and belongs to no release");
        let from = format!("Deployment/web/web  from {manager}");
        let says = [
            "objects that belong to no release; web/web is made of them",
            from.as_str(),
            "- data.theirs: mine",
            "+ meta.helm.sh/release-name: web",
        ];
        adopts(&fleet, cluster, &says);
        assert_eq!(fleet.history(CLUSTER), "1 deployed Adoption complete\n");
        assert_eq!(cluster.field("configmap web -n web", ".data.theirs"), "");
        let last = ".metadata.annotations.kubectl\\.kubernetes\\.io/last-applied-configuration";
        assert_eq!(cluster.field("deployment web -n web", last), "");
        cluster.clear();
    }
}

#[test]
fn objects_of_another_release_are_refused_by_name() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    cluster.helm(&format!("install shop {} --create-namespace --wait", chart(&fleet)));
    let before = cluster.writes();
    let told = fleet.fitout(&format!("adopt {CLUSTER} web --yes")).exited(5);
    for object in ["ConfigMap", "Deployment", "Secret", "Service"] {
        assert_eq!(
            told.lines_with(&format!("{object}/web/web belongs to release web/shop")),
            1,
            "{told}"
        );
    }
    assert_eq!(cluster.writes(), before);
}

#[test]
fn a_failed_adoption_never_removes_what_was_there() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    cluster.try_kubectl(&["create", "namespace", "web"]);
    let path = manifests(&fleet, cluster, |text| text);
    cluster.kubectl(&format!("apply -n web -f {path}"));
    cluster.kubectl("rollout status deployment web -n web --timeout=60s");
    fleet.set("tag: \"1.0\"", "tag: 9.9-broken");
    let taken = fleet.fitout(&format!("apply {CLUSTER} --yes --take-ownership")).exited(5);
    taken.says("not healthy after");
    assert!(cluster.has("deployment web -n web"), "a first installation would be gone");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).exited(5);
    assert!(cluster.has("deployment web -n web"), "also the next time");
    fleet.set("tag: 9.9-broken", "tag: \"1.0\"");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
}

/// What an API server knows of HelmReleases.
const HELM_RELEASES: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: helmreleases.helm.toolkit.fluxcd.io}
spec:
  group: helm.toolkit.fluxcd.io
  scope: Namespaced
  names: {kind: HelmRelease, plural: helmreleases, singular: helmrelease}
  versions:
    - name: v2
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

/// Leaves on a cluster what Flux's helm-controller leaves: a HelmRelease in `flux-system`, the records
/// beside it, objects with its labels that it has applied under its own name.
fn made_by_flux(fleet: &Fleet, cluster: &Cluster) {
    cluster.kubectl_apply(HELM_RELEASES);
    cluster.kubectl("wait --for=condition=Established crd/helmreleases.helm.toolkit.fluxcd.io");
    cluster.try_kubectl(&["create", "namespace", "flux-system"]);
    cluster.kubectl_apply(
        "apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: site
  namespace: flux-system
  labels: {kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: flux-system}
spec: {releaseName: web, targetNamespace: web, interval: 5m}
",
    );
    cluster.helm(&format!("install web {} --create-namespace --wait", chart(fleet)));
    let path = manifests(fleet, cluster, |text| {
        let labels = "labels: {helm.toolkit.fluxcd.io/name: site, \
                      helm.toolkit.fluxcd.io/namespace: flux-system, \
                      app.kubernetes.io/managed-by: Helm}, \
                      annotations: {meta.helm.sh/release-name: web, \
                      meta.helm.sh/release-namespace: web}";
        text.replace("metadata: {name: web}", &format!("metadata: {{name: web, {labels}}}"))
    });
    cluster.kubectl(&format!(
        "apply --server-side --force-conflicts --field-manager=helm-controller -n web -f {path}"
    ));
    let record = "sh.helm.release.v1.web.v1";
    let mut secret = cluster.json(&format!("get secret {record} -n web"));
    secret["metadata"] = json!({
        "name": record, "namespace": "flux-system", "labels": secret["metadata"]["labels"],
    });
    cluster.kubectl_apply(&secret.to_string());
    cluster.kubectl(&format!("delete secret {record} -n web"));
}

#[test]
fn a_release_of_flux_is_taken_over_once_its_helm_release_is_suspended() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    made_by_flux(&fleet, cluster);
    let before = (running(cluster), cluster.writes());
    for command in ["adopt prod-01 web --yes", "apply prod-01 --yes"] {
        fleet
            .fitout(command)
            .exited(5)
            .says("release web/web is made by the HelmRelease flux-system/site of Flux, which is not suspended");
    }
    fleet
        .fitout(&format!("adopt {CLUSTER} web --yes"))
        .exited(5)
        .says("flux suspend helmrelease site -n flux-system")
        .says("Kustomization flux-system/apps brings it");
    assert_eq!((running(cluster), cluster.writes()), before);
    let suspend = "{\"spec\":{\"suspend\":true}}";
    cluster.kubectl(&format!("patch helmrelease site -n flux-system --type merge -p {suspend}"));
    adopts(
        &fleet,
        cluster,
        &[
            "release web/web of Helm, revision 1 (deployed)",
            "made by HelmRelease flux-system/site of Flux, which is suspended",
            "its records move from namespace flux-system to web",
            "Deployment/web/web  from helm-controller (Apply), helm (Update)",
            "- metadata.labels[\"helm.toolkit.fluxcd.io/name\"]: site",
        ],
    );
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 deployed Adoption complete\n"
    );
    assert_eq!(cluster.releases(), "web/web deployed web-1.0.0\n", "not a second time");
    let labels = cluster.field("deployment web -n web", ".metadata.labels");
    assert!(!labels.contains("fluxcd"), "{labels}");
    cluster.kubectl("delete helmrelease site -n flux-system");
    cluster.kubectl("delete crd helmreleases.helm.toolkit.fluxcd.io");
}

/// The objects of a release with their managers left out, and of the records what is fitout's.
fn marks(cluster: &Cluster) -> Vec<String> {
    let records = cluster.json("get secrets -n web -l owner=helm");
    let records = records["items"].as_array().expect("it is a list").iter();
    let of_record = |record: &Json| {
        let maps = ["labels", "annotations"].map(|map| record["metadata"][map].clone());
        let keys = maps.iter().filter_map(Json::as_object).flatten().map(|(key, _)| key.clone());
        keys.filter(|key| key.starts_with("fitout.dev/")).collect::<Vec<_>>()
    };
    let mut marks: Vec<String> = records.flat_map(of_record).collect();
    marks.sort();
    marks.dedup();
    marks
}

#[test]
fn an_addon_is_handed_over_to_helm_and_taken_back() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    fleet.set("motd: hello", "motd: second");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    let (before, writes) = (running(cluster), cluster.writes());
    let dry = fleet.fitout(&format!("release {CLUSTER} web --hand-over --dry-run")).succeeded();
    dry.says("prod-01/web: release web/web, revision 2, with 4 objects");
    assert_eq!(cluster.writes(), writes, "a dry run writes nothing");
    fleet
        .fitout(&format!("release {CLUSTER} web --hand-over --yes"))
        .succeeded()
        .says("handed over to Helm, at revision 2 of web/web")
        .says("git still wants prod-01/web");
    assert_eq!(running(cluster), before);
    assert_eq!(marks(cluster), ["fitout.dev/handed-over"]);
    for object in ["deployment web", "service web", "configmap web", "secret web"] {
        assert_eq!(managers(cluster, object), "helm Update", "{object}");
    }
    // Helm goes on: the same chart changes nothing, another one does.
    let versions = || {
        cluster.field(
            "deploy,svc,cm,secret -n web",
            ".items[?(@.metadata.name=='web')].metadata.resourceVersion",
        )
    };
    let objects = versions();
    cluster.helm(&format!("upgrade web {} --wait", chart(&fleet)));
    assert_eq!((running(cluster), versions()), (before, objects), "nothing changes");
    assert!(fleet.history(CLUSTER).ends_with("3 deployed Upgrade complete\n"));
    cluster.helm(&format!("upgrade web {} --set password=helms", chart(&fleet)));
    // Whatever git says, fitout leaves it alone.
    let writes = cluster.writes();
    let plan = fleet.fitout(&format!("plan {CLUSTER} --exit-code")).succeeded();
    plan.says("1 left alone: handed over to Helm");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    fleet.fitout("controller --once").succeeded();
    fleet.fitout(&format!("rollback {CLUSTER} web")).exited(5).says("was handed over to Helm");
    fleet.fitout(&format!("why {CLUSTER} web")).succeeded().says("was handed over to Helm");
    fleet.fitout(&format!("status {CLUSTER}")).succeeded().says("handed over");
    fleet
        .fitout(&format!("uninstall {CLUSTER} --addon web --yes"))
        .exited(5)
        .says("was handed over to Helm");
    assert_eq!(cluster.writes(), writes);
    assert_eq!(cluster.field("secret web -n web", ".data.password"), "aGVsbXM=");
    // Out of git, it still is not uninstalled.
    let document =
        std::fs::read_to_string(fleet.env.fleet().join("clusters/prod-01.yaml")).unwrap();
    fleet.env.write(
        "clusters/prod-01.yaml",
        &format!("{document}  addons: [{{name: web, enabled: false}}]\n"),
    );
    fleet.env.commit("Helm has it");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_eq!(cluster.releases(), "web/web deployed web-1.0.0\n");
    assert!(cluster.has("deployment web -n web"));
    // And back.
    fleet.env.write("clusters/prod-01.yaml", &document);
    fleet.env.commit("fitout has it");
    fleet.fitout(&format!("adopt {CLUSTER} web --yes")).succeeded();
    assert_eq!(cluster.field("secret web -n web", ".data.password"), "aHVudGVyMi1maXJzdA==");
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
    assert_eq!(managers(cluster, "deployment web"), "fitout Apply");
}
