//! Where charts may come from while a merge request is looked at: only from where the base gets
//! charts already. Whoever may open a merge request must not be able to make the job that looks
//! at it call addresses, or send credentials, of his choice.

use std::collections::BTreeSet;

use crate::base::diagnostic::Diagnostic;
use crate::fleet::Desired;
use crate::fleet::instance::{ChartLocation, Instance};

/// Sources of charts that a revision names, with the variable that the credentials come from.
#[derive(Debug, Default)]
pub struct Sources(BTreeSet<(String, Option<String>)>);

impl Sources {
    /// Of every repository and every addon of a revision.
    pub fn of(desired: &Desired) -> Self {
        let fleet = &desired.fleet;
        let repositories = fleet.repositories.values().map(|document| {
            let spec = &document.value.spec;
            (spec.url.clone(), spec.credentials.as_ref().map(|from| from.env.clone()))
        });
        let charts = fleet.addons.values().filter_map(|document| {
            let git = document.value.spec.chart.git.as_ref()?;
            Some((git.url.clone(), None))
        });
        Self(repositories.chain(charts).collect())
    }

    /// Tells apart the instances whose charts may be fetched from those that are told instead.
    pub fn admit(&self, instances: Vec<Instance>) -> (Vec<Instance>, Vec<Diagnostic>) {
        let mut told = BTreeSet::new();
        let mut findings = Vec::new();
        let (admitted, refused): (Vec<_>, Vec<_>) = instances
            .into_iter()
            .partition(|instance| source(instance).is_none_or(|source| self.0.contains(&source)));
        for instance in refused {
            let Some((url, variable)) = source(&instance) else { continue };
            if !told.insert((instance.key.addon.clone(), url.clone(), variable.clone())) {
                continue;
            }
            let with = variable.map_or_else(String::new, |name| format!(" with `{name}`"));
            let message = format!(
                "the base revision fetches no charts from `{url}`{with}: nothing is fetched"
            );
            let found = Diagnostic::warning("new-chart-source", message)
                .label(&instance.chart_span, "this chart is not rendered")
                .help(
                    "add the ChartRepository in a merge request of its own, or say \
                       `--allow-new-sources` where you trust this one",
                );
            findings.push(found);
        }
        (admitted, findings)
    }
}

fn source(instance: &Instance) -> Option<(String, Option<String>)> {
    match &instance.chart {
        ChartLocation::Path(_) => None,
        ChartLocation::Git { url, .. } => Some((url.clone(), None)),
        ChartLocation::Http { url, credentials, .. } => {
            Some((url.clone(), credentials.as_ref().map(|from| from.env.clone())))
        }
    }
}
