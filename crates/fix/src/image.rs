//! Names of container images: where the version goes that only a person knows.

/// The name of an image that has no digest yet.
#[derive(Clone, Debug)]
pub(crate) struct Image<'t> {
    text: &'t str,
    name_start: usize,
    name_end: usize,
}

impl<'t> Image<'t> {
    /// `None` if there is a digest, or a variable: what has one may stand for several images.
    pub(crate) fn without_digest(text: &'t str) -> Option<Self> {
        if text.is_empty() || text.contains(['@', '$', '{', ' ']) {
            return None;
        }
        let name_start = text.rfind('/').map_or(0, |slash| slash + 1);
        let name_end = text[name_start..].find(':').map_or(text.len(), |colon| name_start + colon);
        (name_start < name_end).then_some(Self { text, name_start, name_end })
    }

    /// The last part of its name, without a tag.
    pub(crate) fn name(&self) -> &'t str {
        &self.text[self.name_start..self.name_end]
    }

    /// Its tag, if it has one.
    pub(crate) fn tag(&self) -> Option<&'t str> {
        self.text[self.name_end..].strip_prefix(':').filter(|tag| !tag.is_empty())
    }

    /// Whether it has a tag that means one version.
    fn has_version(&self) -> bool {
        self.text.len() > self.name_end + 1 && !self.text.ends_with(":latest")
    }

    /// What stands for what is asked for, and what that is.
    pub(crate) fn asked(&self) -> (&'static str, &'static str) {
        if self.has_version() { ("sha256:DIGEST", "The digest of the image") } else { ("VERSION", "The tag of the image, or its digest") }
    }

    /// Whether a text is what is asked for.
    pub(crate) fn takes(&self, value: &str) -> bool {
        is_digest(value) || !self.has_version() && is_tag(value)
    }

    /// The image with what was asked for.
    pub(crate) fn with(&self, value: &str) -> String {
        if value.starts_with("sha256:") {
            format!("{}@{value}", self.text.trim_end_matches(':'))
        } else {
            format!("{}:{value}", &self.text[..self.name_end])
        }
    }
}

/// The SHA-256 of something, as registries write it.
pub(crate) fn is_digest(value: &str) -> bool {
    value.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Source: OCI distribution specification, "Pulling manifests".
fn is_tag(value: &str) -> bool {
    let is_of_tag = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    !value.is_empty() && value.len() <= 128 && value.bytes().all(is_of_tag) && !value.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_goes_behind_the_name_and_a_digest_behind_the_version() {
        let floating = Image::without_digest("registry.example.com:5000/shop/web:latest").unwrap();
        assert_eq!(floating.name(), "web");
        assert_eq!(floating.with("2.0.1"), "registry.example.com:5000/shop/web:2.0.1");
        assert!(floating.takes("2.0.1") && !floating.takes("2 0"));
        let fixed = Image::without_digest("debian:12.8").unwrap();
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(fixed.with(&digest), format!("debian:12.8@{digest}"));
        assert!(fixed.takes(&digest) && !fixed.takes("12.9"));
        for other in ["", "debian@sha256:0", "${IMAGE}:1", "shop/"] {
            assert!(Image::without_digest(other).is_none(), "{other}");
        }
    }
}
