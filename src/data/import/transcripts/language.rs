//! Names of languages, as recognisers write them.

/// Codes and names that Whisper has.
const LANGUAGES: &str = "en:english zh:chinese de:german es:spanish ru:russian ko:korean fr:french ja:japanese \
pt:portuguese tr:turkish pl:polish ca:catalan nl:dutch ar:arabic sv:swedish it:italian id:indonesian hi:hindi fi:finnish \
vi:vietnamese he:hebrew uk:ukrainian el:greek ms:malay cs:czech ro:romanian da:danish hu:hungarian ta:tamil no:norwegian \
th:thai ur:urdu hr:croatian bg:bulgarian lt:lithuanian la:latin mi:maori ml:malayalam cy:welsh sk:slovak te:telugu \
fa:persian lv:latvian bn:bengali sr:serbian az:azerbaijani sl:slovenian kn:kannada et:estonian mk:macedonian br:breton \
eu:basque is:icelandic hy:armenian ne:nepali mn:mongolian bs:bosnian kk:kazakh sq:albanian sw:swahili gl:galician \
mr:marathi pa:punjabi si:sinhala km:khmer sn:shona yo:yoruba so:somali af:afrikaans oc:occitan ka:georgian be:belarusian \
tg:tajik sd:sindhi gu:gujarati am:amharic yi:yiddish lo:lao uz:uzbek fo:faroese ht:haitian_creole ps:pashto tk:turkmen \
nn:nynorsk mt:maltese sa:sanskrit lb:luxembourgish my:myanmar bo:tibetan tl:tagalog mg:malagasy as:assamese tt:tatar \
haw:hawaiian ln:lingala ha:hausa ba:bashkir jv:javanese su:sundanese yue:cantonese my:burmese ca:valencian nl:flemish \
ht:haitian lb:letzeburgesch ps:pushto pa:panjabi ro:moldavian ro:moldovan si:sinhalese es:castilian zh:mandarin";

/// The code of a language by code or name; `None` for what is neither, such as `auto`. Whisper writes Javanese as `jw`, and
/// has two languages without a code of two letters.
pub fn code(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase().replace(' ', "_");
    let code = match name.split(['-', '_']).next().unwrap_or("") {
        "jw" => "jv",
        // Until 1989.
        "in" => "id",
        code => code,
    };
    let pairs = || LANGUAGES.split_whitespace().filter_map(|pair| pair.split_once(':'));
    let known = pairs().find(|(known, theirs)| *known == code || *theirs == name).map(|(known, _)| known);
    let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_lowercase());
    known.or(is_code.then_some(code)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whispers() {
        let reference = include_str!("../../../../tests/reference/transcripts.json");
        let reference: serde_json::Value = serde_json::from_str(reference).unwrap();
        let names = reference["languages"].as_object().unwrap();
        assert!(names.len() > 100);
        for (name, expected) in names {
            let expected = expected.as_str().unwrap().replace("jw", "jv");
            assert_eq!(code(name).as_ref(), Some(&expected), "{name}");
            assert_eq!(code(&expected).as_ref(), Some(&expected));
        }
        for (name, expected) in [
            ("id-ID", Some("id")),
            ("ID", Some("id")),
            ("in", Some("id")),
            ("jw", Some("jv")),
            ("Haitian Creole", Some("ht")),
            ("auto", None),
            ("", None),
            ("klingon", None),
        ] {
            assert_eq!(code(name).as_deref(), expected, "{name}");
        }
    }
}
