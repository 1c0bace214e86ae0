//! Named templates that can call each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ast::Tree;
use super::error::Error;
use super::function::Functions;
use super::parse::parse;

/// Templates by name. Immutable once parsed, so that many renders on many threads share it.
#[derive(Clone, Debug, Default)]
pub struct Set {
    trees: BTreeMap<Arc<str>, Arc<Tree>>,
}

impl Set {
    /// No templates.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the template `name` and everything that `text` defines. What is there already under
    /// the same name is replaced, unless the new definition is empty.
    pub fn parse(
        &mut self,
        name: &str,
        text: &str,
        functions: &dyn Functions,
    ) -> Result<(), Box<Error>> {
        for tree in parse(name, text, functions)? {
            let is_known = self.trees.contains_key(&tree.name);
            if !is_known || !tree.is_empty() {
                self.trees.insert(Arc::clone(&tree.name), Arc::new(tree));
            }
        }
        Ok(())
    }

    /// The template of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Tree>> {
        self.trees.get(name)
    }

    /// The names of all templates, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.trees.keys().map(|name| &**name)
    }
}
