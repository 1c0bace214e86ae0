//! Switch policies as users write them: how the traffic of a cluster goes to the one that replaces it.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::calendar::{Calendar, Freeze, Window};
use super::gate::{ApprovalGate, Gate, Secret};
use super::model::{Cluster, HumanDuration, PolicyMetadata, Selector};
use crate::base::ids::{AddonName, ClusterName};

/// How the traffic of a cluster goes to the one that replaces it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchPolicy {
    /// Its name.
    pub metadata: PolicyMetadata,
    /// The rest.
    pub spec: SwitchPolicySpec,
}

/// `spec` of a SwitchPolicy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SwitchPolicySpec {
    /// Which clusters.
    pub clusters: Selector,
    /// Which of them are a pair: the one that serves, and the one that is to take its place.
    pub pair: PairSpec,
    /// What makes a cluster ready to take the other's place.
    #[serde(default)]
    pub parity: ParitySpec,
    /// What must hold besides parity before traffic is switched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// How traffic is switched, in either direction.
    pub switch: Hook,
    /// For how long after the switch the new cluster is watched and the old one is left as it is, for what
    /// is still under way there; 30 minutes by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<HumanDuration>,
    /// For how long after that the old cluster is kept, so that one command goes back; 7 days by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<HumanDuration>,
    /// What happens when the new cluster is not well before it is drained, or when the hook fails.
    #[serde(default)]
    pub on_failure: OnSwitchFailure,
    /// For how long it may be unwell; 1 minute by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_after: Option<HumanDuration>,
    /// When traffic may be switched; at any time by default. It goes back at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// When traffic is not switched, whatever the windows say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
}

impl SwitchPolicySpec {
    /// When traffic may be switched.
    pub fn calendar(&self) -> Calendar<'_> {
        Calendar { windows: &self.windows, freezes: &self.freezes }
    }

    /// How long the new cluster is watched.
    pub fn drain(&self) -> Duration {
        self.drain.map_or(Duration::from_mins(30), |drain| drain.0)
    }

    /// How long the old cluster is kept behind that.
    pub fn keep(&self) -> Duration {
        self.keep.map_or(Duration::from_hours(7 * 24), |keep| keep.0)
    }

    /// How long the new cluster may be unwell.
    pub fn fail_after(&self) -> Duration {
        self.fail_after.map_or(Duration::from_mins(1), |duration| duration.0)
    }

    /// The approval that is asked for, if one is.
    pub fn approval(&self) -> Option<&ApprovalGate> {
        self.gates.iter().find_map(|gate| gate.approval.as_ref())
    }
}

/// Which clusters are a pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairSpec {
    /// Labels in which they are equal, and no third cluster is.
    pub by: Vec<String>,
}

/// What makes a cluster ready to take another's place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParitySpec {
    /// Differences that are put up with, besides those that come from names, facts and the version of
    /// Kubernetes.
    #[serde(default)]
    pub allow: Vec<AllowedDifference>,
}

/// A difference that is put up with. What is not given matches everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowedDifference {
    /// Whatever comes from this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Of this addon; without a `kind`, also that it is missing or at another version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon: Option<AddonName>,
    /// In objects of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// In the object of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At or below this JSON pointer; `*` stands for any one step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why.
    pub reason: String,
}

/// What happens when the new cluster is not well, or the hook fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnSwitchFailure {
    /// Traffic goes back at once, where the old cluster is well.
    #[default]
    Back,
    /// It stays until somebody decides.
    Stay,
}

/// How traffic is switched: exactly one of the fields. The texts of a `patch` and of a `job` may have
/// `$(to)` and `$(from)`, the names of the clusters that traffic goes to and comes from, and
/// `$(to.labels.KEY)`, `$(to.facts.KEY)` and the like of `from`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// A service of your own does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookHook>,
    /// A Job does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobHook>,
    /// An object is patched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<PatchHook>,
}

/// A service that switches traffic. It is asked again and again with the same `decision` until it says
/// `pass` or `fail`, and has to do each decision once, and none with a lower number than one it has done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookHook {
    /// Where it is asked, by POST; https, or on this machine.
    pub url: String,
    /// What questions are signed with.
    pub secret: Secret,
}

/// A Job that switches traffic, made once for each decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobHook {
    /// The cluster of the fleet that it is run on; the hub by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// The Job. Its name is given by fitout; its namespace is `fitout` unless it says another.
    pub manifest: serde_json::Map<String, Json>,
}

/// An object whose patch switches traffic: `merge` or `json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PatchHook {
    /// The cluster of the fleet that it is on; the hub by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; none for what is in none.
    #[serde(default)]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// A JSON merge patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<serde_json::Map<String, Json>>,
    /// The operations of a JSON patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Vec<Json>>,
}

/// The clusters that traffic goes to and comes from, as texts of hooks may name them.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// Where it goes.
    pub to: &'a Cluster,
    /// Where it comes from.
    pub from: &'a Cluster,
}

impl Ends<'_> {
    /// The value of a reference such as `to.labels.site`; `None` where it is no reference of ours.
    ///
    /// # Errors
    /// In words, where it is one that leads nowhere.
    fn value(&self, reference: &str) -> Option<Result<String, String>> {
        let (end, rest) = match reference.split_once('.') {
            Some((end, rest)) => (end, Some(rest)),
            None => (reference, None),
        };
        let cluster = match end {
            "to" => self.to,
            "from" => self.from,
            _ => return None,
        };
        let name = &cluster.metadata.name;
        let Some(rest) = rest else { return Some(Ok(name.to_string())) };
        let found = match rest.split_once('.') {
            Some(("labels", key)) => cluster.metadata.labels.get(key).cloned(),
            Some(("facts", key)) => match cluster.spec.facts.get(key) {
                Some(Json::String(text)) => Some(text.clone()),
                Some(Json::Number(number)) => Some(number.to_string()),
                _ => None,
            },
            _ => None,
        };
        Some(found.ok_or_else(|| format!("`$({reference})`: {name} has no such text")))
    }

    /// A value with the references in its texts replaced, once; keys stay as they are, and what is none of
    /// our references stays as well.
    ///
    /// # Errors
    /// In words, for the first reference that leads nowhere.
    pub fn fill(&self, value: &Json) -> Result<Json, String> {
        Ok(match value {
            Json::String(text) => Json::String(self.fill_text(text)?),
            Json::Array(items) => {
                Json::Array(items.iter().map(|item| self.fill(item)).collect::<Result<_, _>>()?)
            }
            Json::Object(fields) => {
                let filled = fields.iter().map(|(key, value)| Ok((key.clone(), self.fill(value)?)));
                Json::Object(filled.collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    fn fill_text(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("$(") {
            filled.push_str(before);
            let known = behind
                .split_once(')')
                .and_then(|(reference, behind)| Some((self.value(reference)?, behind)));
            match known {
                Some((value, behind)) => {
                    filled.push_str(&value?);
                    rest = behind;
                }
                None => {
                    filled.push_str("$(");
                    rest = behind;
                }
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

impl Hook {
    /// Every value whose texts are filled in: of a Job, or of a patch.
    pub fn templates(&self) -> Vec<Json> {
        let job = self.job.iter().map(|job| Json::Object(job.manifest.clone()));
        let merge = self.patch.iter().filter_map(|patch| patch.merge.clone().map(Json::Object));
        let json = self.patch.iter().filter_map(|patch| patch.json.clone().map(Json::Array));
        job.chain(merge).chain(json).collect()
    }
}

/// The labels that make clusters a pair, with a cluster's values of them; none where it lacks one.
pub fn pair_of<'a>(spec: &SwitchPolicySpec, cluster: &'a Cluster) -> Option<Vec<&'a str>> {
    let labels = &cluster.metadata.labels;
    spec.pair.by.iter().map(|label| labels.get(label).map(String::as_str)).collect()
}

/// The pairs of a policy: clusters by the values of its labels. A pair has one cluster or two; of more,
/// nobody knows which replaces which.
pub fn pairs<'a>(
    spec: &SwitchPolicySpec,
    clusters: impl Iterator<Item = &'a Cluster>,
) -> BTreeMap<Vec<&'a str>, Vec<&'a Cluster>> {
    let mut pairs: BTreeMap<Vec<&str>, Vec<&Cluster>> = BTreeMap::new();
    for cluster in clusters.filter(|one| spec.clusters.matches(&one.metadata.labels)) {
        if let Some(values) = pair_of(spec, cluster) {
            pairs.entry(values).or_default().push(cluster);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(name: &str) -> Cluster {
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"site": "meyrin"}},
            "spec": {
                "kubernetesVersion": "1.35", "connection": {},
                "facts": {"domain": format!("{name}.example.org"), "evil": "$(from)"},
            },
        }))
        .expect("a cluster")
    }

    #[test]
    fn references_are_replaced_once_and_others_stay() {
        let (to, from) = (cluster("b"), cluster("a"));
        let ends = Ends { to: &to, from: &from };
        for (text, expected) in [
            ("$(to)", Ok("b")),
            ("x-$(from)-$(to.labels.site).$(to.facts.domain)", Ok("x-a-meyrin.b.example.org")),
            ("$(date) $(HOME) $( $(to", Ok("$(date) $(HOME) $( $(to")),
            // What was filled in is not read again.
            ("$(to.facts.evil)", Ok("$(from)")),
            ("$(to.labels.zone)", Err("`$(to.labels.zone)`: b has no such text")),
            ("$(to.name)", Err("`$(to.name)`: b has no such text")),
        ] {
            let filled = ends.fill(&json!({"$(to)": [text]}));
            let expected = expected.map(|text| json!({"$(to)": [text]}));
            assert_eq!(filled, expected.map_err(str::to_owned), "{text}");
        }
    }
}
