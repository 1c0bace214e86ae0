//! Whether the clusters that a stage has changed are worse than those that still have what was there before:
//! a sequential test with a stated error rate, on one query of Prometheus with a value for each cluster.
//!
//! # How it decides
//! The query is sampled every `interval`, at times that are counted from the last change of the stage, so
//! that each sample counts once, whoever asks how often, and a controller that begins anew has the same ones.
//! Each sample of each changed cluster is compared with the median of the others at that time: it is worse if
//! it exceeds that by more than the `tolerance`. A cluster *is worse* if more than half of its samples
//! are, and *not worse* if less than half are. [`sequential::evidence`] is gathered for both:
//! - the gate is broken once the evidence that clusters are worse, on the mean of all changed clusters,
//!   reaches `1 / errorRate`;
//! - it holds while the evidence that it is not worse reaches that for every changed cluster;
//! - else it waits.
//!
//! # Guarantees
//! If no changed cluster is worse, the gate ever breaks with a probability of at most `errorRate`. If one is,
//! the gate ever holds with at most that. Nothing is assumed of how values are distributed: of clusters that are
//! alike, one exceeds the (upper) median of the others in at most half of all samples.
//!
//! # Assumptions
//! - Samples are apart: the query's range is no longer than the interval. Then what is known of earlier samples
//!   does not make it more likely that the next one is worse by chance.
//! - Clusters are alike within the tolerance when they run the same. Where they are not, let the query tell each
//!   one's difference from what it had itself (`x - x offset 1d`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::model::{MemberState, Rollout};
use super::observation::Verdict;
use super::prometheus::{self, Bounds, Number};
use super::sequential::{evidence, hits_missing};
use crate::base::clock::{Timestamp, after, moment};
use crate::base::diagnostic::{counted, few};
use crate::base::ids::ClusterName;
use crate::base::planted::{Planted, is_planted};
use crate::fleet::model::{PrometheusGate, Worse};

/// The most samples that are looked at, as many as Prometheus gives of a series.
const SAMPLES_MAX: u32 = 10_000;

/// The times that are sampled for a gate: one every interval from the last change of the stage on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When the stage was changed last.
    changed_at: Timestamp,
    /// The seconds between two samples.
    step: u32,
    /// How many there are so far.
    pub count: u32,
}

impl Times {
    /// Those of a gate of the present stage, until `now`.
    ///
    /// # Errors
    /// In words, where there is none yet.
    pub fn of(gate: &PrometheusGate, rollout: &Rollout, now: Timestamp) -> Result<Self, String> {
        let changed_at = rollout.changed_at().ok_or("nothing was changed yet")?;
        let step = u32::try_from(gate.interval().as_secs()).unwrap_or(u32::MAX).max(1);
        // Samples are of full milliseconds, as Prometheus has them.
        let changed_at =
            Timestamp::from_millisecond(changed_at.as_millisecond() + 1).unwrap_or(changed_at);
        let changed_at = if is_planted(Planted::OldSamples) {
            changed_at.saturating_sub(gate.interval() * 20).unwrap_or(changed_at)
        } else {
            changed_at
        };
        let elapsed = now.duration_since(changed_at).as_secs();
        let count = u32::try_from(elapsed / i64::from(step)).unwrap_or(0).min(SAMPLES_MAX);
        let times = Self { changed_at, step, count };
        if count == 0 {
            return Err(format!("the first sample is due at {}", moment(times.at(1))));
        }
        Ok(times)
    }

    /// The time of a sample, counted from 1.
    pub fn at(&self, index: u32) -> Timestamp {
        after(
            self.changed_at,
            std::time::Duration::from_secs(u64::from(self.step) * u64::from(index)),
        )
    }

    /// Which sample is of a time.
    fn index(&self, seconds: f64) -> Option<u32> {
        let since = seconds - self.changed_at.as_millisecond() as f64 / 1_000.0;
        let index = (since / f64::from(self.step)).round();
        let is_one = (since - index * f64::from(self.step)).abs() < 0.01;
        (is_one && (1.0..=f64::from(self.count)).contains(&index)).then_some(index as u32)
    }

    /// What `/api/v1/query_range` is asked for: `start`, `end` and `step`, in seconds.
    pub fn range(&self) -> [String; 3] {
        let seconds = |at: Timestamp| format!("{:.3}", at.as_millisecond() as f64 / 1_000.0);
        [seconds(self.at(1)), seconds(self.at(self.count)), self.step.to_string()]
    }
}

/// What was seen by a comparison: all that its decision needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The time of the first sample.
    pub from: Timestamp,
    /// The time of the newest sample.
    pub to: Timestamp,
    /// How many clusters the changed ones were compared with at last.
    pub control: usize,
    /// Their median then.
    pub median: Figure,
    /// The changed clusters.
    pub clusters: BTreeMap<ClusterName, Sampled>,
}

/// The samples of one changed cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// How many there are.
    pub samples: u32,
    /// How many of them are worse than those of the others.
    pub worse: u32,
    /// The newest value.
    pub value: Figure,
}

impl Sampled {
    /// The evidence that the cluster is worse.
    fn worse(&self) -> f64 {
        evidence(self.worse, self.samples - self.worse)
    }

    /// The evidence that it is not.
    fn not_worse(&self) -> f64 {
        evidence(self.samples - self.worse, self.worse)
    }
}

/// A number, as text, since JSON has none that is infinite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Figure(pub f64);

impl TryFrom<String> for Figure {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("`{text}` is no number"))
    }
}

impl From<Figure> for String {
    fn from(figure: Figure) -> Self {
        figure.0.to_string()
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Number(self.0).fmt(f)
    }
}

/// The clusters that a rollout's present stage has changed, and those that still have what was there before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups<'a> {
    /// Changed, and as far as is known well.
    pub changed: Vec<&'a ClusterName>,
    /// Changed, and failed: they count as failures, and need not have any data.
    pub failed: Vec<&'a ClusterName>,
    /// Still as before.
    pub control: Vec<&'a ClusterName>,
}

impl<'a> Groups<'a> {
    /// Those of a rollout's present stage.
    pub fn of(rollout: &'a Rollout) -> Self {
        let touched = rollout.changing(rollout.stage);
        let touched = touched.filter(|(_, member)| member.state.is_touched());
        let (failed, changed): (Vec<_>, Vec<_>) =
            touched.partition(|(_, member)| matches!(member.state, MemberState::Failed { .. }));
        let control = rollout.members.iter().filter(|(_, member)| {
            member.state == MemberState::Waiting && member.stage.is_none_or(|at| at > rollout.stage)
        });
        Self {
            changed: changed.into_iter().map(|(name, _)| name).collect(),
            failed: failed.into_iter().map(|(name, _)| name).collect(),
            control: control.map(|(name, _)| name).collect(),
        }
    }

    /// # Errors
    /// Says so, and what to do, where there is nothing to compare with.
    pub fn with_control(self) -> Result<Self, String> {
        if self.control.is_empty() {
            return Err(
                "no cluster is left to compare with: all have the new revision; compare in an \
                        earlier stage, or waive the gate with `fitout rollout promote`"
                    .to_owned(),
            );
        }
        Ok(self)
    }
}

/// What an answer of `/api/v1/query_range` shows.
///
/// # Errors
/// In words, where it is not evidence: no data of a changed cluster, or of none to compare with, at the time of the
/// newest sample; more than one series of a cluster, or one of no cluster.
pub fn compared(
    gate: &PrometheusGate,
    groups: &Groups<'_>,
    times: Times,
    answer: &Json,
) -> Result<Compared, String> {
    let series = series(gate, times, prometheus::matrix(answer)?)?;
    let sign = if gate.worse.unwrap_or_default() == Worse::Higher { 1.0 } else { -1.0 };
    let value = |name: &ClusterName, at: u32| Some(sign * series.get(name.as_str())?.get(&at)?);
    let mut clusters: BTreeMap<&ClusterName, (u32, u32)> = BTreeMap::new();
    for at in 1..=times.count {
        let control = groups.control.iter().filter_map(|name| value(name, at));
        let Some(median) = upper_median(control.collect()) else { continue };
        let tolerated = gate.tolerance().of(median).unwrap_or_default();
        for name in &groups.changed {
            let Some(value) = value(name, at) else { continue };
            let (samples, worse) = clusters.entry(name).or_default();
            *samples += 1;
            *worse += u32::from(value > median + tolerated);
        }
    }
    let last = times.count;
    let changed = groups.changed.iter().map(|name| name.as_str());
    let missing: Vec<&str> = changed
        .filter(|name| series.get(*name).is_none_or(|series| !series.contains_key(&last)))
        .collect();
    let at = moment(times.at(last));
    if !missing.is_empty() {
        return Err(format!("the query has no data of {} at {at}", few(&missing)));
    }
    let control: Vec<f64> = groups.control.iter().filter_map(|name| value(name, last)).collect();
    let count = control.len();
    let median = upper_median(control);
    let median = median.ok_or_else(|| {
        let names: Vec<&str> = groups.control.iter().map(|name| name.as_str()).collect();
        format!(
            "the query has no data of the clusters to compare with at {at}: {}; where none of them has the addon \
             yet, waive the gate with `fitout rollout promote`",
            few(&names)
        )
    })?;
    let sampled = |(name, (samples, worse)): (&ClusterName, (u32, u32))| {
        let value = Figure(sign * value(name, last)?);
        Some((name.clone(), Sampled { samples, worse, value }))
    };
    Ok(Compared {
        from: times.at(1),
        to: times.at(last),
        control: count,
        median: Figure(sign * median),
        clusters: clusters.into_iter().filter_map(sampled).collect(),
    })
}

/// The values of each cluster, by samples. What is no number is none.
fn series<'a>(
    gate: &PrometheusGate,
    times: Times,
    matrix: &'a [Json],
) -> Result<BTreeMap<&'a str, BTreeMap<u32, f64>>, String> {
    let label = gate.cluster_label.as_deref().unwrap_or("cluster");
    let mut all = BTreeMap::new();
    for one in matrix {
        let name = one["metric"][label].as_str().ok_or_else(|| {
            format!("the query gives a series without a label `{label}`: aggregate `by ({label})`")
        })?;
        let mut values = BTreeMap::new();
        for sample in one["values"].as_array().into_iter().flatten() {
            let value = prometheus::number(sample)?;
            let at = sample[0].as_f64().and_then(|seconds| times.index(seconds));
            if let Some(at) = at.filter(|_| !value.is_nan()) {
                values.entry(at).or_insert(value);
            }
        }
        if all.insert(name, values).is_some() {
            return Err(format!(
                "the query gives more than one series of {name}: aggregate `by ({label})`"
            ));
        }
    }
    Ok(all)
}

/// Of clusters that are alike, one more exceeds the upper median of the others in at most half of all cases; of
/// the mean of the two in the middle that is not so.
fn upper_median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The decision.
pub fn verdict(gate: &PrometheusGate, seen: &Compared) -> Verdict {
    let beyond = seen.clusters.iter().find(|(_, one)| !prometheus::is_within(gate, one.value.0));
    if let Some((name, one)) = beyond {
        return Verdict::Broken(format!("{name}: {}, which has to be {}", one.value, Bounds(gate)));
    }
    let enough = 1.0 / gate.error_rate();
    let worst = seen.clusters.iter().max_by(|(_, a), (_, b)| a.worse().total_cmp(&b.worse()));
    let Some((name, one)) = worst else {
        return Verdict::Unknown("no cluster was changed".to_owned());
    };
    let is_worse = seen.clusters.values().map(Sampled::worse).sum::<f64>();
    let is_worse = is_worse / seen.clusters.len() as f64;
    let (now, within) = (format!("{} against {} now", one.value, seen.median), Within(gate));
    let Sampled { samples, worse, .. } = *one;
    let count = counted(samples as usize, "sample");
    if is_worse >= enough {
        return Verdict::Broken(format!(
            "{name} is worse than control, by more than {within} in {worse} of {count}: {now}"
        ));
    }
    let at_least = gate.at_least.unwrap_or(0);
    let holds = |one: &Sampled| one.not_worse() >= enough && one.samples >= at_least;
    if seen.clusters.values().all(holds) {
        return Verdict::Holds(format!(
            "no worse than control: {name} was by more than {within} in {worse} of {count}, {now}"
        ));
    }
    let least = seen.clusters.values().map(Sampled::not_worse).fold(f64::INFINITY, f64::min);
    let missing = seen.clusters.values().map(|one| {
        let more = hits_missing(one.samples - one.worse, one.worse, enough);
        more.max(at_least.saturating_sub(one.samples))
    });
    let missing = missing.max().unwrap_or(0).max(1);
    Verdict::Unknown(format!(
        "undecided: {name} was worse than control by more than {within} in {worse} of {count}, {now}; evidence \
         {least:.1} of {enough:.0} that none is worse, {is_worse:.1} of {enough:.0} that one is; it passes by {} more at the earliest",
        counted(missing as usize, "sample")
    ))
}

/// `10 %`, or `0.01`.
struct Within<'a>(&'a PrometheusGate);

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.tolerance() {
            crate::fleet::model::Tolerance::Number(number) => Number(number).fmt(f),
            crate::fleet::model::Tolerance::Percent(text) => f.write_str(&text),
        }
    }
}

/// What a gate's comparison asks for: `no worse than control by more than 10%`.
pub struct Asked<'a>(pub &'a PrometheusGate);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no worse than control by more than {}", Within(self.0))
    }
}

#[cfg(test)]
mod tests;
