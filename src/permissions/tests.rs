//! Needs of charts of a few objects, as rules.

use insta::assert_snapshot;

use super::*;
use crate::object::manifest;

/// A chart's documents; hooks are what has the annotation, with all the events.
struct Chart {
    addon: AddonName,
    namespace: &'static str,
    crds: Vec<Manifest>,
    manifests: Vec<Manifest>,
    hooks: Vec<Hook>,
    upgrade: UpgradeSpec,
}

impl Chart {
    fn new(addon: &str, namespace: &'static str, text: &str) -> Self {
        Self {
            addon: addon.into(),
            namespace,
            crds: Vec::new(),
            manifests: manifest::parse(text, namespace).unwrap(),
            hooks: Vec::new(),
            upgrade: UpgradeSpec::default(),
        }
    }

    fn hook(mut self, event: &str, text: &str) -> Self {
        for manifest in manifest::parse(text, self.namespace).unwrap() {
            self.hooks.push(Hook {
                manifest,
                events: vec![event.to_owned()],
                weight: 0,
                delete_policies: Vec::new(),
                output_log_policies: Vec::new(),
            });
        }
        self
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            addon: &self.addon,
            namespace: self.namespace,
            crds: &self.crds,
            manifests: &self.manifests,
            hooks: &self.hooks,
            upgrade: &self.upgrade,
            is_random: false,
        }
    }
}

fn needs_of(charts: &[Chart]) -> Vec<Need> {
    let wanted: Vec<_> = charts.iter().map(Chart::wanted).collect();
    needs(&wanted, &Catalog::of(&wanted))
}

/// What is required, as `SCOPE: VERBS TARGET`, without the release records that everybody has.
fn required(charts: &[Chart]) -> String {
    let needs = needs_of(charts);
    let is_meant = |need: &&Need| {
        let purposes: Vec<_> = need.purposes.keys().collect();
        need.is_required() && purposes != [&Purpose::Records] && !need.is_for_absent_namespace()
    };
    let needs: Vec<_> = needs.iter().filter(is_meant).collect();
    Policy::of(needs.iter().map(|need| &need.permission)).yaml("x", None, &BTreeSet::new())
}

fn permission(
    scope: &Scope,
    (group, resource, name): (&str, &str, &str),
    verb: &str,
) -> Permission {
    Permission {
        scope: scope.clone(),
        target: Target::resource(group, resource, name),
        verb: verb.to_owned(),
    }
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: web}
";

#[test]
fn records_and_objects_are_needed_in_their_namespace() {
    let needs = needs_of(&[Chart::new("web", "apps", WEB)]);
    let told: Vec<String> = needs
        .iter()
        .map(|need| {
            let Target::Resource { group, resource, name } = &need.permission.target else {
                panic!("{need:?}")
            };
            let verb = &need.permission.verb;
            let purposes: Vec<_> = need.purposes.keys().map(ToString::to_string).collect();
            let mark = if need.is_required() { "" } else { " (useful)" };
            let scope = &need.permission.scope;
            format!("{verb} {resource}.{group} `{name}` {scope}: {}{mark}", purposes.join(", "))
        })
        .collect();
    assert_snapshot!(told.join("\n"));
}

#[test]
fn two_addons_of_one_namespace_share_a_rule() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let charts = [Chart::new("a", "apps", config), Chart::new("b", "apps", config)];
    let needs = needs_of(&charts);
    let all = Policy::of(needs.iter().map(|need| &need.permission));
    let apps = &all.scopes[&Scope::Namespace("apps".to_owned())];
    assert_eq!(apps.len(), 1, "{apps:?}");
    assert_eq!(apps[0].resources, ["configmaps", "secrets"]);
    let both = needs.iter().find_map(|need| need.purposes.get(&Purpose::Objects)).unwrap();
    assert_eq!(both.len(), 2);
}

#[test]
fn a_hook_is_created_without_its_name_and_a_test_is_never_run() {
    let role = "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: p}\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: t}\n";
    let chart = Chart::new("web", "apps", "").hook("pre-install", role).hook("test", pod);
    assert_snapshot!(required(&[chart]), @r#"
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRole
    metadata:
      name: x
    rules:
    - apiGroups: [scheduling.k8s.io]
      resources: [priorityclasses]
      verbs: [create]
    - apiGroups: [scheduling.k8s.io]
      resources: [priorityclasses]
      resourceNames: [p]
      verbs: [get, patch, delete]
    "#);
}

const ROLES: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: web}
rules:
- {apiGroups: [''], resources: [pods, nodes/metrics], verbs: [list, watch]}
- {nonResourceURLs: [/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: all}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web}
roleRef: {kind: ClusterRole, name: web}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: auth, namespace: kube-system}
roleRef: {kind: Role, name: extension-apiserver-authentication-reader}
";

#[test]
fn a_role_of_a_chart_needs_its_rules_and_a_binding_to_anothers_role_needs_bind() {
    assert_snapshot!(required(&[Chart::new("web", "apps", ROLES)]));
}

#[test]
fn who_may_escalate_and_bind_need_not_have_what_a_role_grants() {
    let needs = needs_of(&[Chart::new("web", "apps", ROLES)]);
    let watch = permission(&Scope::Cluster, ("", "pods", ""), "watch");
    let need = needs.iter().find(|need| need.permission == watch).unwrap();
    let role = (RBAC_GROUP, "clusterroles", "web");
    let instead = ["bind", "escalate"].map(|verb| permission(&Scope::Cluster, role, verb));
    assert_eq!(need.instead, instead.into());
}

#[test]
fn a_namespace_of_the_charts_gets_no_role_since_it_is_not_there() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: tools}\n---\n\
                apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: tools}\n";
    let told = required(&[Chart::new("web", "apps", text)]);
    assert!(!told.contains("kind: Role\n") && told.contains("resources: [configmaps]"), "{told}");
    assert!(told.contains("resourceNames: [tools]"), "{told}");
}

#[test]
fn custom_resources_are_placed_by_their_crd() {
    let crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
               metadata: {name: mice.example.org}\nspec:\n  group: example.org\n  scope: Cluster\n  \
               names: {kind: Mouse, plural: mice}\n  versions: [{name: v1, served: true}]\n";
    let mouse = "apiVersion: example.org/v1\nkind: Mouse\nmetadata: {name: jerry}\n";
    let brings =
        Chart { crds: manifest::parse(crd, "apps").unwrap(), ..Chart::new("crds", "apps", "") };
    let charts = [Chart::new("web", "apps", mouse), brings];
    let told = required(&charts);
    assert!(told.contains("resources: [mice]\n  resourceNames: [jerry]"), "{told}");
    assert!(told.contains("resourceNames: [mice.example.org]\n  verbs: [get, create, patch]\n"));
    let wanted: Vec<_> = charts.iter().map(Chart::wanted).collect();
    let catalog = Catalog::of(&wanted);
    assert!(
        catalog.brings("example.org/v1", "Mouse") && !catalog.brings("example.org/v2", "Mouse")
    );
    assert_eq!(catalog.guessed(&wanted), BTreeSet::new());
    assert_eq!(Catalog::default().guessed(&wanted), ["Mouse.example.org".to_owned()].into());
}

#[test]
fn what_stays_on_the_cluster_is_never_deleted() {
    let text = "apiVersion: v1\nkind: PersistentVolume\nmetadata:\n  name: a\n  \
                annotations: {helm.sh/resource-policy: keep}\n";
    let mut chart = Chart::new("web", "apps", text);
    assert!(!required(std::slice::from_ref(&chart)).contains("delete"));
    chart.upgrade.on_immutable = ImmutablePolicy::Recreate;
    assert!(required(&[chart]).contains("delete"));
}

#[test]
fn a_permission_covers_what_rbac_says_it_does() {
    let apps = Scope::Namespace("apps".to_owned());
    let any = permission(&Scope::Cluster, ("*", "*", ""), "*");
    let named = permission(&apps, ("", "secrets", "a"), "get");
    let unnamed = permission(&apps, ("", "secrets", ""), "get");
    let whole = permission(&Scope::Cluster, ("", "secrets", ""), "get");
    assert!(any.covers(&named) && unnamed.covers(&named) && whole.covers(&unnamed));
    assert!(!named.covers(&unnamed) && !unnamed.covers(&whole) && !whole.covers(&any));
    let url = |url: &str| Permission {
        scope: Scope::Cluster,
        target: Target::Url(url.to_owned()),
        verb: "get".to_owned(),
    };
    assert!(url("/logs/*").covers(&url("/logs/a")) && !url("/logs/a").covers(&url("/logs/*")));
    assert!(!any.covers(&url("/logs/a")));
}

#[test]
fn a_binding_is_written_for_each_kind_of_subject() {
    let apps = Scope::Namespace("apps".to_owned());
    let one = permission(&apps, ("", "secrets", ""), "get");
    let policy = Policy::of([&one]);
    let subjects = ["User:system:ada", "Group:yes", "ServiceAccount:fitout/controller"];
    let told = subjects.map(|subject| {
        let subject = subject.parse().unwrap();
        policy.yaml("fitout", Some(&subject), &["apps".to_owned()].into())
    });
    assert_snapshot!(told.join("\n"));
    assert!(Policy::of([]).is_empty());
}
