//! Where a file of a chart is in the folder that the chart is read from.

use std::path::Path;

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
    file_in(source, folder.trim_matches('/'), chart, name)
}

/// The same for a chart in a folder of the disk: the path starts with that of the folder.
pub fn file_on_disk(folder: &str, chart: &Chart, name: &str) -> Option<String> {
    file_in(&Disk, folder.trim_end_matches('/'), chart, name)
}

fn file_in(files: &impl Files, folder: &str, chart: &Chart, name: &str) -> Option<String> {
    let mut folder = folder.to_owned();
    let mut rest = name.strip_prefix(chart.name())?.strip_prefix('/')?;
    let mut chart = chart;
    while let Some(inner) = rest.strip_prefix("charts/") {
        let (alias, behind) = inner.split_once('/')?;
        let requirements = chart.requirements().unwrap_or_default();
        let required = requirements.iter().find(|required| required.alias == alias);
        let wanted = required.map_or(alias, |required| &required.name);
        let subchart = chart.dependencies.iter().find(|subchart| subchart.name() == wanted)?;
        folder = subchart_folder(files, &folder, subchart)?;
        chart = subchart;
        rest = behind;
    }
    let path = join(&folder, rest);
    files.has(&path).then_some(path)
}

/// A subchart's folder usually has its name, but need not.
fn subchart_folder(files: &impl Files, folder: &str, subchart: &Chart) -> Option<String> {
    let charts = join(folder, "charts");
    let usual = join(&charts, subchart.name());
    if files.has(&join(&usual, "Chart.yaml")) {
        return Some(usual);
    }
    let line = format!("name: {}", subchart.name());
    files.charts_below(&charts).into_iter().find(|folder| {
        let text = files.text(&join(folder, "Chart.yaml")).unwrap_or_default();
        text.lines().any(|found| found.replace(['"', '\''], "").trim_end() == line)
    })
}

/// Files by their paths, wherever they are.
trait Files {
    fn has(&self, path: &str) -> bool;
    fn text(&self, path: &str) -> Option<String>;
    /// Folders right below `folder` that have a `Chart.yaml`.
    fn charts_below(&self, folder: &str) -> Vec<String>;
}

impl Files for Source {
    fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    fn text(&self, path: &str) -> Option<String> {
        Self::text(self, path).map(str::to_owned)
    }

    fn charts_below(&self, folder: &str) -> Vec<String> {
        let charts = self.below(folder).filter_map(|(path, _)| path.strip_suffix("/Chart.yaml"));
        charts.map(str::to_owned).collect()
    }
}

struct Disk;

impl Files for Disk {
    fn has(&self, path: &str) -> bool {
        Path::new(path).is_file()
    }

    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    fn charts_below(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut charts: Vec<String> = names
            .map(|name| join(folder, &name))
            .filter(|path| self.has(&join(path, "Chart.yaml")))
            .collect();
        charts.sort();
        charts
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
