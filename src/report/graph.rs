//! Graphs: an indented tree, Graphviz, Mermaid and JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::paint::Paint;
use crate::base::diagnostic::few;
use crate::graph::picture::{Line, Node, Picture};

/// For people at a terminal: below each node what it needs, then the order of installation.
pub fn text(pictures: &[Picture], is_coloured: bool) -> String {
    let paint = Paint { is_coloured };
    let drawn: Vec<String> =
        pictures.iter().map(|picture| Tree::new(picture, paint).draw()).collect();
    drawn.join("\n")
}

/// `{"graphs": [{of, nodes: [{id, detail}], links: [{from, to, how, version, holds}], order: [{name,
/// nodes}]}]}`.
pub fn json(pictures: &[Picture]) -> Json {
    json!({"graphs": pictures})
}

/// For Graphviz: `dot -Tsvg`. What needs points to what is needed.
pub fn dot(pictures: &[Picture]) -> String {
    let mut out = String::from("digraph fitout {\n  rankdir=LR;\n  node [shape=box];\n");
    for (index, picture) in pictures.iter().enumerate() {
        push(&mut out, 1, format!("subgraph cluster_{index} {{"));
        push(&mut out, 2, format!("label={};", quote(&title(picture))));
        let id = |node: &str| quote(&format!("{index}:{node}"));
        for node in &picture.nodes {
            push(&mut out, 2, format!("{} [label={}];", id(&node.id), quote(&label(node, "\n"))));
        }
        for line in &picture.links {
            let style = if line.holds { "" } else { ", style=dashed, constraint=false" };
            let (from, to, how) = (id(&line.from), id(&line.to), quote(&words(line)));
            push(&mut out, 2, format!("{from} -> {to} [label={how}{style}];"));
        }
        push(&mut out, 1, "}".to_owned());
    }
    out.push_str("}\n");
    out
}

/// For a Markdown page: a Mermaid flowchart. What needs points to what is needed.
pub fn mermaid(pictures: &[Picture]) -> String {
    let mut out = String::from("flowchart LR\n");
    for (index, picture) in pictures.iter().enumerate() {
        push(&mut out, 1, format!("subgraph g{index}[\"{}\"]", entities(&title(picture))));
        let ids: BTreeMap<&str, String> = picture
            .nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (node.id.as_str(), format!("g{index}n{at}")))
            .collect();
        for node in &picture.nodes {
            let label = entities(&label(node, "\n")).replace('\n', "<br>");
            push(&mut out, 2, format!("{}[\"{label}\"]", ids[node.id.as_str()]));
        }
        for line in &picture.links {
            let (from, to) = (&ids[line.from.as_str()], &ids[line.to.as_str()]);
            let arrow = if line.holds { "-->" } else { "-.->" };
            let how = match words(line).as_str() {
                "" => String::new(),
                how => format!("|\"{}\"|", entities(how)),
            };
            push(&mut out, 2, format!("{from} {arrow}{how} {to}"));
        }
        push(&mut out, 1, "end".to_owned());
    }
    out
}

fn push(out: &mut String, depth: usize, line: String) {
    writeln!(out, "{:1$}{line}", "", depth * 2).expect("writing to a String cannot fail");
}

fn title(picture: &Picture) -> String {
    let names: Vec<&str> = picture.of.iter().map(String::as_str).collect();
    few(&names).replace('`', "")
}

fn words(line: &Line) -> String {
    [line.how.as_str(), line.version.as_str()].concat()
}

fn label(node: &Node, joint: &str) -> String {
    if node.detail.is_empty() {
        node.id.clone()
    } else {
        format!("{}{joint}{}", node.id, node.detail)
    }
}

fn quote(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn entities(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A picture as a forest: what nothing needs is at the top.
struct Tree<'a> {
    picture: &'a Picture,
    paint: Paint,
    nodes: BTreeMap<&'a str, &'a Node>,
    needs: BTreeMap<&'a str, Vec<&'a Line>>,
    drawn: BTreeSet<&'a str>,
    out: String,
}

impl<'a> Tree<'a> {
    fn new(picture: &'a Picture, paint: Paint) -> Self {
        let mut needs: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
        for line in picture.links.iter().filter(|line| line.holds) {
            needs.entry(&line.from).or_default().push(line);
        }
        let nodes = picture.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        Self { picture, paint, nodes, needs, drawn: BTreeSet::new(), out: String::new() }
    }

    fn draw(mut self) -> String {
        push(&mut self.out, 0, self.paint.strong(&title(self.picture)));
        push(&mut self.out, 0, String::new());
        let picture = self.picture;
        let needed: BTreeSet<&str> = self.needs.values().flatten().map(|line| &*line.to).collect();
        let roots = picture.nodes.iter().filter(|node| !needed.contains(&*node.id));
        for node in roots {
            self.node(&node.id, None, "");
        }
        let dropped: Vec<&Line> = picture.links.iter().filter(|line| !line.holds).collect();
        if !dropped.is_empty() {
            push(&mut self.out, 0, String::new());
        }
        for line in dropped {
            let told = format!("{} {} {}, which only comes later", line.from, line.how, line.to);
            push(&mut self.out, 0, self.paint.changed(&told));
        }
        self.order();
        self.out
    }

    /// A node with what it needs below it; `by` is the link that led here.
    fn node(&mut self, id: &'a str, by: Option<&'a Line>, indent: &str) {
        let lines = self.needs.get(id).cloned().unwrap_or_default();
        let is_again = !self.drawn.insert(id) && !lines.is_empty();
        let detail = self.nodes.get(id).map(|node| node.detail.as_str()).unwrap_or_default();
        let (how, version) = by.map_or(("", ""), |line| (&line.how, &line.version));
        let notes = [detail, if is_again { "see above" } else { "" }];
        let notes: Vec<&str> = notes.into_iter().filter(|note| !note.is_empty()).collect();
        let parts = [
            self.paint.faint(how),
            [id, if version.is_empty() { "" } else { " " }, version].concat(),
            if notes.is_empty() {
                String::new()
            } else {
                self.paint.faint(&format!("({})", notes.join(", ")))
            },
        ];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        writeln!(self.out, "{}", parts.join(" ")).expect("writing to a String cannot fail");
        if is_again {
            return;
        }
        for (at, line) in lines.iter().enumerate() {
            let is_last = at + 1 == lines.len();
            let (branch, below) =
                if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
            self.out.push_str(indent);
            self.out.push_str(branch);
            self.node(&line.to, Some(line), &format!("{indent}{below}"));
        }
    }

    fn order(&mut self) {
        let order = &self.picture.order;
        if order.is_empty() {
            return;
        }
        push(&mut self.out, 0, String::new());
        push(&mut self.out, 0, self.paint.strong("order"));
        let width = order.iter().map(|step| step.name.len()).max().unwrap_or_default();
        for step in order {
            let mut name = step.name.as_str();
            for row in rows(&step.nodes) {
                let line = format!("{:width$}  {row}", self.paint.faint(&format!("{name:width$}")));
                push(&mut self.out, 1, line);
                name = "";
            }
        }
    }
}

/// Names in rows that fit a terminal.
fn rows(names: &[String]) -> Vec<String> {
    const WIDTH: usize = 90;
    let mut rows: Vec<String> = Vec::new();
    for name in names {
        match rows.last_mut() {
            Some(row) if row.len() + 2 + name.len() <= WIDTH => {
                row.push_str(", ");
                row.push_str(name);
            }
            Some(row) => {
                row.push(',');
                rows.push(name.clone());
            }
            None => rows.push(name.clone()),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chart::model::{ChartFile, RenderInput};
    use crate::chart::world::SeededWorld;
    use crate::graph::objects::of_release;
    use crate::graph::picture::of_objects;

    const TEMPLATES: &str = "
kind: Namespace
apiVersion: v1
metadata: {name: shop}
---
kind: ServiceAccount
apiVersion: v1
metadata: {name: web}
---
kind: Secret
apiVersion: v1
metadata: {name: keys}
---
kind: Role
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: web}
---
kind: RoleBinding
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: web}
roleRef: {kind: Role, name: web}
subjects: [{kind: ServiceAccount, name: web}]
---
kind: Deployment
apiVersion: apps/v1
metadata: {name: web}
spec:
  template:
    spec:
      serviceAccountName: web
      containers: [{name: web, envFrom: [{secretRef: {name: keys}}]}]
      volumes: [{name: c, configMap: {name: of-somebody-else}}]
---
kind: Service
apiVersion: v1
metadata: {name: web}
---
kind: Ingress
apiVersion: networking.k8s.io/v1
metadata: {name: web}
spec: {rules: [{http: {paths: [{backend: {service: {name: web}}}]}}]}
---
kind: Shelf
apiVersion: shop.example.org/v1
metadata: {name: top}
---
kind: Job
apiVersion: batch/v1
metadata:
  name: migrate
  annotations: {helm.sh/hook: \"pre-install,pre-upgrade\", helm.sh/hook-weight: \"5\"}
spec: {template: {spec: {serviceAccountName: web, containers: []}}}
---
kind: ConfigMap
apiVersion: v1
metadata: {name: seed, annotations: {helm.sh/hook: pre-install}}
---
kind: Job
apiVersion: batch/v1
metadata: {name: try, annotations: {helm.sh/hook: test}}
spec: {template: {spec: {containers: []}}}
";

    const CRD: &str = "
kind: CustomResourceDefinition
apiVersion: apiextensions.k8s.io/v1
metadata: {name: shelves.shop.example.org}
spec: {group: shop.example.org, scope: Cluster, names: {kind: Shelf}}
";

    fn picture() -> Picture {
        let file = |name: &str, text: &str| ChartFile { name: name.into(), data: text.into() };
        let chart = crate::chart::load::from_files(vec![
            file("Chart.yaml", "{apiVersion: v2, name: shop, version: 1.0.0}"),
            file("crds/shelf.yaml", CRD),
            file("templates/all.yaml", TEMPLATES),
        ]);
        let input = RenderInput {
            release_name: "shop".to_owned(),
            namespace: "shop".to_owned(),
            revision: 1,
            is_upgrade: false,
            values: json!({}),
            kube_version: "v1.35.0".to_owned(),
            served: crate::chart::capabilities::Served::AsHelm,
            api_versions: Vec::new(),
            with_crds: true,
        };
        let world = SeededWorld::new(0, 0);
        let rendered = crate::chart::render(&Arc::new(chart.unwrap()), &input, &world).unwrap();
        let graph = of_release(&rendered, "shop");
        assert!(graph.dag.cycles().is_empty(), "what must hold can hold");
        of_objects("dev/shop", &graph)
    }

    #[test]
    fn objects_are_drawn_as_a_tree_in_their_order() {
        insta::assert_snapshot!("objects", text(&[picture()], false));
    }

    #[test]
    fn other_programs_can_draw_it_as_well() {
        let picture = picture().around("Ingress/shop/web");
        let all = [dot(std::slice::from_ref(&picture)), mermaid(&[picture])];
        insta::assert_snapshot!("drawn", all.join("\n"));
    }

    #[test]
    fn pictures_that_are_alike_are_told_once() {
        let other = Picture { of: vec!["prod/shop".to_owned()], ..picture() };
        let grouped = Picture::grouped(vec![picture(), other]);
        assert_eq!(grouped.len(), 1);
        assert_eq!(grouped[0].of, ["dev/shop", "prod/shop"]);
    }
}
