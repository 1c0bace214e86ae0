//! A directed graph that shall have no cycles: edges lead from what needs to what is needed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::Direction;
use petgraph::algo::{has_path_connecting, tarjan_scc};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;

/// Nodes are kept in their own order, so that everything that follows is the same for the same
/// content, in whatever order it was put in.
#[derive(Clone, Debug)]
pub struct Dag<N, E> {
    graph: DiGraph<N, E>,
    places: BTreeMap<N, NodeIndex>,
    dropped: Vec<Link<N, E>>,
}

/// An edge with both its ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link<N, E> {
    /// What needs.
    pub from: N,
    /// What is needed.
    pub to: N,
    /// How.
    pub edge: E,
}

impl<N: Ord + Clone, E: Ord + Clone> Default for Dag<N, E> {
    fn default() -> Self {
        Self { graph: DiGraph::new(), places: BTreeMap::new(), dropped: Vec::new() }
    }
}

impl<N: Ord + Clone, E: Ord + Clone> Dag<N, E> {
    /// A graph of nodes, links that must hold, and links that hold where they make no cycle. What
    /// is at the end of a link is a node, whether it was named or not.
    pub fn new(
        nodes: impl IntoIterator<Item = N>,
        hard: impl IntoIterator<Item = Link<N, E>>,
        optional: impl IntoIterator<Item = Link<N, E>>,
    ) -> Self {
        let hard: BTreeSet<Link<N, E>> = hard.into_iter().collect();
        let optional: BTreeSet<Link<N, E>> = optional.into_iter().collect();
        let mut names: BTreeSet<N> = nodes.into_iter().collect();
        for link in hard.iter().chain(&optional) {
            names.extend([link.from.clone(), link.to.clone()]);
        }
        let mut dag = Self::default();
        for name in names {
            let place = dag.graph.add_node(name.clone());
            dag.places.insert(name, place);
        }
        for link in hard {
            dag.graph.add_edge(dag.places[&link.from], dag.places[&link.to], link.edge);
        }
        for link in optional {
            let (from, to) = (dag.places[&link.from], dag.places[&link.to]);
            if from == to || has_path_connecting(&dag.graph, to, from, None) {
                dag.dropped.push(link);
            } else {
                dag.graph.add_edge(from, to, link.edge);
            }
        }
        dag
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> impl Iterator<Item = &N> {
        self.places.keys()
    }

    /// All links that hold, in order.
    pub fn links(&self) -> Vec<Link<N, E>> {
        let mut links: Vec<Link<N, E>> = self
            .graph
            .edge_references()
            .map(|edge| Link {
                from: self.graph[edge.source()].clone(),
                to: self.graph[edge.target()].clone(),
                edge: edge.weight().clone(),
            })
            .collect();
        links.sort();
        links
    }

    /// Optional links that would have made a cycle, in order.
    pub fn dropped(&self) -> &[Link<N, E>] {
        &self.dropped
    }

    /// What a node needs, in order.
    pub fn needs(&self, node: &N) -> Vec<(&N, &E)> {
        self.neighbours(node, Direction::Outgoing)
    }

    /// What needs a node, in order.
    pub fn needed_by(&self, node: &N) -> Vec<(&N, &E)> {
        self.neighbours(node, Direction::Incoming)
    }

    fn neighbours(&self, node: &N, direction: Direction) -> Vec<(&N, &E)> {
        let Some(place) = self.places.get(node) else { return Vec::new() };
        let mut found: Vec<(&N, &E)> = self
            .graph
            .edges_directed(*place, direction)
            .map(|edge| {
                let other = match direction {
                    Direction::Outgoing => edge.target(),
                    Direction::Incoming => edge.source(),
                };
                (&self.graph[other], edge.weight())
            })
            .collect();
        found.sort();
        found
    }

    /// Nodes in steps: what a node needs is in earlier steps. What is on a cycle, or needs
    /// something that is, is in no step.
    pub fn steps(&self) -> Vec<Vec<&N>> {
        let mut open: BTreeMap<&N, BTreeSet<&N>> = self
            .nodes()
            .map(|node| (node, self.needs(node).into_iter().map(|(needed, _)| needed).collect()))
            .collect();
        let mut steps = Vec::new();
        loop {
            let free: Vec<&N> =
                open.iter().filter(|(_, needs)| needs.is_empty()).map(|(node, _)| *node).collect();
            if free.is_empty() {
                return steps;
            }
            for node in &free {
                open.remove(node);
            }
            for needs in open.values_mut() {
                needs.retain(|needed| !free.contains(needed));
            }
            steps.push(free);
        }
    }

    /// Cycles, each as its links in order, that have no link in common and that all cycles are
    /// broken with. Empty for a graph without any.
    pub fn cycles(&self) -> Vec<Vec<Link<N, E>>> {
        let mut graph = self.graph.clone();
        let mut found = Vec::new();
        loop {
            let on_cycles = tarjan_scc(&graph).into_iter().filter(|component| {
                let is_self = |node: &NodeIndex| graph.find_edge(*node, *node).is_some();
                component.len() > 1 || component.iter().any(is_self)
            });
            let first = on_cycles.flatten().min_by_key(|node| &graph[*node]);
            let Some(path) = first.and_then(|start| way_back(&graph, start)) else { return found };
            let links = path.iter().filter_map(|edge| {
                let (from, to) = graph.edge_endpoints(*edge)?;
                let (from, to) = (graph[from].clone(), graph[to].clone());
                Some(Link { from, to, edge: graph[*edge].clone() })
            });
            found.push(links.collect());
            graph.retain_edges(|_, edge| !path.contains(&edge));
        }
    }
}

type EdgeIndex = petgraph::graph::EdgeIndex;

/// The shortest way from a node to itself, as edges.
fn way_back<N: Ord, E: Ord>(graph: &DiGraph<N, E>, start: NodeIndex) -> Option<Vec<EdgeIndex>> {
    let mut came_by: BTreeMap<NodeIndex, EdgeIndex> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(node) = next.pop_front() {
        let mut edges: Vec<_> = graph.edges(node).collect();
        edges.sort_by_key(|edge| (&graph[edge.target()], edge.weight()));
        for edge in edges {
            let target = edge.target();
            if target != start && came_by.contains_key(&target) {
                continue;
            }
            came_by.insert(target, edge.id());
            if target == start {
                return Some(walk_back(graph, &came_by, start));
            }
            next.push_back(target);
        }
    }
    None
}

fn walk_back<N, E>(
    graph: &DiGraph<N, E>,
    came_by: &BTreeMap<NodeIndex, EdgeIndex>,
    start: NodeIndex,
) -> Vec<EdgeIndex> {
    let mut edges = Vec::new();
    let mut node = start;
    while let Some(edge) = came_by.get(&node) {
        edges.push(*edge);
        let Some((source, _)) = graph.edge_endpoints(*edge) else { break };
        node = source;
        if node == start {
            break;
        }
    }
    edges.reverse();
    edges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(from: u8, to: u8) -> Link<u8, ()> {
        Link { from, to, edge: () }
    }

    fn dag(hard: &[(u8, u8)], optional: &[(u8, u8)]) -> Dag<u8, ()> {
        let links = |pairs: &[(u8, u8)]| -> Vec<_> {
            pairs.iter().map(|(from, to)| link(*from, *to)).collect()
        };
        Dag::new([], links(hard), links(optional))
    }

    #[test]
    fn what_is_needed_comes_first() {
        let dag = dag(&[(3, 2), (2, 1), (4, 1)], &[]);
        assert_eq!(dag.steps(), [vec![&1], vec![&2, &4], vec![&3]]);
        assert_eq!(dag.needed_by(&1), [(&2, &()), (&4, &())]);
    }

    #[test]
    fn an_optional_link_gives_way() {
        let dag = dag(&[(1, 2)], &[(2, 3), (3, 1)]);
        assert_eq!(dag.dropped(), [link(3, 1)]);
        assert!(dag.cycles().is_empty());
    }

    #[test]
    fn cycles_are_short_and_have_no_link_in_common() {
        let dag = dag(&[(1, 2), (2, 3), (3, 1), (2, 1), (5, 5), (6, 1)], &[]);
        let told: Vec<Vec<(u8, u8)>> = dag
            .cycles()
            .iter()
            .map(|cycle| cycle.iter().map(|link| (link.from, link.to)).collect())
            .collect();
        assert_eq!(told, [vec![(1, 2), (2, 1)], vec![(5, 5)]]);
    }

    fn pairs() -> impl Strategy<Value = Vec<(u8, u8)>> {
        proptest::collection::vec((0_u8..8, 0_u8..8), 0..24)
    }

    /// Whether it has a cycle, by taking out what needs nothing until nothing is left.
    fn is_cyclic(mut links: Vec<(u8, u8)>) -> bool {
        loop {
            let sources: BTreeSet<u8> = links.iter().map(|(from, _)| *from).collect();
            let before = links.len();
            links.retain(|(_, to)| sources.contains(to));
            if links.len() == before {
                return before > 0;
            }
        }
    }

    proptest! {
        #[test]
        fn a_graph_has_cycles_where_a_naive_search_finds_some(hard in pairs()) {
            prop_assert_eq!(!dag(&hard, &[]).cycles().is_empty(), is_cyclic(hard));
        }

        #[test]
        fn without_its_cycles_a_graph_has_none(hard in pairs()) {
            let cycles = dag(&hard, &[]).cycles();
            let on_cycle = |pair: &(u8, u8)| {
                cycles.iter().flatten().any(|link| (link.from, link.to) == *pair)
            };
            let rest: Vec<_> = hard.into_iter().filter(|pair| !on_cycle(pair)).collect();
            prop_assert!(!is_cyclic(rest));
        }

        #[test]
        fn optional_links_never_make_a_cycle(hard in pairs(), optional in pairs()) {
            let hard: Vec<_> = hard.into_iter().filter(|(from, to)| from > to).collect();
            let dag = dag(&hard, &optional);
            prop_assert!(dag.cycles().is_empty());
            let placed: usize = dag.steps().iter().map(Vec::len).sum();
            prop_assert_eq!(placed, dag.nodes().count());
        }

        #[test]
        fn the_order_of_the_input_does_not_matter(mut hard in pairs()) {
            let one = dag(&hard, &[]);
            hard.reverse();
            let other = dag(&hard, &[]);
            prop_assert_eq!(one.links(), other.links());
            prop_assert_eq!(one.cycles(), other.cycles());
        }
    }
}
