//! A graph as it is drawn: texts only, the same for addons and objects.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::addons::AddonGraph;
use super::dag::Dag;
use super::objects::{HookNode, Need, ObjectGraph};
use crate::base::ids::AddonName;
use crate::object::key::ObjectKey;

/// A graph to draw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// What it is of: clusters or instances that all look like this, or `fleet`.
    pub of: Vec<String>,
    /// In order.
    pub nodes: Vec<Node>,
    /// By their ends.
    pub links: Vec<Line>,
    /// What comes after what.
    pub order: Vec<Step>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name.
    pub id: String,
    /// What there is to know besides; may be empty.
    pub detail: String,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What needs.
    pub from: String,
    /// What is needed.
    pub to: String,
    /// How, as in `mounts`; may be empty.
    pub how: String,
    /// In which range of versions; may be empty.
    pub version: String,
    /// Whether the order of installation heeds it.
    pub holds: bool,
}

/// Nodes that come at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it is called, such as `1`.
    pub name: String,
    /// Its nodes.
    pub nodes: Vec<String>,
}

/// A picture of addons; `detail` is what there is to know of each.
pub fn of_addons(of: &str, graph: &AddonGraph, detail: &dyn Fn(&AddonName) -> String) -> Picture {
    let steps = graph.steps();
    let order = steps.iter().enumerate().map(|(index, step)| Step {
        name: (index + 1).to_string(),
        nodes: step.iter().map(ToString::to_string).collect(),
    });
    Picture {
        of: vec![of.to_owned()],
        nodes: graph
            .nodes()
            .map(|addon| Node { id: addon.to_string(), detail: detail(addon) })
            .collect(),
        links: lines(graph, &|range| (String::new(), range.clone())),
        order: order.collect(),
    }
}

/// A picture of the objects of a release.
pub fn of_objects(of: &str, graph: &ObjectGraph) -> Picture {
    let hooks = graph.before.iter().chain(&graph.after).chain(&graph.others);
    let details: BTreeMap<&ObjectKey, String> =
        hooks.map(|hook| (&hook.key, hook_detail(hook))).collect();
    let ours: BTreeSet<&ObjectKey> = graph
        .crds
        .iter()
        .chain(graph.steps.iter().flatten())
        .chain(details.keys().copied())
        .collect();
    let node = |key: &ObjectKey| Node {
        id: key.to_string(),
        detail: match details.get(key) {
            Some(detail) => detail.clone(),
            None if ours.contains(key) => String::new(),
            None => "not part of the release".to_owned(),
        },
    };
    let mut links = lines(&graph.dag, &|need: &Need| (need.to_string(), String::new()));
    // Every object is behind the last hook: the order says so in one line.
    links.retain(|line| line.how != Need::After.to_string());
    links.extend(graph.dag.dropped().iter().map(|link| Line {
        from: link.from.to_string(),
        to: link.to.to_string(),
        how: link.edge.to_string(),
        version: String::new(),
        holds: false,
    }));
    let mut nodes: Vec<Node> = graph.dag.nodes().map(node).collect();
    // By kind: a group says less to a reader.
    nodes.sort_by(|a, b| a.id.cmp(&b.id));
    links.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    Picture { of: vec![of.to_owned()], nodes, links, order: order(graph) }
}

fn hook_detail(hook: &HookNode) -> String {
    let weight = match hook.weight {
        0 => String::new(),
        weight => format!(", weight {weight}"),
    };
    format!("hook {}{weight}", hook.events.join(", "))
}

fn order(graph: &ObjectGraph) -> Vec<Step> {
    let step = |name: &str, keys: Vec<&ObjectKey>| Step {
        name: name.to_owned(),
        nodes: keys.into_iter().map(ToString::to_string).collect(),
    };
    let hooks =
        |name: &str, hooks: &[HookNode]| step(name, hooks.iter().map(|hook| &hook.key).collect());
    let mut order = vec![step("CRDs", graph.crds.iter().collect())];
    order.push(hooks("hooks before", &graph.before));
    for (index, keys) in graph.steps.iter().enumerate() {
        order.push(step(&(index + 1).to_string(), keys.iter().collect()));
    }
    order.push(hooks("hooks after", &graph.after));
    order.push(hooks("other hooks", &graph.others));
    order.retain(|step| !step.nodes.is_empty());
    order
}

fn lines<N: Ord + Clone + ToString, E: Ord + Clone>(
    graph: &Dag<N, E>,
    words: &dyn Fn(&E) -> (String, String),
) -> Vec<Line> {
    let links = graph.links().into_iter().map(|link| {
        let (how, version) = words(&link.edge);
        Line { from: link.from.to_string(), to: link.to.to_string(), how, version, holds: true }
    });
    links.collect()
}

impl Picture {
    /// Only a node, what it needs and what needs it, at any distance.
    #[must_use]
    pub fn around(mut self, id: &str) -> Self {
        let mut ends: Vec<(&str, &str)> =
            self.links.iter().map(|line| (line.from.as_str(), line.to.as_str())).collect();
        let needs = reached(id, &ends);
        for (from, to) in &mut ends {
            std::mem::swap(from, to);
        }
        let kept: BTreeSet<String> = needs.union(&reached(id, &ends)).cloned().collect();
        self.nodes.retain(|node| kept.contains(&node.id));
        self.links.retain(|line| kept.contains(&line.from) && kept.contains(&line.to));
        for step in &mut self.order {
            step.nodes.retain(|node| kept.contains(node));
        }
        self.order.retain(|step| !step.nodes.is_empty());
        self
    }

    /// Pictures that differ only in what they are of, as one. Keeps the order.
    pub fn grouped(pictures: Vec<Self>) -> Vec<Self> {
        let mut grouped: Vec<Self> = Vec::new();
        for picture in pictures {
            let same = |other: &&mut Self| {
                (&other.nodes, &other.links, &other.order)
                    == (&picture.nodes, &picture.links, &picture.order)
            };
            match grouped.iter_mut().find(same) {
                Some(group) => group.of.extend(picture.of),
                None => grouped.push(picture),
            }
        }
        grouped
    }
}

/// A node and everything that links lead to from there.
fn reached(id: &str, links: &[(&str, &str)]) -> BTreeSet<String> {
    let mut found = BTreeSet::from([id]);
    let mut open = vec![id];
    while let Some(node) = open.pop() {
        for (_, to) in links.iter().filter(|(from, _)| *from == node) {
            if found.insert(to) {
                open.push(to);
            }
        }
    }
    found.into_iter().map(str::to_owned).collect()
}
