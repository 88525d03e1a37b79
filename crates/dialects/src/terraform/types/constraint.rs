//! Type constraints as they are written: `list(object({ name = string, size = optional(number, 1) }))`.

use std::sync::Arc;

use keyblind_resource::Value;
use keyblind_syntax::hcl::ast::{Expr, ExprKind};

use super::{ObjectAttribute, Type, convert};

/// Type expressions nested deeper than this are refused.
const MAX_NESTING: usize = 64;

impl Type {
    /// Reads a type expression. `default_of` evaluates the default of an `optional(T, default)`; it may not refer to anything.
    ///
    /// The quoted forms of Terraform 0.11 (`"string"`, `"list"`, `"map"`) are read as well.
    pub(crate) fn parse(expr: &Expr, default_of: &mut dyn FnMut(&Expr) -> Value) -> Result<Self, String> {
        parse(expr, default_of, 0)
    }
}

fn parse(expr: &Expr, default_of: &mut dyn FnMut(&Expr) -> Value, depth: usize) -> Result<Type, String> {
    if depth > MAX_NESTING {
        return Err(format!("a type constraint may be nested {MAX_NESTING} levels deep at most"));
    }
    match &expr.kind {
        ExprKind::Paren(inner) => parse(inner, default_of, depth + 1),
        ExprKind::Variable(name) => keyword(name),
        ExprKind::String(name) => match &**name {
            "string" => Ok(Type::String),
            "list" => Ok(Type::list(Type::Any)),
            "map" => Ok(Type::map(Type::Any)),
            _ => Err(format!("type constraints are written without quotes; \"{name}\" is none of the old quoted ones (string, list, map)")),
        },
        ExprKind::Call { name, arguments, expand_last: false } => {
            let constructor = &*name.text;
            if matches!(constructor, "any" | "bool" | "number" | "string") {
                return Err(format!("the type {constructor} takes no arguments"));
            }
            if !matches!(constructor, "list" | "set" | "map" | "tuple" | "object") {
                return Err(if constructor == "optional" {
                    "optional(…) is only valid for an attribute of an object type".to_owned()
                } else {
                    format!("{constructor} is not a type constructor; there are list, set, map, tuple and object")
                });
            }
            let [argument] = arguments.as_slice() else {
                return Err(format!("the {constructor} type constructor takes one argument"));
            };
            match constructor {
                "list" => Ok(Type::list(parse(argument, default_of, depth + 1)?)),
                "set" => Ok(Type::set(parse(argument, default_of, depth + 1)?)),
                "map" => Ok(Type::map(parse(argument, default_of, depth + 1)?)),
                "tuple" => {
                    let ExprKind::Tuple(items) = &argument.kind else {
                        return Err("a tuple type takes a list of element types: tuple([string, number])".to_owned());
                    };
                    Ok(Type::Tuple(items.iter().map(|item| parse(item, default_of, depth + 1)).collect::<Result<_, _>>()?))
                }
                _ => object(argument, default_of, depth + 1),
            }
        }
        _ => Err("a type constraint is a keyword (string, number, bool, any) or a constructor such as list(string)".to_owned()),
    }
}

fn keyword(name: &str) -> Result<Type, String> {
    match name {
        "any" => Ok(Type::Any),
        "bool" => Ok(Type::Bool),
        "number" => Ok(Type::Number),
        "string" => Ok(Type::String),
        // Terraform reads these two old forms as if `any` were given.
        "list" => Ok(Type::list(Type::Any)),
        "map" => Ok(Type::map(Type::Any)),
        "set" | "tuple" | "object" => Err(format!("the {name} type constructor needs an argument that says what is in it")),
        _ => Err(format!("{name} is not a type; there are string, number, bool, any, list, set, map, tuple and object")),
    }
}

fn object(argument: &Expr, default_of: &mut dyn FnMut(&Expr) -> Value, depth: usize) -> Result<Type, String> {
    let ExprKind::Object(entries) = &argument.kind else {
        return Err("an object type takes its attributes in braces: object({ name = string })".to_owned());
    };
    let mut attributes: Vec<(Arc<str>, ObjectAttribute)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let (ExprKind::String(name) | ExprKind::Variable(name)) = &entry.key.kind else {
            return Err("an attribute's name in an object type is written out".to_owned());
        };
        let attribute = match &entry.value.kind {
            ExprKind::Call { name: function, arguments, expand_last: false } if &*function.text == "optional" => {
                optional(name, arguments, default_of, depth)?
            }
            _ => ObjectAttribute::required(parse(&entry.value, default_of, depth)?),
        };
        attributes.push((name.clone(), attribute));
    }
    attributes.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(pair) = attributes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("the object type has the attribute {} twice", pair[0].0));
    }
    Ok(Type::Object(attributes))
}

fn optional(name: &str, arguments: &[Expr], default_of: &mut dyn FnMut(&Expr) -> Value, depth: usize) -> Result<ObjectAttribute, String> {
    let (ty, default) = match arguments {
        [ty] => (parse(ty, default_of, depth)?, None),
        [ty, default] => (parse(ty, default_of, depth)?, Some(default_of(default))),
        _ => return Err(format!("optional(…) of the attribute {name} takes a type and, if wanted, a default")),
    };
    let default = match default {
        None => None,
        Some(value) => {
            Some(convert(value, &ty).map_err(|message| format!("the default of the attribute {name} doesn't fit its type: {message}"))?)
        }
    };
    Ok(ObjectAttribute { ty, optional: true, default })
}
