"""Writes what src/data/privacy/scrub_tests.rs finds: Indonesian phone numbers, mobile and of all area codes, in the formats in
which the phonenumbers package writes them.

Made with Python 3.11.7, phonenumbers 9.0.43.

    python3 -m venv venv
    venv/bin/pip install phonenumbers==9.0.43
    venv/bin/python tests/reference/phones.py
"""

import json
import pathlib
import random

import phonenumbers
from phonenumbers import PhoneNumberFormat as Format
from phonenumbers import PhoneNumberType as Type

RANDOM = random.Random(23)
COUNTS = {Type.MOBILE: 120, Type.FIXED_LINE: 120}
FORMATS = [Format.E164, Format.INTERNATIONAL, Format.NATIONAL, Format.RFC3966]

phones = []
while any(COUNTS.values()):
    digits = RANDOM.choice("23456789" if COUNTS[Type.FIXED_LINE] else "8") + "".join(
        RANDOM.choice("0123456789") for _ in range(RANDOM.choice([7, 8, 9, 10, 11]))
    )
    number = phonenumbers.PhoneNumber(country_code=62, national_number=int(digits))
    kind = phonenumbers.number_type(number)
    if phonenumbers.is_valid_number(number) and COUNTS.get(kind):
        COUNTS[kind] -= 1
        phones.append([phonenumbers.format_number(number, format) for format in FORMATS])
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(phones, indent=1) + "\n")
