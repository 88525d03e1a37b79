//! What a file is, as far as its name tells.

use keyblind_dialects::terraform;

/// The kinds of file that a scan tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FileKind {
    /// Terraform or OpenTofu configuration.
    Terraform,
    /// Values for Terraform variables: read where a module needs them.
    TerraformVariables,
    /// JSON that may be a plan, a template or a manifest: its content tells.
    Json,
    /// A text of which the content tells whether it is judged; if it isn't, this is what it counts as.
    Document(&'static str),
    /// A language that infrastructure is written in and that isn't judged yet, by its name.
    Unjudged(&'static str),
    /// Anything else.
    Other,
}

impl FileKind {
    /// Tells by the path, relative to the trust root.
    pub(crate) fn of(path: &str) -> Self {
        if terraform::is_configuration(path) {
            return Self::Terraform;
        }
        if terraform::is_variables_file(path) {
            return Self::TerraformVariables;
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let lower = name.to_ascii_lowercase();
        let unjudged = |kind| Self::Unjudged(kind);
        match lower.as_str() {
            "dockerfile" | "containerfile" => return Self::Document("dockerfile"),
            "kustomization" => return Self::Document("kustomize"),
            "chart.yaml" => return unjudged("helm"),
            "serverless.yml" | "serverless.yaml" => return Self::Document("serverless"),
            ".gitlab-ci.yml" | ".gitlab-ci.yaml" => return unjudged("gitlab-ci"),
            "azure-pipelines.yml" | "azure-pipelines.yaml" => return unjudged("azure-pipelines"),
            "bitbucket-pipelines.yml" => return unjudged("bitbucket-pipelines"),
            "terragrunt.hcl" => return unjudged("terragrunt"),
            "pulumi.yaml" => return unjudged("pulumi"),
            _ => {}
        }
        if path.contains(".github/workflows/") && (lower.ends_with(".yml") || lower.ends_with(".yaml")) {
            return Self::Document("github-actions");
        }
        if path.contains(".circleci/") && (lower.ends_with(".yml") || lower.ends_with(".yaml")) {
            return unjudged("circleci");
        }
        if [".", "-", "_"].iter().any(|dot| lower.starts_with(&format!("dockerfile{dot}")))
            || lower.ends_with("dockerfile")
            || lower.ends_with("containerfile")
        {
            return Self::Document("dockerfile");
        }
        match lower.rsplit_once('.').map(|(_, ending)| ending) {
            Some("json") => Self::Json,
            Some("yaml" | "yml") => Self::Document("yaml"),
            Some("template" | "cfn" | "cform") => Self::Document("template"),
            Some("bicep") => unjudged("bicep"),
            Some("hcl") => unjudged("hcl"),
            _ => Self::Other,
        }
    }
}

/// Why a directory isn't entered although it lies beneath the scanned path.
pub(crate) fn skipped_directory(name: &str, has: impl Fn(&str) -> bool) -> Option<&'static str> {
    match name {
        ".git" | ".hg" | ".svn" | ".jj" => Some("version control"),
        ".terraform" | ".terragrunt-cache" | ".tofu" => Some("installed by Terraform"),
        "node_modules" | "bower_components" | ".venv" | "__pycache__" | ".tox" | "site-packages" => Some("installed packages"),
        "vendor" if has("modules.txt") || has("autoload.php") || has("bundle") => Some("vendored packages"),
        "cdk.out" | ".aws-sam" | ".serverless" => Some("generated"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_kind() {
        for (path, kind) in [
            ("a/main.tf", FileKind::Terraform),
            ("main.tofu.json", FileKind::Terraform),
            ("prod.tfvars", FileKind::TerraformVariables),
            ("plan.json", FileKind::Json),
            (".github/workflows/ci.yml", FileKind::Document("github-actions")),
            ("app/Dockerfile", FileKind::Document("dockerfile")),
            ("app/Dockerfile.dev", FileKind::Document("dockerfile")),
            ("k8s/deploy.yaml", FileKind::Document("yaml")),
            ("README.md", FileKind::Other),
        ] {
            assert_eq!(FileKind::of(path), kind, "{path}");
        }
    }

    #[test]
    fn a_folder_called_vendor_is_skipped_only_if_a_package_manager_made_it() {
        assert_eq!(skipped_directory("vendor", |_| false), None);
        assert_eq!(skipped_directory("vendor", |file| file == "modules.txt"), Some("vendored packages"));
        assert_eq!(skipped_directory("modules", |_| true), None);
    }
}
