//! Whoever has exactly what `fitout rbac` prints can do everything that fitout does, and
//! `fitout doctor` tells what lacks.

use super::clusters::Cluster;
use super::fleet::Fleet;
use super::refusals::closed;

/// The worked example on a cluster where only the user `limited` is known to the fleet.
fn as_limited() -> Option<Fleet> {
    let fleet = Fleet::example()?;
    let labels = "{environment: prod, region: meyrin, flavour: gpu, monitoring: \"true\"}";
    fleet.write_cluster("prod-01", labels, "context: prod-01-limited");
    fleet.env.commit("As a limited user");
    Some(fleet)
}

/// What `fitout rbac` prints, without the talk.
fn rbac(fleet: &Fleet, args: &str) -> String {
    fleet.fitout(&format!("rbac prod-01 {args} --subject User:limited")).succeeded().out
}

/// Takes everything away that was given under a name.
fn take_away(cluster: &Cluster, given: &str) {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("given.yaml");
    // Namespaces stay: each takes ten seconds to delete.
    let roles: Vec<_> =
        given.split("---\n").filter(|part| !part.contains("kind: Namespace\n")).collect();
    std::fs::write(&path, roles.join("---\n")).unwrap();
    cluster.kubectl(&format!("delete --ignore-not-found -f {}", path.display()));
}

/// Up, unchanged, changed, healed, away.
fn life(fleet: &Fleet, addon: &str) {
    let cluster = fleet.clusters.named("prod-01");
    fleet.fitout(&format!("apply prod-01 --addon {addon} --yes")).succeeded().says("installed");
    let diff = fleet.fitout(&format!("diff prod-01 --addon {addon} --exit-code")).succeeded();
    assert_eq!(diff.out, "", "{diff}");
    let chart = format!("addons/{addon}/chart/Chart.yaml");
    let version = fleet.env.read(&chart);
    let version = version.lines().find(|line| line.starts_with("version: ")).unwrap().to_owned();
    fleet.env.replace(&chart, &version, "version: 99.0.0");
    fleet.env.commit("Another version");
    fleet.fitout(&format!("apply prod-01 --addon {addon} --yes")).succeeded().says("upgraded");
    fleet.env.replace(&chart, "version: 99.0.0", &version);
    fleet.env.commit("Back");
    fleet.fitout(&format!("rollback prod-01 {addon}")).succeeded();
    fleet.fitout(&format!("uninstall prod-01 --addon {addon} --yes")).succeeded();
    assert_eq!(cluster.releases(), "");
}

#[test]
fn with_exactly_what_rbac_prints_an_addon_lives_its_whole_life() {
    let Some(fleet) = as_limited() else { return };
    let cluster = fleet.clusters.named("prod-01");
    // With roles, bindings and an IngressClass; with a CRD, its objects and a hook.
    for addon in ["traefik", "prometheus"] {
        if addon == "prometheus" {
            fleet.env.replace(
                "addons/prometheus/addon.yaml",
                "    - {addon: traefik, version: \">=39.0.0-0\"}\n",
                "",
            );
            fleet.env.replace("addons/prometheus/addon.yaml", "  dependsOn:\n", "");
            fleet.env.commit("Alone");
        }
        for only in ["", "--required-only"] {
            let given = rbac(&fleet, &format!("--addon {addon} {only}"));
            cluster.kubectl_apply(&given);
            let doctor = fleet.fitout(&format!("doctor prod-01 --addon {addon}")).succeeded();
            assert_eq!(doctor.lines_with("error"), 0, "{doctor}");
            assert_eq!(doctor.lines_with("warning") == 0, only.is_empty(), "{doctor}");
            life(&fleet, addon);
            take_away(cluster, &given);
        }
    }
}

#[test]
fn doctor_names_the_rule_that_lacks_and_prints_it() {
    let Some(fleet) = as_limited() else { return };
    let cluster = fleet.clusters.named("prod-01");
    let writes = cluster.writes();
    let ran = fleet.fitout("doctor prod-01 --addon traefik").exited(5);
    let ran = ran.says("runs Kubernetes v1.35.4").says("clock within 1 s");
    ran.says("knows us as `limited`").says("kind: ClusterRoleBinding").says("name: limited");
    assert_eq!(cluster.writes(), writes, "a doctor changes nothing");
    let given = rbac(&fleet, "--addon traefik");
    let rule = "- apiGroups: [policy]\n  resources: [poddisruptionbudgets]\n  \
                verbs: [get, create, patch, delete]\n";
    assert!(given.contains(rule), "{given}");
    cluster.kubectl_apply(&given.replace(rule, ""));
    let ran = fleet.fitout("doctor prod-01 --addon traefik").exited(5);
    let lacks =
        "may not get, create, patch, delete `poddisruptionbudgets.policy` in namespace `ingress`";
    let ran = ran.says(lacks).says("objects of the chart (traefik)");
    assert_eq!(ran.lines_with("error: "), 1, "{ran}");
    let (_, printed) = ran.out.split_once("for an administrator to apply\n").unwrap();
    assert!(printed.contains(rule) && printed.contains("name: limited"), "{printed}");
    cluster.kubectl_apply(printed);
    fleet.fitout("doctor prod-01 --addon traefik").succeeded().says("all well");
    take_away(cluster, printed);
    take_away(cluster, &given);
}

#[test]
fn who_may_escalate_and_bind_does_not_need_what_the_charts_grant() {
    let Some(fleet) = as_limited() else { return };
    let cluster = fleet.clusters.named("prod-01");
    let given = rbac(&fleet, "--addon fluentd --required-only");
    let rule = given.split("- ").find(|rule| rule.contains("watch")).unwrap();
    let role = "apiGroups: [rbac.authorization.k8s.io]\n  resources: [clusterroles]\n  \
                resourceNames: [fluentd-collector]\n  verbs: [bind, escalate]\n";
    let instead = given.replace(rule, role);
    cluster.kubectl_apply(&instead);
    let ran = fleet.fitout("doctor prod-01 --addon fluentd").succeeded();
    assert_eq!(ran.lines_with("error"), 0, "{ran}");
    take_away(cluster, &instead);
}

#[test]
fn a_cluster_that_is_down_and_one_that_knows_nobody_are_told_apart() {
    let Some(fleet) = Fleet::web() else { return };
    let kubeconfig = std::fs::read_to_string(fleet.clusters.named("prod-01").kubeconfig()).unwrap();
    let token = kubeconfig.split("token: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    fleet.env.write("closed.kubeconfig", &closed());
    fleet.env.write("stranger.kubeconfig", &kubeconfig.replace(token, "nobody"));
    for name in ["closed", "stranger"] {
        let connection = format!("kubeconfigFile: {name}.kubeconfig");
        fleet.write_cluster(name, "{environment: prod}", &connection);
    }
    fleet.env.commit("Two that are of no use");
    let ran = fleet.fitout("doctor stranger").exited(5);
    ran.says("the API server does not accept the credentials").hides("may not");
    let ran = fleet.fitout("doctor --all").exited(4);
    let ran = ran.says("closed: cannot be reached").says("Connection refused");
    assert_eq!(ran.lines_with("all well"), 3, "{ran}");
}
