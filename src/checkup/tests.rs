//! Findings about what was seen.

use insta::assert_snapshot;

use super::*;
use crate::fleet::model::SecretKeyRef;

fn expected() -> Expected {
    Expected {
        cluster: "prod-01".into(),
        version: "1.35".to_owned(),
        ranges: [("web".into(), ">=1.27 <1.37".to_owned())].into(),
        addons: ["web".into()].into(),
    }
}

fn seen() -> Seen {
    Seen {
        millis: 3,
        version: Some(Ok("v1.35.4+k3s1".to_owned())),
        user: Some("ada".to_owned()),
        has_accepted: true,
        skew_seconds: Some(-1),
        ..Seen::default()
    }
}

fn need(scope: Scope, target: (&str, &str, &str), verb: &str, purpose: Purpose) -> Need {
    let (group, resource, name) = target;
    let target = Target::Resource {
        group: group.to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
    };
    Need {
        permission: Permission { scope, target, verb: verb.to_owned() },
        purposes: [(purpose, ["web".into()].into())].into(),
        instead: BTreeSet::new(),
    }
}

fn messages(seen: &Seen) -> Vec<String> {
    let findings = judge(&expected(), seen).findings;
    findings.into_iter().map(|finding| finding.message).collect()
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let checkup = judge(&expected(), &seen());
    assert!(checkup.is_reachable && !checkup.has_errors());
    assert_eq!((checkup.findings, checkup.rbac), (Vec::new(), String::new()));
}

#[test]
fn the_version_is_compared_with_the_document_and_with_what_addons_work_on() {
    let of = |version: &str| messages(&Seen { version: Some(Ok(version.to_owned())), ..seen() });
    assert_eq!(of("v1.36.0"), ["runs Kubernetes v1.36.0, and its document says 1.35"]);
    assert_eq!(of("v1.37.1").len(), 2, "{:?}", of("v1.37.1"));
    assert_eq!(of("v1.37.1")[1], "runs Kubernetes v1.37.1, and `web` works on >=1.27 <1.37");
    assert_eq!(of("unheard of"), Vec::<String>::new());
}

#[test]
fn a_clock_that_is_off_is_a_warning() {
    let of = |skew| messages(&Seen { skew_seconds: Some(skew), ..seen() });
    assert_eq!(of(12), ["its clock is 12 s ahead of the one here"]);
    assert_eq!(of(-90), ["its clock is 90 s behind the one here"]);
    assert_eq!(of(9), Vec::<String>::new());
    let checkup = judge(&expected(), &Seen { skew_seconds: Some(12), ..seen() });
    assert!(!checkup.has_errors());
}

#[test]
fn a_slow_answer_is_no_wrong_clock() {
    let skew = |date: &str| {
        let at = |text: &str| format!("2026-01-05T{text}Z").parse().unwrap();
        skew_seconds(at(date), at("10:00:00.9"), at("10:00:07.1"))
    };
    for date in ["10:00:00", "10:00:03", "10:00:07"] {
        assert_eq!(skew(date), 0, "{date}");
    }
    assert_eq!((skew("10:00:19"), skew("09:59:30")), (12, -30));
}

#[test]
fn credentials_that_are_not_accepted_are_the_only_finding() {
    let refused = Seen { has_accepted: false, version: None, ..seen() };
    assert_eq!(messages(&refused), ["the API server does not accept the credentials"]);
}

#[test]
fn what_is_refused_is_one_finding_for_each_resource_and_what_gives_it_is_printed() {
    let apps = || Scope::Namespace("apps".to_owned());
    let deployments = ("apps", "deployments", "");
    let denied = vec![
        need(apps(), deployments, "patch", Purpose::Objects),
        need(apps(), deployments, "create", Purpose::Objects),
        need(apps(), ("", "pods", ""), "list", Purpose::Pods),
        need(Scope::Cluster, ("", "secrets", ""), "list", Purpose::EveryRecord),
        need(
            Scope::Cluster,
            ("rbac.authorization.k8s.io", "clusterroles", "web"),
            "get",
            Purpose::Objects,
        ),
        need(Scope::Cluster, ("", "namespaces", ""), "create", Purpose::MakeNamespace),
    ];
    let checkup =
        judge(&expected(), &Seen { denied, absent: ["apps".to_owned()].into(), ..seen() });
    let told: Vec<String> = checkup
        .findings
        .iter()
        .map(|Finding { severity, message, why, help, .. }| {
            format!("{severity:?}: {message}\n  for {why}\n  help: {help}")
        })
        .collect();
    assert_snapshot!(format!("{}\n{}", told.join("\n"), checkup.rbac));
}

#[test]
fn a_role_of_what_lacks_has_another_name_for_other_rules() {
    let of = |verb: &str| {
        let scope = Scope::Namespace("apps".to_owned());
        let denied = vec![need(scope, ("", "secrets", ""), verb, Purpose::Records)];
        let rbac = judge(&expected(), &Seen { denied, ..seen() }).rbac;
        let name = rbac.lines().find(|line| line.contains("name: fitout-missing-"));
        name.map(str::to_owned).unwrap()
    };
    assert_eq!(of("get"), of("get"));
    assert_ne!(of("get"), of("list"));
}

#[test]
fn a_kind_that_is_not_served_and_what_cannot_be_asked_are_told() {
    let kind = ("x.org/v1".to_owned(), "Thing".to_owned());
    let unserved = [(kind, ["web".into()].into())].into();
    let unknown = [(Check::Permissions, "permission is refused".to_owned())].into();
    assert_eq!(
        messages(&Seen { unserved, unknown, ..seen() }),
        ["no kind `Thing` of `x.org/v1` is served", "cannot be found out: permission is refused"]
    );
}

#[test]
fn a_secret_of_the_hub_that_may_not_be_read_is_told_with_what_gives_it() {
    let (namespace, name) = ("fleet".to_owned(), "prod-01-kubeconfig".to_owned());
    let secret = SecretKeyRef { namespace, name, key: None };
    let checkup = Checkup::behind_secret(&expected(), &secret, Some("ada"));
    assert!(!checkup.is_reachable && checkup.has_errors());
    assert_snapshot!(checkup.rbac);
}
