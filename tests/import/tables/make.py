"""Writes the tables in this folder: the same six posts as spreadsheets and data frames hold them.

    pip install openpyxl==3.1.5 pyarrow==26.0.1 && python make.py

Accounts and texts are invented. `expected.json` is made from the rows here, not by reading the tables.
"""

import csv
import datetime
import json
import pathlib

import openpyxl
import pyarrow
import pyarrow.parquet

HERE = pathlib.Path(__file__).parent
UTC = datetime.timezone.utc

# id, account, posted, seconds, likes, plays, caption, transcript, category, is an advertisement
ROWS = [
    ("Cq1aB2cD3eF", "warung_senja", (2025, 3, 2, 10, 11, 12), 41, 1200, 45300,
     "Soto betawi di gang sempit, cuma 15 ribu! #kuliner #soto", "Halo semuanya, hari ini kita makan soto betawi.", "kuliner", False),
    ("Cq2bC3dE4fG", "bengkel.maju", (2025, 3, 14, 4, 0, 0), 62, 830, None,
     "Servis motor \"karburator\"; bawa sendiri boleh", "Kalau mesinnya brebet, cek dulu karburatornya.\nLalu busi.", "otomotif", True),
    ("Cq3cD4eF5gH", "kelas_fisika", (2025, 4, 5, 23, 59, 59), 90, None, 12,
     "Café ilmu: kenapa langit biru?", "Cahaya biru lebih banyak dihamburkan oleh udara.", "edukasi", False),
    ("Cq4dE5fG6hI", "jualbaju_rina", (2025, 4, 30, 0, 0, 0), 15, 3, 2500000,
     "Gamis premium, COD seluruh Indonesia, klik link di bio", "Bahannya adem, jahitannya rapi.", "kecantikan", True),
    ("Cq5eF6gH7iJ", "warung_senja", (2025, 5, 1, 12, 30, 0), 33, 98, 4300,
     None, "Ini sambal bawang resep nenek, pedasnya sampai ke ubun-ubun.", "kuliner", False),
    ("Cq6fG7hI8jK", "lari_pagi", (2025, 5, 20, 6, 5, 0), 28, 12500, 99000,
     "5 km pertama setelah sembuh 💪", None, "olahraga", False),
]
HEADER = ["Kode Reel", "Akun", "Tanggal Posting", "Durasi (detik)", "Like", "Diputar", "Takarir", "Transkrip", "Kategori", "Iklan"]


def moment(row):
    return datetime.datetime(*row[2], tzinfo=UTC)


def expected():
    posts = []
    for row in ROWS:
        code, account, _, seconds, likes, plays, caption, transcript, category, is_ad = row
        posts.append({
            "id": code, "account": account, "posted_at": moment(row).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration_s": float(seconds), "likes": likes, "plays": plays, "caption": caption, "transcript": transcript,
            "category": category, "ad": "iklan" if is_ad else "bukan iklan",
        })
    (HERE / "expected.json").write_text(json.dumps(posts, ensure_ascii=False, indent=1) + "\n")


def workbook():
    """Titles above the header, a sheet of notes before it; lengths typed as 0:41, which a spreadsheet takes for hours."""
    book = openpyxl.Workbook()
    notes = book.active
    notes.title = "Petunjuk"
    notes.append(["Isi satu baris untuk satu Reel."])
    notes.append(["Tanya Rina kalau bingung."])
    sheet = book.create_sheet("Data Reel")
    sheet.append(["Pengumpulan Reel, gelombang 1"])
    sheet.append([])
    sheet.append(HEADER)
    for row in ROWS:
        code, account, _, seconds, likes, plays, caption, transcript, category, is_ad = row
        link = f"https://www.instagram.com/reel/{code}/?igsh=abc"
        length = datetime.timedelta(minutes=seconds)
        sheet.append([link, "@" + account, moment(row).replace(tzinfo=None), length, likes, plays, caption, transcript,
                      category.title(), "Ya" if is_ad else "Tidak"])
        sheet.cell(sheet.max_row, 4).number_format = "h:mm"
    book.save(HERE / "posts.xlsx")


def text(name, encoding, dialect):
    """As a spreadsheet in Indonesian saves it: day first, decimal commas, points that group."""
    with open(HERE / name, "w", encoding=encoding, errors="ignore", newline="") as file:
        writer = csv.writer(file, delimiter=dialect, lineterminator="\r\n")
        writer.writerow(HEADER + ["", ""])
        for row in ROWS:
            code, account, _, seconds, likes, plays, caption, transcript, category, is_ad = row
            group = lambda number: "" if number is None else f"{number:,}".replace(",", ".")
            writer.writerow([code, account, moment(row).strftime("%d/%m/%Y %H:%M:%S"), f"{seconds},0", group(likes), group(plays),
                             caption, transcript, category.upper(), 1 if is_ad else 0, "", ""])


def parquet():
    columns = list(zip(*ROWS))
    table = pyarrow.table({
        "shortcode": pyarrow.array(columns[0]),
        "username": pyarrow.array(columns[1]).dictionary_encode(),
        "timestamp": pyarrow.array([moment(row) for row in ROWS], pyarrow.timestamp("us", tz="UTC")),
        "duration": pyarrow.array(columns[3], pyarrow.float32()),
        "likes": pyarrow.array(columns[4], pyarrow.int64()),
        "plays": pyarrow.array(columns[5], pyarrow.int32()),
        "caption": pyarrow.array(columns[6]),
        "transcript": pyarrow.array(columns[7]),
        "reference": pyarrow.array([{"category": row[8], "ad": "iklan" if row[9] else "bukan iklan"} for row in ROWS]),
        "hashtags": pyarrow.array([["kuliner", "soto"], None, [], ["gamis"], None, None], pyarrow.list_(pyarrow.string())),
        "segments": pyarrow.array([[{"start": 0.0, "text": "Halo"}]] * len(ROWS)),
    })
    for codec in ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]:
        pyarrow.parquet.write_table(table, HERE / f"{codec}.parquet", compression=codec, row_group_size=4)
    pyarrow.parquet.write_table(table, HERE / "pages.parquet", compression="snappy", data_page_version="2.0",
                                use_dictionary=False, use_deprecated_int96_timestamps=True)


def many():
    """More rows than are held at once, in several pages and groups."""
    numbers = range(3000)
    table = pyarrow.table({
        "id": pyarrow.array([f"r{number}" for number in numbers]),
        "transcript": pyarrow.array([f"Teks nomor {number}" if number % 7 else None for number in numbers]),
        "likes": pyarrow.array(numbers, pyarrow.uint32()),
        "hashtags": pyarrow.array([[f"t{number}"] * (number % 3) for number in numbers]),
    })
    pyarrow.parquet.write_table(table, HERE / "many.parquet", compression="zstd", row_group_size=2500, data_page_size=4096)


many()
expected()
workbook()
text("posts.csv", "utf-8-sig", ";")
text("latin.csv", "cp1252", ";")
text("posts.tsv", "utf-8", "\t")
parquet()
