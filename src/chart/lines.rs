//! Which line of a template is behind which line of its output.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::engine::{Engine, NO_VALUE};
use super::manifest_error::Traced;
use super::missing::owner;
use super::model::{Chart, RenderInput};
use super::scope::Scope;
use super::values::{Coalescing, Nulls, to_map};
use super::{Capabilities, on_deep_stack};
use crate::template::world::World;

/// The output of a template, and the line of the template behind each line of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    output: Vec<String>,
    behind: Vec<usize>,
}

impl Lines {
    /// The line of the template, from 1, behind a line of a document: `start` is the document's
    /// first line in the output, and `line` the one that is asked about, both from 1.
    ///
    /// # Guarantees
    /// None where the output is not what it was when the document was taken from it, as after a
    /// random part came out otherwise in that line.
    pub fn behind(&self, document: &str, start: usize, line: usize) -> Option<usize> {
        let at = (start + line).checked_sub(2)?;
        let said = document.lines().nth(line - 1)?;
        (self.output.get(at)?.trim() == said.trim()).then(|| self.behind[at])
    }
}

/// The lines behind the outputs of templates, by the names that manifests have as their source.
/// Templates that cannot be rendered once more are left out.
pub fn lines(
    chart: &Arc<Chart>,
    input: &RenderInput,
    world: &dyn World,
    templates: &BTreeSet<&str>,
) -> BTreeMap<String, Lines> {
    on_deep_stack(|| lines_here(chart, input, world, templates))
}

fn lines_here(
    chart: &Arc<Chart>,
    input: &RenderInput,
    world: &dyn World,
    templates: &BTreeSet<&str>,
) -> BTreeMap<String, Lines> {
    let mut found = BTreeMap::new();
    let user = to_map(&input.values);
    let Ok(scope) = Scope::resolve(chart, &user, &mut Vec::new()) else { return found };
    let capabilities = Capabilities::new(&input.kube_version, input.served, &input.api_versions);
    let Ok(capabilities) = capabilities else { return found };
    for name in templates {
        // Templates may change the values: each has its own.
        let values = Coalescing::new(Nulls::Remove, &mut Vec::new()).values(&scope, &user);
        let Ok(values) = values else { continue };
        let engine =
            Engine { scope: &scope, values: &values, input, world, capabilities: &capabilities };
        if let Some(lines) = engine.trace(name).and_then(|traced| of(&traced, name, &scope)) {
            found.insert((*name).to_owned(), lines);
        }
    }
    found
}

fn of((output, written): &Traced, name: &str, scope: &Scope) -> Option<Lines> {
    let (owner, _, file) = owner(scope, name)?;
    let file = owner.chart.templates.iter().find(|one| one.name == file)?;
    let text = String::from_utf8_lossy(&file.data);
    let mut lines = Lines::default();
    let (mut start, mut next) = (0, 0);
    for line in output.split_inclusive('\n') {
        // What writes the first word of a line is what is behind it.
        let at = start + (line.len() - line.trim_start().len());
        while written.get(next).is_some_and(|one| one.at <= at) {
            next += 1;
        }
        let behind = next.checked_sub(1).map(|last| written[last]);
        let pos = behind.map(|one| if one.is_text { one.pos + (at - one.at) } else { one.pos });
        let before = text.get(..pos.unwrap_or_default().min(text.len())).unwrap_or_default();
        lines.behind.push(1 + before.matches('\n').count());
        lines.output.push(line.trim_end().replace(NO_VALUE, ""));
        start += line.len();
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chart::capabilities::Served;
    use crate::chart::load;
    use crate::chart::model::ChartFile;
    use crate::chart::world::SeededWorld;

    const TEMPLATE: &str = "{{- /* a comment
over two lines */ -}}
kind: Service
metadata:
  name: a
  labels:
    {{- include \"labels\" . | nindent 4 }}
---
kind: ConfigMap
data:
{{- range .Values.items }}
  {{ . }}: \"x\"
{{- end }}
  last: {{ .Values.last }}
";

    #[test]
    fn each_line_of_the_output_has_its_line_of_the_template() {
        let file = |name: &str, text: &str| ChartFile { name: name.to_owned(), data: text.into() };
        let chart = load::from_files(vec![
            file("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
            file("templates/_helpers.tpl", "{{ define \"labels\" }}app: web\ntier: b{{ end }}"),
            file("templates/all.yaml", TEMPLATE),
        ])
        .unwrap();
        let input = RenderInput {
            release_name: "web".to_owned(),
            namespace: "web".to_owned(),
            revision: 1,
            is_upgrade: false,
            values: json!({"items": ["one", "two"], "last": "z"}),
            kube_version: "v1.35.0".to_owned(),
            served: Served::AsCluster,
            api_versions: Vec::new(),
            with_crds: false,
        };
        let chart = Arc::new(chart);
        let name = "web/templates/all.yaml";
        let found = lines(&chart, &input, &SeededWorld::new(0, 0), &[name].into());
        let lines = &found[name];
        let service = "kind: Service\nmetadata:\n  name: a\n  labels:\n    app: web\n    tier: b";
        let behind = |line| lines.behind(service, 1, line);
        assert_eq!([1, 3, 5, 6].map(behind), [Some(3), Some(5), Some(7), Some(7)]);
        let map = "kind: ConfigMap\ndata:\n  one: \"x\"\n  two: \"x\"\n  last: z";
        let behind = |line| lines.behind(map, 8, line);
        assert_eq!([1, 3, 4, 5].map(behind), [Some(9), Some(12), Some(12), Some(14)]);
        assert_eq!(lines.behind("kind: Other", 1, 1), None, "not what it was");
    }
}
