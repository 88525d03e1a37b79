//! The images of `deploy/container`: their steps are done by hand, in a folder, and each program is started in what that gives.
//!
//! This shows that the programs need nothing that the images don't hold, and that the sample configurations are taken. It isn't a
//! container engine: layers, the engine's own system-call filter and volumes aren't shown.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::process;

/// The folder in `dist/` that gives directories in the images their owner: the images have nothing that could make one.
pub(crate) const EMPTY: &str = "empty";

/// Which image takes which sample configuration.
const CONFIGURATIONS: [(&str, &str, &str); 2] = [
    ("broker", "deploy/container/broker.toml", "etc/keyblind-broker/broker.toml"),
    ("server", "deploy/container/server.toml", "etc/keyblind-server/server.toml"),
];

/// One image: what is copied into it, as whom it runs, and what.
#[derive(Debug, Default)]
struct Image {
    name: String,
    copies: Vec<Copy>,
    user: (u32, u32),
    entrypoint: Vec<String>,
}

#[derive(Debug, Default)]
struct Copy {
    sources: Vec<String>,
    destination: String,
    owner: (u32, u32),
    mode: u32,
}

/// Makes each image's tree out of `dist`, and asks each program in it for its configuration.
pub(crate) fn check(dist: &Path) -> Result<()> {
    let file = process::repository().join("deploy/container/Containerfile");
    let text = std::fs::read_to_string(&file).with_context(|| format!("{} can't be read", file.display()))?;
    for image in parse(&text)? {
        if !is_root()? {
            println!("image {}: not checked, as only root may change the root directory", image.name);
            continue;
        }
        let root = process::target().join("images").join(&image.name);
        if root.exists() {
            std::fs::remove_dir_all(&root).context("the tree of an earlier image can't be removed")?;
        }
        std::fs::create_dir_all(&root).context("a folder for an image's tree can't be made")?;
        for copy in &image.copies {
            copy.perform(dist, &root)?;
        }
        let (_, sample, place) = CONFIGURATIONS
            .into_iter()
            .find(|(name, ..)| *name == image.name)
            .with_context(|| format!("no sample configuration is known for the image `{}`", image.name))?;
        let place = root.join(place);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::copy(process::repository().join(sample), &place).with_context(|| format!("{sample} can't be copied"))?;
        let said = image.start(&root, &["config"])?;
        println!("image {}: starts from nothing but itself\n{said}", image.name);
    }
    Ok(())
}

/// Whether this process may change its root directory.
fn is_root() -> Result<bool> {
    Ok(process::output("id", &["-u"])?.trim() == "0")
}

impl Copy {
    fn perform(&self, dist: &Path, root: &Path) -> Result<()> {
        let destination = root.join(self.destination.trim_start_matches('/'));
        for source in &self.sources {
            let from = dist.join(source);
            std::fs::create_dir_all(&destination)?;
            let place = if from.is_dir() {
                destination.clone()
            } else {
                let place = destination.join(source);
                std::fs::copy(&from, &place).with_context(|| format!("{} can't be copied", from.display()))?;
                place
            };
            chown(&place, Some(self.owner.0), Some(self.owner.1))?;
            std::fs::set_permissions(&place, Permissions::from_mode(self.mode))?;
        }
        Ok(())
    }
}

impl Image {
    /// Starts the image's program in its tree as its user, with nothing of this process's environment, and gives what it printed.
    fn start(&self, root: &Path, arguments: &[&str]) -> Result<String> {
        let output = Command::new("chroot")
            .arg(format!("--userspec={}:{}", self.user.0, self.user.1))
            .arg(root)
            .args(&self.entrypoint)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .context("chroot can't be started")?;
        ensure!(output.status.success(), "image {}: {}: {}", self.name, output.status, String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The few instructions that these images are made of. Anything else is an error: it wouldn't have been checked.
fn parse(text: &str) -> Result<Vec<Image>> {
    let mut images: Vec<Image> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (instruction, rest) = line.split_once(' ').with_context(|| format!("no instruction: {line}"))?;
        if instruction == "FROM" {
            let name = rest.strip_prefix("scratch AS ").with_context(|| format!("not from nothing: {line}"))?;
            images.push(Image { name: name.to_owned(), ..Image::default() });
            continue;
        }
        let image = images.last_mut().with_context(|| format!("before any image: {line}"))?;
        match instruction {
            "COPY" => image.copies.push(copy(rest)?),
            "USER" => image.user = owner(rest)?,
            "ENTRYPOINT" => image.entrypoint = serde_json::from_str(rest).with_context(|| format!("no list of words: {line}"))?,
            // Another word is given in its place.
            "CMD" => {}
            _ => bail!("an instruction that nothing here knows: {line}"),
        }
    }
    Ok(images)
}

fn copy(rest: &str) -> Result<Copy> {
    let mut copy = Copy { mode: 0o644, ..Copy::default() };
    let mut paths: Vec<String> = Vec::new();
    for word in rest.split_whitespace() {
        if let Some(mode) = word.strip_prefix("--chmod=") {
            copy.mode = u32::from_str_radix(mode, 8).with_context(|| format!("no mode: {mode}"))?;
        } else if let Some(text) = word.strip_prefix("--chown=") {
            copy.owner = owner(text)?;
        } else {
            ensure!(!word.starts_with("--"), "an option that nothing here knows: {word}");
            paths.push(word.to_owned());
        }
    }
    copy.destination = paths.pop().context("COPY without a destination")?;
    copy.sources = paths;
    Ok(copy)
}

fn owner(text: &str) -> Result<(u32, u32)> {
    let (user, group) = text.split_once(':').with_context(|| format!("no user and group: {text}"))?;
    Ok((user.parse()?, group.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_of_the_images_is_known() {
        let file = process::repository().join("deploy/container/Containerfile");
        let images = parse(&std::fs::read_to_string(file).unwrap()).unwrap();
        let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
        assert_eq!(names, ["broker", "server"]);
        for image in &images {
            assert!(image.user.0 >= 1000, "{}: runs as a person's or the machine's own user", image.name);
            assert!(image.entrypoint[0].starts_with("/usr/bin/"));
            assert!(image.copies.iter().any(|copy| copy.sources.iter().any(|source| image.entrypoint[0].ends_with(source.as_str()))));
        }
    }

    #[test]
    fn what_is_not_known_is_not_passed_over() {
        assert!(parse("FROM scratch AS x\nRUN true").is_err());
        assert!(parse("FROM debian AS x").is_err());
        assert!(parse("FROM scratch AS x\nCOPY --link a /b").is_err());
    }
}
