//! Images whose content can change under the same name.

use serde_json::Value as Json;

use super::Object;
use crate::base::diagnostic::Diagnostic;

/// How deep containers are looked for; in a CronJob they are at the fifth level.
const DEPTH_MAX: usize = 8;

/// Images of an object's containers without a tag or digest, or with the tag `latest`.
pub(super) fn check(object: &Object<'_>) -> Vec<Diagnostic> {
    let mut images = Vec::new();
    if object.key.kind != "CustomResourceDefinition" {
        collect(&object.manifest.object, DEPTH_MAX, &mut images);
    }
    images.sort_unstable();
    images.dedup();
    images
        .into_iter()
        .filter(|image| is_floating(image))
        .map(|image| {
            let message = format!("`{}` runs `{image}`, whatever that is by then", object.key);
            Diagnostic::warning("floating-image", message).help("give it a version, or a digest")
        })
        .collect()
}

fn collect<'a>(value: &'a Json, depth: usize, images: &mut Vec<&'a str>) {
    let (Json::Object(fields), Some(depth)) = (value, depth.checked_sub(1)) else { return };
    for (name, field) in fields {
        match (name.as_str(), field) {
            ("containers" | "initContainers", Json::Array(containers)) => {
                images.extend(containers.iter().filter_map(|one| one.get("image")?.as_str()));
            }
            _ => collect(field, depth, images),
        }
    }
}

fn is_floating(image: &str) -> bool {
    if image.is_empty() || image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_or_digest_pins() {
        for image in ["a", "a:latest", "r.example:5000/a", "r.example/b/a:latest"] {
            assert!(is_floating(image), "{image}");
        }
        for image in ["a:1", "r.example:5000/a:1", "a@sha256:00", "a:latest@sha256:00", ""] {
            assert!(!is_floating(image), "{image}");
        }
    }
}
