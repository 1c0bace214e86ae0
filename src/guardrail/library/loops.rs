//! Loops with two variables, such as `map.all(key, value, …)`.
//!
//! The evaluator has loops with one. One with two is that over pairs, in which both variables are
//! bound: `@pairs(range).all(@pair, bind(key, @pair[0], bind(value, @pair[1], …)))`.

use std::collections::HashMap;
use std::sync::Arc;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue,
    MapEntryExpr, MapExpr, operators,
};
use cel::objects::{Key, Map};
use cel::parser::{Macro, MacroExprHelper};
use cel::{Context, ParseError, Value};

use super::{Result, wrong};

pub(super) const NAMES: &[&str] =
    &["existsOne", "transformList", "transformMap", "transformMapEntry"];

const PAIR: &str = "@pair";
const PAIRS: &str = "@pairs";
const MERGED: &str = "@merged";
const RESULT: &str = "@result";
/// A name that nothing asks for.
const UNUSED: &str = "#unused";

type Expanded = std::result::Result<Option<IdedExpr>, ParseError>;

pub(super) fn declare(env: &mut cel::Env) {
    let macros = [
        ("all", 3, Loop::All),
        ("exists", 3, Loop::Exists),
        ("exists_one", 3, Loop::ExistsOne),
        ("existsOne", 3, Loop::ExistsOne),
        ("transformList", 3, Loop::List),
        ("transformList", 4, Loop::List),
        ("transformMap", 3, Loop::Map),
        ("transformMap", 4, Loop::Map),
        ("transformMapEntry", 3, Loop::Entries),
        ("transformMapEntry", 4, Loop::Entries),
    ];
    for (name, arguments, kind) in macros {
        let expand = move |helper: &mut MacroExprHelper<'_>,
                           target: &mut Option<IdedExpr>,
                           args: &mut Vec<IdedExpr>| {
            Making { helper }.expand(kind, target, args)
        };
        let added = env.add_macro(Macro::receiver(name, arguments, expand));
        debug_assert!(added.is_ok(), "{name}: {added:?}");
    }
}

pub(super) fn add(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function(PAIRS, pairs);
    let _ = scope.add_function(MERGED, merged);
}

/// The items of a list with their places, or of a map with their keys.
fn pairs(range: Value) -> Result<Value> {
    let pair = |key: Value, value: &Value| Value::List(Arc::new(vec![key, value.clone()]));
    let pairs: Vec<Value> = match &range {
        Value::List(items) => {
            items.iter().enumerate().map(|(at, item)| pair(Value::Int(at as i64), item)).collect()
        }
        Value::Map(map) => {
            // In an order of its own, so that the same is found each time.
            let mut entries: Vec<_> = map.map.iter().collect();
            entries.sort_by_key(|(key, _)| key.to_string());
            entries.into_iter().map(|(key, value)| pair(key.into(), value)).collect()
        }
        _ => return Err(wrong("comprehension", "it runs over lists and maps alone")),
    };
    Ok(Value::List(Arc::new(pairs)))
}

/// A map with what another one has besides.
fn merged(one: Value, other: Value) -> Result<Value> {
    let (Value::Map(one), Value::Map(other)) = (one, other) else {
        return Err(wrong("transformMapEntry", "it takes maps alone"));
    };
    if other.map.keys().any(|key| one.map.contains_key(key)) {
        return Err(wrong("transformMapEntry", "a key comes twice"));
    }
    let mut all: HashMap<Key, Value> = HashMap::clone(&one.map);
    all.extend(other.map.iter().map(|(key, value)| (key.clone(), value.clone())));
    Ok(Value::Map(Map { map: Arc::new(all) }))
}

/// What a loop comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loop {
    All,
    Exists,
    ExistsOne,
    List,
    Map,
    Entries,
}

/// Making the nodes of an expansion.
struct Making<'a, 'h> {
    helper: &'a mut MacroExprHelper<'h>,
}

impl Making<'_, '_> {
    fn expand(
        mut self,
        kind: Loop,
        target: &mut Option<IdedExpr>,
        args: &mut Vec<IdedExpr>,
    ) -> Expanded {
        let (Some(range), Some(last)) = (target.take(), args.pop()) else { return Ok(None) };
        let filter = if args.len() == 3 { args.pop() } else { None };
        let value = self.name(args.pop())?;
        let key = self.name(args.pop())?;
        let last = self.bound(&key, &value, last);
        let filter = filter.map(|filter| self.bound(&key, &value, filter));
        let range = self.call(PAIRS, vec![range]);
        Ok(Some(self.fold(kind, range, filter, last)))
    }

    fn name(&self, node: Option<IdedExpr>) -> std::result::Result<String, ParseError> {
        match node {
            Some(IdedExpr { expr: Expr::Ident(name), .. }) => Ok(name),
            node => {
                let id = node.map_or(0, |node| node.id);
                Err(self.helper.new_error(id, "argument must be a simple name"))
            }
        }
    }

    fn fold(
        &mut self,
        kind: Loop,
        range: IdedExpr,
        filter: Option<IdedExpr>,
        last: IdedExpr,
    ) -> IdedExpr {
        let yes = |making: &mut Self| making.literal(LiteralValue::Boolean(true.into()));
        let result = |making: &mut Self| making.ident(RESULT);
        let (init, condition, step) = match kind {
            Loop::All => {
                let (init, accu) = (yes(self), result(self));
                let condition = self.call(operators::NOT_STRICTLY_FALSE, vec![accu]);
                let accu = result(self);
                (init, condition, self.call(operators::LOGICAL_AND, vec![accu, last]))
            }
            Loop::Exists => {
                let init = self.literal(LiteralValue::Boolean(false.into()));
                let accu = result(self);
                let not = self.call(operators::LOGICAL_NOT, vec![accu]);
                let condition = self.call(operators::NOT_STRICTLY_FALSE, vec![not]);
                let accu = result(self);
                (init, condition, self.call(operators::LOGICAL_OR, vec![accu, last]))
            }
            Loop::ExistsOne => {
                let init = self.literal(LiteralValue::Int(0.into()));
                let (accu, one) = (result(self), self.literal(LiteralValue::Int(1.into())));
                let more = self.call(operators::ADD, vec![accu, one]);
                let accu = result(self);
                let step = self.call(operators::CONDITIONAL, vec![last, more, accu]);
                (init, yes(self), step)
            }
            Loop::List => {
                let init = self.helper.next_expr(Expr::List(ListExpr::new(Vec::new())));
                let item = self.helper.next_expr(Expr::List(ListExpr::new(vec![last])));
                let accu = result(self);
                let step = self.call(operators::ADD, vec![accu, item]);
                (init, yes(self), step)
            }
            Loop::Map | Loop::Entries => {
                let init = self.helper.next_expr(Expr::Map(MapExpr { entries: Vec::new() }));
                let entry = if kind == Loop::Map { self.entry(last) } else { last };
                let accu = result(self);
                let step = self.call(MERGED, vec![accu, entry]);
                (init, yes(self), step)
            }
        };
        let step = match filter {
            Some(filter) => {
                let accu = result(self);
                self.call(operators::CONDITIONAL, vec![filter, step, accu])
            }
            None => step,
        };
        let mut end = result(self);
        if kind == Loop::ExistsOne {
            let one = self.literal(LiteralValue::Int(1.into()));
            end = self.call(operators::EQUALS, vec![end, one]);
        }
        self.comprehension((range, PAIR), (RESULT, init), (condition, step, end))
    }

    /// `{@pair[0]: value}`.
    fn entry(&mut self, value: IdedExpr) -> IdedExpr {
        let key = self.part(0);
        let entry = EntryExpr::MapEntry(MapEntryExpr { key, value, optional: false });
        let id = self.literal(LiteralValue::Null).id;
        let entries = vec![IdedEntryExpr { id, expr: entry }];
        self.helper.next_expr(Expr::Map(MapExpr { entries }))
    }

    /// An expression in which both variables are the parts of the pair at hand.
    fn bound(&mut self, key: &str, value: &str, inner: IdedExpr) -> IdedExpr {
        let (first, second) = (self.part(0), self.part(1));
        let inner = self.bind(value, second, inner);
        self.bind(key, first, inner)
    }

    /// A name for a value, as `cel.bind` does it: a loop over nothing.
    fn bind(&mut self, name: &str, value: IdedExpr, inner: IdedExpr) -> IdedExpr {
        let nothing = self.helper.next_expr(Expr::List(ListExpr::new(Vec::new())));
        let never = self.literal(LiteralValue::Boolean(false.into()));
        let same = self.ident(name);
        self.comprehension((nothing, UNUSED), (name, value), (never, same, inner))
    }

    fn part(&mut self, at: i64) -> IdedExpr {
        let (pair, at) = (self.ident(PAIR), self.literal(LiteralValue::Int(at.into())));
        self.call(operators::INDEX, vec![pair, at])
    }

    fn comprehension(
        &mut self,
        (iter_range, iter_var): (IdedExpr, &str),
        (accu_var, accu_init): (&str, IdedExpr),
        (loop_cond, loop_step, result): (IdedExpr, IdedExpr, IdedExpr),
    ) -> IdedExpr {
        self.helper.next_expr(Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range,
            iter_var: iter_var.to_owned(),
            iter_var2: None,
            accu_var: accu_var.to_owned(),
            accu_init,
            loop_cond,
            loop_step,
            result,
        })))
    }

    fn call(&mut self, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
        let call = CallExpr { func_name: name.to_owned(), target: None, args };
        self.helper.next_expr(Expr::Call(call))
    }

    fn ident(&mut self, name: &str) -> IdedExpr {
        self.helper.next_expr(Expr::Ident(name.to_owned()))
    }

    fn literal(&mut self, value: LiteralValue) -> IdedExpr {
        self.helper.next_expr(Expr::Literal(value))
    }
}
