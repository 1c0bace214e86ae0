//! Where a file of a chart is in the fleet's repository, for charts that are kept there.

use crate::chart::model::Chart;
use crate::fleet::instance::ChartLocation;
use crate::git::Source;

/// The path within the repository of a file of a chart, by the name that templates and errors
/// have for it: `CHART/templates/x.yaml`, `CHART/charts/ALIAS/values.yaml`. `None` for charts
/// from elsewhere, and for files of packed subcharts.
pub fn file_in_repository(
    source: &Source,
    location: &ChartLocation,
    chart: &Chart,
    name: &str,
) -> Option<String> {
    let ChartLocation::Path(folder) = location else { return None };
    let mut folder = folder.trim_matches('/').to_owned();
    let mut rest = name.strip_prefix(chart.name())?.strip_prefix('/')?;
    let mut chart = chart;
    while let Some(inner) = rest.strip_prefix("charts/") {
        let (alias, behind) = inner.split_once('/')?;
        let requirements = chart.requirements().unwrap_or_default();
        let required = requirements.iter().find(|required| required.alias == alias);
        let wanted = required.map_or(alias, |required| &required.name);
        let subchart = chart.dependencies.iter().find(|subchart| subchart.name() == wanted)?;
        folder = subchart_folder(source, &folder, subchart)?;
        chart = subchart;
        rest = behind;
    }
    let path = join(&folder, rest);
    source.files.contains_key(&path).then_some(path)
}

/// A subchart's folder usually has its name, but need not.
fn subchart_folder(source: &Source, folder: &str, subchart: &Chart) -> Option<String> {
    let charts = join(folder, "charts");
    let usual = join(&charts, subchart.name());
    if source.files.contains_key(&join(&usual, "Chart.yaml")) {
        return Some(usual);
    }
    let line = format!("name: {}", subchart.name());
    let mut found = source.below(&charts).filter_map(|(path, _)| path.strip_suffix("/Chart.yaml"));
    found
        .find(|folder| {
            let text = source.text(&join(folder, "Chart.yaml")).unwrap_or_default();
            text.lines().any(|found| found.replace(['"', '\''], "").trim_end() == line)
        })
        .map(str::to_owned)
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
