//! Where a value came from.

use std::sync::Arc;

use keyblind_syntax::Site;

/// The place a value was written at, and what carried it from there to where it is used.
///
/// The outermost site is where the value is *used*; following [`Hop::source`] leads to where it was *written*.
#[derive(Clone, Debug, Default)]
pub enum Origin {
    /// Made by the evaluator itself (a provider's default, a computed value).
    #[default]
    None,
    /// Written at this place.
    Site(Site),
    /// Carried here by a reference.
    Hop(Arc<Hop>),
}

/// One step of a value's way: at `site` stands a reference of some kind, and the value behind it came from `source`.
#[derive(Clone, Debug)]
pub struct Hop {
    /// What carried it.
    pub kind: HopKind,
    /// Where the reference stands.
    pub site: Site,
    /// Where the value was before.
    pub source: Origin,
}

/// What carried a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HopKind {
    /// `var.name`
    Variable(Arc<str>),
    /// The default of a variable's declaration.
    Default(Arc<str>),
    /// A value for a variable from a `.tfvars` file.
    VariablesFile(Arc<str>),
    /// A value for a variable from the command line or the configuration; there is no site to show.
    Given(Arc<str>),
    /// `local.name`
    Local(Arc<str>),
    /// An argument of a module call.
    ModuleInput {
        /// The call, such as `module.net`.
        module: Arc<str>,
        /// The variable inside.
        input: Arc<str>,
    },
    /// An output of a module, read by its caller.
    ModuleOutput {
        /// The call.
        module: Arc<str>,
        /// The output.
        output: Arc<str>,
    },
    /// An attribute of another resource.
    Resource {
        /// The other resource's address.
        address: Arc<str>,
        /// The attribute.
        attribute: Arc<str>,
    },
    /// `each.key`, `each.value`, `count.index`, an iterator or a `for` variable.
    Iterator(Arc<str>),
    /// The result of a function whose arguments hold the value.
    Function(Arc<str>),
    /// A parameter of a template (CloudFormation `Ref`).
    Parameter(Arc<str>),
    /// An alias of YAML (`*name`).
    Alias,
    /// A patch that a kustomization applies: the file that it stands in.
    Patch(Arc<str>),
    /// A field of a kustomization, such as `images`.
    Kustomization(Arc<str>),
    /// A mapping of a template, in which it was looked up.
    Mapping(Arc<str>),
    /// A section of a template that holds for all resources of a type (`Globals.Function`).
    Global(Arc<str>),
}

impl Origin {
    /// The outermost site: where the value is used.
    pub fn used_at(&self) -> Option<Site> {
        match self {
            Self::None => None,
            Self::Site(site) => Some(*site),
            Self::Hop(hop) => Some(hop.site),
        }
    }

    /// The innermost site: where the value was written.
    pub fn written_at(&self) -> Option<Site> {
        let mut last = None;
        let mut origin = self;
        loop {
            match origin {
                Self::None => return last,
                Self::Site(site) => return Some(*site),
                Self::Hop(hop) => {
                    last = Some(hop.site);
                    origin = &hop.source;
                }
            }
        }
    }

    /// The steps from the use inwards.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        let mut origin = self;
        std::iter::from_fn(move || {
            let Self::Hop(hop) = origin else { return None };
            origin = &hop.source;
            Some(&**hop)
        })
    }

    /// Wraps this origin in one more step outwards.
    #[must_use]
    pub fn carried(self, kind: HopKind, site: Site) -> Self {
        Self::Hop(Arc::new(Hop { kind, site, source: self }))
    }
}

impl Drop for Hop {
    /// Takes long chains apart without recursion: hostile input can make them as long as its evaluation budget.
    fn drop(&mut self) {
        let mut source = std::mem::take(&mut self.source);
        while let Origin::Hop(hop) = source {
            match Arc::try_unwrap(hop) {
                Ok(mut hop) => source = std::mem::take(&mut hop.source),
                Err(_) => break,
            }
        }
    }
}
