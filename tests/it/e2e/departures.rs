//! Objects that do not go, and what goes along: finalizers, dependents, namespaces, CRDs.

use std::time::Duration;

use super::fleet::Fleet;
use super::run::eventually;
use crate::env::WIDGETS;

const CLUSTER: &str = "prod-01";

/// A widget, and in the deletion of which somebody has a say.
const GUARDED: &str = "apiVersion: example.org/v1
kind: Widget
metadata: {name: web, finalizers: [example.org/guard]}
spec: {size: 1}
";

fn release_widget(fleet: &Fleet) {
    let patch = "{\"metadata\":{\"finalizers\":null}}";
    let cluster = fleet.clusters.named(CLUSTER);
    cluster.kubectl(&format!("patch widget web -n web --type merge -p {patch}"));
}

#[test]
fn an_operator_outlives_its_custom_resources_and_a_finalizer_is_told() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.env.write("addons/web/chart/crds/widgets.yaml", WIDGETS);
    fleet.env.write("addons/web/chart/templates/widget.yaml", GUARDED);
    fleet.env.commit("A widget with a guard");
    fleet.bring_web(CLUSTER);
    let uninstall = format!("uninstall {CLUSTER} --addon web --yes --timeout 3s");
    fleet
        .fitout(&uninstall)
        .exited(5)
        .says("deleting Widget/web/web")
        .says("it is still there after 3s: it is being deleted since ")
        .says("finalizer `example.org/guard` holds it until its controller takes it off")
        .says("kubectl patch widget.example.org web -n web --type=merge")
        .hides("cannot be reached");
    assert!(cluster.has("deployment web -n web"), "it may be what takes the finalizer off");
    assert!(
        fleet.history(CLUSTER).starts_with("1 failed Uninstall failed"),
        "{}",
        fleet.history(CLUSTER)
    );
    // An apply does not write to what is on its way out.
    fleet.fitout(&format!("apply {CLUSTER} --yes")).exited(5).says("finalizer `example.org/guard`");
    release_widget(&fleet);
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_eq!(cluster.field("widget web -n web", ".metadata.deletionTimestamp"), "");

    // What left the chart, too, goes before what may be its operator.
    fleet.env.remove("addons/web/chart/templates/widget.yaml");
    fleet.set("motd: hello", "motd: second\nextra: [more]");
    fleet
        .fitout(&format!("apply {CLUSTER} --yes"))
        .succeeded()
        .says("; Widget/web/web is being deleted since ")
        .says("finalizer `example.org/guard` holds it");
    let left = cluster.field("widget web -n web", ".metadata.deletionTimestamp");
    assert_ne!(left, "", "nothing waits for it, and the guard holds it");
    release_widget(&fleet);
    fleet.fitout(&uninstall.replace("3s", "30s")).succeeded();
    cluster.kubectl("delete crd widgets.example.org");
}

#[test]
fn namespaces_and_crds_go_when_asked_for_and_what_goes_along_is_counted_first() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.env.write("addons/web/chart/crds/widgets.yaml", WIDGETS);
    let addon =
        fleet.env.read("addons/web/addon.yaml").replace("namespace: web", "namespace: gone");
    fleet.env.write("addons/web/addon.yaml", &addon);
    fleet.env.commit("In a namespace of its own, with a CRD");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    cluster.kubectl("create configmap mine -n gone --from-literal=a=b");
    cluster.kubectl_apply(
        "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: theirs, namespace: default}\n",
    );
    let uninstall = format!("uninstall {CLUSTER} --addon web");
    let writes = cluster.writes();
    let ran = fleet.fitout(&format!("{uninstall} --dry-run")).succeeded();
    ran.says("prod-01/web: would delete 4 objects of release gone/web\n")
        .says("stays: CustomResourceDefinition/widgets.example.org: namespaces and CRDs go only")
        .says("stays: Namespace/gone: ");
    let ran = fleet.fitout(&format!("{uninstall} --dry-run --namespaces --crds")).succeeded();
    ran.says("would delete 6 objects")
        .says("with CustomResourceDefinition/widgets.example.org 1 object would go as well:\n  - Widget/default/theirs")
        .says("with Namespace/gone 1 object would go as well:\n  - ConfigMap/gone/mine");
    fleet
        .fitout(&format!("{uninstall} --namespaces --crds"))
        .exited(5)
        .says("2 objects would go along")
        .says("agree with `--yes`");
    assert_eq!(cluster.writes(), writes, "nothing was done so far");

    cluster.kubectl_apply(
        "apiVersion: v1\nkind: Secret\ntype: helm.sh/release.v1\nmetadata: {name: \
         sh.helm.release.v1.two.v1, namespace: gone, labels: {owner: helm, name: two, version: \"1\"}}\n",
    );
    fleet
        .fitout(&format!("{uninstall} --namespaces --yes"))
        .exited(5)
        .says("the namespace `gone` is not deleted: there are other releases in it: gone/two");
    cluster.kubectl("delete secret sh.helm.release.v1.two.v1 -n gone");
    fleet
        .fitout(&format!("{uninstall} --namespaces --crds --yes --timeout 60s"))
        .succeeded()
        .says("prod-01/web: uninstalled (6 deleted)");
    assert!(!cluster.has("namespace gone"));
    assert!(!cluster.has("crd widgets.example.org"));
}

#[test]
fn addons_go_after_those_that_depend_on_them() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    for (name, needs) in [("shop", "web"), ("till", "shop")] {
        let addon = format!(
            "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {{name: {name}}}\nspec:\n  \
             chart: {{path: chart}}\n  namespace: web\n  placement: {{}}\n  \
             dependsOn: [{{addon: {needs}}}]\n"
        );
        fleet.env.write(&format!("addons/{name}/addon.yaml"), &addon);
        fleet.env.chart(&format!("addons/{name}/chart"), name, "1.0.0");
    }
    fleet.env.commit("Two that need one another");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    fleet
        .fitout(&format!("uninstall {CLUSTER} --addon web --yes"))
        .exited(5)
        .says("prod-01: failed: shop depends on web, and stays")
        .says("or go on with `--ignore-dependents`");
    let all = "--addon web --addon shop --addon till --yes";
    let ran = fleet.fitout(&format!("uninstall {CLUSTER} {all}")).succeeded();
    let order: Vec<&str> = ran
        .out
        .lines()
        .filter(|line| line.contains(": uninstalled"))
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(order, ["prod-01/till", "prod-01/shop", "prod-01/web"], "{ran}");
    assert_eq!(cluster.releases(), "");
}

#[test]
fn a_namespace_that_is_being_deleted_is_waited_for() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.env.replace("addons/web/addon.yaml", "namespace: web", "namespace: passing");
    fleet.env.commit("In a namespace that comes and goes");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    cluster.kubectl_apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine, namespace: passing, \
         finalizers: [example.org/guard]}\n",
    );
    cluster.kubectl("delete namespace passing --wait=false");
    let is_empty = || !cluster.has("deployments,services,secrets -n passing");
    eventually("the namespace controller is at work", Duration::from_mins(1), is_empty);
    fleet
        .fitout(&format!("apply {CLUSTER} --yes"))
        .exited(5)
        .says("applying Namespace/passing: it is still there after 6s")
        .says("finalizer `kubernetes` holds it until everything in it is gone")
        .says("example.org/guard in 1 resource instances");
    fleet.env.replace("addons/web/addon.yaml", "{timeout: 6s}", "{timeout: 60s}");
    fleet.env.commit("Patient");
    let mut waiting = fleet.spawn(&format!("apply {CLUSTER} --yes"));
    let patch = "{\"metadata\":{\"finalizers\":null}}";
    cluster.kubectl(&format!("patch configmap mine -n passing --type merge -p {patch}"));
    let status = waiting.wait().expect("it is our child");
    assert_eq!(status.code(), Some(0));
    assert!(cluster.has("deployment web -n passing"));
    assert_eq!(cluster.history("passing", "web"), "1 deployed Install complete\n");
    let args = "--addon web --namespaces --yes --timeout 60s";
    fleet.fitout(&format!("uninstall {CLUSTER} {args}")).succeeded();
    assert!(!cluster.has("namespace passing"));
}

#[test]
fn addons_that_left_git_together_go_in_order_too() {
    let Some(fleet) = Fleet::web() else { return };
    fleet.env.write(
        "addons/base/addon.yaml",
        "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {name: base}\nspec:\n  \
         chart: {path: chart}\n  namespace: web\n  placement: {}\n",
    );
    fleet.env.chart("addons/base/chart", "base", "1.0.0");
    fleet.env.replace(
        "addons/web/addon.yaml",
        "placement: {}",
        "placement: {}\n  dependsOn: [{addon: base}]",
    );
    fleet.env.commit("Web needs base");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    fleet.env.git("rm -r --quiet addons");
    fleet.env.commit("Without both");
    let ran = fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    let ended: Vec<&str> = ran.out.lines().filter(|line| line.contains("uninstalled")).collect();
    assert!(ended.len() == 2 && ended[0].contains("web"), "base goes after web:\n{ran}");
    assert_eq!(fleet.clusters.named(CLUSTER).releases(), "");
}

#[test]
fn what_holds_data_is_never_deleted_for_a_field_that_cannot_change() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.env.replace(
        "addons/web/addon.yaml",
        "placement: {}",
        "placement: {}\n  upgrade: {onImmutable: recreate}",
    );
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec:\n  \
                 accessModes: [ReadWriteOnce]\n  storageClassName: standard\n  \
                 resources: {requests: {storage: 1Gi}}\n";
    fleet.env.write("addons/web/chart/templates/claim.yaml", claim);
    fleet.env.commit("With a claim");
    fleet.bring_web(CLUSTER);
    let uid = || cluster.field("persistentvolumeclaim data -n web", ".metadata.uid");
    let before = uid();
    let other = claim.replace("standard", "faster");
    fleet.env.write("addons/web/chart/templates/claim.yaml", &other);
    fleet.env.commit("Another class");
    fleet
        .fitout(&format!("apply {CLUSTER} --yes"))
        .exited(5)
        .says("PersistentVolumeClaim/web/data")
        .says("spec is immutable after creation");
    assert_eq!(uid(), before);
}
