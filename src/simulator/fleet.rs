//! The fleet of a history, as its git repository has it: a model that writes the files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::scenario::Edit;

/// What no event, error or page may ever show.
pub(super) const SECRET: &str = "correct-horse-battery-staple";

/// The files of a commit, by path.
pub(super) type Files = BTreeMap<String, Arc<[u8]>>;

/// A fleet's documents.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetModel {
    /// By name: the value of each cluster's `ring` label.
    pub clusters: BTreeMap<String, String>,
    /// By name.
    pub addons: BTreeMap<String, AddonModel>,
    /// By name: `spec` of each approval.
    pub approvals: BTreeMap<String, Json>,
    /// `spec` of the one policy.
    pub policy: Json,
    /// Whether a freeze is in force.
    pub is_frozen: bool,
    /// An addon whose document cannot be read.
    pub mistake: Option<String>,
}

/// One addon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddonModel {
    /// The tag of its image, which says what becomes of it.
    pub tag: String,
    /// How many ConfigMaps it has.
    pub objects: u32,
    /// On which addon it depends.
    pub depends_on: Option<String>,
    /// Clusters where it is turned off.
    pub off: BTreeSet<String>,
}

impl FleetModel {
    /// The fleet after an edit. One that is about what is not there changes nothing.
    pub fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Version { addon, tag, objects } => {
                if let Some(addon) = self.addons.get_mut(addon) {
                    addon.tag.clone_from(tag);
                    addon.objects = *objects;
                }
            }
            Edit::Versions { tag, objects } => {
                for addon in self.addons.values_mut() {
                    addon.tag.clone_from(tag);
                    addon.objects = *objects;
                }
            }
            Edit::Cluster { name, ring } => {
                self.clusters.insert(name.clone(), ring.clone());
            }
            Edit::Leave { name } if self.clusters.len() > 1 => {
                self.clusters.remove(name);
            }
            Edit::Leave { .. } => {}
            Edit::Switch { addon, cluster } => {
                if let Some(addon) = self.addons.get_mut(addon)
                    && !addon.off.remove(cluster)
                {
                    addon.off.insert(cluster.clone());
                }
            }
            Edit::Drop { addon } => self.drop_with_dependants(addon),
            Edit::Freeze { is_on } => self.is_frozen = *is_on,
            Edit::Mistake { addon } => self.mistake.clone_from(addon),
        }
    }

    fn drop_with_dependants(&mut self, addon: &str) {
        self.addons.remove(addon);
        let depends =
            |(_, other): &(&String, &AddonModel)| other.depends_on.as_deref() == Some(addon);
        let dependants: Vec<String> =
            self.addons.iter().filter(depends).map(|(name, _)| name.clone()).collect();
        for name in dependants {
            self.drop_with_dependants(&name);
        }
    }

    /// Takes back what keeps it from ever coming to rest.
    pub fn mend(&mut self, tag: &str) {
        self.is_frozen = false;
        self.mistake = None;
        self.policy["limits"] = json!({"deletedObjects": 50});
        let needed: BTreeSet<String> =
            self.addons.values().filter_map(|addon| addon.depends_on.clone()).collect();
        for (_, addon) in self.addons.iter_mut().filter(|(name, _)| needed.contains(*name)) {
            addon.off.clear();
        }
        let is_bad = |tag: &str| ["broken", "crash", "fades"].iter().any(|bad| tag.contains(bad));
        for addon in self.addons.values_mut().filter(|addon| is_bad(&addon.tag)) {
            tag.clone_into(&mut addon.tag);
        }
    }

    /// Whether an addon is wanted on a cluster.
    pub(super) fn wants(&self, cluster: &str, addon: &str) -> bool {
        let addon = self.addons.get(addon).filter(|addon| !addon.off.contains(cluster));
        addon.is_some() && self.clusters.contains_key(cluster)
    }

    /// The files.
    pub(super) fn files(&self) -> Files {
        let mut files = Files::new();
        let mut add = |path: String, text: String| {
            files.insert(path, Arc::from(text.into_bytes()));
        };
        for (name, ring) in &self.clusters {
            add(format!("clusters/{name}.yaml"), self.cluster(name, ring).to_string());
        }
        for (name, addon) in &self.addons {
            let mut document = addon.document(name).to_string();
            if self.mistake.as_ref() == Some(name) {
                document = document.replace("releaseName", "releasName");
            }
            add(format!("addons/{name}/addon.yaml"), document);
            add(format!("addons/{name}/chart/Chart.yaml"), addon.chart(name).to_string());
            add(format!("addons/{name}/chart/templates/all.yaml"), TEMPLATE.to_owned());
        }
        for (name, spec) in &self.approvals {
            let document = document("Approval", name, &Json::Null, spec);
            add(format!("approvals/{name}.yaml"), document.to_string());
        }
        let mut policy = self.policy.clone();
        if self.is_frozen {
            policy["freezes"] =
                json!([{"from": "2020-01-01", "to": "2040-01-01", "reason": "stock-taking"}]);
        }
        let policy = document("RolloutPolicy", "standard", &json!({}), &policy);
        add("policies/standard.yaml".to_owned(), policy.to_string());
        files
    }

    fn cluster(&self, name: &str, ring: &str) -> Json {
        let off = self.addons.iter().filter(|(_, addon)| addon.off.contains(name));
        let off: Vec<Json> =
            off.map(|(addon, _)| json!({"name": addon, "enabled": false})).collect();
        let spec = json!({
            "kubernetesVersion": "1.35",
            "connection": {"simulated": {"nodes": 1}},
            "addons": off,
        });
        document("Cluster", name, &json!({"ring": ring}), &spec)
    }
}

impl AddonModel {
    fn document(&self, name: &str) -> Json {
        let depends_on = self.depends_on.iter().map(|on| json!({"addon": on}));
        let spec = json!({
            "chart": {"path": "chart"},
            "namespace": format!("ns-{name}"),
            "releaseName": name,
            "placement": {},
            "values": [{"inline": {"tag": self.tag, "objects": self.objects, "secret": SECRET}}],
            "dependsOn": depends_on.collect::<Vec<Json>>(),
            "rollout": {"policy": "standard"},
        });
        document("Addon", name, &Json::Null, &spec)
    }

    fn chart(&self, name: &str) -> Json {
        let version = format!("1.0.0-{}.{}", self.tag, self.objects);
        json!({"apiVersion": "v2", "name": name, "version": version})
    }
}

fn document(kind: &str, name: &str, labels: &Json, spec: &Json) -> Json {
    let mut metadata = json!({"name": name});
    if labels.as_object().is_some_and(|labels| !labels.is_empty()) {
        metadata["labels"] = labels.clone();
    }
    json!({"apiVersion": "fitout.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

/// A workload, a Secret, and as many ConfigMaps as the values say.
const TEMPLATE: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: 1
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      containers:
        - name: main
          image: "registry.example.org/{{ .Release.Name }}:{{ .Values.tag }}"
---
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}}
stringData: {password: {{ .Values.secret }}}
{{- range $at := until (int .Values.objects) }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ $.Release.Name }}-{{ $at }}"}
data: {tag: "{{ $.Values.tag }}"}
{{- end }}
"#;
