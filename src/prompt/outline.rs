//! What a template says of blocks and names, read off its syntax tree: also in branches that aren't taken.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::machinery::{Span, ast, parse};
use minijinja::syntax::SyntaxConfig;

/// Blocks of a template, and names that it gives or relies on.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub extends: Vec<Extends>,
    pub blocks: Vec<Block>,
    pub mentions: Vec<Mention>,
    /// Variables, macros and arguments, wherever they get their name.
    pub assigned: BTreeSet<String>,
    /// Variables that the template asks whether they are there.
    pub optional: BTreeSet<String>,
    /// What an import of the template has.
    pub exported: BTreeSet<String>,
    /// Templates imported as a whole, by the name they get.
    pub modules: BTreeMap<String, String>,
    /// Other names of `reel` and `task`.
    pub aliases: BTreeMap<String, String>,
    /// Line of the first output outside all blocks.
    pub outside: Option<usize>,
}

/// `{% extends %}`.
#[derive(Debug)]
pub(super) struct Extends {
    /// `None` where that is to be computed.
    pub name: Option<String>,
    pub line: usize,
    /// Whether it stands in a branch, a loop or a block.
    pub nested: bool,
}

#[derive(Debug)]
pub(super) struct Block {
    pub name: String,
    pub line: usize,
    /// The block around it.
    pub within: Option<String>,
    pub calls_super: bool,
}

/// Something that has to be there.
#[derive(Debug)]
pub(super) struct Mention {
    pub line: usize,
    pub of: Named,
}

#[derive(Debug)]
pub(super) enum Named {
    Variable(String),
    /// A variable and what is looked up in it, such as `reel`, `likes`.
    Path(String, Vec<String>),
    Filter(String),
    Test(String),
    /// Any of these templates will do; whether one has to be there.
    Template(Vec<String>, bool),
    /// A name taken from a template.
    Import(String, String),
}

impl Outline {
    /// # Errors
    /// When the template doesn't parse.
    pub fn new(name: &str, text: &str, syntax: SyntaxConfig) -> Result<Outline, minijinja::Error> {
        let tree = parse(text, name, syntax)?;
        let mut walk = Walk::default();
        walk.statement(&tree);
        Ok(walk.outline)
    }

    /// The definition of a block.
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.name == name)
    }
}

#[derive(Default)]
struct Walk {
    outline: Outline,
    /// Names of the blocks around.
    blocks: Vec<String>,
    /// Statements around, blocks among them.
    depth: usize,
    /// Whether what is written here goes into a variable or a macro.
    captured: bool,
}

fn line(span: Span) -> usize {
    span.start_line.into()
}

fn text(expression: &ast::Expr) -> Option<String> {
    expression.as_const()?.as_str().map(str::to_owned)
}

impl Walk {
    fn mention(&mut self, span: Span, of: Named) {
        self.outline.mentions.push(Mention { line: line(span), of });
    }

    fn written(&mut self, span: Span) {
        if self.blocks.is_empty() && !self.captured {
            self.outline.outside.get_or_insert(line(span));
        }
    }

    fn assign(&mut self, target: &ast::Expr) {
        match target {
            ast::Expr::Var(variable) => self.assign_name(variable.id),
            ast::Expr::List(list) => list.items.iter().for_each(|item| self.assign(item)),
            ast::Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.assign(item)),
            // A field of a namespace.
            other => self.expression(other),
        }
    }

    fn assign_name(&mut self, name: &str) {
        self.outline.assigned.insert(name.to_owned());
        self.export(name);
    }

    fn export(&mut self, name: &str) {
        if self.blocks.is_empty() && !self.captured {
            self.outline.exported.insert(name.to_owned());
        }
    }

    /// `{% set post = reel %}` makes a name for the Reel, anything else a name for something unknown.
    fn set(&mut self, target: &ast::Expr, value: &ast::Expr) {
        match (target, value) {
            (ast::Expr::Var(name), ast::Expr::Var(of)) if ["reel", "task"].contains(&of.id) => {
                self.outline.aliases.insert(name.id.to_owned(), of.id.to_owned());
                self.export(name.id);
            }
            _ => self.assign(target),
        }
        self.expression(value);
    }

    fn body(&mut self, statements: &[ast::Stmt]) {
        self.depth += 1;
        statements.iter().for_each(|statement| self.statement(statement));
        self.depth -= 1;
    }

    /// What is written in it isn't output.
    fn captured(&mut self, walk: impl FnOnce(&mut Walk)) {
        let before = std::mem::replace(&mut self.captured, true);
        walk(self);
        self.captured = before;
    }

    /// A flat match over the kinds of statements.
    fn statement(&mut self, statement: &ast::Stmt) {
        match statement {
            ast::Stmt::Template(template) => template.children.iter().for_each(|child| self.statement(child)),
            ast::Stmt::EmitExpr(emit) => {
                self.written(emit.span());
                self.expression(&emit.expr);
            }
            ast::Stmt::EmitRaw(emit) => {
                if !emit.raw.trim().is_empty() {
                    self.written(emit.span());
                }
            }
            ast::Stmt::ForLoop(each) => {
                self.assign(&each.target);
                self.expression(&each.iter);
                each.filter_expr.iter().for_each(|filter| self.expression(filter));
                self.body(&each.body);
                self.body(&each.else_body);
            }
            ast::Stmt::IfCond(branch) => {
                self.expression(&branch.expr);
                self.body(&branch.true_body);
                self.body(&branch.false_body);
            }
            ast::Stmt::WithBlock(with) => {
                for (target, value) in &with.assignments {
                    self.set(target, value);
                }
                self.body(&with.body);
            }
            ast::Stmt::Set(set) => self.set(&set.target, &set.expr),
            ast::Stmt::SetBlock(set) => {
                self.assign(&set.target);
                set.filter.iter().for_each(|filter| self.expression(filter));
                self.captured(|walk| walk.body(&set.body));
            }
            ast::Stmt::AutoEscape(escape) => {
                self.expression(&escape.enabled);
                self.body(&escape.body);
            }
            ast::Stmt::FilterBlock(filter) => {
                self.expression(&filter.filter);
                self.body(&filter.body);
            }
            ast::Stmt::Block(block) => {
                self.outline.blocks.push(Block {
                    name: block.name.to_owned(),
                    line: line(block.span()),
                    within: self.blocks.last().cloned(),
                    calls_super: false,
                });
                self.blocks.push(block.name.to_owned());
                self.body(&block.body);
                self.blocks.pop();
            }
            ast::Stmt::Import(import) => {
                match (&import.name, text(&import.expr)) {
                    (ast::Expr::Var(module), Some(file)) => {
                        self.outline.modules.insert(module.id.to_owned(), file);
                    }
                    (name, _) => self.assign(name),
                }
                self.template(&import.expr, true);
            }
            ast::Stmt::FromImport(import) => {
                for (name, alias) in &import.names {
                    self.assign(alias.as_ref().unwrap_or(name));
                    if let (ast::Expr::Var(name), Some(file)) = (name, text(&import.expr)) {
                        self.mention(import.span(), Named::Import(file, name.id.to_owned()));
                    }
                }
                self.template(&import.expr, true);
            }
            ast::Stmt::Extends(extends) => {
                let (name, line) = (text(&extends.name), line(extends.span()));
                self.outline.extends.push(Extends { name, line, nested: self.depth > 0 });
                self.template(&extends.name, true);
            }
            ast::Stmt::Include(include) => {
                self.written(include.span());
                self.template(&include.name, !include.ignore_missing);
            }
            ast::Stmt::Macro(made) => {
                self.assign_name(made.name);
                self.captured(|walk| walk.made(made));
            }
            ast::Stmt::CallBlock(call) => {
                self.written(call.span());
                self.call(&call.call);
                self.captured(|walk| walk.made(&call.macro_decl));
            }
            ast::Stmt::Do(call) => self.call(&call.call),
            ast::Stmt::Continue(_) | ast::Stmt::Break(_) => {}
        }
    }

    fn made(&mut self, made: &ast::Macro) {
        made.args.iter().for_each(|argument| self.assign(argument));
        made.defaults.iter().for_each(|default| self.expression(default));
        self.body(&made.body);
    }

    /// The name of a template, or several of which the first that is there is taken.
    fn template(&mut self, name: &ast::Expr, required: bool) {
        let names = match name {
            ast::Expr::List(list) => list.items.iter().map(text).collect(),
            ast::Expr::Tuple(tuple) => tuple.items.iter().map(text).collect(),
            one => text(one).map(|name| vec![name]),
        };
        match names {
            Some(names) => self.mention(name.span(), Named::Template(names, required)),
            None => self.expression(name),
        }
    }

    fn arguments(&mut self, arguments: &[ast::CallArg]) {
        for argument in arguments {
            let (ast::CallArg::Pos(value)
            | ast::CallArg::Kwarg(_, value)
            | ast::CallArg::PosSplat(value)
            | ast::CallArg::KwargSplat(value)) = argument;
            self.expression(value);
        }
    }

    fn call(&mut self, call: &ast::Call) {
        if let (ast::Expr::Var(called), Some(within)) = (&call.expr, self.blocks.last())
            && called.id == "super"
        {
            let block = self.outline.blocks.iter_mut().rfind(|block| block.name == *within);
            block.into_iter().for_each(|block| block.calls_super = true);
        }
        self.expression(&call.expr);
        self.arguments(&call.args);
    }

    fn asked_for(&mut self, expression: &ast::Expr) {
        if let ast::Expr::Var(variable) = expression {
            self.outline.optional.insert(variable.id.to_owned());
        }
    }

    /// Filters that take the name of another, and of tests: `map("upper")`, `selectattr("x", "none")`.
    fn named_in_arguments(&mut self, filter: &ast::Filter, span: Span) {
        let (at, of): (usize, fn(String) -> Named) = match filter.name {
            "map" => (0, Named::Filter),
            "select" | "reject" => (0, Named::Test),
            "selectattr" | "rejectattr" => (1, Named::Test),
            _ => return,
        };
        if let Some(ast::CallArg::Pos(name)) = filter.args.get(at)
            && let Some(name) = text(name)
        {
            self.mention(span, of(name));
        }
    }

    /// A flat match over the kinds of expressions.
    fn expression(&mut self, expression: &ast::Expr) {
        match expression {
            ast::Expr::Var(variable) => self.mention(variable.span(), Named::Variable(variable.id.to_owned())),
            ast::Expr::Const(_) => {}
            ast::Expr::Slice(slice) => {
                self.expression(&slice.expr);
                [&slice.start, &slice.stop, &slice.step].into_iter().flatten().for_each(|part| self.expression(part));
            }
            ast::Expr::UnaryOp(operation) => self.expression(&operation.expr),
            ast::Expr::BinOp(operation) => {
                self.expression(&operation.left);
                self.expression(&operation.right);
            }
            ast::Expr::Compare(compare) => {
                self.expression(&compare.expr);
                compare.ops.iter().for_each(|operand| self.expression(&operand.expr));
            }
            ast::Expr::IfExpr(branch) => {
                self.expression(&branch.test_expr);
                self.expression(&branch.true_expr);
                branch.false_expr.iter().for_each(|otherwise| self.expression(otherwise));
            }
            ast::Expr::Filter(filter) => {
                self.mention(filter.span(), Named::Filter(without_space(filter.name)));
                self.named_in_arguments(filter, filter.span());
                if let Some(value) = &filter.expr {
                    if matches!(filter.name, "default" | "d") {
                        self.asked_for(value);
                    }
                    self.expression(value);
                }
                self.arguments(&filter.args);
            }
            ast::Expr::Test(test) => {
                self.mention(test.span(), Named::Test(without_space(test.name)));
                if matches!(test.name, "defined" | "undefined") {
                    self.asked_for(&test.expr);
                }
                self.expression(&test.expr);
                self.arguments(&test.args);
            }
            ast::Expr::GetAttr(_) | ast::Expr::GetItem(_) => self.looked_up(expression),
            ast::Expr::Call(call) => self.call(call),
            ast::Expr::List(list) => list.items.iter().for_each(|item| self.expression(item)),
            ast::Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.expression(item)),
            ast::Expr::Map(map) => map.keys.iter().chain(&map.values).for_each(|part| self.expression(part)),
        }
    }

    /// `reel.likes` and `reel["likes"]` are a path; what is computed is looked at by itself.
    fn looked_up(&mut self, expression: &ast::Expr) {
        let (mut path, mut at) = (Vec::new(), expression);
        loop {
            at = match at {
                ast::Expr::GetAttr(attribute) => {
                    path.push(attribute.name.to_owned());
                    &attribute.expr
                }
                ast::Expr::GetItem(item) => {
                    match text(&item.subscript_expr) {
                        Some(name) => path.push(name),
                        None => {
                            self.expression(&item.subscript_expr);
                            // What is looked up in an element isn't looked up in the whole.
                            path.clear();
                        }
                    }
                    &item.expr
                }
                ast::Expr::Var(root) => {
                    path.reverse();
                    self.mention(root.span(), Named::Path(root.id.to_owned(), path));
                    return;
                }
                other => return self.expression(other),
            };
        }
    }
}

/// As the engine looks filters and tests up.
fn without_space(name: &str) -> String {
    name.split_ascii_whitespace().collect()
}
