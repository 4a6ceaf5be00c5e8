"""Writes tests/reference/transcripts/: what speech recognisers write of an invented video, and expected.json with what is
to be read of each; and transcripts.json, the compression ratios and names of languages that openai-whisper has.

Made with Python 3.11.7 and its zlib 1.2.13. The writers are those of openai-whisper 20250625 and whisperx 3.8.6 (each
one's utils.py, which imports nothing but the standard library), the dataclasses those of faster-whisper 1.2.1. whisper.cpp's
shape is written by hand after output_json, output_srt and output_txt of examples/cli/cli.cpp at 233fe1fc; "-ojf" after
0100afcd, which doesn't join the tokens that share a character.

    python3 -m venv venv
    venv/bin/pip install faster-whisper==1.2.1
    venv/bin/pip download --no-deps openai-whisper==20250625 whisperx==3.8.6
    tar xzf openai_whisper-20250625.tar.gz && mkdir whisperx-3.8.6 && (cd whisperx-3.8.6 && unzip -q ../whisperx-3.8.6-*.whl)
    venv/bin/python tests/reference/transcripts.py openai_whisper-20250625/whisper whisperx-3.8.6/whisperx

All people and texts are made up.
"""

import ast
import dataclasses
import importlib.util
import json
import pathlib
import platform
import random
import sys
import zlib

from faster_whisper.transcribe import Segment, TranscriptionInfo

HERE = pathlib.Path(__file__).parent
OUT = HERE / "transcripts"
WHISPER, WHISPERX = (pathlib.Path(folder) for folder in sys.argv[1:3])


def module(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


whisper = module(WHISPER / "utils.py", "whisper_utils")
whisperx = module(WHISPERX / "utils.py", "whisperx_utils")

TEXTS = [
    (0.0, 4.2, " Halo semuanya, hari ini aku di kedai kopi Bu Ratmi, café kecil di Salatiga.", -0.21, 0.02),
    (4.2, 9.8, " Kopi susunya dua belas ribu, esnya banyak, rasanya \"nendang\".", -0.25, 0.03),
    (9.8, 14.0, " ♪", -0.9, 0.71),
    (14.0, 17.52, " Terima kasih sudah menonton!", -1.32, 0.83),
]
SEGMENTS = [
    {
        "id": index,
        "seek": 0,
        "start": start,
        "end": end,
        "text": text,
        "tokens": [50364, 220 + index],
        "temperature": 0.0,
        "avg_logprob": logprob,
        "compression_ratio": whisper.compression_ratio(text),
        "no_speech_prob": silence,
    }
    for index, (start, end, text, logprob, silence) in enumerate(TEXTS)
]

expected = {}


def expect(name, kind, language, figures=(), texts=None, repaired=0, rolled=0, times=True, encoding="UTF-8"):
    """What is to be read of a file; `figures` are those that it has."""
    texts = texts or [(segment["start"], segment["end"], segment["text"].strip()) for segment in SEGMENTS]
    expected[name] = {
        "kind": kind,
        "language": language,
        "encoding": encoding,
        "repaired": repaired,
        "rolled": rolled,
        "segments": [
            {
                "start_s": start if times else None,
                "end_s": end if times else None,
                "text": text,
                **{
                    figure: SEGMENTS[index][figure] if figure in figures else None
                    for figure in ("avg_logprob", "no_speech_prob", "compression_ratio")
                },
            }
            for index, (start, end, text) in enumerate(texts)
        ],
    }


def write(name, content):
    (OUT / name).write_bytes(content if isinstance(content, bytes) else content.encode())


ALL = ("avg_logprob", "no_speech_prob", "compression_ratio")


def openai_whisper():
    result = {"text": "".join(segment["text"] for segment in SEGMENTS), "segments": SEGMENTS, "language": "id"}
    whisper.get_writer("all", str(OUT))(result, "whisper.mp4")
    expect("whisper.json", "whisper", "id", ALL)
    for extension, kind in (("srt", "srt"), ("vtt", "vtt"), ("tsv", "tsv")):
        expect(f"whisper.{extension}", kind, None)
    expect("whisper.txt", "text", None, times=False)
    # The API's verbose_json names the language.
    api = {"task": "transcribe", "language": "indonesian", "duration": 17.52} | {k: result[k] for k in ("text", "segments")}
    write("whisper-api.json", json.dumps(api))
    expect("whisper-api.json", "whisper", "id", ALL)
    spoken = [
        {**segment, "words": words(segment["text"], segment["start"], segment["end"])} for segment in SEGMENTS[:2]
    ]
    options = {"highlight_words": True}
    for extension in ("srt", "vtt"):
        whisper.get_writer(extension, str(OUT))({"segments": spoken}, "highlighted.mp4", options)
        name = f"highlighted.{extension}"
        cues = (OUT / name).read_text().count("-->")
        expect(name, extension, None, texts=[(s, e, t.strip()) for s, e, t, *_ in TEXTS[:2]], rolled=cues - 2)


def words(text, start, end):
    pieces = [" " + word for word in text.split()]
    step = (end - start) / len(pieces)
    times = [round(start + step * index, 2) for index in range(len(pieces))] + [end]
    return [{"word": word, "start": times[i], "end": times[i + 1], "probability": 0.9} for i, word in enumerate(pieces)]


def faster_whisper():
    segments = [dataclasses.asdict(Segment(**segment, words=None)) for segment in SEGMENTS]
    info = TranscriptionInfo("id", 0.97, 17.52, 15.1, [("id", 0.97), ("ms", 0.02)], None, None)
    info = dataclasses.asdict(info)
    write("faster.json", json.dumps({"segments": segments, "info": info}, ensure_ascii=False))
    expect("faster.json", "faster-whisper", "id", ALL)
    write("faster-flat.json", json.dumps({**info, "segments": segments}, indent=2))
    expect("faster-flat.json", "faster-whisper", "id", ALL)
    write("faster-pair.json", json.dumps([segments, info]))
    expect("faster-pair.json", "faster-whisper", "id", ALL)
    write("faster-list.json", json.dumps(segments, ensure_ascii=False))
    expect("faster-list.json", "faster-whisper", None, ALL)
    write("faster.jsonl", "".join(json.dumps(segment) + "\n" for segment in segments))
    expect("faster.jsonl", "faster-whisper", None, ALL)


def whisper_x():
    segments = []
    for index, (start, end, text, logprob, _) in enumerate(TEXTS):
        aligned = [{k: w[k] for k in ("word", "start", "end")} | {"score": 0.8} for w in words(text, start, end)]
        for word in aligned:
            word["word"] = word["word"].strip()
        if index == 1:
            # A word that can't be aligned.
            aligned[4] = {"word": aligned[4]["word"]}
        segments.append(
            {"start": start, "end": end, "text": text, "avg_logprob": logprob, "words": aligned, "speaker": "SPEAKER_00"}
        )
    result = {"segments": segments, "word_segments": [word for s in segments for word in s["words"]], "language": "id"}
    options = {"max_line_width": None, "max_line_count": None, "highlight_words": False}
    whisperx.get_writer("all", str(OUT))(result, "whisperx.mp4", options)
    expect("whisperx.json", "whisperx", "id", ("avg_logprob",))
    for extension in ("srt", "vtt", "tsv"):
        expect(f"whisperx.{extension}", extension, None)
    expect("whisperx.txt", "text", None, times=False)
    plain = {"segments": [{k: s[k] for k in ("text", "start", "end", "avg_logprob")} for s in segments], "language": "id"}
    write("whisperx-unaligned.json", json.dumps(plain, ensure_ascii=False))
    expect("whisperx-unaligned.json", "whisperx", "id", ("avg_logprob",))


def stamp(seconds, comma=","):
    milliseconds = round(1000 * seconds)
    return "%02d:%02d:%02d%s%03d" % (
        milliseconds // 3600000, milliseconds // 60000 % 60, milliseconds // 1000 % 60, comma, milliseconds % 1000
    )  # fmt: skip


def escaped(text):
    return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def whisper_cpp_json(pieces, full):
    """`pieces` are start, end, text as bytes, tokens as bytes."""

    def times(start, end, indent):
        t = "\t" * indent
        return (
            f'{t}"timestamps": {{\n{t}\t"from": "{stamp(start)}",\n{t}\t"to": "{stamp(end)}"\n{t}}},\n'
            f'{t}"offsets": {{\n{t}\t"from": {round(start * 1000)},\n{t}\t"to": {round(end * 1000)}\n{t}}}'
        ).encode()

    head = (
        '{\n\t"systeminfo": "WHISPER : COREML = 0",\n\t"model": {\n\t\t"type": "small",\n\t\t"multilingual": true\n\t},\n'
        '\t"params": {\n\t\t"model": "models/ggml-small.bin",\n\t\t"language": "auto",\n\t\t"translate": false\n\t},\n'
        '\t"result": {\n\t\t"language": "id"\n\t},\n\t"transcription": [\n'
    )
    written = []
    for start, end, text, tokens in pieces:
        body = b"\t\t{\n" + times(start, end, 3) + b',\n\t\t\t"text": "' + escaped(text) + b'"'
        if full:
            parts = [
                b'\t\t\t\t{\n\t\t\t\t\t"text": "%s",\n%s,\n\t\t\t\t\t"id": %d,\n\t\t\t\t\t"p": 0.91,\n\t\t\t\t\t"t_dtw": -1\n\t\t\t\t}'
                % (escaped(token), times(start, end, 5), 300 + index)
                for index, token in enumerate(tokens)
            ]
            body += b',\n\t\t\t"tokens": [\n' + b",\n".join(parts) + b"\n\t\t\t]"
        written.append(body + b"\n\t\t}")
    return head.encode() + b",\n".join(written) + b"\n\t]\n}\n"


def whisper_cpp():
    notes = "♪".encode()
    whole = [text.encode() for _, _, text, *_ in TEXTS]
    tokens = [[b"[_BEG_]", whole[0]], [whole[1]], [b" ", notes[:1], notes[1:]], [whole[3], b"[_TT_876]"]]
    plain = [(s, e, whole[i], tokens[i]) for i, (s, e, *_) in enumerate(TEXTS)]
    write("whispercpp.json", whisper_cpp_json(plain, False))
    expect("whispercpp.json", "whisper.cpp", "id")
    write("whispercpp-full.json", whisper_cpp_json(plain, True))
    expect("whispercpp-full.json", "whisper.cpp", "id")

    # A character cut between two segments, one whose rest is lost, a line break and a backslash that escapes nothing.
    cut = [
        (0.0, 2.0, b" Mari bernyanyi " + notes[:1], []),
        (2.0, 4.0, notes[1:] + b" bersama Pak Suryo", []),
        (4.0, 6.0, b" di Solo " + notes[:2], []),
        (6.0, 8.0, b" sampai\nmalam.", []),
    ]
    texts = [
        (0.0, 2.0, "Mari bernyanyi ♪"),
        (2.0, 4.0, "bersama Pak Suryo"),
        (4.0, 6.0, "di Solo \ufffd"),
        (6.0, 8.0, "sampai malam."),
    ]
    write("whispercpp-cut.json", whisper_cpp_json(cut, False))
    expect("whispercpp-cut.json", "whisper.cpp", "id", texts=texts, repaired=2)
    # A backslash that nobody escaped.
    unescaped = whisper_cpp_json([(0.0, 2.0, b" satu @ dua", [])], False).replace(b"@", b"\\ atau /")
    write("whispercpp-unescaped.json", unescaped)
    expect("whispercpp-unescaped.json", "whisper.cpp", "id", texts=[(0.0, 2.0, "satu \\ atau / dua")])
    srt = b"".join(
        b"%d\n%s --> %s\n%s\n\n" % (i + 1, stamp(s).encode(), stamp(e).encode(), text)
        for i, (s, e, text, _) in enumerate(cut[:2])
    )
    write("whispercpp-cut.srt", srt)
    expect("whispercpp-cut.srt", "srt", None, texts=texts[:2], repaired=1)
    write("whispercpp-cut.txt", b"".join(text.lstrip() + b"\n" for _, _, text, _ in cut[:2]))
    expect("whispercpp-cut.txt", "text", None, texts=texts[:2], repaired=1, times=False)


def by_hand():
    """Subtitles as editors and video sites write them."""
    lines = [
        "1", "00:00:01,000 --> 00:00:03,500", "<i>Selamat pagi</i>, Bu Darmi!", "",
        "00:00:03,000 --> 00:00:05,000", "Jeruknya berapa", "sekilo?", "",
        "3", "00:00:05,000 --> 00:00:07,250", "{\\an8}<font color=\"#fff\">Tiga puluh", "", "ribu.</font>", "",
        "00:00:07,300 --> 00:00:08,000 X1:40 X2:600", "2025", "",
        "5", "00:00:08.000 --> 00:00:09.5", "Boleh kurang?",
    ]  # fmt: skip
    texts = [
        (1.0, 3.5, "Selamat pagi, Bu Darmi!"),
        (3.0, 5.0, "Jeruknya berapa sekilo?"),
        (5.0, 7.25, "Tiga puluh ribu."),
        (7.3, 8.0, "2025"),
        (8.0, 9.5, "Boleh kurang?"),
    ]
    write("hand.srt", ("\ufeff" + "\r\n".join(lines)).encode())
    expect("hand.srt", "srt", None, texts=texts)
    write("utf16.srt", "\r\n".join(lines).encode("utf-16"))
    expect("utf16.srt", "srt", None, texts=texts, encoding="UTF-16LE")
    latin = "1\n00:00:01,000 --> 00:00:03,000\nDi café itu “ramai” sekali\n"
    write("latin.srt", latin.encode("cp1252"))
    expect("latin.srt", "srt", None, texts=[(1.0, 3.0, "Di café itu “ramai” sekali")], encoding="windows-1252")

    vtt = [
        "WEBVTT - buatan sendiri", "Kind: captions", "Language: id", "",
        "NOTE dibuat oleh Bu Darmi", "00:00 bukan waktu", "",
        "STYLE", "::cue { color: white }", "",
        "pembuka", "00:01.000 --> 00:03.500 align:start position:0%", "<v Bu Darmi>Selamat pagi &amp; salam", "",
        "1:00:03.500 --> 1:00:05.000 line:0", "<c.kuning>Sampai</c> <b>jumpa</b> 3 &lt; 5", "",
    ]  # fmt: skip
    write("hand.vtt", "\n".join(vtt))
    expect("hand.vtt", "vtt", "id", texts=[(1.0, 3.5, "Selamat pagi & salam"), (3603.5, 3605.0, "Sampai jumpa 3 < 5")])

    rolling = [
        "WEBVTT", "Kind: captions", "Language: id", "",
        "00:00:00.080 --> 00:00:02.000 align:start position:0%", " ", "halo<00:00:00.400><c> semuanya</c>", "",
        "00:00:02.000 --> 00:00:02.010 align:start position:0%", "halo semuanya", " ", "",
        "00:00:02.010 --> 00:00:04.000 align:start position:0%", "halo semuanya", "kita<00:00:02.400><c> masak</c><00:00:03.000><c> soto</c>", "",
        "00:00:04.000 --> 00:00:04.010 align:start position:0%", "kita masak soto", " ", "",
        "00:00:04.010 --> 00:00:06.000 align:start position:0%", "kita masak soto", "ayo<00:00:04.500><c> mulai</c>", "",
    ]  # fmt: skip
    texts = [(0.08, 2.01, "halo semuanya"), (2.01, 4.01, "kita masak soto"), (4.01, 6.0, "ayo mulai")]
    write("rolling.vtt", "\n".join(rolling))
    expect("rolling.vtt", "vtt", "id", texts=texts, rolled=2)


def compression():
    random.seed(7)
    vocabulary = "kopi susu es gula aren murah enak banget dua belas ribu di kedai bu ratmi salatiga yuk mampir besok".split()
    texts = ["", "a", "♪", "Terima kasih.", "Halo semuanya", "la " * 40, "Terima kasih sudah menonton! " * 12, "😂" * 60]
    texts += [text for _, _, text, *_ in TEXTS]
    for length in (5, 20, 60, 150, 400, 1200):
        texts.append(" ".join(random.choice(vocabulary) for _ in range(length)))
    for repeats in (2, 3, 4, 5, 6, 8):
        texts.append("jangan lupa mampir ke kedai kami ya teman-teman " * repeats)
    for size in (50, 500, 5000):
        texts.append("".join(chr(random.choice([*range(97, 123), 32, 233, 0x266A, 0x1F35C])) for _ in range(size)))
    for ratio in range(3):
        texts.append(" ".join(random.choice(vocabulary[:3]) for _ in range(40 + 30 * ratio)))
    # Around 2.4, Whisper's limit.
    for words in range(4, 12):
        phrase = " ".join(random.choice(vocabulary) for _ in range(words))
        texts += [" ".join([phrase] * repeats) for repeats in (3, 4, 5)]
        texts.append(", ".join(f"{random.choice(vocabulary)} {phrase}" for _ in range(5)))
    return [{"text": text, "ratio": whisper.compression_ratio(text)} for text in texts]


def languages():
    """LANGUAGES and TO_LANGUAGE_CODE of openai-whisper's tokenizer.py, which can't be imported alone."""
    tree = ast.parse((WHISPER / "tokenizer.py").read_text())
    names = {}
    for node in tree.body:
        target = getattr(getattr(node, "targets", [None])[0], "id", None)
        if target == "LANGUAGES":
            names |= {name: code for code, name in ast.literal_eval(node.value).items()}
        elif target == "TO_LANGUAGE_CODE":
            names |= {k.value: v.value for k, v in zip(node.value.keys, node.value.values) if k is not None and isinstance(k, ast.Constant)}
    return names


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for part in (openai_whisper, faster_whisper, whisper_x, whisper_cpp, by_hand):
        part()
    (OUT / "whisperx.aud").unlink(missing_ok=True)
    write("expected.json", json.dumps(expected, ensure_ascii=False, indent=1) + "\n")
    figures = {
        "versions": {"python": platform.python_version(), "zlib": zlib.ZLIB_RUNTIME_VERSION, "openai-whisper": "20250625"},
        "compression": compression(),
        "languages": languages(),
    }
    (HERE / "transcripts.json").write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n")
