//! The shipped prompts with a file that is any bytes.

use reels::prompt::PromptSet;
use reels::reel::Reel;

/// Opens them and renders every task for a Reel of which much is known, and one of which nothing is.
pub fn with(name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    PromptSet::embedded().unwrap().write_to(folder.path()).unwrap();
    std::fs::write(folder.path().join(name), bytes).unwrap();
    let Ok(set) = PromptSet::find(Some(folder.path())) else { return };
    let known = Reel {
        transcript: Some("kopi susu".into()),
        likes: Some(3),
        hashtags: vec!["a".into()],
        ..Reel::default()
    };
    for reel in [&known, &Reel::default()] {
        set.tasks.iter().for_each(|task| drop(set.render(reel, task)));
    }
    set.warnings();
}
