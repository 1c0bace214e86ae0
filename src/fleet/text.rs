//! Templates in the fleet's own files: names and contents of values layers, over `.Cluster`.

use serde_json::{Value as Json, json};

use super::model::Cluster;

/// Whether a text has to be rendered at all.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// What templates see of a cluster.
pub(super) fn view(cluster: &Cluster) -> Json {
    json!({
        "name": cluster.metadata.name,
        "labels": cluster.metadata.labels,
        "facts": cluster.spec.facts,
        "kubernetesVersion": cluster.spec.kubernetes_version,
    })
}

/// Renders a text over a cluster's view.
///
/// # Errors
/// Says what in the template is wrong, or what the cluster lacks.
pub(super) fn render(text: &str, cluster: &Json) -> Result<String, String> {
    let mut rendered = String::new();
    let mut rest = text;
    while let Some((before, action)) = rest.split_once("{{") {
        rendered.push_str(before);
        let (action, after) = action.split_once("}}").ok_or("an action `{{` is not closed")?;
        let path = action.trim_matches('-').trim();
        let path = path
            .strip_prefix(".Cluster.")
            .ok_or_else(|| format!("`{path}` is not a field of `.Cluster`"))?;
        let found = path.split('.').try_fold(cluster, |at, key| at.get(key));
        match found {
            Some(Json::String(text)) => rendered.push_str(text),
            Some(Json::Null) | None => {
                return Err(format!("the cluster has no `.Cluster.{path}`"));
            }
            Some(other) => rendered.push_str(&other.to_string()),
        }
        rest = after;
    }
    rendered.push_str(rest);
    Ok(rendered)
}
