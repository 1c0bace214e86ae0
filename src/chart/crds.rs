//! The files of `crds/` folders. They are long and no templates: a chart's are read once for all renders
//! of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::error::RenderError;
use super::manifest;
use super::model::Manifest;
use super::print::push_document;
use super::scope::Scope;
use crate::base::ids::Digest;
use crate::template::binary::lossy;

/// The CRDs of a chart and of its subcharts that are switched on.
#[derive(Debug, Default)]
pub struct Crds {
    /// The objects, in Helm's order.
    pub manifests: Vec<Manifest>,
    /// The files, each below its `# Source:`.
    pub text: String,
    digest: OnceLock<Digest>,
}

impl Crds {
    /// Of the objects; comments and layout do not count.
    pub fn digest(&self) -> &Digest {
        self.digest.get_or_init(|| {
            let objects = self.manifests.iter().map(|manifest| manifest.object.to_string());
            Digest::of(objects.collect::<Vec<_>>().join("\n").as_bytes())
        })
    }
}

/// The names of the files, which tell which subcharts are switched on, and the release's namespace.
type Key = (Vec<String>, String);

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Read(Mutex<BTreeMap<Key, Arc<Crds>>>);

/// The CRDs of a tree.
///
/// # Errors
/// For a file that is no YAML.
pub(super) fn of(scope: &Scope, namespace: &str) -> Result<Arc<Crds>, RenderError> {
    let files = crd_files(scope);
    let names = files.iter().map(|(name, _)| name.clone()).collect();
    let key: Key = (names, namespace.to_owned());
    let read = &scope.chart.crds.0;
    let known = read.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let mut crds = Crds::default();
    for (name, data) in files {
        let text = lossy(data);
        push_document(&mut crds.text, &name, &text);
        let manifests = manifest::plain(&text, &name, namespace, &scope.chart.documents)
            .map_err(RenderError::chart)?;
        crds.manifests.extend(manifests);
    }
    let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Arc::clone(read.entry(key).or_insert_with(|| Arc::new(crds))))
}

/// Files of `crds/` folders with their full names, the chart's own first.
fn crd_files(scope: &Scope) -> Vec<(String, &[u8])> {
    let is_manifest = |name: &str| {
        let extension = name.rsplit_once('.').map(|(_, e)| e.to_lowercase()).unwrap_or_default();
        name.starts_with("crds/") && matches!(extension.as_str(), "yaml" | "yml" | "json")
    };
    let own = scope.chart.files.iter().filter(|file| is_manifest(&file.name));
    let mut files: Vec<(String, &[u8])> =
        own.map(|file| (format!("{}/{}", scope.path, file.name), file.data.as_slice())).collect();
    for subchart in &scope.dependencies {
        files.extend(crd_files(subchart));
    }
    files
}
