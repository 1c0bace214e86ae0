//! Laws of a simulated API server, whatever it is asked.

use http::Method;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::api::{self, Answer};
use super::request::{Query, Request};
use super::respond::Body;
use super::state;
use super::store::Store;
use super::watch::Watch;
use crate::base::clock::Timestamp;

fn store() -> Store {
    let mut store = Store::new("test", 2, "2026-01-05T10:00:00Z".parse().expect("it is a time"));
    store.begin();
    store
}

fn request(method: &str, target: &str, content_type: &str, body: &Json) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Request {
        method: Method::from_bytes(method.as_bytes()).expect("it is a method"),
        path: path.to_owned(),
        query: Query::parse(query),
        accept: "application/json".to_owned(),
        content_type: content_type.to_owned(),
        agent: "test".to_owned(),
        body: body.to_string().into(),
    }
}

/// The code and the body of an answer; a watch tells its first events.
fn ask(store: &mut Store, request: &Request) -> (u16, Json) {
    match api::answer(store, request).unwrap_or_else(|error| Answer::Reply(error.into())) {
        Answer::Reply(reply) => match reply.body {
            Body::Json(json) | Body::Typed(_, json) => (reply.code, json),
            Body::Text(text) => (reply.code, Json::from(text)),
            Body::Empty(_) => (reply.code, Json::Null),
        },
        Answer::Watch(mut watch) => (200, first_events(&mut watch, store)),
    }
}

fn first_events(watch: &mut Watch, store: &Store) -> Json {
    Json::from(watch.poll(store).unwrap_or_default())
}

fn apply(store: &mut Store, manager: &str, body: &Json, more: &str) -> (u16, Json) {
    let name = body["metadata"]["name"].as_str().expect("it has a name");
    let target =
        format!("/api/v1/namespaces/default/configmaps/{name}?fieldManager={manager}{more}");
    ask(store, &request("PATCH", &target, "application/apply-patch+yaml", body))
}

#[test]
fn a_list_of_an_earlier_version_has_what_was_there() {
    let mut store = store();
    let data = |x: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"x": x}});
    let (_, first) = apply(&mut store, "one", &data("1"), "");
    apply(&mut store, "one", &data("2"), "");
    let gone = "/api/v1/namespaces/default/configmaps/c";
    assert_eq!(ask(&mut store, &request("DELETE", gone, "", &json!({}))).0, 200);
    let version = first["metadata"]["resourceVersion"].as_str().expect("it has a version");
    let mut listed = |query: &str| {
        let target =
            format!("/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name=c{query}");
        ask(&mut store, &request("GET", &target, "", &json!({})))
    };
    assert_eq!(listed("").1["items"], json!([]));
    let (_, then) = listed(&format!("&resourceVersion={version}&resourceVersionMatch=Exact"));
    assert_eq!(then["items"][0]["data"]["x"], "1");
    assert_eq!(listed("&resourceVersion=999999").0, 504);
}

/// A ConfigMap with some of the same few fields.
fn config_map() -> impl Strategy<Value = Json> {
    let values = || prop::collection::btree_map("[a-d]", "[12]", 0..4);
    (values(), values()).prop_map(|(data, labels)| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
               "metadata": {"name": "c", "labels": labels}, "data": data})
    })
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "[a-z0-9./%]{0,6}".prop_map(Json::from),
    ];
    let name = prop::sample::select(vec![
        "apiVersion",
        "kind",
        "metadata",
        "name",
        "namespace",
        "spec",
        "status",
        "data",
        "labels",
        "selector",
        "matchLabels",
        "template",
        "containers",
        "replicas",
        "ports",
        "finalizers",
        "ownerReferences",
        "managedFields",
        "annotations",
        "generateName",
        "resourceVersion",
        "uid",
        "names",
        "versions",
        "schema",
        "group",
        "op",
        "path",
        "value",
        "strategy",
        "$patch",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

/// Objects that fit in one place and not in others.
fn body() -> impl Strategy<Value = Json> {
    let kinds = prop::sample::select(vec![
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("v1", "Service"),
        ("v1", "Pod"),
        ("v1", "Node"),
        ("v1", "Namespace"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("batch/v1", "Job"),
        ("batch/v1", "CronJob"),
        ("autoscaling/v1", "Scale"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ]);
    let object = (kinds, json_value(), json_value(), json_value()).prop_map(
        |((version, kind), metadata, spec, data)| {
            let mut metadata = metadata;
            if let Some(fields) = metadata.as_object_mut() {
                fields.entry("name").or_insert(json!("a"));
            }
            json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec,
                   "data": data, "status": data})
        },
    );
    prop_oneof![3 => object, 1 => json_value()]
}

fn any_request() -> impl Strategy<Value = Request> {
    let method = prop::sample::select(vec!["GET", "POST", "PUT", "PATCH", "PATCH", "DELETE"]);
    let plural = prop::sample::select(vec![
        "api/v1/%configmaps",
        "api/v1/%secrets",
        "api/v1/%services",
        "api/v1/%pods",
        "api/v1/nodes",
        "api/v1/namespaces",
        "api/v1/%serviceaccounts",
        "apis/apps/v1/%deployments",
        "apis/apps/v1/%statefulsets",
        "apis/apps/v1/%daemonsets",
        "apis/batch/v1/%jobs",
        "apis/batch/v1/%cronjobs",
        "apis/autoscaling/v2/%horizontalpodautoscalers",
        "apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "openapi/v3",
        "openapi/v2",
        "apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "apis",
        "api/v1",
        "version",
        "x",
    ]);
    let rest = prop::sample::select(vec![
        "",
        "/a",
        "/a",
        "/a",
        "/a/status",
        "/a/scale",
        "/a/log",
        "/a/token",
        "/default/token",
        "/a/finalize",
        "/a/eviction",
        "/default",
        "/node-01",
        "/a/b/c",
        "/%2e%2e",
        "/%ff",
    ]);
    let query = prop::sample::select(vec![
        "",
        "fieldManager=m",
        "fieldManager=m&force=true",
        "watch=1",
        "limit=1",
        "watch=1&resourceVersion=3",
        "labelSelector=a%20in%20(b",
        "fieldSelector=metadata.name=a",
        "fieldSelector=x=%",
        "continue=x",
        "dryRun=All",
        "propagationPolicy=Foreground",
        "fieldValidation=Strict&fieldManager=m",
        "gracePeriodSeconds=-9223372036854775808",
    ]);
    let content_type = prop::sample::select(vec![
        "application/json",
        "application/yaml",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/json-patch+json",
        "application/apply-patch+yaml",
        "application/vnd.kubernetes.protobuf",
        "text/plain",
        "",
    ]);
    let accept = prop::sample::select(vec![
        "application/json",
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    ]);
    (method, plural, rest, (query, content_type, accept), body()).prop_map(
        |(method, plural, rest, (query, content_type, accept), body)| {
            let plural = plural.replace('%', "namespaces/default/");
            let target = format!("/{plural}{rest}?{query}");
            Request { accept: accept.to_owned(), ..request(method, &target, content_type, &body) }
        },
    )
}

/// What `data` and `labels` of an object hold, as paths.
fn leaves(object: &Json) -> Vec<String> {
    let keys = |parent: &Json, path: &str| -> Vec<String> {
        let fields = parent.as_object().into_iter().flatten();
        fields.map(|(name, _)| format!("{path}.{name}")).collect()
    };
    let labels = keys(&object["metadata"]["labels"], ".metadata.labels");
    [keys(&object["data"], ".data"), labels].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_request_makes_it_panic_and_a_refused_or_read_only_one_changes_nothing(
        requests in prop::collection::vec(any_request(), 1..12)
    ) {
        let mut store = store();
        for request in requests {
            let before = store.version();
            let (code, _) = ask(&mut store, &request);
            prop_assert!((200..600).contains(&code));
            let is_dry_run = request.query.get("dryRun") == "All";
            if code >= 400 || request.method == Method::GET || is_dry_run {
                prop_assert_eq!(store.version(), before, "{:?}", request);
            }
            let now: Timestamp = store.now;
            store.advance(now.saturating_add(jiff::SignedDuration::from_secs(7)).unwrap_or(now));
        }
    }

    #[test]
    fn applying_twice_is_applying_once(first in config_map(), second in config_map()) {
        let mut store = store();
        apply(&mut store, "one", &first, "");
        let (_, once) = apply(&mut store, "two", &second, "&force=true");
        let version = store.version();
        store.now = store.now.saturating_add(jiff::SignedDuration::from_hours(1)).expect("it fits");
        let (code, twice) = apply(&mut store, "two", &second, "");
        prop_assert_eq!(code, 200);
        prop_assert_eq!(twice, once);
        prop_assert_eq!(store.version(), version);
    }

    #[test]
    fn a_dry_run_answers_as_the_request_itself_and_keeps_nothing(
        first in config_map(), second in config_map()
    ) {
        let mut store = store();
        apply(&mut store, "one", &first, "");
        let version = store.version();
        let (dry_code, mut dry) = apply(&mut store, "two", &second, "&dryRun=All");
        prop_assert_eq!(store.version(), version);
        let (code, mut real) = apply(&mut store, "two", &second, "");
        prop_assert_eq!(dry_code, code);
        for answer in [&mut dry, &mut real] {
            if let Some(metadata) = answer.get_mut("metadata").and_then(Json::as_object_mut) {
                metadata.remove("resourceVersion");
            }
        }
        prop_assert_eq!(dry, real);
    }

    #[test]
    fn every_field_has_an_owner_and_a_forced_apply_gets_what_it_asks_for(
        applied in prop::collection::vec((config_map(), 0..3_usize, any::<bool>()), 1..6)
    ) {
        let mut store = store();
        for (config, by, is_update) in applied {
            let (path, is_there) = ("/api/v1/namespaces/default/configmaps/c", store.version());
            let object = if is_update {
                let request = request("PATCH", path, "application/merge-patch+json", &config);
                ask(&mut store, &request)
            } else {
                let (code, object) =
                    apply(&mut store, ["one", "two", "three"][by], &config, "&force=true");
                prop_assert!(code < 300, "{}", object);
                for field in ["data", "metadata"] {
                    let (asked, got) = if field == "data" {
                        (&config["data"], &object["data"])
                    } else {
                        (&config["metadata"]["labels"], &object["metadata"]["labels"])
                    };
                    for (name, value) in asked.as_object().expect("it is a map") {
                        prop_assert_eq!(&got[name], value, "{} {}", field, is_there);
                    }
                }
                (code, object)
            };
            if object.0 >= 300 {
                continue;
            }
            let key = crate::object::access::key_of(&object.1);
            let owned: Vec<String> = store
                .managers(&key).0.iter().flat_map(|manager| manager.fields.paths()).collect();
            for leaf in leaves(&object.1) {
                prop_assert!(owned.contains(&leaf), "{} is not in {:?}", leaf, owned);
            }
        }
    }

    #[test]
    fn a_kept_state_is_opened_as_it_was(requests in prop::collection::vec(any_request(), 0..8)) {
        let mut store = store();
        for request in requests {
            ask(&mut store, &request);
            let now = store.now;
            store.advance(now.saturating_add(jiff::SignedDuration::from_secs(3)).unwrap_or(now));
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("test.json");
        state::save(&store, &path).expect("the folder is ours");
        let mut opened = state::open(&path).expect("it was just kept").expect("it is there");
        prop_assert_eq!(opened.objects(), store.objects());
        prop_assert_eq!(opened.version(), store.version());
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap",
                          "metadata": {"generateName": "next-"}});
        let next = request("POST", "/api/v1/namespaces/default/configmaps", "application/json", &body);
        prop_assert_eq!(ask(&mut opened, &next), ask(&mut store, &next));
        let now = store.now.saturating_add(jiff::SignedDuration::from_hours(1)).expect("it fits");
        opened.advance(now);
        store.advance(now);
        prop_assert_eq!(opened.objects(), store.objects());
    }
}
