//! A chart's tree as one render sees it: subcharts that are switched on, under their aliases,
//! with the values that they hand up to their parents.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::metadata::Requirement;
use super::model::Chart;
use super::values::{Coalescing, Nulls, copy_map, path_value, table, to_map};
use crate::sprig::semver::{Constraint, Version};
use crate::template::value::{Map, Value};

/// A chart within a render.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The chart as loaded.
    pub(super) chart: Arc<Chart>,
    /// Its alias, else its name.
    pub(super) name: String,
    /// The folder that its files are called by, such as `shop/charts/db`.
    pub(super) path: String,
    /// Its own defaults, with what its subcharts hand up.
    pub(super) values: Map,
    /// The requirements that are left; `None` when the chart has no such field. As in Helm, the
    /// copies that aliases make of a chart share them: what resolving one copy does to a
    /// requirement, the next copy finds done.
    pub(super) requirements: Option<Vec<Rc<RefCell<Requirement>>>>,
    /// Subcharts that are switched on, in Helm's order.
    pub(super) dependencies: Vec<Scope>,
}

impl Scope {
    /// The whole tree of a chart for a user's values.
    ///
    /// # Errors
    /// Helm's text.
    pub(super) fn resolve(
        chart: &Arc<Chart>,
        user: &Map,
        warnings: &mut Vec<String>,
    ) -> Result<Self, String> {
        let mut scope = Self::unresolved(chart);
        scope.enable(user, "", warnings)?;
        scope.import(warnings)?;
        let path = scope.name.clone();
        scope.place(path.clone(), &path);
        Ok(scope)
    }

    /// Says how the files of the tree are called. A chart without requirements keeps the
    /// subcharts that it was loaded with, who know it by the name it had then: `original`.
    fn place(&mut self, path: String, original: &str) {
        let has_own = self.chart.requirements().is_some();
        for scope in &mut self.dependencies {
            let parent = if has_own { &path } else { original };
            let original = format!("{original}/charts/{}", scope.chart.name());
            scope.place(format!("{parent}/charts/{}", scope.name), &original);
        }
        self.path = path;
    }

    fn unresolved(chart: &Arc<Chart>) -> Self {
        Self {
            chart: Arc::clone(chart),
            name: chart.name().to_owned(),
            path: String::new(),
            values: to_map(&chart.values),
            requirements: chart
                .requirements()
                .map(|all| all.into_iter().map(|one| Rc::new(RefCell::new(one))).collect()),
            dependencies: chart.dependencies.iter().map(Self::unresolved).collect(),
        }
    }

    /// The chart's metadata under its alias, with the requirements that are left.
    pub(super) fn metadata(&self) -> Json {
        let mut metadata = self.chart.metadata.clone();
        metadata["name"] = Json::from(self.name.as_str());
        match &self.requirements {
            Some(left) => {
                metadata["dependencies"] = left.iter().map(|one| one.borrow().json()).collect();
            }
            None => {
                metadata.as_object_mut().and_then(|fields| fields.remove("dependencies"));
            }
        }
        metadata
    }

    /// Whether it is a library, whose templates are only included.
    pub(super) fn is_library(&self) -> bool {
        let kind = self.chart.metadata["type"].as_str().unwrap_or_default();
        kind.eq_ignore_ascii_case("library")
    }

    /// Removes subcharts that conditions or tags switch off, and names the others by their
    /// aliases. `path` leads to this chart's values and ends with a point unless it is empty.
    fn enable(
        &mut self,
        values: &Map,
        path: &str,
        warnings: &mut Vec<String>,
    ) -> Result<(), String> {
        let Some(mut requirements) = self.requirements.take() else { return Ok(()) };
        self.dependencies = self.required(&requirements);
        let values = Coalescing::new(Nulls::Remove, warnings).values(self, values)?;
        let disabled: Vec<String> = requirements
            .iter()
            .filter(|requirement| !is_enabled(&requirement.borrow(), &values, path, warnings))
            .map(|requirement| requirement.borrow().name.clone())
            .collect();
        self.dependencies.retain(|scope| !disabled.contains(&scope.name));
        requirements.retain(|requirement| !disabled.contains(&requirement.borrow().name));
        for scope in &mut self.dependencies {
            let path = format!("{path}{}.", scope.name);
            scope.enable(&values, &path, warnings)?;
        }
        // Helm takes a list that has become empty for no list.
        self.requirements = Some(requirements).filter(|requirements| !requirements.is_empty());
        Ok(())
    }

    /// Subcharts that no requirement names, then one for each requirement that is there. From here
    /// on, requirements go by their aliases.
    fn required(&self, requirements: &[Rc<RefCell<Requirement>>]) -> Vec<Self> {
        let fits = |scope: &Self, requirement: &Requirement| {
            scope.name == requirement.name
                && is_compatible(&requirement.version, scope.chart.version())
        };
        let is_named = |scope: &Self| requirements.iter().any(|one| fits(scope, &one.borrow()));
        let mut scopes: Vec<Self> =
            self.dependencies.iter().filter(|scope| !is_named(scope)).cloned().collect();
        for requirement in requirements {
            let mut requirement = requirement.borrow_mut();
            let found = self.dependencies.iter().find(|scope| fits(scope, &requirement));
            let mut found = found.cloned();
            if !requirement.alias.is_empty() {
                let alias = requirement.alias.clone();
                if let Some(scope) = &mut found {
                    scope.name.clone_from(&alias);
                }
                requirement.name = alias;
            }
            scopes.extend(found);
        }
        scopes
    }

    /// Hands values of subcharts up, the deepest first.
    fn import(&mut self, warnings: &mut Vec<String>) -> Result<(), String> {
        for scope in &mut self.dependencies {
            scope.import(warnings)?;
        }
        let Some(requirements) = &self.requirements else { return Ok(()) };
        let values = Coalescing::new(Nulls::Keep, warnings).values(self, &Map::default())?;
        let imported = Map::default();
        for requirement in requirements {
            let mut requirement = requirement.borrow_mut();
            let imports = std::mem::take(&mut requirement.import_values);
            let paths: Vec<(String, String)> =
                imports.iter().filter_map(child_and_parent).collect();
            let pair =
                |(child, parent): &(String, String)| json!({"child": child, "parent": parent});
            requirement.imported.extend(paths.iter().map(pair));
            for (child, parent) in paths {
                let path = format!("{}.{child}", requirement.name);
                let Some(found) = table(&values, &path) else {
                    warnings.push(format!(
                        "Warning: ImportValues missing table from chart {}: {path:?} is not a table",
                        requirement.name
                    ));
                    continue;
                };
                let found = nested(&parent, found);
                Coalescing::new(Nulls::Keep, warnings).tables(&imported, &found, "", Nulls::Keep);
            }
        }
        // The chart's own values go before what it imports.
        let values = copy_map(&values);
        Coalescing::new(Nulls::Keep, warnings).tables(&values, &imported, "", Nulls::Keep);
        self.values = values;
        Ok(())
    }
}

/// Whether a version is in a range; an unreadable one never is.
pub(super) fn is_compatible(range: &str, version: &str) -> bool {
    match (Constraint::parse(range), Version::parse(version)) {
        (Ok(range), Ok(version)) => range.matches(&version),
        _ => false,
    }
}

fn is_enabled(
    requirement: &Requirement,
    values: &Map,
    path: &str,
    warnings: &mut Vec<String>,
) -> bool {
    for condition in requirement.condition.trim().split(',').filter(|text| !text.is_empty()) {
        match path_value(values, &format!("{path}{condition}")) {
            Some(Value::Bool(value)) => return value,
            Some(_) => warnings.push(format!(
                "Warning: Condition path '{condition}' for chart {} returned non-bool value",
                requirement.name
            )),
            None => {}
        }
    }
    let Some(Value::Map(tags)) = values.get("tags") else { return true };
    let mut has_true = false;
    let mut has_false = false;
    for tag in &requirement.tags {
        match tags.get(tag) {
            Some(Value::Bool(true)) => has_true = true,
            Some(Value::Bool(false)) => has_false = true,
            Some(_) => warnings.push(format!(
                "Warning: Tag '{tag}' for chart {} returned non-bool value",
                requirement.name
            )),
            None => {}
        }
    }
    has_true || !has_false
}

/// Where an import comes from and where it goes.
pub(super) fn child_and_parent(import: &Json) -> Option<(String, String)> {
    match import {
        Json::String(name) => Some((format!("exports.{name}"), ".".to_owned())),
        Json::Object(import) => {
            let text = |key: &str| match import.get(key) {
                Some(Json::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => "<nil>".to_owned(),
            };
            Some((text("child"), text("parent")))
        }
        _ => None,
    }
}

/// `table` at a path of tables.
fn nested(path: &str, table: Map) -> Map {
    if path == "." {
        return table;
    }
    path.split('.').rev().fold(table, |inner, key| {
        Map::from_entries(inner.element, [(key.into(), Value::Map(inner))])
    })
}

/// A requirement that is not below `charts/`.
pub(super) fn missing_requirements(chart: &Chart) -> Vec<String> {
    let requirements = chart.requirements().unwrap_or_default();
    requirements
        .into_iter()
        .map(|requirement| requirement.name)
        .filter(|name| !chart.dependencies.iter().any(|sub| sub.name() == name))
        .collect()
}
