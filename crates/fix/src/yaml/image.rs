//! Versions of container images: in a manifest, in a patch, or in a kustomization's `images`, which name another version.

use keyblind_resource::{Dialect, HopKind, Resource, Value};
use keyblind_rule_language::Literal;

use super::Drafting;
use super::insert::Addition;
use super::place::{self, Way};
use crate::hindrance::Hindrance;
use crate::image::{Image, is_digest};

/// What shows where a digest belongs that nobody gave.
const DIGEST: &str = "sha256:DIGEST";

impl<'t> Drafting<'t> {
    /// Gives a container's image the version that was given for it, or what shows where that belongs. Whether the value is an image that takes one.
    pub(super) fn version(&mut self, resource: &'t Resource, top: &str, name: &str, value: &Value) -> Result<bool, Hindrance> {
        if resource.dialect != Dialect::Kubernetes || name != "image" || self.settings.given.contains_key(name) {
            return Ok(false);
        }
        let Some(image) = value.as_str().and_then(Image::without_digest) else { return Ok(false) };
        let (sample, description) = image.asked();
        let exact = image.tag().map_or(image.name().to_owned(), |tag| format!("{}:{tag}", image.name()));
        let given = &self.settings.given;
        // What an overlay names is another version, or another image, than the one that was asked about: a value for that isn't its.
        let of_name = given.get(image.name()).filter(|_| !self.settings.elsewhere);
        let version = match given.get(&exact).or(of_name) {
            Some(given) if image.takes(given) => given.as_str(),
            None if self.settings.ask => {
                self.input(if self.settings.elsewhere { &exact } else { image.name() }, description, sample);
                sample
            }
            _ => return Err(Hindrance::NeedsValue),
        };
        let site = self.site(value)?;
        let (stream, manner) = self.stream(site.file)?;
        let way = place::find(&stream, site.range).ok_or(Hindrance::ValueElsewhere)?;
        self.state(resource, top, Some(site));
        if let Some(entry) = entry_of_images(value, &way) {
            let key = if version == DIGEST || is_digest(version) { "digest" } else { "newTag" };
            let literal = Literal::Text(version.into());
            match entry.down(key) {
                Some(part) => self.overwrite(site.file, &part, &literal, manner)?,
                None => self.insert(site.file, &entry, vec![Addition { key: key.to_owned(), value: literal }])?,
            }
            return Ok(true);
        }
        // A kustomization may give the image another name, under which it doesn't stand here.
        let written = way.node().as_str().and_then(Image::without_digest).filter(|written| written.tag() == image.tag());
        let written = written.ok_or(Hindrance::ValueElsewhere)?;
        self.overwrite(site.file, &way, &Literal::Text(written.with(version).into()), manner)?;
        Ok(true)
    }
}

/// The entry of a kustomization's `images` that a part of an image stands in.
fn entry_of_images<'n>(value: &Value, way: &Way<'n>) -> Option<Way<'n>> {
    let is_set_by_it = value.origin.hops().any(|hop| matches!(&hop.kind, HopKind::Kustomization(field) if **field == *"images"));
    let names = way.names();
    let is_part = matches!(&names[..], [images, _, _] if matches!(images.as_str(), "images" | "imageTags"));
    (is_set_by_it && is_part).then(|| way.up()).flatten()
}
