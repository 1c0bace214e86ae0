//! Helm's release records: what fitout installs, `helm` can list, read, roll back and uninstall.
//!
//! A pure codec. A record is a Secret named `sh.helm.release.v1.NAME.vREVISION` whose `release`
//! is the release as JSON, gzipped and in base64 (and once more in base64, as every Secret).
//! Names and order of fields are those of Helm 3's `release.Release`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::ReleaseId;
use super::blue_green::Mark;
use super::drift::Heal;
use crate::base::clock::Timestamp;
use crate::base::ids::{AddonName, Digest, Rev};
use crate::fleet::blue_green::Slot;
use crate::object::access;

/// The type of a record's Secret.
pub const SECRET_TYPE: &str = "helm.sh/release.v1";
/// The annotation with the commit.
pub const REVISION_ANNOTATION: &str = "fitout.dev/revision";
/// The annotation with the digest of what was rendered.
pub const DIGEST_ANNOTATION: &str = "fitout.dev/digest";
/// The annotation with the addon's name.
pub const ADDON_ANNOTATION: &str = "fitout.dev/addon";
/// The annotation with what the addon depends on, so that its release goes before theirs when git
/// has none of them any more.
pub const DEPENDS_ON_ANNOTATION: &str = "fitout.dev/depends-on";
/// The annotation with the chart's version, so that it can be read without the record itself.
pub const CHART_VERSION_ANNOTATION: &str = "fitout.dev/chart-version";
/// The annotation with who works on a pending record.
pub const HOLDER_ANNOTATION: &str = "fitout.dev/holder";
/// The annotation with when the holder last said it was alive.
pub const RENEWED_ANNOTATION: &str = "fitout.dev/renewed-at";
/// The annotation with a digest, for each random part, of what a fixed seed makes of it: whether
/// the part itself has changed.
pub const RANDOM_ANNOTATION: &str = "fitout.dev/random";
/// The annotation with the revision that a rollback repeats.
pub const ROLLBACK_ANNOTATION: &str = "fitout.dev/rollback-to";
/// The annotation with a digest for each object of the fields that fitout owned after the apply.
pub const OWNERSHIP_ANNOTATION: &str = "fitout.dev/ownership";

/// The annotation of a record with which fitout took over what it had not made: what is taken back
/// of it is never deleted.
pub const ADOPTION_ANNOTATION: &str = "fitout.dev/adoption";
/// The annotation with what was put back at this revision, and when.
pub const HEALS_ANNOTATION: &str = "fitout.dev/heals";
/// The annotation with which of two releases beside one another it is: `blue` or `green`.
pub const SLOT_ANNOTATION: &str = "fitout.dev/slot";
/// The annotation with how far traffic has moved to or from such a release.
pub const TRAFFIC_ANNOTATION: &str = "fitout.dev/traffic";
/// All annotations that fitout writes on a record, but for the slot: that one tells whose release it
/// is also when it is Helm's again.
pub const OWN_ANNOTATIONS: [&str; 12] = [
    TRAFFIC_ANNOTATION,
    REVISION_ANNOTATION,
    DIGEST_ANNOTATION,
    ADDON_ANNOTATION,
    CHART_VERSION_ANNOTATION,
    HOLDER_ANNOTATION,
    RENEWED_ANNOTATION,
    RANDOM_ANNOTATION,
    ROLLBACK_ANNOTATION,
    OWNERSHIP_ANNOTATION,
    ADOPTION_ANNOTATION,
    HEALS_ANNOTATION,
];
/// The label of records that were handed over: fitout leaves the release to Helm. Helm copies labels
/// that are not its own from each record to the next.
pub const HANDED_OVER_LABEL: &str = "fitout.dev/handed-over";

/// What an API server takes as one Secret.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// A record unpacked: 64 times what is packed into a Secret at most.
const RECORD_BYTES_UNPACKED_MAX: u64 = 64 << 20;

/// Helm's status of a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseStatus {
    /// The present one.
    Deployed,
    /// Gone, with its record kept.
    Uninstalled,
    /// A later one has taken its place.
    Superseded,
    /// It did not get through.
    Failed,
    /// Under way out.
    Uninstalling,
    /// Under way for the first time.
    PendingInstall,
    /// Under way.
    PendingUpgrade,
    /// Under way back.
    PendingRollback,
    /// Helm does not know, or a word that fitout does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl ReleaseStatus {
    /// Helm's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }

    /// Helm's word as a status.
    pub fn parse(word: &str) -> Self {
        serde_json::from_value(Json::from(word)).unwrap_or_default()
    }

    /// Whether something is under way.
    pub fn is_pending(self) -> bool {
        matches!(
            self,
            Self::PendingInstall
                | Self::PendingUpgrade
                | Self::PendingRollback
                | Self::Uninstalling
        )
    }
}

impl fmt::Display for ReleaseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Helm's `release.Release`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// The release's name.
    pub name: String,
    /// When and how.
    pub info: ReleaseInfo,
    /// The chart.
    pub chart: RecordedChart,
    /// The user's values.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub config: Json,
    /// All objects but hooks and CRDs, as YAML.
    #[serde(default)]
    pub manifest: String,
    /// The hooks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<RecordedHook>,
    /// The revision, from 1.
    pub version: u32,
    /// The release's namespace.
    #[serde(default)]
    pub namespace: String,
    /// Fields of later versions of Helm, such as `apply_method`: kept as they are.
    #[serde(flatten)]
    pub others: serde_json::Map<String, Json>,
}

fn is_empty(config: &Json) -> bool {
    config.as_object().is_none_or(serde_json::Map::is_empty)
}

/// When and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReleaseInfo {
    /// When its first revision was.
    #[serde(default)]
    pub first_deployed: String,
    /// When this revision was.
    #[serde(default)]
    pub last_deployed: String,
    /// When it was uninstalled; empty before.
    #[serde(default)]
    pub deleted: String,
    /// What happened, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How it stands.
    #[serde(default)]
    pub status: ReleaseStatus,
    /// `NOTES.txt`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Fields of later versions of Helm: kept as they are.
    #[serde(flatten)]
    pub others: serde_json::Map<String, Json>,
}

/// Helm's `chart.Chart`; subcharts are not part of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedChart {
    /// `Chart.yaml`.
    #[serde(default)]
    pub metadata: Json,
    /// `Chart.lock`.
    #[serde(default)]
    pub lock: Json,
    /// Templates.
    #[serde(default, deserialize_with = "or_default")]
    pub templates: Vec<RecordedFile>,
    /// `values.yaml`.
    #[serde(default)]
    pub values: Json,
    /// `values.schema.json`, in base64.
    #[serde(default)]
    pub schema: Option<String>,
    /// All other files.
    #[serde(default, deserialize_with = "or_default")]
    pub files: Vec<RecordedFile>,
}

/// A file of a chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedFile {
    /// Relative to the chart.
    pub name: String,
    /// Its bytes in base64.
    #[serde(default, deserialize_with = "or_default")]
    pub data: String,
}

/// Helm's `release.Hook`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedHook {
    /// The object's name.
    #[serde(default)]
    pub name: String,
    /// Its kind.
    #[serde(default)]
    pub kind: String,
    /// The template.
    #[serde(default)]
    pub path: String,
    /// Its YAML.
    #[serde(default)]
    pub manifest: String,
    /// When it runs.
    #[serde(default, deserialize_with = "or_default")]
    pub events: Vec<String>,
    /// How it went.
    #[serde(default)]
    pub last_run: HookRun,
    /// Lower runs first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight: i64,
    /// When it is deleted.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub delete_policies: Vec<String>,
    /// When its log is shown.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub output_log_policies: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(weight: &i64) -> bool {
    *weight == 0
}

/// How a hook went last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HookRun {
    /// When it began; empty before.
    #[serde(default)]
    pub started_at: String,
    /// When it ended; empty before.
    #[serde(default)]
    pub completed_at: String,
    /// `Running`, `Succeeded`, `Failed`; empty before.
    #[serde(default)]
    pub phase: String,
}

/// Go writes an empty list as `null` at times.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// What fitout keeps beside Helm's own fields, as annotations of the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The addon.
    pub addon: Option<AddonName>,
    /// The commit.
    pub rev: Option<Rev>,
    /// Of what was rendered.
    pub digest: Option<Digest>,
    /// The chart's version.
    pub chart_version: String,
    /// What the addon depended on.
    pub depends_on: Vec<AddonName>,
    /// Which of two releases beside one another it is.
    pub slot: Option<Slot>,
}

/// The labels and annotations of a record: all that is known of it without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Which release.
    pub id: ReleaseId,
    /// Helm's revision number.
    pub revision: u32,
    /// How it stands.
    pub status: ReleaseStatus,
    /// Where it comes from.
    pub origin: Origin,
    /// Who works on it, if it is pending.
    pub holder: Option<String>,
    /// When the holder last said it was alive.
    pub renewed_at: Option<Timestamp>,
    /// The revision that it repeats, where it is a rollback that fitout made.
    pub rollback_to: Option<u32>,
    /// For each random part a digest of what a fixed seed makes of it.
    pub random: BTreeMap<String, String>,
    /// For each object (by the text of its key) a digest of what fitout owned after the apply.
    pub ownership: BTreeMap<String, String>,
    /// What was put back at this revision, oldest first.
    pub heals: Vec<Heal>,
    /// How far traffic has moved to it or from it, where it is one of two releases beside one
    /// another.
    pub mark: Option<Mark>,
    /// Whether fitout took over with it what it had not made.
    pub is_adoption: bool,
    /// Whether the release was handed over to Helm.
    pub is_handed_over: bool,
    /// The Secret's name.
    pub secret_name: String,
    /// The Secret's version.
    pub resource_version: String,
    /// When the Secret was made.
    pub created_at: Option<Timestamp>,
    /// When Helm last wrote it, as far as it says so.
    pub modified_at: Option<Timestamp>,
}

/// A record that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not what Helm writes.
    #[error("the release record `{secret}` is damaged: {what}")]
    Damaged {
        /// The Secret's name.
        secret: String,
        /// What is wrong with it; never its content.
        what: &'static str,
    },
    /// Larger than a Secret may be, even without the chart's files.
    #[error(
        "the release record is {bytes} bytes, and the API server takes {RECORD_BYTES_MAX}: \
         the manifests and values are too large"
    )]
    TooLarge {
        /// How large.
        bytes: usize,
    },
}

/// The name of a record's Secret.
pub fn secret_name(name: &str, revision: u32) -> String {
    format!("sh.helm.release.v1.{name}.v{revision}")
}

/// The text under `data.release`, before a Secret's own base64. A record that is too large is
/// written without the chart's files, then without its templates: Helm needs neither to list,
/// show, roll back or uninstall.
pub fn encode(record: &ReleaseRecord) -> Result<String, RecordError> {
    let mut text = pack(record);
    if text.len() > RECORD_BYTES_MAX {
        let mut slim = record.clone();
        slim.chart.files.clear();
        text = pack(&slim);
        if text.len() > RECORD_BYTES_MAX {
            slim.chart.templates.clear();
            text = pack(&slim);
        }
    }
    if text.len() > RECORD_BYTES_MAX {
        return Err(RecordError::TooLarge { bytes: text.len() });
    }
    Ok(text)
}

/// Whether a record can be written at all, as far as that is known before it is: hooks and words about
/// how it went are still to come.
///
/// # Errors
/// [`RecordError::TooLarge`].
pub fn ensure_fits(record: &ReleaseRecord) -> Result<(), RecordError> {
    let mut slim = record.clone();
    slim.chart.files.clear();
    slim.chart.templates.clear();
    let json = serde_json::to_vec(&slim).expect("a record has text keys only");
    // Packing makes nothing larger than base64 does.
    if json.len() < RECORD_BYTES_MAX / 4 * 3 { Ok(()) } else { encode(&slim).map(|_| ()) }
}

fn pack(record: &ReleaseRecord) -> String {
    let json = serde_json::to_vec(record).expect("a record has text keys only");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&json).expect("writing to a Vec cannot fail");
    STANDARD.encode(gzip.finish().expect("writing to a Vec cannot fail"))
}

/// The release of a record's Secret.
pub fn decode(secret: &Json) -> Result<ReleaseRecord, RecordError> {
    let damaged = |what| RecordError::Damaged { secret: access::name(secret).to_owned(), what };
    let data = access::text(secret, &["data", "release"]).ok_or(damaged("it has no release"))?;
    let text = STANDARD.decode(data).map_err(|_| damaged("its data is not base64"))?;
    let packed = STANDARD.decode(text).map_err(|_| damaged("the release is not base64"))?;
    let json = if packed.starts_with(&[0x1f, 0x8b, 0x08]) {
        let mut json = Vec::new();
        flate2::read::GzDecoder::new(&*packed)
            .take(RECORD_BYTES_UNPACKED_MAX)
            .read_to_end(&mut json)
            .map_err(|_| damaged("the release cannot be unpacked"))?;
        json
    } else {
        packed
    };
    serde_json::from_slice(&json).map_err(|_| damaged("the release is not what Helm writes"))
}

/// What a record's Secret says beside its content. `None` for a Secret that is no record.
pub fn head(secret: &Json) -> Option<RecordHead> {
    let name = access::label(secret, "name")?;
    let annotation = |key| access::annotation(secret, key);
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let secret_name = access::name(secret);
    let revision = match access::label(secret, "version").and_then(|text| text.parse().ok()) {
        Some(revision) => revision,
        None => secret_name.rsplit_once(".v")?.1.parse().ok()?,
    };
    Some(RecordHead {
        id: ReleaseId { namespace: access::namespace(secret).to_owned(), name: name.to_owned() },
        revision,
        status: ReleaseStatus::parse(access::label(secret, "status").unwrap_or_default()),
        origin: Origin {
            addon: annotation(ADDON_ANNOTATION).map(AddonName::from),
            rev: annotation(REVISION_ANNOTATION).map(Rev::from),
            digest: annotation(DIGEST_ANNOTATION).map(Digest::from),
            chart_version: annotation(CHART_VERSION_ANNOTATION).unwrap_or_default().to_owned(),
            depends_on: names_of(annotation(DEPENDS_ON_ANNOTATION)),
            slot: annotation(SLOT_ANNOTATION).and_then(Slot::parse),
        },
        mark: annotation(TRAFFIC_ANNOTATION).and_then(|text| serde_json::from_str(text).ok()),
        holder: annotation(HOLDER_ANNOTATION).map(str::to_owned),
        renewed_at: annotation(RENEWED_ANNOTATION).and_then(time),
        rollback_to: annotation(ROLLBACK_ANNOTATION).and_then(|text| text.parse().ok()),
        random: map_of(annotation(RANDOM_ANNOTATION)),
        ownership: map_of(annotation(OWNERSHIP_ANNOTATION)),
        heals: annotation(HEALS_ANNOTATION)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default(),
        is_adoption: annotation(ADOPTION_ANNOTATION).is_some(),
        is_handed_over: access::label(secret, HANDED_OVER_LABEL).is_some(),
        secret_name: secret_name.to_owned(),
        resource_version: access::resource_version(secret).to_owned(),
        created_at: access::text(secret, &["metadata", "creationTimestamp"]).and_then(time),
        modified_at: access::label(secret, "modifiedAt")
            .and_then(|text| text.parse().ok())
            .and_then(|second| Timestamp::from_second(second).ok()),
    })
}

/// A map of texts as an annotation has it.
fn map_of(annotation: Option<&str>) -> BTreeMap<String, String> {
    annotation.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// A list of addons as an annotation has it.
fn names_of(annotation: Option<&str>) -> Vec<AddonName> {
    let names = annotation.unwrap_or_default().split(',').filter(|name| !name.is_empty());
    names.map(AddonName::from).collect()
}

/// The annotations of a record's Secret that say where it comes from.
pub fn annotations(origin: &Origin) -> BTreeMap<&'static str, String> {
    let mut annotations = BTreeMap::new();
    if let Some(addon) = &origin.addon {
        annotations.insert(ADDON_ANNOTATION, addon.to_string());
    }
    if let Some(rev) = &origin.rev {
        annotations.insert(REVISION_ANNOTATION, rev.to_string());
    }
    if let Some(digest) = &origin.digest {
        annotations.insert(DIGEST_ANNOTATION, digest.to_string());
    }
    annotations.insert(CHART_VERSION_ANNOTATION, origin.chart_version.clone());
    if let Some(slot) = origin.slot {
        annotations.insert(SLOT_ANNOTATION, slot.to_string());
    }
    if !origin.depends_on.is_empty() {
        let names: Vec<&str> = origin.depends_on.iter().map(AddonName::as_str).collect();
        annotations.insert(DEPENDS_ON_ANNOTATION, names.join(","));
    }
    annotations
}

/// The Secret of a new record.
pub fn secret(
    record: &ReleaseRecord,
    annotations: &BTreeMap<&'static str, String>,
    now: Timestamp,
) -> Result<Json, RecordError> {
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": SECRET_TYPE,
        "metadata": {
            "name": secret_name(&record.name, record.version),
            "namespace": record.namespace,
            "labels": {
                "createdAt": now.as_second().to_string(),
                "name": record.name,
                "owner": "helm",
                "status": record.info.status.as_str(),
                "version": record.version.to_string(),
            },
            "annotations": annotations,
        },
        "data": {"release": STANDARD.encode(encode(record)?)},
    }))
}

/// The merge patch that brings a record's Secret up to date. With a `resource_version` it only
/// succeeds if nobody else has written in between. Annotations that are `null` go away.
pub fn patch(
    record: &ReleaseRecord,
    annotations: &BTreeMap<&'static str, Json>,
    resource_version: &str,
    now: Timestamp,
) -> Result<Json, RecordError> {
    let mut patch = json!({
        "metadata": {
            "labels": {
                "modifiedAt": now.as_second().to_string(),
                "status": record.info.status.as_str(),
            },
            "annotations": annotations,
        },
        "data": {"release": STANDARD.encode(encode(record)?)},
    });
    if !resource_version.is_empty() {
        patch["metadata"]["resourceVersion"] = Json::from(resource_version);
    }
    Ok(patch)
}

/// Heads of one release for tests: revisions from 1, each with a status and a digest.
#[cfg(test)]
pub(crate) fn heads(statuses: &[(ReleaseStatus, &str)]) -> Vec<RecordHead> {
    let head = |(index, (status, digest)): (usize, &(ReleaseStatus, &str))| RecordHead {
        id: ReleaseId { namespace: "n".to_owned(), name: "r".to_owned() },
        revision: index as u32 + 1,
        status: *status,
        origin: Origin { digest: Some((*digest).into()), ..Origin::default() },
        holder: None,
        renewed_at: None,
        rollback_to: None,
        random: BTreeMap::new(),
        ownership: BTreeMap::new(),
        heals: Vec::new(),
        mark: None,
        is_adoption: false,
        is_handed_over: false,
        secret_name: String::new(),
        resource_version: String::new(),
        created_at: None,
        modified_at: None,
    };
    statuses.iter().enumerate().map(head).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ReleaseRecord {
        ReleaseRecord {
            name: "web".to_owned(),
            info: ReleaseInfo {
                first_deployed: "2026-01-01T00:00:00Z".to_owned(),
                last_deployed: "2026-01-02T00:00:00Z".to_owned(),
                deleted: String::new(),
                description: "Install complete".to_owned(),
                status: ReleaseStatus::Deployed,
                notes: String::new(),
                others: serde_json::Map::new(),
            },
            chart: RecordedChart {
                metadata: json!({"name": "web", "version": "1.0.0", "apiVersion": "v2"}),
                lock: Json::Null,
                templates: vec![RecordedFile {
                    name: "templates/a.yaml".to_owned(),
                    data: STANDARD.encode("a: b"),
                }],
                values: json!({"a": 1}),
                schema: None,
                files: Vec::new(),
            },
            config: json!({"a": 2}),
            manifest: "---\n# Source: web/templates/a.yaml\na: b\n".to_owned(),
            hooks: vec![RecordedHook {
                name: "init".to_owned(),
                kind: "Job".to_owned(),
                path: "web/templates/job.yaml".to_owned(),
                manifest: "kind: Job".to_owned(),
                events: vec!["pre-install".to_owned()],
                last_run: HookRun::default(),
                weight: -5,
                delete_policies: vec!["hook-succeeded".to_owned()],
                output_log_policies: Vec::new(),
            }],
            version: 1,
            namespace: "apps".to_owned(),
            others: serde_json::Map::new(),
        }
    }

    #[test]
    fn the_json_has_the_fields_of_helm_in_its_order() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&record()).unwrap());
    }

    #[test]
    fn a_record_survives_its_secret() {
        let origin = Origin {
            addon: Some("web".into()),
            rev: Some("abc".into()),
            digest: Some("def".into()),
            chart_version: "1.0.0".to_owned(),
            depends_on: vec!["dns".into(), "storage".into()],
            slot: Some(Slot::Green),
        };
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let secret = secret(&record(), &annotations(&origin), now).unwrap();
        assert_eq!(secret["metadata"]["name"], "sh.helm.release.v1.web.v1");
        assert_eq!(decode(&secret).unwrap(), record());
        let head = head(&secret).unwrap();
        assert_eq!(head.origin, origin);
        assert_eq!((head.revision, head.status), (1, ReleaseStatus::Deployed));
        assert_eq!(head.id.to_string(), "apps/web");
    }

    #[test]
    fn fields_of_later_versions_of_helm_survive() {
        let mut json = serde_json::to_value(record()).unwrap();
        json["apply_method"] = Json::from("ssa");
        json["info"]["rollback_revision"] = Json::from(3);
        let read: ReleaseRecord = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), json);
    }

    #[test]
    fn a_damaged_record_is_an_error_without_its_content() {
        let secret = json!({"metadata": {"name": "s"}, "data": {"release": "aHVudGVyMg=="}});
        let error = decode(&secret).unwrap_err().to_string();
        assert_eq!(error, "the release record `s` is damaged: the release is not base64");
    }

    #[test]
    fn a_record_with_nulls_as_go_writes_them_can_be_read() {
        let text = r#"{"name":"a","info":{"first_deployed":"","last_deployed":"","deleted":"",
            "status":"brand-new-status"},"chart":{"metadata":{},"lock":null,"templates":null,
            "values":null,"schema":null,"files":null},"version":3}"#;
        let data = STANDARD.encode(STANDARD.encode(text));
        let record = decode(&json!({"data": {"release": data}})).unwrap();
        assert_eq!(record.info.status, ReleaseStatus::Unknown);
        assert!(record.chart.templates.is_empty());
    }

    #[test]
    fn a_record_that_is_too_large_loses_its_files_first() {
        let mut large = record();
        let noise: String =
            (0..60_000_u64).map(|n| Digest::of(&n.to_le_bytes()).to_string()).collect();
        large.chart.files.push(RecordedFile { name: "big".to_owned(), data: noise.clone() });
        let text = STANDARD.encode(encode(&large).unwrap());
        let slim = decode(&json!({"data": {"release": text}})).unwrap();
        assert!(slim.chart.files.is_empty() && !slim.chart.templates.is_empty());
        large.manifest = noise;
        assert!(matches!(encode(&large), Err(RecordError::TooLarge { .. })));
    }
}
