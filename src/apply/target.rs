//! What an attempt brings a release to: from git, or from an earlier record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use crate::chart;
use crate::chart::model::{Chart, ChartFile, Hook, Manifest};
use crate::fleet::instance::Instance;
use crate::fleet::model::{IgnoreDifference, Limits, UpgradeSpec};
use crate::live::ReleaseId;
use crate::live::record::{
    HookRun, Origin, RecordedChart, RecordedFile, RecordedHook, ReleaseInfo, ReleaseRecord,
};
use crate::object::manifest::{self, ManifestError};
use crate::render::Release;
use crate::yaml::number::whole_numbers;

/// Which way an attempt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// To what git says.
    Forward,
    /// Back to a revision.
    Back {
        /// Which one.
        to: u32,
    },
}

/// What an attempt brings a release to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) id: ReleaseId,
    pub(super) direction: Direction,
    pub(super) origin: Origin,
    pub(super) crds: Vec<Manifest>,
    /// Without lists.
    pub(super) manifests: Vec<Manifest>,
    pub(super) hooks: Vec<Hook>,
    /// The record to be; its revision, times and status are still to come.
    pub(super) draft: ReleaseRecord,
    pub(super) limits: Limits,
    pub(super) rules: Rules,
    /// See [`crate::live::record::RecordHead::random`].
    pub(super) random: BTreeMap<String, String>,
    /// Whether what fitout has not made may be taken over with it.
    pub(super) is_adoption: bool,
}

/// What an addon says about its changes. A record does not have it, and a way back keeps to it.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Of CRDs and of fields that cannot change.
    pub upgrade: UpgradeSpec,
    /// Fields whose live value is left alone.
    pub ignored: Vec<IgnoreDifference>,
    /// How long a hook, a CRD or a deletion may take, where the addon says so.
    pub timeout: Option<Duration>,
}

impl Rules {
    /// Of an instance, as git has it.
    pub fn of(instance: &Instance) -> Self {
        Self {
            upgrade: instance.upgrade.clone(),
            ignored: instance.ignore_differences.clone(),
            timeout: instance.health.timeout.map(|timeout| timeout.0),
        }
    }
}

impl Target {
    /// What git says.
    pub(super) fn of(release: &Release) -> Self {
        let instance = &release.instance;
        let rendered = &release.rendered;
        let id = ReleaseId::of(instance);
        let origin = Origin {
            addon: Some(instance.key.addon.clone()),
            rev: Some(release.rev.clone()),
            digest: Some(release.digest.clone()),
            chart_version: release.chart_version().to_owned(),
            depends_on: instance.depends_on.iter().map(|on| on.addon.clone()).collect(),
            slot: release.slot,
        };
        let draft = ReleaseRecord {
            name: id.name.clone(),
            info: ReleaseInfo { notes: rendered.notes.clone(), ..ReleaseInfo::default() },
            chart: recorded_chart(&release.chart, &release.values),
            config: whole_numbers(&release.values),
            manifest: rendered.text(),
            hooks: rendered.hooks.iter().map(recorded_hook).collect(),
            version: 0,
            namespace: id.namespace.clone(),
            others: serde_json::Map::new(),
        };
        Self {
            direction: Direction::Forward,
            origin,
            crds: manifest::expanded(&rendered.crds.manifests, &id.namespace),
            manifests: manifest::expanded(&rendered.manifests, &id.namespace),
            hooks: rendered.hooks.clone(),
            draft,
            limits: instance.limits.clone(),
            rules: Rules::of(instance),
            random: BTreeMap::new(),
            is_adoption: false,
            id,
        }
    }

    /// What a record says. The objects that a rollback removes were brought by the revisions it
    /// undoes, so their number has no limit; namespaces and CRDs keep theirs.
    pub(super) fn of_record(
        mut record: ReleaseRecord,
        origin: Origin,
        id: ReleaseId,
        rules: Rules,
    ) -> Result<Self, ManifestError> {
        // How a later Helm wrote it says nothing of how it is written now.
        record.others.clear();
        let manifests = manifest::parse(&record.manifest, &id.namespace)?;
        let hooks = hooks_of(&record)?;
        Ok(Self {
            direction: Direction::Back { to: record.version },
            origin,
            crds: Vec::new(),
            manifests,
            hooks,
            draft: record,
            limits: Limits { deleted_objects: u32::MAX, ..Limits::default() },
            rules,
            random: BTreeMap::new(),
            is_adoption: false,
            id,
        })
    }
}

/// The hooks of a record.
pub(super) fn hooks_of(record: &ReleaseRecord) -> Result<Vec<Hook>, ManifestError> {
    let mut hooks = Vec::new();
    for hook in &record.hooks {
        for mut object in manifest::parse(&hook.manifest, &record.namespace)? {
            object.source = hook.path.as_str().into();
            hooks.push(Hook {
                manifest: object,
                events: hook.events.clone(),
                weight: hook.weight,
                delete_policies: hook.delete_policies.clone(),
                output_log_policies: hook.output_log_policies.clone(),
            });
        }
    }
    Ok(hooks)
}

fn recorded_chart(chart: &Arc<Chart>, user: &Json) -> RecordedChart {
    // What has been rendered with these values fits together.
    let (metadata, values) = chart::as_released(chart, user)
        .unwrap_or_else(|_| (chart.metadata.clone(), chart.values.clone()));
    let files = |files: &[ChartFile]| {
        let recorded = files.iter().map(|file| RecordedFile {
            name: file.name.clone(),
            data: STANDARD.encode(&file.data),
        });
        recorded.collect()
    };
    RecordedChart {
        metadata,
        lock: chart.lock.clone().unwrap_or(Json::Null),
        templates: files(&chart.templates),
        values: whole_numbers(&values),
        schema: chart.schema.as_ref().map(|schema| STANDARD.encode(schema)),
        files: files(&chart.files),
    }
}

fn recorded_hook(hook: &Hook) -> RecordedHook {
    RecordedHook {
        name: hook.manifest.key.name.clone(),
        kind: hook.manifest.key.kind.clone(),
        path: hook.manifest.source.to_string(),
        manifest: hook.manifest.text.to_string(),
        events: hook.events.clone(),
        last_run: HookRun::default(),
        weight: hook.weight,
        delete_policies: hook.delete_policies.clone(),
        output_log_policies: hook.output_log_policies.clone(),
    }
}
