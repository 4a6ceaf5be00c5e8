//! Names of fields that people write for ours.

use crate::task::Task;

/// The fields of a record.
pub const FIELDS: [&str; 17] = [
    "id",
    "account",
    "posted_at",
    "duration_s",
    "likes",
    "views",
    "plays",
    "comments",
    "caption",
    "hashtags",
    "transcript",
    "language",
    "reference",
    "soft",
    "annotations",
    "synthetic",
    "source",
];

/// Names without case and separators, with the field that they mean.
const SYNONYMS: [(&str, &str); 56] = [
    ("reelid", "id"),
    ("videoid", "id"),
    ("akun", "account"),
    ("username", "account"),
    ("user", "account"),
    ("author", "account"),
    ("creator", "account"),
    ("pemilik", "account"),
    ("tanggal", "posted_at"),
    ("waktu", "posted_at"),
    ("date", "posted_at"),
    ("createdat", "posted_at"),
    ("durasi", "duration_s"),
    ("duration", "duration_s"),
    ("length", "duration_s"),
    ("suka", "likes"),
    ("jumlahsuka", "likes"),
    ("tayangan", "views"),
    ("jumlahtayangan", "views"),
    ("ditonton", "views"),
    ("diputar", "plays"),
    ("pemutaran", "plays"),
    ("komentar", "comments"),
    ("jumlahkomentar", "comments"),
    ("keterangan", "caption"),
    ("judul", "caption"),
    ("title", "caption"),
    ("deskripsi", "caption"),
    ("desc", "caption"),
    ("tagar", "hashtags"),
    ("tags", "hashtags"),
    ("transkrip", "transcript"),
    ("transkripsi", "transcript"),
    ("transkript", "transcript"),
    ("transcription", "transcript"),
    ("subtitle", "transcript"),
    ("teks", "transcript"),
    ("text", "transcript"),
    ("ucapan", "transcript"),
    ("bahasa", "language"),
    ("lang", "language"),
    ("referensi", "reference"),
    ("gold", "reference"),
    ("labels", "reference"),
    ("label", "reference"),
    ("answers", "reference"),
    ("sintetis", "synthetic"),
    ("sumber", "source"),
    ("ringkasan", "summary"),
    ("rangkuman", "summary"),
    ("kategori", "category"),
    ("kelas", "category"),
    ("topik", "category"),
    ("iklan", "ad"),
    ("isad", "ad"),
    ("advertisement", "ad"),
];

/// Names that collectors write, as they write them.
const COLLECTORS: [(&str, &str, &str); 30] = [
    ("likesCount", "likes", "Apify"),
    ("commentsCount", "comments", "Apify"),
    ("videoViewCount", "views", "Apify"),
    ("videoPlayCount", "plays", "Apify"),
    ("videoDuration", "duration_s", "Apify"),
    ("ownerUsername", "account", "Apify"),
    ("timestamp", "posted_at", "Apify"),
    ("diggCount", "likes", "Apify"),
    ("playCount", "plays", "Apify"),
    ("commentCount", "comments", "Apify"),
    ("createTimeISO", "posted_at", "Apify"),
    ("authorMeta", "account", "Apify"),
    ("like_count", "likes", "yt-dlp"),
    ("view_count", "views", "yt-dlp"),
    ("comment_count", "comments", "yt-dlp"),
    ("play_count", "plays", "yt-dlp"),
    ("description", "caption", "yt-dlp"),
    ("uploader", "account", "yt-dlp"),
    ("uploader_id", "account", "yt-dlp"),
    ("channel", "account", "yt-dlp"),
    ("upload_date", "posted_at", "yt-dlp"),
    ("duration_string", "duration_s", "yt-dlp"),
    ("taken_at_timestamp", "posted_at", "instaloader"),
    ("video_view_count", "views", "instaloader"),
    ("video_play_count", "plays", "instaloader"),
    ("video_duration", "duration_s", "instaloader"),
    ("edge_media_preview_like", "likes", "instaloader"),
    ("edge_media_to_comment", "comments", "instaloader"),
    ("edge_media_to_caption", "caption", "instaloader"),
    ("owner", "account", "instaloader"),
];

/// Without case and what isn't a letter or digit.
pub fn folded(name: &str) -> String {
    name.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The field, or task, that a name is known to stand for.
pub fn synonym(name: &str) -> Option<&'static str> {
    let name = folded(name);
    let field = FIELDS.into_iter().find(|field| folded(field) == name);
    let synonym = || SYNONYMS.iter().find(|(synonym, _)| *synonym == name).map(|(_, meant)| *meant);
    let collector = || COLLECTORS.iter().find(|(theirs, ..)| folded(theirs) == name).map(|(_, meant, _)| *meant);
    field.or_else(synonym).or_else(collector)
}

/// The one of some names that another is most likely meant to be: equal but for case, spaces and separators, a synonym, or
/// a letter or two away.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let name = folded(name);
    if name.is_empty() || name.len() > 64 {
        return None;
    }
    let synonym = SYNONYMS.iter().find(|(synonym, _)| *synonym == name).map(|(_, meant)| *meant);
    let distance = |known: &str| strsim::damerau_levenshtein(&folded(known), &name);
    let most = if name.len() < 4 { 0 } else { (name.len() / 4).clamp(1, 2) };
    let same = known.clone().find(|known| folded(known) == name);
    same.or_else(|| known.clone().find(|known| Some(*known) == synonym)).or_else(|| {
        known
            .map(|known| (distance(known), known))
            .filter(|(distance, _)| *distance <= most)
            .min()
            .map(|(_, known)| known)
    })
}

/// What a field that is none of a record's is likely meant to be, to be shown behind it.
pub fn meant(name: &str, tasks: &[Task]) -> Option<String> {
    let task_names = tasks.iter().map(|task| task.name.as_str());
    if let Some((_, meant, collector)) = COLLECTORS.iter().find(|(theirs, ..)| *theirs == name) {
        return Some(format!("{meant}? ({collector}'s name)"));
    }
    if matches!(name, "messages" | "conversations") {
        return Some("a conversation: only training reads them, in a file of their own".into());
    }
    let inside = |task: &str| format!("write \"reference\": {{\"{task}\": …}}");
    for before in ["reference", "references", "ref", "gold", "label", "answer"] {
        let Some(rest) = name.strip_prefix(before).and_then(|rest| rest.strip_prefix(['.', '_', '/'])) else {
            continue;
        };
        if let Some(task) = nearest(rest, task_names.clone()) {
            return Some(inside(task));
        }
    }
    // A record's own names first: "comment" is no task.
    nearest(name, FIELDS.into_iter()).map(|field| format!("{field}?")).or_else(|| nearest(name, task_names).map(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> Vec<Task> {
        let labels = "labels = [\"iklan\", \"bukan iklan\"]";
        let of = |name: &str, rest: &str| format!("[task.{name}]\ntemplate = \"a\"\nmax_tokens = 1\n{rest}\n");
        let text = [
            of("summary", "kind = \"text\""),
            of("category", &format!("kind = \"label\"\n{labels}")),
            of("ad", &format!("kind = \"label\"\n{labels}")),
        ];
        crate::task::parse_tasks(&text.concat(), "tasks.toml").unwrap()
    }

    #[test]
    fn what_is_meant_is_found() {
        for (name, expected) in [
            ("transkrip", Some("transcript?")),
            ("Transcript", Some("transcript?")),
            ("transcirpt", Some("transcript?")),
            ("like", Some("likes?")),
            ("judul", Some("caption?")),
            ("duration", Some("duration_s?")),
            ("Posted At", Some("posted_at?")),
            ("likesCount", Some("likes? (Apify's name)")),
            ("like_count", Some("likes? (yt-dlp's name)")),
            ("taken_at_timestamp", Some("posted_at? (instaloader's name)")),
            ("category", Some("write \"reference\": {\"category\": …}")),
            ("kategori", Some("write \"reference\": {\"category\": …}")),
            ("reference.category", Some("write \"reference\": {\"category\": …}")),
            ("ref_summary", Some("write \"reference\": {\"summary\": …}")),
            ("reference_ringkasan", Some("write \"reference\": {\"summary\": …}")),
            ("url", None),
            ("xx", None),
        ] {
            assert_eq!(meant(name, &tasks()).as_deref(), expected, "{name}");
        }
        let labels = ["kuliner", "bukan iklan"];
        for (label, expected) in [
            ("Kuliner", Some("kuliner")),
            ("kuliner\u{a0}", Some("kuliner")),
            ("kulliner", Some("kuliner")),
            ("bukan_iklan", Some("bukan iklan")),
            ("makanan", None),
        ] {
            assert_eq!(nearest(label, labels.into_iter()), expected, "{label}");
        }
    }
}
