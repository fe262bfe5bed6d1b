//! Views of the web page that people gave a name: one small JSON file in a folder of its own.
//!
//! Where people are told apart, a view is kept for who saved it alone: it may name what others must not know of. Where they
//! are not, it is kept for all.
//!
//! The other services know nothing of them, and the gateway has no other state, so a file is enough. Gateways that share the
//! folder take turns to change it.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::json_file::{self, ReadError};

/// How many views are kept at most, of each owner.
const MOST_VIEWS: usize = 500;
/// The longest name, in characters.
const LONGEST_NAME: usize = 100;
/// The longest query, in bytes: as long as an address may be in all browsers and proxies, about.
const LONGEST_QUERY: usize = 8 * 1024;
/// More than views of all owners should need.
const LARGEST_FILE: u64 = 32 << 20;

const FILE: &str = "views.json";

/// A view under its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct View {
    /// Unique among the views.
    pub(crate) name: String,
    /// What follows `?` in the page's address.
    pub(crate) query: String,
}

/// A view, and who keeps it; none where people are not told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    view: View,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
}

impl Kept {
    fn key(&self) -> (Option<&str>, &str) {
        (self.owner.as_deref(), &self.view.name)
    }
}

/// Why a view is not kept, found or forgotten.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ViewsError {
    #[error("views cannot be saved: the gateway has no folder for them; name one under views.directory in its file")]
    Off,
    #[error("the name of a view got {0:?}; it takes 1 to {LONGEST_NAME} characters, none of them a control character")]
    Name(String),
    #[error("the query of a view is {0} bytes long; it takes at most {LONGEST_QUERY}, without control characters")]
    Query(usize),
    #[error("a view is saved with JSON such as {{\"query\": \"view=assets\"}}: {0}")]
    Body(String),
    #[error("there are {MOST_VIEWS} views already; delete one first")]
    TooMany,
    #[error("there is no room for more views; whoever runs this can make some in the folder of views")]
    Full,
    #[error("there is no view called {0:?}")]
    Unknown(String),
    #[error("{}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("{}: not a file of saved views: {source}; mend it, or move it away", path.display())]
    Broken { path: PathBuf, source: serde_json::Error },
    #[error("{}: larger than {LARGEST_FILE} bytes, so not a file of saved views; move it away", path.display())]
    TooLarge { path: PathBuf },
    #[error("the view could not be kept")]
    Task,
}

/// The file as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    views: Vec<Kept>,
}

/// Keeps views; by default, none. Its methods block.
#[derive(Debug, Default)]
pub(crate) struct Views {
    folder: Option<PathBuf>,
}

impl Views {
    /// Keeps views in this folder, which is created when the first one is saved.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// The views of an owner by name; with `unowned`, those that have none too.
    pub(crate) fn list(&self, owner: Option<&str>, unowned: bool) -> Result<Vec<View>, ViewsError> {
        let views = read(&self.folder()?.join(FILE))?.views.into_iter();
        let own = views.filter(|kept| kept.owner.as_deref() == owner || (unowned && kept.owner.is_none()));
        let mut views: Vec<View> = own.map(|kept| kept.view).collect();
        views.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(views)
    }

    /// Keeps a view, in the place of one of the same owner that is called so already.
    pub(crate) fn save(&self, owner: Option<&str>, view: View) -> Result<View, ViewsError> {
        let name = view.name.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(ViewsError::Name(view.name.chars().take(2 * LONGEST_NAME).collect()));
        }
        if view.query.len() > LONGEST_QUERY || view.query.chars().any(char::is_control) {
            return Err(ViewsError::Query(view.query.len()));
        }
        let view = View {
            name: name.to_owned(),
            query: view.query,
        };
        let kept = Kept {
            view: view.clone(),
            owner: owner.map(str::to_owned),
        };
        self.change(|views| {
            match views.binary_search_by(|known| known.key().cmp(&kept.key())) {
                Ok(at) => views[at] = kept,
                Err(_) if views.iter().filter(|known| known.owner == kept.owner).count() >= MOST_VIEWS => {
                    return Err(ViewsError::TooMany);
                }
                Err(at) => views.insert(at, kept),
            }
            Ok(())
        })?;
        Ok(view)
    }

    /// Forgets a view of an owner; with `unowned`, one that has none, if the owner has none of the name.
    pub(crate) fn remove(&self, owner: Option<&str>, unowned: bool, name: &str) -> Result<(), ViewsError> {
        self.change(|views| {
            let at = views
                .iter()
                .position(|known| known.key() == (owner, name))
                .or_else(|| views.iter().position(|known| unowned && known.key() == (None, name)))
                .ok_or_else(|| ViewsError::Unknown(name.chars().take(LONGEST_NAME).collect()))?;
            views.remove(at);
            Ok(())
        })
    }

    fn folder(&self) -> Result<&Path, ViewsError> {
        self.folder.as_deref().ok_or(ViewsError::Off)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Kept>) -> Result<(), ViewsError>) -> Result<(), ViewsError> {
        let folder = self.folder()?;
        let failed = |source| ViewsError::Folder {
            path: folder.to_owned(),
            source,
        };
        let path = folder.join(FILE);
        let _turn = json_file::lock(&path).map_err(failed)?;
        let mut content = read(&path)?;
        content.views.sort_by(|one, other| one.key().cmp(&other.key()));
        change(&mut content.views)?;
        let size = serde_json::to_vec_pretty(&content).map_or(u64::MAX, |text| text.len() as u64);
        // What is larger would be taken for no file of ours.
        if size >= LARGEST_FILE {
            return Err(ViewsError::Full);
        }
        json_file::replace(&path, &content).map_err(failed)
    }
}

/// The file's content; nothing when there is none.
fn read(path: &Path) -> Result<Content, ViewsError> {
    json_file::read(path, LARGEST_FILE).map_err(|error| {
        let path = path.to_owned();
        match error {
            ReadError::System(source) => ViewsError::Folder { path, source },
            ReadError::Broken(source) => ViewsError::Broken { path, source },
            ReadError::TooLarge => ViewsError::TooLarge { path },
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    fn view(name: &str, query: &str) -> View {
        View {
            name: name.to_owned(),
            query: query.to_owned(),
        }
    }

    #[test]
    fn views_are_kept_replaced_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("made/when/needed");
        let views = Views::new(Some(at.clone()));
        assert_eq!(views.list(None, false).unwrap(), []);
        views.save(None, view("Web", "view=allocations&by=namespace")).unwrap();
        views.save(None, view(" Äpfel ", "")).unwrap();
        views.save(None, view("Web", "view=assets")).unwrap();
        let expected = [view("Web", "view=assets"), view("Äpfel", "")];
        assert_eq!(Views::new(Some(at)).list(None, false).unwrap(), expected);
        views.remove(None, false, "Web").unwrap();
        assert!(matches!(views.remove(None, false, "Web"), Err(ViewsError::Unknown(_))));
        assert_eq!(views.list(None, false).unwrap(), [view("Äpfel", "")]);
    }

    fn kept(owner: Option<&str>, name: &str) -> Kept {
        Kept {
            view: view(name, ""),
            owner: owner.map(str::to_owned),
        }
    }

    #[test]
    fn owners_have_views_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let views = Views::new(Some(folder.path().to_owned()));
        views.save(None, view("Web", "all")).unwrap();
        for (owner, query) in [("user:a", "a"), ("user:b", "b")] {
            views.save(Some(owner), view("Web", query)).unwrap();
        }
        assert_eq!(views.list(Some("user:a"), false).unwrap(), [view("Web", "a")]);
        assert_eq!(views.list(Some("user:b"), true).unwrap().len(), 2);
        assert_eq!(views.list(Some("user:c"), false).unwrap(), []);
        assert_eq!(views.list(None, false).unwrap(), [view("Web", "all")]);
        views.remove(Some("user:a"), true, "Web").unwrap();
        assert_eq!(views.list(None, false).unwrap(), [view("Web", "all")]);
        assert!(matches!(
            views.remove(Some("user:a"), false, "Web"),
            Err(ViewsError::Unknown(_))
        ));
        views.remove(Some("user:a"), true, "Web").unwrap();
        assert_eq!(views.list(None, false).unwrap(), []);
        assert_eq!(views.list(Some("user:b"), false).unwrap(), [view("Web", "b")]);
    }

    #[test]
    fn without_a_folder_the_error_says_what_to_set() {
        let error = Views::default().save(None, view("a", "")).unwrap_err();
        assert!(error.to_string().contains("views.directory"), "{error}");
        assert!(matches!(Views::default().list(None, false), Err(ViewsError::Off)));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let views = Views::new(Some(folder.path().to_owned()));
        for name in ["", "  ", "a\nb", &"x".repeat(LONGEST_NAME + 1)] {
            assert!(
                matches!(views.save(None, view(name, "")), Err(ViewsError::Name(_))),
                "{name}"
            );
        }
        let long = "x".repeat(LONGEST_QUERY + 1);
        assert!(matches!(views.save(None, view("a", &long)), Err(ViewsError::Query(_))));
        let full = Content {
            views: (0..MOST_VIEWS).map(|at| kept(None, &format!("{at:04}"))).collect(),
        };
        json_file::replace(&folder.path().join(FILE), &full).unwrap();
        assert!(matches!(
            views.save(None, view("one more", "")),
            Err(ViewsError::TooMany)
        ));
        views.save(None, view("0007", "view=assets")).unwrap();
        assert_eq!(views.list(None, false).unwrap()[7], view("0007", "view=assets"));
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, "[1, 2").unwrap();
        let views = Views::new(Some(folder.path().to_owned()));
        assert!(matches!(views.list(None, false), Err(ViewsError::Broken { .. })));
        assert!(matches!(
            views.save(None, view("a", "")),
            Err(ViewsError::Broken { .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "[1, 2");
        File::create(&path).unwrap().set_len(LARGEST_FILE + 1).unwrap();
        assert!(matches!(views.list(None, false), Err(ViewsError::TooLarge { .. })));
    }

    #[test]
    fn writers_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let views = Views::new(Some(folder.path().to_owned()));
                scope.spawn(move || {
                    for at in 0..5 {
                        views.save(None, view(&format!("{writer} {at}"), "")).unwrap();
                    }
                });
            }
        });
        let views = Views::new(Some(folder.path().to_owned()));
        assert_eq!(views.list(None, false).unwrap().len(), 40);
    }
}
