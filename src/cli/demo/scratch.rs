//! The demo's repository: the worked example, and the two changes to it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use include_dir::{Dir, include_dir};

static ADDONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/addons");
static CLUSTERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/clusters");
static POLICIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/policies");

/// What shows that a folder is a demo's and may be overwritten.
const MARK: &str = ".fitout-demo";

/// A git repository with the worked example.
pub(super) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// A fresh one in a folder, in place of an earlier demo's.
    ///
    /// # Errors
    /// When there is something else.
    pub(super) fn begin(folder: &Path) -> anyhow::Result<Self> {
        let used = folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if used && !folder.join(MARK).exists() {
            bail!("`{}` is not empty; name another folder with `--dir`", folder.display());
        }
        if used {
            std::fs::remove_dir_all(folder)
                .with_context(|| format!("removing `{}`", folder.display()))?;
        }
        let fleet = folder.join("fleet");
        for (name, files) in [("addons", &ADDONS), ("clusters", &CLUSTERS), ("policies", &POLICIES)]
        {
            let target = fleet.join(name);
            std::fs::create_dir_all(&target)
                .with_context(|| format!("making `{}`", target.display()))?;
            files.extract(&target).with_context(|| format!("writing `{}`", target.display()))?;
        }
        std::fs::write(folder.join(MARK), "fitout demo may overwrite this folder\n")?;
        git2::Repository::init(&fleet).context("making a repository")?;
        let folder = fleet.canonicalize().context("finding the fleet")?;
        let scratch = Self { folder };
        scratch.commit("Begin")?;
        Ok(scratch)
    }

    /// The fleet's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A patch release of traefik.
    pub(super) fn good_change(&self) -> anyhow::Result<String> {
        self.replace(
            "addons/traefik/chart/Chart.yaml",
            "39.0.1-cern-0.2.0-3+c81d0e",
            "39.0.1-cern-0.2.1-4+5f2ab9",
        )?;
        self.replace("addons/traefik/chart/Chart.yaml", "3.6.2", "3.6.3")?;
        self.replace(
            "addons/traefik/values.yaml",
            "  logLevel: INFO\n",
            "  logLevel: INFO\n  image: {tag: v3.6.3}\n",
        )?;
        self.commit("traefik: 3.6.3")
    }

    /// A release of prometheus that only staging can run.
    pub(super) fn bad_change(&self) -> anyhow::Result<String> {
        self.replace("addons/prometheus/chart/Chart.yaml", "3.8.0", "3.9.0")?;
        self.replace("addons/prometheus/chart/values.yaml", "tag: v3.8.0", "tag: v3.9.0")?;
        self.replace(
            "addons/prometheus/values/prod.yaml",
            "server:\n",
            "server:\n  image: {tag: v3.9.0-broken}\n",
        )?;
        self.commit("prometheus: 3.9.0")
    }

    fn replace(&self, path: &str, from: &str, to: &str) -> anyhow::Result<()> {
        let file = self.folder.join(path);
        let text = std::fs::read_to_string(&file).with_context(|| format!("reading `{path}`"))?;
        if !text.contains(from) {
            bail!("`{path}` of the worked example has no `{}`", from.trim());
        }
        std::fs::write(&file, text.replacen(from, to, 1))
            .with_context(|| format!("writing `{path}`"))
    }

    /// Commits everything; gives the commit.
    fn commit(&self, message: &str) -> anyhow::Result<String> {
        let git = git2::Repository::open(&self.folder)?;
        let mut index = git.index()?;
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None)?;
        index.write()?;
        let tree = git.find_tree(index.write_tree()?)?;
        let author = git2::Signature::now("fitout demo", "demo@example.org")?;
        let parent = git.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        let commit = git.commit(Some("HEAD"), &author, &author, message, &tree, &parents)?;
        Ok(commit.to_string())
    }
}
