//! Clusters that do not answer, permissions that lack, and what must not be told.

use super::fleet::Fleet;

/// A kubeconfig of a cluster whose port is closed.
pub(super) fn closed() -> String {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}]\n\
         users: [{{name: u, user: {{token: t}}}}]\n"
    )
}

#[test]
fn a_cluster_that_does_not_answer_is_one_line_and_the_others_go_on() {
    let Some(fleet) = Fleet::example() else { return };
    fleet.env.write("closed.kubeconfig", &closed());
    let labels = "{environment: prod, region: meyrin, flavour: cpu, monitoring: \"true\"}";
    fleet.write_cluster("prod-03", labels, "kubeconfigFile: closed.kubeconfig");
    fleet.env.commit("A cluster that is down");
    let ran = fleet.fitout("apply --all --yes").exited(4);
    assert_eq!(ran.lines_with("prod-03"), 1, "{ran}");
    let ran = ran.says("prod-03  refused: ").says("the API server cannot be reached");
    let ran = ran.says("Connection refused");
    for name in ["stg-01", "prod-01", "prod-02"] {
        let deployed = fleet.clusters.named(name).releases();
        assert_eq!(deployed.matches(" deployed ").count(), 4, "{deployed}\n{ran}");
    }
    for command in ["diff --all --exit-code", "plan --all", "plan --all -o markdown"] {
        let ran = fleet.fitout(command).exited(4);
        assert_eq!(ran.lines_with("prod-03"), 1, "{ran}");
    }
    let ran = fleet.fitout("diff --all -o json").exited(4);
    assert_eq!(ran.lines_with("\"instance\": \"prod-03/"), 4, "{ran}");
}

#[test]
fn a_user_without_permission_is_told_what_lacks() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named("prod-01");
    let limited = |verb: &str, kind: &str| {
        cluster.kubectl_apply(&format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n\
             metadata: {{name: limited-{kind}}}\nrules:\n\
             - {{apiGroups: ['*'], resources: [{kind}], verbs: [{verb}]}}\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n\
             metadata: {{name: limited-{kind}}}\n\
             subjects: [{{kind: Group, name: limited, apiGroup: rbac.authorization.k8s.io}}]\n\
             roleRef: {{kind: ClusterRole, name: limited-{kind}, \
             apiGroup: rbac.authorization.k8s.io}}\n"
        ));
    };
    let labels = "{environment: prod}";
    fleet.write_cluster("prod-01", labels, "context: prod-01-limited");
    fleet.env.commit("As a limited user");
    for command in ["diff", "apply --yes"] {
        fleet
            .fitout(&format!("{command} prod-01"))
            .exited(4)
            .says("User \"limited\" cannot list resource \"secrets\"");
    }
    cluster.kubectl_apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n");
    limited("get,list,create,patch,delete", "secrets");
    limited("get,list,create,patch,delete", "configmaps");
    limited("get,list", "services");
    limited("get,list", "deployments");
    let ran = fleet.fitout("apply prod-01 --yes").exited(4);
    ran.says("applying Service/web/web from `web/templates/all.yaml`")
        .says("User \"limited\" cannot patch resource \"services\"");
    assert_eq!(cluster.releases(), "", "the first installation is taken back");
    assert!(!cluster.has("configmap web -n web"));
    for kind in ["secrets", "configmaps", "services", "deployments"] {
        cluster.kubectl(&format!(
            "delete clusterrole/limited-{kind} clusterrolebinding/limited-{kind} --ignore-not-found"
        ));
    }
}

#[test]
fn a_user_of_one_namespace_can_apply_there() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named("prod-01");
    cluster.kubectl_apply(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n\
         metadata: {name: limited, namespace: web}\n\
         subjects: [{kind: Group, name: limited, apiGroup: rbac.authorization.k8s.io}]\n\
         roleRef: {kind: ClusterRole, name: admin, apiGroup: rbac.authorization.k8s.io}\n",
    );
    fleet.write_cluster("prod-01", "{environment: prod}", "context: prod-01-limited");
    fleet.env.commit("As a limited user");
    fleet
        .fitout("apply prod-01 --yes")
        .succeeded()
        .says("warning: what git no longer wants on `prod-01` cannot be told, and stays")
        .says("installed as revision 1, healthy");
    fleet.fitout("diff prod-01 --exit-code").succeeded();
    cluster.kubectl("patch configmap web -n web --type merge -p {\"data\":{\"motd\":\"edited\"}}");
    fleet.fitout("apply prod-01 --yes").succeeded().says("healed at revision 1");
    cluster.kubectl("delete rolebinding limited -n web");
}

#[test]
fn no_secret_value_is_ever_told() {
    let Some(fleet) = Fleet::web() else { return };
    let first = ["hunter2-first", "aHVudGVyMi1maXJzdA"];
    let second = ["hunter2-second", "aHVudGVyMi1zZWNvbmQ"];
    let all = |hidden: &[&str]| {
        let commands = [
            "diff prod-02",
            "diff prod-02 -o json",
            "diff prod-02 -o markdown",
            "plan prod-02",
            "plan prod-02 -o json",
            "history prod-02 web -o json",
            "apply prod-02 --yes -o json",
            "status prod-02",
        ];
        for command in commands {
            let mut ran = fleet.fitout(&format!("{command} -v -v"));
            for value in hidden {
                ran = ran.hides(value);
            }
        }
    };
    all(&first);
    fleet.set("hunter2-first", "hunter2-second");
    fleet.fitout("diff prod-02").succeeded().says("data.password: (hidden) → (hidden, changed)");
    all(&[first, second].concat());
    let cluster = fleet.clusters.named("prod-02");
    assert_eq!(cluster.field("secret web -n web", ".data.password"), "aHVudGVyMi1zZWNvbmQ=");
    // What the server says of a Secret that it does not take would quote it.
    fleet.env.replace("addons/web/chart/templates/all.yaml", "{password:", "{\"pass word\":");
    fleet.env.commit("A key that cannot be");
    for command in ["diff", "plan", "apply --yes"] {
        let ran = fleet.fitout(&format!("{command} prod-02 -v -v")).exited(5);
        ran.says("Secret/web/web").hides("hunter2");
    }
}
