//! All limits of evaluation. What runs into one ends as unknown with the reason `budget`, never as a hang.

/// Units of work a root module may cost: about one per expression evaluated, per element made, per 64 bytes of text.
pub const FUEL_PER_ROOT: u64 = 50_000_000;
/// Units of work a template may cost: about one per part evaluated, per element made, per 64 bytes of text.
pub const FUEL_PER_TEMPLATE: u64 = 4_000_000;
/// Stacks nested within one template, and those within them, together.
pub const STACKS_PER_ROOT: usize = 2_000;
/// How deep stacks may be nested.
pub const STACK_DEPTH: usize = 32;
/// How deep expressions and references may nest before the value counts as unknown.
pub const EXPRESSION_DEPTH: u32 = 1_000;
/// Instances that one `count` or `for_each` may make.
pub const INSTANCES_PER_BLOCK: usize = 10_000;
/// Instances of all modules of a root together.
pub const MODULE_INSTANCES_PER_ROOT: usize = 20_000;
/// Modules nested within each other.
pub const MODULE_DEPTH: usize = 32;
/// Resources of a root together.
pub const RESOURCES_PER_ROOT: usize = 200_000;
/// Elements of a `dynamic` block.
pub const DYNAMIC_BLOCKS: usize = 10_000;
/// Values that an unknown may be one of, before they are forgotten.
pub const CANDIDATES: usize = 8;
/// The longest text an expression may make, in bytes.
pub const TEXT_BYTES: usize = 8 << 20;
/// The largest file that functions such as `file` read, in bytes.
pub const FILE_BYTES: usize = 8 << 20;
/// Objects that are tried when names and selectors of manifests are looked up.
pub const LINK_STEPS: usize = 5_000_000;
/// Links between the manifests of one directory or kustomization.
pub const LINKS_PER_GROUP: usize = 500_000;
/// Values that patches and copies of one kustomization may put into objects.
pub const KUSTOMIZE_NODES: usize = 20_000_000;
/// Kustomizations that one root may build, each as often as it is used.
pub const KUSTOMIZATIONS_PER_ROOT: usize = 10_000;
/// Bases nested within each other.
pub const KUSTOMIZE_DEPTH: usize = 64;
/// How deep patches may nest the values of an object.
pub const VALUE_DEPTH: usize = 256;
/// The longest text that a kustomization's fields put together, in bytes.
pub const KUSTOMIZE_TEXT_BYTES: usize = 64 << 10;
/// The largest file that a generator puts into an object, in bytes.
pub const GENERATED_BYTES: usize = 1 << 20;
/// Kustomizations of a scan together.
pub const KUSTOMIZATIONS: usize = 50_000;
/// What substitution of build arguments and variables may make in one Dockerfile, in bytes.
pub const DOCKERFILE_SUBSTITUTED_BYTES: usize = 8 << 20;
/// How many stages of a Dockerfile, each built upon the next, share their variables.
pub const DOCKERFILE_STAGE_HEIGHT: u32 = 64;
/// The largest workflow or action that is evaluated, in bytes. GitHub itself refuses larger ones.
pub const WORKFLOW_BYTES: usize = 1 << 20;
/// How many steps of a job each of its steps gets to see.
pub const STEPS_SEEN: usize = 256;
/// How many entries of `env` are looked through for a variable.
pub const ENVIRONMENT_ENTRIES: usize = 1_000;
