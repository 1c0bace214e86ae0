//! A change that does not get through names the pod and its reason.

use std::time::Duration;

use super::fleet::Fleet;
use super::run::{Ran, eventually};

const CLUSTER: &str = "prod-02";
const TEMPLATE: &str = "addons/web/chart/templates/all.yaml";
const IMAGE: &str = "image: registry.example.org/web:{{ .Values.tag }}";

/// A fleet that does not wait long, and leaves what fails as it is.
fn impatient() -> Option<Fleet> {
    let fleet = Fleet::web()?;
    fleet.env.replace("addons/web/addon.yaml", "{timeout: 6s}", "{timeout: 4s}");
    fleet.env.replace(
        "addons/web/addon.yaml",
        "placement: {}",
        "placement: {}\n  upgrade: {atomic: false}",
    );
    Some(fleet)
}

/// Brings `web` up with this change of its chart, which does not get there, and takes it away.
fn with(fleet: &Fleet, from: &str, to: &str) -> Ran {
    fleet.env.replace(TEMPLATE, from, to);
    fleet.env.commit(to.lines().next().unwrap_or_default());
    let ran = fleet.fitout(&format!("apply {CLUSTER} --yes")).exited(5);
    fleet.fitout(&format!("uninstall {CLUSTER} --addon web --yes --timeout 30s")).succeeded();
    fleet.env.replace(TEMPLATE, to, from);
    ran
}

#[test]
fn a_container_that_crashes_is_told_with_its_last_words_and_without_secrets() {
    let Some(fleet) = impatient() else { return };
    let env = "env: [{name: MOTD, value: {{ .Values.motd | quote }}}]";
    let log = "env: [{name: LOG, value: \"starting\\nfatal: no login with hunter2-first\"}]";
    fleet.env.replace(TEMPLATE, env, log);
    let ran = with(&fleet, IMAGE, "image: registry.example.org/web:1-crash");
    ran.says("pod `web-")
        .says("container `web` waits: CrashLoopBackOff (exit code 1)")
        .says("    | starting\n    | fatal: no login with (hidden)\n")
        .hides("hunter2");
    let init = "initContainers:\n        - name: setup\n          \
                image: registry.example.org/setup:1-crash\n          \
                env: [{name: LOG, value: \"cannot write /data\"}]\n      containers:";
    let ran = with(&fleet, "containers:", init);
    ran.says("init container `setup` waits: CrashLoopBackOff (exit code 1)")
        .says("container `setup` of pod `web-")
        .says("    | cannot write /data\n");
}

#[test]
fn probes_volumes_nodes_and_images_are_told_in_the_clusters_words() {
    let Some(fleet) = impatient() else { return };
    let volumes = "      volumes: [{name: keys, secret: {secretName: lost}}]\n      containers:";
    fleet.env.replace(TEMPLATE, "      containers:", volumes);
    for (tag, words) in [
        ("1-unready", "Readiness probe failed: HTTP probe failed with statuscode: 503 (Unhealthy)"),
        ("1-broken", "container `web` waits: ImagePullBackOff (Back-off pulling image"),
        ("1-unmounted", "MountVolume.SetUp failed for volume \"keys\" : secret \"lost\" not found"),
    ] {
        let image = format!("image: registry.example.org/web:{tag}");
        with(&fleet, IMAGE, &image).says("pod `web-").says(words);
    }
    let selector = "nodeSelector: {disk: none}\n      containers:";
    let ran = with(&fleet, "containers:", selector);
    ran.says("cannot be scheduled: 0/3 nodes are available: 3 node(s) didn't match");
}

#[test]
fn a_quota_and_a_claim_that_nobody_serves_are_told() {
    let Some(fleet) = impatient() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    if !cluster.has("namespace web") {
        cluster.kubectl("create namespace web");
    }
    cluster.kubectl("create quota tight -n web --hard=pods=0");
    let used = || cluster.field("resourcequota tight -n web", ".status.used.pods") == "0";
    eventually("the quota counts", Duration::from_secs(30), used);
    with(&fleet, IMAGE, "image: registry.example.org/web:2")
        .says("cannot make pods: pods \"web-")
        .says("exceeded quota: tight, requested: pods=1, used: pods=0, limited: pods=0");
    // Of a StatefulSet only its events tell.
    let stateful = "kind: StatefulSet\nmetadata: {name: web}\nspec:\n  serviceName: web";
    let deployment = "kind: Deployment\nmetadata: {name: web}\nspec:";
    with(&fleet, deployment, stateful).says("StatefulSet/web/web").says("exceeded quota: tight");
    cluster.kubectl("delete quota tight -n web");
    let claim = "kind: PersistentVolumeClaim\nmetadata: {name: data}\nspec:\n  \
                 accessModes: [ReadWriteOnce]\n  storageClassName: nowhere\n  \
                 resources: {requests: {storage: 1Gi}}\n---\napiVersion: v1\nkind: Service";
    with(&fleet, "kind: Service", claim)
        .says("PersistentVolumeClaim/web/data: waits for a volume")
        .says("storageclass.storage.k8s.io \"nowhere\" not found (ProvisioningFailed)");
}
